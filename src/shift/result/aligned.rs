//! The result of comparing models with different tokenizers.
//!
//! Owns its shape. Not here: computing it (`align`).

use super::comparison::NotCompared;
use super::kl_estimate::KlEstimate;
use super::pair::Partial;
use crate::shift::numbers::stats::Estimate;

/// All requested pairs.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct AlignedComparison {
    /// The pairs that were compared.
    pub pairs: Vec<AlignedPair>,
    /// Requested pairs that are missing, and why.
    pub not_compared: Vec<NotCompared>,
}

/// Q compared with P on one response set, each by its own tokens. Every difference is Q − P.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct AlignedPair {
    /// Name of the model that wrote the responses.
    pub generation_model: String,
    /// Name of the task.
    pub task: String,
    /// Name of P.
    pub p: String,
    /// Name of Q.
    pub q: String,
    /// Samples with a span, and their clusters.
    pub samples: u64,
    /// Number of clusters.
    pub clusters: u64,
    /// The shortest stretches of text whose ends are token boundaries in both tokenisations, and their bytes of UTF-8.
    pub spans: u64,
    /// Bytes of the responses.
    pub bytes: u64,
    /// Tokens of each side in them.
    pub tokens_p: u64,
    /// Q's tokens.
    pub tokens_q: u64,
    /// Tokens of both models that belong to no span, without those that end turns.
    pub left_out_tokens: u64,
    /// Present if a table is not complete.
    pub partial: Option<Partial>,
    /// No: each model by the one tokenisation of its own tokenizer.
    pub kl_estimate: KlEstimate,
    /// Means by measure.
    pub measures: Vec<AlignedMeasure>,
    /// Notes about the two runs that qualify the statistics.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// A mean with its clustered error.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct AlignedMeasure {
    /// Name of the measure.
    pub name: String,
    /// Unit of the values.
    pub unit: String,
    /// Over all spans, or bytes, or responses, as the unit says.
    pub mean: Option<Estimate>,
}
