//! One pass over a pair's tokens: sums and counts, one entry per sample.
//!
//! Owns what is added up for each sample, and in which pass. Not here: the names of the sums, and what is computed
//! from them.

use super::merge::{self, Reads, Run};
use super::sums::{Binned, Found, Sample, Sums, farthest_key};
use crate::error::Result;
use crate::schema::token;
use crate::shift::numbers::quantiles::CutPoints;
use crate::shift::tables::files::PairTables;
use crate::shift::tables::footers::Footers;
use crate::shift::tables::samples::Samples;
use crate::shift::token::columns;
use crate::shift::token::measures::{self, STUDY, Term};
use crate::shift::token::seen::Token;

/// Which pass is made.
pub struct What {
    /// What is added up.
    pub terms: Vec<Term>,
    pub reads: Reads,
    /// Measures, in the order of the terms, whose values are counted by size, and by cluster at cuts.
    pub binned: Vec<(&'static str, CutPoints)>,
}

impl What {
    /// Every measure of tables without or with exact measures, and the sums that other statistics need.
    pub fn all(lacks_ids: bool, has_exact: bool, binned: Vec<(&'static str, CutPoints)>) -> Self {
        let reads = Reads { columns: columns::COLUMNS.to_vec(), lists: true, texts: lacks_ids, exact: true, every: 1 };
        Self { terms: measures::terms(has_exact), reads, binned }
    }

    /// The sums of the study's KL value.
    pub fn study(lacks_ids: bool) -> Self {
        let terms = measures::TERMS.into_iter().filter(|term| term.name == STUDY).collect();
        let columns = vec![token::TOKEN_ID, token::IS_END, token::LOGPROB];
        let reads = Reads { columns, lists: false, texts: lacks_ids, exact: false, every: 1 };
        Self { terms, reads, binned: Vec::new() }
    }
}

/// A thread's samples.
struct State {
    found: Found,
    /// Of the last sample.
    study_from: u32,
    cluster: u32,
    /// By term.
    binned: Vec<Option<Binned>>,
}

impl State {
    fn new(what: &What, clusters: usize) -> Self {
        let binned = |term: &Term| {
            let (_, cuts) = what.binned.iter().find(|(name, _)| *name == term.name)?;
            Some(Binned::new(*cuts, clusters))
        };
        let binned = what.terms.iter().map(binned).collect();
        Self { found: Found::default(), study_from: 0, cluster: 0, binned }
    }
}

/// Makes the pass and looks the samples up.
///
/// # Errors
/// [`crate::Error::Incomparable`] if a sample is in no samples table; those of [`merge::fold`].
pub fn collect(pair: &PairTables, footers: [&Footers; 2], samples: &Samples, what: What) -> Result<Sums> {
    let step = |state: &mut State, run: &Run| add(state, run, pair, samples, &what);
    let mut states = merge::fold(pair, footers, &what.reads, || State::new(&what, samples.clusters), step)?;
    let binned = states.iter_mut().map(|state| state.binned.drain(..).flatten().collect()).collect();
    let binned = merged(binned, |all: &mut Binned, more| all.merge(&more));
    let found = states.into_iter().map(|state| state.found).collect();
    let mut sums = Sums::new(what.terms, found, samples, footers);
    sums.binned = binned;
    Ok(sums)
}

fn add(state: &mut State, run: &Run, pair: &PairTables, samples: &Samples, what: &What) -> Result<()> {
    let width = what.terms.len();
    let found = &mut state.found;
    for row in 0..run.len() {
        let id = run.sample_id(row);
        if found.samples.last().is_none_or(|last| last.id != id) {
            let place = samples.rows.binary_search_by_key(&id, |facts| facts.id);
            let unknown = |_| pair.incomparable(format!("sample {id} is not in the samples tables"));
            let place = place.map_err(unknown)?;
            (state.study_from, state.cluster) = (samples.first_counted[place], samples.rows[place].cluster);
            found.samples.push(Sample { id, ..Sample::default() });
            found.sums.resize(found.sums.len() + width, 0.0);
            found.counts.resize(found.counts.len() + width, 0);
        }
        let token = run.token(row, state.study_from);
        let first = found.sums.len() - width;
        let slots = found.sums[first..].iter_mut().zip(&mut found.counts[first..]).zip(&mut state.binned);
        for (((sum, count), binned), term) in slots.zip(&what.terms) {
            let Some(value) = (term.of)(&token) else { continue };
            *sum += value;
            *count += 1;
            if let Some(binned) = binned {
                binned.push(state.cluster, value);
            }
        }
        if let Some(sample) = found.samples.last_mut() {
            add_token(sample, &token, || run.texts(row), what.reads.texts);
        }
    }
    Ok(())
}

fn add_token<'a>(sample: &mut Sample, token: &Token, texts: impl Fn() -> [Option<&'a str>; 2], lacks_ids: bool) {
    sample.rows += 1;
    // Without ids on a side, texts decide.
    let differs = match (token.p.token_id, token.q.token_id) {
        (Some(p), Some(q)) => p != q,
        _ => {
            lacks_ids && {
                let [p, q] = texts();
                let is_known = p.is_some() && q.is_some();
                // A token that is not compared need not be the same.
                sample.unchecked += u64::from(!is_known && token.d().is_some());
                is_known && p != q
            }
        }
    };
    if differs && sample.differs_at.is_none() {
        sample.differs_at = Some(token.position);
    }
    let Some(d) = token.d() else { return };
    sample.not_finite += u64::from(!d.is_finite());
    if !d.is_nan() {
        sample.farthest = sample.farthest.max(Some(farthest_key(d, token.position)));
    }
}

/// The states of several threads as one, measure by measure.
pub fn merged<T>(states: Vec<Vec<T>>, merge: impl Fn(&mut T, T)) -> Vec<T> {
    let add = |mut all: Vec<T>, more: Vec<T>| {
        all.iter_mut().zip(more).for_each(|(all, more)| merge(all, more));
        all
    };
    states.into_iter().reduce(add).unwrap_or_default()
}
