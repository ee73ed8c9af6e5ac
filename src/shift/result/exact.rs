//! Statistics of two models that need the full distributions.
//!
//! Owns their shape. Not here: the means of exact measures, which are means like all others.

use crate::shift::numbers::json::number;
use crate::shift::numbers::stats::Estimate;

/// Figures of a pairs table.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ExactFigures {
    /// What logits were divided by.
    pub temperature: f64,
    /// Written tokens at which P's top token is most often not among Q's top three.
    pub most_shifted: Vec<ShiftedToken>,
    /// Tokens at which most of all KL(P‖Q) is.
    pub most_kl: Vec<ShiftedToken>,
    /// The probability to end where the response ended; absent if no end token is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
}

/// One token of the vocabulary, over all positions at which it was written.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ShiftedToken {
    pub token_id: u32,
    pub token: Option<String>,
    pub tokens: u64,
    pub shifted: u64,
    /// Σ KL(P‖Q) in nats.
    #[serde(deserialize_with = "number")]
    pub kl: f64,
}

/// Means over samples.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Stop {
    pub p: Estimate,
    pub q: Estimate,
    /// Q − P, paired.
    pub difference: Estimate,
}
