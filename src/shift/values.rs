//! The values of a pair's tokens, one measure at a time, on their way into quantiles.
//!
//! Owns the extra passes over the tables and what they hold at once: a batch, and 12 bytes a value or a histogram.
//! Refuses to keep a data frame.

use polars::prelude::{DataFrame, PolarsResult};

use super::batches::{self, Order};
use super::measures::{self, Measure};
use super::quantiles::{Below, Histogram, Quantile, Quantiles, Values};
use super::query;
use super::select::PairTables;
use super::sums::Sums;
use crate::error::Result;
use crate::schema::token;

/// The measures whose quantiles are taken, each by a pass of its own.
const MEASURES: [&str; 9] =
    ["kl", "kl_reverse", "js", "tv", "kl_k1", "kl_k3", "delta_logprob", "delta_p", "rank_shift"];

/// Quantiles over the tokens that `sums` were taken of; a measure that no token has is left out. Exact ones
/// of up to `exact_to` values; none if that is not given.
pub(super) fn quantiles(tables: &PairTables, sums: &Sums, exact_to: Option<u64>) -> Result<Vec<Quantiles>> {
    let mut all = Vec::new();
    let Some(exact_to) = exact_to else { return Ok(all) };
    for measure in measures::ALL.iter().filter(|m| MEASURES.contains(&m.name)) {
        let n: u64 = sums.of(measure.name)?.iter().map(|(_, n)| n).sum();
        if n == 0 {
            continue;
        }
        let exact = n <= exact_to;
        let pass = Pass { tables, measure, sums };
        let quantiles = if exact { pass.exact(n)? } else { pass.binned()? };
        if !quantiles.is_empty() {
            all.push(Quantiles { measure: measure.name, unit: measure.unit, exact, quantiles });
        }
    }
    Ok(all)
}

/// The share of the tokens that have the measure at which it is below `limit`; 0 if none has.
pub(super) fn share_below(tables: &PairTables, sums: &Sums, name: &str, limit: f64) -> Result<f64> {
    let Some(measure) = measures::ALL.iter().find(|m| m.name == name) else { return Ok(0.0) };
    let pass = Pass { tables, measure, sums };
    let [below, all] = pass
        .feed(([0_u64; 2], limit), |(counts, limit), _, value| {
            counts[0] += u64::from(value < *limit);
            counts[1] += 1;
        })?
        .0;
    Ok(if all == 0 { 0.0 } else { below as f64 / all as f64 })
}

/// One measure of a pair.
struct Pass<'a> {
    tables: &'a PairTables,
    measure: &'a Measure,
    sums: &'a Sums,
}

impl Pass<'_> {
    fn exact(&self, n: u64) -> Result<Vec<Quantile>> {
        Ok(self.feed(Values::with_capacity(n), Values::push)?.quantiles(self.sums.clusters))
    }

    /// Two passes: the quantiles, then which values of which cluster lie below them.
    fn binned(&self) -> Result<Vec<Quantile>> {
        let histogram = self.feed(Histogram::default(), |histogram, _, value| histogram.push(value))?;
        let below = self.feed(histogram.below(self.sums.clusters), Below::push)?;
        Ok(histogram.quantiles(&below))
    }

    /// Runs the query and hands every value with its cluster to `push`, in any order.
    fn feed<S: Send + 'static>(&self, state: S, push: fn(&mut S, u32, f64)) -> Result<S> {
        let clusters: Vec<_> = self.sums.facts.iter().map(|s| (s.id, s.cluster)).collect();
        let query = query::values(self.tables, self.measure)?;
        batches::fold(query, Order::Any, state, move |state, batch| {
            each(batch, &clusters, |cluster, value| push(state, cluster, value))
        })
    }
}

/// Every value of a batch with the cluster of its sample; `clusters` are by `sample_id`, ascending.
fn each(batch: &DataFrame, clusters: &[(u32, u32)], mut push: impl FnMut(u32, f64)) -> PolarsResult<()> {
    let ids = batch.column(token::SAMPLE_ID)?.u32()?;
    let values = batch.column(query::VALUE)?.f64()?;
    let mut last = None;
    for (id, value) in ids.iter().zip(values.iter()) {
        let (Some(id), Some(value)) = (id, value) else { continue };
        let found = last.filter(|(last, _)| *last == id);
        let place = || clusters.binary_search_by_key(&id, |c| c.0).ok().map(|i| clusters[i]);
        last = found.or_else(place);
        if let Some((_, cluster)) = last {
            push(cluster, value);
        }
    }
    Ok(())
}
