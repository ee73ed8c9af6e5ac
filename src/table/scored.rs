//! The input of the tables.
//!
//! Owns a sample with its scores. Not here: columns (the parent module).

use crate::sample::Sample;
use crate::scores::TokenScores;

/// A sample and, if its status says so, its scores: one entry per token of [`Sample::scored_tokens`].
#[derive(Clone, Debug)]
pub struct ScoredSample {
    /// The sample.
    pub sample: Sample,
    /// Its scores; `None` if it was not scored.
    pub scores: Option<TokenScores>,
}
