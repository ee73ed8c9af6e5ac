//! One pass over a pair's tokens as plain vectors: sums and counts, an entry a sample.
//!
//! Owns what is added up of each sample. Refuses to interpret it.

use super::merge::{self, Reads, Run};
use crate::error::Result;
use crate::schema::token;
use crate::shift::numbers::quantiles::{Below, Cuts, Histogram, Quantile};
use crate::shift::numbers::stats::{Estimate, clustered_mean, shares};
use crate::shift::tables::files::PairTables;
use crate::shift::tables::footers::Footers;
use crate::shift::tables::samples::{SampleFacts, Samples};
use crate::shift::token::columns;
use crate::shift::token::measures::{self, STUDY, Term};
use crate::shift::token::seen::Token;

/// Sums over the joined tokens of each sample that has any, in `sample_id` order.
pub struct Sums {
    terms: Vec<Term>,
    /// What each thread found, and the samples of all of them in order: the thread's place and the sample's in it.
    found: Vec<Found>,
    order: Vec<(u32, u32)>,
    pub facts: Vec<SampleFacts>,
    pub rows: Vec<u64>,
    pub clusters: usize,
    /// Of P and Q, for further passes.
    pub footers: [Footers; 2],
    /// All values of the measures that [`What::binned`] named, in its order.
    pub binned: Vec<Binned>,
}

/// The values of a measure by size, and by cluster as far as intervals of quantiles need it.
pub struct Binned {
    histogram: Histogram,
    below: Below,
}

impl Binned {
    fn push(&mut self, cluster: u32, value: f64) {
        self.histogram.push(value);
        self.below.push(cluster, value);
    }

    fn merge(&mut self, other: &Self) {
        self.histogram.merge(&other.histogram);
        self.below.merge(&other.below);
    }

    pub fn quantiles(&self) -> Vec<Quantile> {
        self.histogram.quantiles(&self.below)
    }
}

/// The token of a sample at which |ln q − ln p| is largest.
#[derive(Clone, Copy, Debug)]
pub struct Farthest {
    pub sample_id: u32,
    pub position: u32,
    /// |ln q − ln p|, to f32's digits.
    pub size: f64,
}

/// What is known of a sample beside its sums.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    id: u32,
    rows: u64,
    not_finite: u64,
    /// The first position at which the tokens differ.
    differs_at: Option<u32>,
    /// Tokens of which no side's id or text says whether they are the same.
    unchecked: u64,
    farthest: Option<u64>,
}

/// A thread's samples.
struct Found {
    samples: Vec<Sample>,
    /// Sum and number of tokens, term by term, sample by sample.
    sums: Vec<f64>,
    counts: Vec<u32>,
    /// Of the last sample.
    study_from: u32,
    cluster: u32,
    /// By term.
    binned: Vec<Option<Binned>>,
}

