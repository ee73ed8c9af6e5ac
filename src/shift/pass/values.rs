//! Collects the values of a pair's tokens for quantiles.
//!
//! Owns the extra passes over the tables and their memory: 12 bytes per value of one measure; if there are too many
//! values, a pass over some of the parts to know in advance about where the quantiles lie. Not here: reading
//! (`merge`).

use std::collections::HashMap;

use polars::prelude::col;

use super::collect::merged;
use super::merge::{self, Reads, Run};
use super::sums::{Binned, Sums};
use crate::error::Result;
use crate::schema::token;
use crate::shift::numbers::quantiles::{CutPoints, Histogram, Values};
use crate::shift::query::batches::{self, Order};
use crate::shift::query::joined::joined;
use crate::shift::result::means::Quantiles;
use crate::shift::tables::files::PairTables;
use crate::shift::tables::footers::Footers;
use crate::shift::token::columns::COLUMNS;
use crate::shift::token::measures::{self, Measure};

/// Tokens of which the cuts are taken.
const CUT_BY: u64 = 2_000_000;

/// Quantiles over the tokens that `sums` were taken of; a measure that no token has is left out. Exact ones unless
/// `sums` counted the values by size ([`cuts`]); none if `exact_to` is not given.
pub fn quantiles(tables: &PairTables, sums: &Sums, exact_to: Option<u64>) -> Result<Vec<Quantiles>> {
    if exact_to.is_none() {
        return Ok(Vec::new());
    }
    let pass = Pass { tables, sums };
    let measures = listed(tables);
    let mut all = Vec::new();
    if sums.binned.is_empty() {
        for measure in measures {
            let n = sums.of(measure.name)?.iter().map(|(_, n)| n).sum();
            if n > 0 {
                all.push(pass.exact(measure, n)?);
            }
        }
    } else {
        let of = |(measure, binned): (&Measure, &Binned)| Quantiles {
            measure: measure.name.to_owned(),
            unit: measure.unit.to_owned(),
            exact: false,
            quantiles: binned.quantiles(),
        };
        all = measures.zip(&sums.binned).map(of).collect();
    }
    all.retain(|quantiles| !quantiles.quantiles.is_empty());
    Ok(all)
}

/// The measures whose values the sums' pass counts by size, which are all if there are too many values to keep, and about
/// where their quantiles lie: those of some parts, spread over all.
pub fn cuts(
    tables: &PairTables,
    footers: [&Footers; 2],
    exact_to: Option<u64>,
) -> Result<Vec<(&'static str, CutPoints)>> {
    let rows = footers[0].rows.min(footers[1].rows);
    if exact_to.is_none_or(|exact_to| rows <= exact_to) {
        return Ok(Vec::new());
    }
    let measures: Vec<&Measure> = listed(tables).collect();
    let every = (rows / CUT_BY).max(1) as usize;
    let reads = Reads { every, ..reads(&measures) };
    let make = || measures.iter().map(|_| Histogram::default()).collect::<Vec<_>>();
    let step = |histograms: &mut Vec<Histogram>, run: &Run| {
        for row in 0..run.len() {
            let token = run.token(row, 0);
            for (histogram, measure) in histograms.iter_mut().zip(&measures) {
                if let Some(value) = (measure.of)(&token) {
                    histogram.push(value);
                }
            }
        }
        Ok(())
    };
    let found = merge::fold(tables, footers, &reads, make, step)?;
    let found = merged(found, |all: &mut Histogram, more| all.merge(&more));
    Ok(measures.iter().zip(&found).map(|(measure, histogram)| (measure.name, histogram.cuts())).collect())
}

/// The measures whose quantiles are taken, as far as there are tables for them.
fn listed(tables: &PairTables) -> impl Iterator<Item = &'static Measure> {
    let has_exact = tables.exact.is_some();
    let is_there = move |m: &&Measure| m.has_quantiles && (has_exact || !measures::is_of_pairs(m.name));
    measures::ALL.iter().filter(is_there)
}

