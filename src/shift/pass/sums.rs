//! The sums over a pair's tokens, sample by sample.
//!
//! Owns these sums, whether the pass or the query added them up. Not here: what is computed from them.

use crate::error::Result;
use crate::shift::numbers::quantiles::{Below, CutPoints, Histogram, Quantile};
use crate::shift::numbers::stats::{Estimate, clustered_mean, shares};
use crate::shift::tables::footers::Footers;
use crate::shift::tables::samples::{SampleFacts, Samples};
use crate::shift::token::measures::{self, STUDY, Term};

/// Sums over the joined tokens of each sample that has any, in `sample_id` order.
pub struct Sums {
    terms: Vec<Term>,
    /// What each thread found, and the samples of all of them in order: the thread's place and the sample's in it.
    found: Vec<Found>,
    order: Vec<(u32, u32)>,
    pub facts: Vec<SampleFacts>,
    pub rows: Vec<u64>,
    pub clusters: usize,
    /// By cluster, a number for its name that is the same in every table.
    pub cluster_keys: Vec<u64>,
    /// Of P and Q, for further passes.
    pub footers: [Footers; 2],
    /// All values of the measures whose quantiles are taken of counts, in their order.
    pub binned: Vec<Binned>,
    /// They are the query's, and whatever else is computed of the tokens shall be.
    pub plain: bool,
}

/// The values of a measure by size, and by cluster as far as intervals of quantiles need it.
pub struct Binned {
    histogram: Histogram,
    below: Below,
}

impl Binned {
    pub fn new(cuts: CutPoints, clusters: usize) -> Self {
        Self { histogram: Histogram::default(), below: Below::new(cuts, clusters) }
    }

    pub fn push(&mut self, cluster: u32, value: f64) {
        self.histogram.push(value);
        self.below.push(cluster, value);
    }

    pub fn merge(&mut self, other: &Self) {
        self.histogram.merge(&other.histogram);
        self.below.merge(&other.below);
    }

    pub fn quantiles(&self) -> Vec<Quantile> {
        self.histogram.quantiles(&self.below)
    }
}

/// The token of a sample at which |ln q − ln p| is largest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Farthest {
    pub sample_id: u32,
    pub position: u32,
    /// |ln q − ln p|, to f32's digits.
    pub size: f64,
}

/// What is known of a sample other than its sums.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    pub id: u32,
    pub rows: u64,
    pub not_finite: u64,
    /// The first position at which the tokens differ.
    pub differs_at: Option<u32>,
    /// Tokens of which no side's id or text says whether they are the same.
    pub unchecked: u64,
    /// The largest |ln q − ln p| and where it is, in one number: [`farthest_key`].
    pub farthest: Option<u64>,
}

/// |d| and the position in one number, which is largest at the largest |d|, and of equal ones at the first.
pub fn farthest_key(d: f64, position: u32) -> u64 {
    u64::from((d.abs() as f32).to_bits()) << 32 | u64::from(!position)
}

/// Some samples and their sums.
#[derive(Default)]
pub struct Found {
    pub samples: Vec<Sample>,
    /// Sum and number of tokens, term by term, sample by sample.
    pub sums: Vec<f64>,
    pub counts: Vec<u32>,
}

impl Sums {
    /// What was `found` of `samples`, all of which are known, with the terms that were added up.
    pub fn new(terms: Vec<Term>, found: Vec<Found>, samples: &Samples, footers: [&Footers; 2]) -> Self {
        let of_thread = |(thread, found): (u32, &Found)| (0..found.samples.len() as u32).map(move |i| (thread, i));
        let mut order: Vec<(u32, u32)> = (0..).zip(&found).flat_map(of_thread).collect();
        let sample = |&(thread, i): &(u32, u32)| found[thread as usize].samples[i as usize];
        order.sort_by_key(|place| sample(place).id);
        let mut known = samples.rows.iter();
        let facts =
            order.iter().filter_map(|place| known.find(|facts| facts.id == sample(place).id).copied()).collect();
        let rows = order.iter().map(|place| sample(place).rows).collect();
        let (clusters, cluster_keys) = (samples.clusters, samples.cluster_keys.clone());
        let footers = footers.map(Clone::clone);
        Self { terms, found, order, facts, rows, clusters, cluster_keys, footers, binned: Vec::new(), plain: false }
    }

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
