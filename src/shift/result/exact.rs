//! Statistics of two models that need the full distributions.
//!
//! Owns their shape. Not here: the means of exact measures, which are means like all others.

use super::read_first::FarToken;
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
    /// Pairs of different top tokens, P's and Q's, with most of all KL(P‖Q).
    #[serde(default)]
    pub most_moved: Vec<MovedTop>,
    /// The probability to end where the response ended; absent if no end token is known.
    pub stop: Option<Stop>,
}

/// One token of the vocabulary, over all positions at which it was written.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ShiftedToken {
    /// Token id.
    pub token_id: u32,
    /// Its text, if known.
    pub token: Option<String>,
    /// Number of its occurrences.
    pub tokens: u64,
    /// Number of these at which P's most likely token is not in Q's top 3.
    pub shifted: u64,
    /// Σ KL(P‖Q) in nats.
    #[serde(deserialize_with = "number")]
    pub kl: f64,
}

/// Positions at which P's top token is `from` and Q's is `to`, two different ones.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct MovedTop {
    /// P's top token.
    pub from_id: u32,
    /// Its text, if it was written anywhere in the response set.
    pub from: Option<String>,
    /// Q's top token.
    pub to_id: u32,
    /// Its text, if it was written anywhere in the response set.
    pub to: Option<String>,
    /// How many positions.
    pub places: u64,
    /// Σ KL(P‖Q) in nats.
    #[serde(deserialize_with = "number")]
    pub kl: f64,
    /// Share of Σ KL(P‖Q) over all tokens.
    #[serde(deserialize_with = "number")]
    pub share_of_kl: f64,
    /// The position with the largest KL among them: what was written there, and what stands before it.
    pub example: Option<FarToken>,
}

/// Means over samples.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Stop {
    /// P's mean probability to end.
    pub p: Estimate,
    /// Q's mean probability to end.
    pub q: Estimate,
    /// Q − P, paired.
    pub difference: Estimate,
}
