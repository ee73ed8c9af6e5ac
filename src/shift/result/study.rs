//! The published study's KL value, with the study's own names.
//!
//! Owns its shape and why a pair has none. Not here: computing it, and the study's JSON file.

use crate::shift::numbers::json::number;

/// The absolute mean difference of log-probability that the study calls a KL divergence; keys in its order.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct StudyFigure {
    /// Name of the model that wrote the responses.
    pub generation_model: String,
    /// Name of the task.
    pub task: String,
    /// Name of Q.
    pub tested_model: String,
    /// Nats per token, without sign.
    #[serde(deserialize_with = "number")]
    pub kl_divergence: f64,
    /// Samples with a token that counts, in both models.
    pub num_data_points: u64,
    /// Tokens that count.
    pub total_tokens: u64,
    /// Tokens per data point.
    pub avg_tokens_per_data_point: f64,
    /// The value as the study's script pairs rows, if that differs from pairing by row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub null_rows_removed: Option<NullsRemoved>,
}

/// The study's KL value if null rows are removed from each file before the remaining rows are paired by their place:
/// rows after one that only one file lacks are compared with other rows.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct NullsRemoved {
    /// Mean of the differences, nats per token.
    #[serde(deserialize_with = "number")]
    pub kl_divergence: f64,
    /// Number of data points.
    pub num_data_points: u64,
    /// Number of tokens.
    pub total_tokens: u64,
}

/// Why a pair has no such value.
pub fn lacks(p: &str, generation_model: &str) -> String {
    if p == generation_model {
        "no token counts for the study's figure: left out".to_owned()
    } else {
        format!("the study's figure takes the generation model `{generation_model}` as P: left out")
    }
}
