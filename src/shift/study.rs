//! The study's figure, with the study's own names.
//!
//! Owns the last steps from sums by sample to its JSON (docs/measures.md). Refuses other references
//! than the generation model.

use serde_json::Value;

use super::comparison::Comparison;
use crate::error::{Error, Result};

/// The absolute mean difference of log-probability that the study calls a KL divergence; keys in its order.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct StudyFigure {
    pub generation_model: String,
    pub task: String,
    pub tested_model: String,
    /// Nats a token, without sign.
    pub kl_divergence: f64,
    /// Samples with a token that counts, in both models.
    pub num_data_points: u64,
    /// Tokens that count.
    pub total_tokens: u64,
    pub avg_tokens_per_data_point: f64,
    /// The figure as the study's script pairs rows, if that is otherwise than by row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub null_rows_removed: Option<NullsRemoved>,
}

/// The study's figure where null rows are removed from each side before what is left is paired by its place: rows after
/// one that only one side lacks are compared with other rows.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct NullsRemoved {
    pub kl_divergence: f64,
    pub num_data_points: u64,
    pub total_tokens: u64,
}

/// The list that the study's scripts read: one object a pair.
///
/// # Errors
/// [`Error::Usage`] if P of some pair is not the generation model, or no token of it counts.
pub fn study_json(comparison: &Comparison) -> Result<Value> {
    comparison.pairs.iter().map(|pair| figure_json(&pair.title(), pair.study.as_ref())).collect()
}

pub(super) fn figure_json(title: &str, figure: Option<&StudyFigure>) -> Result<Value> {
    match figure {
        Some(figure) => Ok(serde_json::to_value(figure).unwrap_or_default()),
        None => Err(Error::Usage(format!(
            "{title}: the study's figure needs the generation model as P and a token that it counts"
        ))),
    }
}

/// |mean over samples of each sample's mean| from `(sum, tokens)` by sample; samples without a token drop out.
pub(super) fn absolute_mean(samples: impl Iterator<Item = (f64, u64)>) -> Option<(f64, u64, u64)> {
    let (mut sum, mut points, mut tokens) = (0.0, 0, 0);
    for (total, n) in samples.filter(|(_, n)| *n > 0) {
        sum += total / n as f64;
        points += 1;
        tokens += n;
    }
    (points > 0).then(|| ((sum / points as f64).abs(), points, tokens))
}
