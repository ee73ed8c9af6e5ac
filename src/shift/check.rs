//! Whether two tables may be compared at all.
//!
//! Owns the refusals: rows, token ids and contexts that do not match. Refuses to repair anything.

use std::collections::HashMap;

use super::query::rows_by_sample;
use super::samples::{SampleFacts, Samples};
use super::scan::Footers;
use super::select::{PairTables, Table};
use super::sums::{Sums, row_counts};
use crate::error::Result;
use crate::sample::Status;

/// Samples that both scored in different contexts.
///
/// # Errors
/// [`crate::Error::Incomparable`] with the first of them, unless they are allowed.
pub(super) fn contexts(pair: &PairTables, samples: &Samples, allowed: bool) -> Result<u64> {
    let mut differing = samples.rows.iter().filter(|s| s.is_scored() && !s.same_context);
    let Some(first) = differing.next() else { return Ok(0) };
    let count = 1 + differing.count() as u64;
    if allowed {
        return Ok(count);
    }
    Err(pair.incomparable(format!(
        "the models were given different contexts for {count} samples, the first is sample_id {}: \
         give --allow-different-context to compare them all the same",
        first.id
    )))
}

/// Both sides must hold the same token at every joined row.
///
/// # Errors
/// [`crate::Error::Incomparable`] naming the first row at which they do not.
pub(super) fn tokens(pair: &PairTables, sums: &Sums) -> Result<()> {
    let Some((sample, position)) = sums.first_difference()? else { return Ok(()) };
    Err(pair.incomparable(format!("the tokens at sample_id {sample}, position {position} differ")))
}

/// Rows of P, of Q and joined ones must be equally many, but for samples whose status says why not.
///
/// The footers settle it at once in the usual case; otherwise both tables' rows are counted by sample.
///
/// # Errors
/// [`crate::Error::Incomparable`] with the counts and the first sample that nothing explains.
pub(super) fn rows(pair: &PairTables, samples: &Samples, sums: &Sums, p: Footers, q: Footers) -> Result<()> {
    let joined: u64 = sums.rows.iter().sum();
    if p.rows == q.rows && p.rows == joined {
        return Ok(());
    }
    let (of_p, of_q) = (counted(&pair.p)?, counted(&pair.q)?);
    let of_both: HashMap<u32, u64> = sums.facts.iter().map(|s| s.id).zip(sums.rows.iter().copied()).collect();
    let get = |counts: &HashMap<u32, u64>, id| counts.get(&id).copied().unwrap_or_default();
    let mut unexplained = samples.rows.iter().filter_map(|sample| {
        let counts = (get(&of_p, sample.id), get(&of_q, sample.id), get(&of_both, sample.id));
        (!explained(sample, counts)).then_some((sample, counts))
    });
    let Some((first, counts)) = unexplained.next() else { return Ok(()) };
    let more = unexplained.count();
    Err(pair.incomparable(format!(
        "P has {} rows, Q has {}, {joined} are of both; first at sample_id {} (P {}: {} rows, Q {}: {}, both: {}), \
         and {more} more samples",
        p.rows,
        q.rows,
        first.id,
        first.p.as_str(),
        counts.0,
        first.q.as_str(),
        counts.1,
        counts.2
    )))
}

/// Whether a sample's rows on P, on Q and joined are what its two statuses promise.
fn explained(sample: &SampleFacts, (p, q, joined): (u64, u64, u64)) -> bool {
    let silent = |status: Status, rows| status.is_scored() || rows == 0;
    let cut = sample.p == Status::Truncated || sample.q == Status::Truncated;
    let agree = if !sample.is_scored() {
        joined == 0
    } else if cut {
        joined == p.min(q)
    } else {
        joined == p && joined == q
    };
    agree && silent(sample.p, p) && silent(sample.q, q)
}

fn counted(table: &Table) -> Result<HashMap<u32, u64>> {
    Ok(row_counts(rows_by_sample(table)?)?.into_iter().collect())
}