/// What a pass reads to compute some measures.
fn reads(measures: &[&Measure]) -> Reads {
    let lists = measures.iter().any(|measure| measure.needs_lists());
    let is_read = |name: &&str| lists || measures.iter().any(|measure| measure.needs(name));
    Reads {
        columns: COLUMNS.into_iter().filter(is_read).collect(),
        lists,
        texts: false,
        exact: measures.iter().any(|measure| measures::is_of_pairs(measure.name)),
        every: 1,
    }
}

/// The share of the tokens that have the measure at which it is below `limit`; 0 if none has.
pub fn share_below(tables: &PairTables, sums: &Sums, name: &str, limit: f64) -> Result<f64> {
    let Some(measure) = measures::ALL.iter().find(|m| m.name == name) else { return Ok(0.0) };
    let count = move |counts: &mut [u64; 2], _, _, value| {
        counts[0] += u64::from(value < limit);
        counts[1] += 1;
    };
    let counts = Pass { tables, sums }.feed(&[measure], Default::default, count)?;
    let [below, all] = counts.into_iter().fold([0; 2], |[a, b], [c, d]| [a + c, b + d]);
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
        let each = n / rayon::current_num_threads() as u64;
        let push = |values: &mut Values, _, cluster, value| values.push(cluster, value);
        let values = self.feed(&[measure], || Values::with_capacity(each), push)?;
        let values = values.into_iter().reduce(|mut all, more| {
            all.merge(more);
            all
        });
        let quantiles = values.map_or_else(Vec::new, |values| values.quantiles(self.sums.clusters));
        Ok(Quantiles { measure: measure.name.to_owned(), unit: measure.unit.to_owned(), exact: true, quantiles })
    }

    /// Hands every value with its measure's place and its cluster to `push`, in any order; gives back each thread's state.
    fn feed<S: Send + 'static>(
        &self,
        measures: &[&Measure],
        make: impl Fn() -> S + Sync,
        push: impl Fn(&mut S, usize, u32, f64) + Send + Sync + 'static,
    ) -> Result<Vec<S>> {
        if self.sums.plain {
            return Ok(vec![self.query(measures, make(), push)?]);
        }
        let facts = &self.sums.facts;
        let reads = reads(measures);
        let [p, q] = &self.sums.footers;
        let step = |state: &mut S, run: &Run| {
            let mut last = None;
            for row in 0..run.len() {
                let id = run.sample_id(row);
                if last.is_none_or(|(last, _)| last != id) {
                    let place = facts.binary_search_by_key(&id, |facts| facts.id);
                    last = place.ok().map(|place| (id, facts[place].cluster));
                }
                let Some((_, cluster)) = last else { continue };
                let token = run.token(row, 0);
                for (place, measure) in measures.iter().enumerate() {
                    if let Some(value) = (measure.of)(&token) {
                        push(state, place, cluster, value);
                    }
                }
            }
            Ok(())
        };
        merge::fold(self.tables, [p, q], &reads, make, step)
    }

    /// The same by the lazy query.
    fn query<S: Send + 'static>(
        &self,
        measures: &[&Measure],
        state: S,
        push: impl Fn(&mut S, usize, u32, f64) + Send + Sync + 'static,
    ) -> Result<S> {
        let clusters: HashMap<u32, u32> = self.sums.facts.iter().map(|facts| (facts.id, facts.cluster)).collect();
        let names: Vec<&'static str> = measures.iter().map(|measure| measure.name).collect();
        let columns: Vec<_> = [token::SAMPLE_ID].into_iter().chain(names.iter().copied()).map(col).collect();
        batches::fold(joined(self.tables)?.select(columns), Order::Any, state, move |state, batch| {
            let ids = batch.column(token::SAMPLE_ID)?.u32()?;
            for (place, name) in names.iter().enumerate() {
                for (id, value) in ids.iter().zip(batch.column(name)?.f64()?.iter()) {
                    if let (Some(cluster), Some(value)) = (id.and_then(|id| clusters.get(&id)), value) {
                        push(state, place, *cluster, value);
                    }
                }
            }
            Ok(())
        })
    }
}