/// Which pass is made.
pub struct What {
    /// What is added up.
    pub terms: Vec<Term>,
    pub reads: Reads,
    /// Measures, in the order of the terms, whose values are counted by size, and by cluster at cuts.
    pub binned: Vec<(&'static str, Cuts)>,
}

impl What {
    /// Every measure that tables without or with exact measures have, and what other figures need.
    pub fn all(lacks_ids: bool, has_exact: bool, binned: Vec<(&'static str, Cuts)>) -> Self {
        let measures = measures::ALL.iter().filter(|measure| has_exact || !measures::is_of_pairs(measure.name));
        let measures = measures.map(|measure| Term { name: measure.name, of: measure.of });
        let reads = Reads { columns: &columns::COLUMNS, lists: true, texts: lacks_ids, exact: true, every: 1 };
        Self { terms: measures.chain(measures::TERMS).collect(), reads, binned }
    }

    /// What the study's figure is made of.
    pub fn study(lacks_ids: bool) -> Self {
        let terms = measures::TERMS.into_iter().filter(|term| term.name == STUDY).collect();
        let columns = &[token::TOKEN_ID, token::IS_END, token::LOGPROB];
        let reads = Reads { columns, lists: false, texts: lacks_ids, exact: false, every: 1 };
        Self { terms, reads, binned: Vec::new() }
    }
}

/// Makes the pass and looks the samples up.
///
/// # Errors
/// [`crate::Error::Incomparable`] if a sample is in no samples table; those of [`merge::fold`].
pub fn collect(pair: &PairTables, footers: [&Footers; 2], samples: &Samples, what: What) -> Result<Sums> {
    let step = |found: &mut Found, run: &Run| add(found, run, pair, samples, &what);
    let mut found = merge::fold(pair, footers, what.reads, || Found::new(&what, samples.clusters), step)?;
    let binned = found.iter_mut().map(|found| found.binned.drain(..).flatten().collect()).collect();
    let binned = merged(binned, |all: &mut Binned, more| all.merge(&more));
    let of_thread = |(thread, found): (u32, &Found)| (0..found.samples.len() as u32).map(move |i| (thread, i));
    let mut order: Vec<(u32, u32)> = (0..).zip(&found).flat_map(of_thread).collect();
    let sample = |&(thread, i): &(u32, u32)| found[thread as usize].samples[i as usize];
    order.sort_by_key(|place| sample(place).id);
    let mut known = samples.rows.iter();
    let facts = order.iter().filter_map(|place| known.find(|facts| facts.id == sample(place).id).copied()).collect();
    let rows = order.iter().map(|place| sample(place).rows).collect();
    let (clusters, footers) = (samples.clusters, footers.map(Clone::clone));
    Ok(Sums { terms: what.terms, found, order, facts, rows, clusters, footers, binned })
}

fn add(found: &mut Found, run: &Run, pair: &PairTables, samples: &Samples, what: &What) -> Result<()> {
    let width = what.terms.len();
    for row in 0..run.len() {
        let id = run.sample_id(row);
        if found.samples.last().is_none_or(|last| last.id != id) {
            let place = samples.rows.binary_search_by_key(&id, |facts| facts.id);
            let unknown = |_| pair.incomparable(format!("sample {id} is not in the samples tables"));
            let place = place.map_err(unknown)?;
            (found.study_from, found.cluster) = (samples.first_counted[place], samples.rows[place].cluster);
            found.samples.push(Sample { id, ..Sample::default() });
            found.sums.resize(found.sums.len() + width, 0.0);
            found.counts.resize(found.counts.len() + width, 0);
        }
        let token = run.token(row, found.study_from);
        let first = found.sums.len() - width;
        let slots = found.sums[first..].iter_mut().zip(&mut found.counts[first..]).zip(&mut found.binned);
        for (((sum, count), binned), term) in slots.zip(&what.terms) {
            let Some(value) = (term.of)(&token) else { continue };
            *sum += value;
            *count += 1;
            if let Some(binned) = binned {
                binned.push(found.cluster, value);
            }
        }
        if let Some(sample) = found.samples.last_mut() {
            sample.add(&token, || run.texts(row), what.reads.texts);
        }
    }
    Ok(())
}

impl Found {
    fn new(what: &What, clusters: usize) -> Self {
        let binned = |term: &Term| {
            let (_, cuts) = what.binned.iter().find(|(name, _)| *name == term.name)?;
            Some(Binned { histogram: Histogram::default(), below: Below::new(*cuts, clusters) })
        };
        let binned = what.terms.iter().map(binned).collect();
        Self { samples: Vec::new(), sums: Vec::new(), counts: Vec::new(), study_from: 0, cluster: 0, binned }
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

impl Sample {
    fn add<'a>(&mut self, token: &Token, texts: impl Fn() -> [Option<&'a str>; 2], lacks_ids: bool) {
        self.rows += 1;
        // Without ids on a side, texts decide.
        let differs = match (token.p.token_id, token.q.token_id) {
            (Some(p), Some(q)) => p != q,
            _ => {
                lacks_ids && {
                    let texts = texts();
                    self.unchecked += u64::from(texts == [None; 2]);
                    texts[0] != texts[1]
                }
            }
        };
        if differs && self.differs_at.is_none() {
            self.differs_at = Some(token.position);
        }
        let Some(d) = token.d() else { return };
        self.not_finite += u64::from(!d.is_finite());
        if !d.is_nan() {
            // One number that is largest at the largest |d|, and of equal ones at the first.
            let key = u64::from((d.abs() as f32).to_bits()) << 32 | u64::from(!token.position);
            self.farthest = self.farthest.max(Some(key));
        }
    }
}

impl Sums {
    /// Sum and number of tokens of a measure or term, by sample.
    pub fn of(&self, name: &str) -> Result<Vec<(f64, u64)>> {
        let width = self.terms.len();
        let Some(place) = self.terms.iter().position(|term| term.name == name) else {
            if measures::is_of_pairs(name) {
                return Ok(vec![(0.0, 0); self.order.len()]);
            }
            return Err(crate::Error::Usage(format!("`{name}` was not added up (this is a bug in tokshift)")));
        };
        let of_sample = |&(thread, i): &(u32, u32)| {
            let (found, at) = (&self.found[thread as usize], i as usize * width + place);
            (found.sums[at], u64::from(found.counts[at]))
        };
        Ok(self.order.iter().map(of_sample).collect())
    }

    fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.order.iter().map(|&(thread, i)| &self.found[thread as usize].samples[i as usize])
    }

    /// The clustered mean over tokens.
    pub fn mean(&self, name: &str) -> Result<Option<Estimate>> {
        let rows = self.facts.iter().zip(self.of(name)?).map(|(facts, (sum, n))| (facts.cluster, sum, n));
        Ok(clustered_mean(&shares(self.clusters, rows)))
    }

    /// Tokens that nothing shows to be the same on both sides.
    pub fn unchecked(&self) -> u64 {
        self.samples().map(|sample| sample.unchecked).sum()
    }

    /// The study's sums and numbers of tokens, by sample.
    pub fn of_study(&self) -> Result<Vec<(f64, u64)>> {
        self.of(STUDY)
    }

    /// Tokens whose difference of log-probabilities is infinite or not a number.
    pub fn not_finite(&self) -> u64 {
        self.samples().map(|sample| sample.not_finite).sum()
    }

    /// The token of each sample whose log-probability differs most; samples without any number are left away.
    pub fn farthest(&self) -> Vec<Farthest> {
        let found = self.samples().filter_map(|sample| {
            let key = sample.farthest?;
            let size = f64::from(f32::from_bits((key >> 32) as u32));
            Some(Farthest { sample_id: sample.id, position: !(key as u32), size })
        });
        found.collect()
    }

    /// Sample and position of the first token that differs between the sides.
    pub fn first_difference(&self) -> Option<(u32, u32)> {
        self.samples().find_map(|sample| Some((sample.id, sample.differs_at?)))
    }
}
