//! The query's answer as plain vectors: one entry a sample.
//!
//! Owns the step from a data frame to numbers. Refuses to interpret them.

use polars::prelude::{DataFrame, Engine, LazyFrame};

use super::query::{COUNT, DIFFERS_AT, FARTHEST, NOT_FINITE, ROWS, STUDY};
use super::samples::{SampleFacts, Samples};
use super::select::PairTables;
use crate::error::Result;
use crate::schema::token;

/// Sums over the joined tokens of each sample that has any, in `sample_id` order.
pub(super) struct Sums {
    frame: DataFrame,
    pub facts: Vec<SampleFacts>,
    pub rows: Vec<u64>,
    pub clusters: usize,
}

/// The token of a sample at which |ln q − ln p| is largest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Farthest {
    pub sample_id: u32,
    pub position: u32,
    /// |ln q − ln p|, to f32's digits.
    pub size: f64,
}

/// Runs the query of a pair and looks its samples up.
///
/// # Errors
/// [`crate::Error::Incomparable`] if a sample comes twice (its rows were not together), or is in no samples table.
pub(super) fn collect(pair: &PairTables, query: LazyFrame, samples: &Samples) -> Result<Sums> {
    let frame = query.collect_with_engine(Engine::Streaming)?.unwrap_single();
    let mut facts = Vec::with_capacity(frame.height());
    let mut known = samples.rows.iter();
    for id in frame.column(token::SAMPLE_ID)?.u32()?.iter().flatten() {
        let Some(found) = known.find(|s| s.id == id) else {
            let what = format!("the rows of sample {id} are not together, or it is not in the samples tables");
            return Err(pair.incomparable(what));
        };
        facts.push(*found);
    }
    let rows = counts(&frame, ROWS)?;
    Ok(Sums { frame, facts, rows, clusters: samples.clusters })
}

impl Sums {
    /// Sum and number of tokens of `measure`, by sample.
    pub fn of(&self, measure: &str) -> Result<Vec<(f64, u64)>> {
        let sums = self.frame.column(measure)?.f64()?;
        let counts = counts(&self.frame, &format!("{measure}{COUNT}"))?;
        Ok(sums.iter().map(Option::unwrap_or_default).zip(counts).collect())
    }

    /// The study's sums and numbers of tokens, by sample.
    pub fn of_study(&self) -> Result<Vec<(f64, u64)>> {
        self.of(STUDY)
    }

    /// Tokens whose difference of log-probabilities is infinite or not a number.
    pub fn not_finite(&self) -> Result<u64> {
        Ok(counts(&self.frame, NOT_FINITE)?.iter().sum())
    }

    /// The token of each sample whose log-probability differs most; samples without any number are left away.
    pub fn farthest(&self) -> Result<Vec<Farthest>> {
        let keys = self.frame.column(FARTHEST)?.u64()?;
        let found = self.facts.iter().zip(keys.iter()).filter_map(|(s, key)| {
            let size = f64::from(f32::from_bits((key? >> 32) as u32));
            Some(Farthest { sample_id: s.id, position: !(key? as u32), size })
        });
        Ok(found.collect())
    }

    /// Sample and position of the first token that differs between the sides.
    pub fn first_difference(&self) -> Result<Option<(u32, u32)>> {
        let positions = self.frame.column(DIFFERS_AT)?.u32()?;
        let found = self.facts.iter().zip(positions.iter()).find_map(|(s, at)| Some((s.id, at?)));
        Ok(found)
    }
}

/// Rows of each sample by `sample_id`, from the counting query of one table.
pub(super) fn row_counts(query: LazyFrame) -> Result<Vec<(u32, u64)>> {
    let frame = query.collect_with_engine(Engine::Streaming)?.unwrap_single();
    let ids = frame.column(token::SAMPLE_ID)?.u32()?.iter().flatten();
    Ok(ids.zip(counts(&frame, ROWS)?).collect())
}

fn counts(frame: &DataFrame, name: &str) -> Result<Vec<u64>> {
    Ok(frame.column(name)?.u64()?.iter().map(Option::unwrap_or_default).collect())
}
