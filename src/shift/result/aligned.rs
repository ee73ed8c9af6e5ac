//! The result of comparing models whose tokenizers differ.
//!
//! Owns its shape. Not here: computing it, which `align` does.

use super::comparison::NotCompared;
use super::kl_estimate::KlEstimate;
use super::pair::Partial;
use crate::shift::numbers::stats::Estimate;

/// All pairs that were asked for.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct AlignedComparison {
    pub pairs: Vec<AlignedPair>,
    /// Pairs that were asked for too, and why they are not among them.
    pub not_compared: Vec<NotCompared>,
}

/// Q beside P on one text, each by its own tokens. Every difference is Q − P.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct AlignedPair {
    pub generation_model: String,
    pub task: String,
    pub p: String,
    pub q: String,
    /// Samples with a span, and their clusters.
    pub samples: u64,
    pub clusters: u64,
    /// The smallest stretches of text that begin and end between tokens on both sides, and their bytes of UTF-8.
    pub spans: u64,
    pub bytes: u64,
    /// Tokens of each side in them.
    pub tokens_p: u64,
    pub tokens_q: u64,
    /// Tokens of both sides that no span holds, those that end turns aside.
    pub left_out_tokens: u64,
    /// Present if a table is not complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial: Option<Partial>,
    /// No: each model by the one tokenisation of its own tokenizer.
    pub kl_estimate: KlEstimate,
    pub measures: Vec<AlignedMeasure>,
    /// What a reader of the figures has to know of the two runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A mean with its clustered error.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct AlignedMeasure {
    pub name: String,
    pub unit: String,
    /// Over all spans, or bytes, or responses, as the unit says.
    pub mean: Option<Estimate>,
}
