//! Checks whether two tables may be compared at all.
//!
//! Owns the errors: rows, token ids and contexts that do not match. Nothing is repaired.

use std::collections::HashMap;

use crate::error::Result;
use crate::sample::Status;
use crate::schema::Divergence;
use crate::shift::pass::sums::Sums;
use crate::shift::query::by_sample::{row_counts, rows_by_sample};
use crate::shift::tables::files::{ModelTable, PairTables};
use crate::shift::tables::footers::Footers;
use crate::shift::tables::samples::{SampleFacts, Samples};

/// Samples that both scored in different contexts.
///
/// # Errors
/// [`crate::Error::Incomparable`] with the first of them, unless they are allowed.
pub fn contexts(pair: &PairTables, samples: &Samples, allowed: bool) -> Result<u64> {
    let mut differing = samples.rows.iter().filter(|s| s.is_scored() && !s.same_context);
    let Some(first) = differing.next() else { return Ok(0) };
    let count = 1 + differing.count() as u64;
    if allowed {
        return Ok(count);
    }
    Err(pair.incomparable(format!(
        "the models were given different contexts for {count} samples, the first is sample_id {}: \
         use --allow-different-context to compare them anyway",
        first.id
    )))
}

/// Both tables must have the same token at every joined row.
///
/// # Errors
/// [`crate::Error::Incomparable`] naming the first row at which they do not.
pub fn tokens(pair: &PairTables, sums: &Sums) -> Result<()> {
    let Some((sample, position)) = sums.first_difference() else { return Ok(()) };
    Err(pair.incomparable(format!("the tokens at sample_id {sample}, position {position} differ")))
}

/// Whatever both models gave a log-probability, a pairs table has measures of.
///
/// # Errors
/// [`crate::Error::Incomparable`] with the first sample of which it lacks tokens.
pub fn exact(pair: &PairTables, sums: &Sums) -> Result<()> {
    let Some(first) = pair.exact.as_ref().and_then(|exact| exact.files.first()) else { return Ok(()) };
    // KL itself may be unknown, as that to a logits file is.
    let (exact, both) = (sums.of(Divergence::Tv.column())?, sums.of("delta_logprob")?);
    let counts = exact.iter().zip(&both).map(|((_, exact), (_, both))| (exact, both));
    let Some((sample, (found, expected))) =
        sums.facts.iter().zip(counts).find(|(_, (found, expected))| found < expected)
    else {
        return Ok(());
    };
    Err(pair.incomparable(format!(
        "the pairs table has {found} of the {expected} tokens of sample_id {}: delete the parts in `{}` and let `kl --exact` \
         make them again",
        sample.id,
        first.path().parent().unwrap_or(first.path()).display()
    )))
}

/// Rows of P, of Q and joined ones must be equally many, but for samples whose status says why not, and recorded
/// ones without a known context, which are compared up to the shorter side. Gives the samples that are.
///
/// The footers decide it at once in the usual case; otherwise both tables' rows are counted by sample.
///
/// # Errors
/// [`crate::Error::Incomparable`] with the counts and the first sample that nothing explains.
pub fn rows(pair: &PairTables, samples: &Samples, sums: &Sums, p: &Footers, q: &Footers) -> Result<u64> {
    let joined: u64 = sums.rows.iter().sum();
    if p.rows == q.rows && p.rows == joined {
        return Ok(0);
    }
    let (of_p, of_q) = (counted(&pair.p)?, counted(&pair.q)?);
    let of_both: HashMap<u32, u64> = sums.facts.iter().map(|s| s.id).zip(sums.rows.iter().copied()).collect();
    let get = |counts: &HashMap<u32, u64>, id| counts.get(&id).copied().unwrap_or_default();
    let mut unequal = 0;
    let mut unexplained = Vec::new();
    for sample in &samples.rows {
        let counts = Counts { p: get(&of_p, sample.id), q: get(&of_q, sample.id), both: get(&of_both, sample.id) };
        if counts.explained_by(sample) {
            continue;
        }
        if sample.lacks_context && sample.is_scored() && counts.both == counts.p.min(counts.q) {
            unequal += 1;
        } else {
            unexplained.push((sample, counts));
        }
    }
    let Some((first, counts)) = unexplained.first() else { return Ok(unequal) };
    let (sides, more) = (counts.description_of(first), unexplained.len() - 1);
    Err(pair.incomparable(format!(
        "tables do not match: P has {} rows, Q {}, {joined} in both; first mismatch in sample_id {} ({sides}), {more} more samples",
        p.rows, q.rows, first.id
    )))
}

/// Rows of one sample in P's table, in Q's, and joined.
struct Counts {
    p: u64,
    q: u64,
    both: u64,
}

impl Counts {
    /// Whether the sample's two statuses promise these rows.
    fn explained_by(&self, sample: &SampleFacts) -> bool {
        let silent = |status: Status, rows| status.is_scored() || rows == 0;
        let cut = sample.p == Status::Truncated || sample.q == Status::Truncated;
        let agree = if !sample.is_scored() {
            self.both == 0
        } else if cut {
            self.both == self.p.min(self.q)
        } else {
            self.both == self.p && self.both == self.q
        };
        agree && silent(sample.p, self.p) && silent(sample.q, self.q)
    }

    fn description_of(&self, sample: &SampleFacts) -> String {
        let (p, q) = (sample.p.as_str(), sample.q.as_str());
        format!("P {p}: {} rows, Q {q}: {}, both: {}", self.p, self.q, self.both)
    }
}

fn counted(table: &ModelTable) -> Result<HashMap<u32, u64>> {
    Ok(row_counts(rows_by_sample(table)?)?.into_iter().collect())
}
