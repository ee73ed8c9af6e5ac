//! The study's file: the KL values of several pairs as its scripts read them.
//!
//! Owns its JSON (docs/measures.md), and the messages about pairs without a value. Not here: computing values.

use serde_json::Value;

use super::warnings;
use crate::error::{Error, Result};
use crate::shift::result::comparison::{Comparison, NotCompared};
use crate::shift::result::pair::Partial;
use crate::shift::result::study::{StudyFigure, lacks};

/// Key besides the study's where parts are missing: which ones.
const PARTIAL: &str = "partial";

/// The study's KL values of several pairs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StudyFigures {
    /// One object per pair, with the study's keys, and [`PARTIAL`] if parts are missing.
    figures: Vec<Value>,
    /// Pairs that have no such value, each with the reason.
    pub left_out: Vec<String>,
    /// Those of [`super::warnings::warnings`].
    pub warnings: Vec<String>,
    /// Some pair's tables are damaged, or must not be compared.
    pub failed: bool,
}

impl StudyFigures {
    /// Without any value yet, with pairs that were not compared.
    pub fn new(not_compared: &[NotCompared]) -> Self {
        let warnings = not_compared.iter().map(warnings::not_compared).collect();
        Self { warnings, failed: not_compared.iter().any(|pair| pair.failed), ..Self::default() }
    }

    /// Adds the value of the pair called `title`, or why it has none.
    pub fn add(&mut self, title: &str, figure: Result<&StudyFigure, String>, partial: Option<&Partial>) {
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

    /// The list that the study's scripts read: JSON, one object per pair.
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

/// The study's KL values of every pair that has one.
pub fn study_figures(comparison: &Comparison) -> StudyFigures {
    let mut figures = StudyFigures::new(&comparison.not_compared);
    for pair in &comparison.pairs {
        let figure = pair.study.as_ref().ok_or_else(|| lacks(&pair.p, &pair.generation_model));
        figures.add(&pair.title(), figure, pair.partial.as_ref());
    }
    figures
}
