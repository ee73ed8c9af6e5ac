//! How two models are compared.
//!
//! Owns what decides the numbers of a pair, other than its files. Not here: what a measure needs (`measures`).

/// How two models are compared.
#[derive(Clone, Debug)]
pub struct Options {
    /// What logits are divided by.
    pub temperature: f64,
    /// Ids that end a response.
    pub stop: Vec<u32>,
    /// Ids that only one model has may carry more than [`MAX_REMOVED`] of its probability.
    pub allow_removed: bool,
}

/// Largest mean probability of ids that the other model does not have: above it the comparison is of something else.
pub const MAX_REMOVED: f64 = 1e-3;
