//! How two models are compared.
//!
//! Owns what decides the numbers of a pair beside its files. Refuses what a measure needs (`measures`).

/// How two models are compared.
#[derive(Clone, Debug)]
pub struct Options {
    /// What logits are divided by.
    pub temperature: f64,
    /// Ids that end a response.
    pub stop: Vec<u32>,
    /// Ids that one model alone has may hold more than [`MAX_REMOVED`] of its probability.
    pub allow_removed: bool,
}

/// Largest mean probability of ids that the other model does not have: above it the comparison is of something else.
pub const MAX_REMOVED: f64 = 1e-3;
