//! What tables are made of.
//!
//! Owns a sample beside its scores. Refuses columns.

use crate::sample::Sample;
use crate::scores::TokenScores;

/// A sample and, if its status says so, its scores: one entry a token of [`Sample::scored_tokens`].
#[derive(Clone, Debug)]
pub struct ScoredSample {
    pub sample: Sample,
    pub scores: Option<TokenScores>,
}
