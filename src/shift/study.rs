//! The study's figure, with the study's own names.
//!
//! Owns the last steps from sums by sample to its JSON (docs/measures.md). Refuses other references
//! than the generation model.

use serde_json::Value;

use super::comparison::{Comparison, NotCompared, Partial};
use super::warnings;
use crate::error::{Error, Result};

/// Beside the study's keys where parts are missing: which.
const PARTIAL: &str = "partial";

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

/// The study's figures of several pairs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StudyFigures {
    /// One object a pair, with the study's keys, and [`PARTIAL`] if parts are missing.
    figures: Vec<Value>,
    /// Pairs that have no such figure, each with the reason.
    pub left_out: Vec<String>,
    /// Those of [`super::warnings`].
    pub warnings: Vec<String>,
    /// Some pair's tables are damaged, or must not be compared.
    pub failed: bool,
}

impl StudyFigures {
    /// Without any figure yet, beside pairs that were not compared.
    pub(super) fn new(not_compared: &[NotCompared]) -> Self {
        let warnings = not_compared.iter().map(warnings::not_compared).collect();
        Self { warnings, failed: not_compared.iter().any(|pair| pair.failed), ..Self::default() }
    }

    /// Takes the figure of the pair called `title` in, or why it has none.
    pub(super) fn add(&mut self, title: &str, figure: Result<&StudyFigure, String>, partial: Option<&Partial>) {
        self.warnings.extend(warnings::of_pair(title, partial));
        match figure {
            Ok(figure) => {
                let mut figure = serde_json::to_value(figure).unwrap_or_default();
                if let Some(partial) = partial {
                    figure[PARTIAL] = serde_json::to_value(partial).unwrap_or_default();
                }
                self.figures.push(figure);
            }
            Err(why) => self.left_out.push(format!("{title}: {why}")),
        }
    }

    /// The list that the study's scripts read: JSON, one object a pair.
    ///
    /// # Errors
    /// [`Error::Usage`] with the reasons if no pair has such a figure.
    pub fn to_json(&self) -> Result<String> {
        if self.figures.is_empty() {
            return Err(Error::Usage(self.left_out.join("; ")));
        }
        Ok(format!("{:#}\n", Value::from(self.figures.clone())))
    }
}

/// The study's figures of every pair that has one.
pub fn study_figures(comparison: &Comparison) -> StudyFigures {
    let mut figures = StudyFigures::new(&comparison.not_compared);
    for pair in &comparison.pairs {
        let figure = pair.study.as_ref().ok_or_else(|| lacks(&pair.p, &pair.generation_model));
        figures.add(&pair.title(), figure, pair.partial.as_ref());
    }
    figures
}

/// Why a pair has no such figure.
pub(super) fn lacks(p: &str, generation_model: &str) -> String {
    if p == generation_model {
        "no token counts for the study's figure: left out".to_owned()
    } else {
        format!("the study's figure takes the generation model `{generation_model}` as P: left out")
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
