//! The values of a pair's tokens on their way into quantiles.
//!
//! Owns the extra passes over the tables and what they hold at once: a batch, and 12 bytes a value of one measure or
//! a histogram of each.
//! Refuses to keep a data frame.

use polars::prelude::{DataFrame, PolarsResult};

use super::batches::{self, Order};
use super::measures::{self, Measure};
use super::quantiles::{Below, Histogram, Quantiles, Values};
use super::query;
use super::select::PairTables;
use super::sums::Sums;
use crate::error::Result;
use crate::schema::token;

/// The measures whose quantiles are taken.
const MEASURES: [&str; 9] =
    ["kl", "kl_reverse", "js", "tv", "kl_k1", "kl_k3", "delta_logprob", "delta_p", "rank_shift"];

/// Quantiles over the tokens that `sums` were taken of; a measure that no token has is left out. Exact ones
/// of up to `exact_to` values; none if that is not given.
pub(super) fn quantiles(tables: &PairTables, sums: &Sums, exact_to: Option<u64>) -> Result<Vec<Quantiles>> {
    let Some(exact_to) = exact_to else { return Ok(Vec::new()) };
    let (mut few, mut many) = (Vec::new(), Vec::new());
    for measure in measures::ALL.iter().filter(|m| MEASURES.contains(&m.name)) {
        match sums.of(measure.name)?.iter().map(|(_, n)| n).sum() {
            0 => {}
            n if n <= exact_to => few.push((measure, n)),
            _ => many.push(measure),
        }
    }
    let pass = Pass { tables, sums };
    let mut all = few.into_iter().map(|(measure, n)| pass.exact(measure, n)).collect::<Result<Vec<_>>>()?;
    if !many.is_empty() {
        all.extend(pass.binned(&many)?);
    }
    all.retain(|quantiles| !quantiles.quantiles.is_empty());
    all.sort_by_key(|found| measures::ALL.iter().position(|m| m.name == found.measure));
    Ok(all)
}

/// The share of the tokens that have the measure at which it is below `limit`; 0 if none has.
pub(super) fn share_below(tables: &PairTables, sums: &Sums, name: &str, limit: f64) -> Result<f64> {
    let Some(measure) = measures::ALL.iter().find(|m| m.name == name) else { return Ok(0.0) };
    let pass = Pass { tables, sums };
    let [below, all] = pass
        .feed(&[measure], ([0_u64; 2], limit), |(counts, limit), _, _, value| {
            counts[0] += u64::from(value < *limit);
            counts[1] += 1;
        })?
        .0;
    Ok(if all == 0 { 0.0 } else { below as f64 / all as f64 })
}

/// A pair's tokens once more.
struct Pass<'a> {
    tables: &'a PairTables,
    sums: &'a Sums,
}

impl Pass<'_> {
    /// One pass: 12 bytes a value are in memory, so of one measure at a time.
    fn exact(&self, measure: &Measure, n: u64) -> Result<Quantiles> {
        let values = Values::with_capacity(n);
        let values = self.feed(&[measure], values, |values, _, cluster, value| values.push(cluster, value))?;
        let quantiles = values.quantiles(self.sums.clusters);
        Ok(Quantiles { measure: measure.name, unit: measure.unit, exact: true, quantiles })
    }

    /// Two passes for all: the quantiles, then which values of which cluster lie below them.
    fn binned(&self, measures: &[&Measure]) -> Result<Vec<Quantiles>> {
        let histograms: Vec<Histogram> = measures.iter().map(|_| Histogram::default()).collect();
        let histograms = self.feed(measures, histograms, |all, place, _, value| all[place].push(value))?;
        let below: Vec<Below> = histograms.iter().map(|histogram| histogram.below(self.sums.clusters)).collect();
        let below = self.feed(measures, below, |all, place, cluster, value| all[place].push(cluster, value))?;
        let quantiles = measures.iter().zip(histograms.iter().zip(&below)).map(|(measure, (histogram, below))| {
            let quantiles = histogram.quantiles(below);
            Quantiles { measure: measure.name, unit: measure.unit, exact: false, quantiles }
        });
        Ok(quantiles.collect())
    }

    /// Runs the query and hands every value with its measure's place and its cluster to `push`, in any order.
    fn feed<S: Send + 'static>(&self, measures: &[&Measure], state: S, push: fn(&mut S, usize, u32, f64)) -> Result<S> {
        let clusters: Vec<_> = self.sums.facts.iter().map(|s| (s.id, s.cluster)).collect();
        let names: Vec<&str> = measures.iter().map(|measure| measure.name).collect();
        let query = query::values(self.tables, measures)?;
        batches::fold(query, Order::Any, state, move |state, batch| {
            let of_rows = clusters_of(batch, &clusters)?;
            for (place, name) in names.iter().enumerate() {
                let values = batch.column(name)?.f64()?;
                for (cluster, value) in of_rows.iter().zip(values.iter()) {
                    if let (Some(cluster), Some(value)) = (cluster, value) {
                        push(state, place, *cluster, value);
                    }
                }
            }
            Ok(())
        })
    }
}

/// The cluster of each row's sample, if its sample is known; `clusters` are by `sample_id`, ascending.
fn clusters_of(batch: &DataFrame, clusters: &[(u32, u32)]) -> PolarsResult<Vec<Option<u32>>> {
    let mut last = None;
    let of_row = |id: Option<u32>| {
        let id = id?;
        let found = last.filter(|(last, _)| *last == id);
        let place = || clusters.binary_search_by_key(&id, |c| c.0).ok().map(|i| clusters[i]);
        last = found.or_else(place);
        last.map(|(_, cluster)| cluster)
    };
    Ok(batch.column(token::SAMPLE_ID)?.u32()?.iter().map(of_row).collect())
}
