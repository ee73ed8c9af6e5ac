//! The result of comparing models, as plain data.
//!
//! Owns the content of a whole comparison. Not here: computing it (`figures`), and showing it (`output`).

use super::between::Between;
use super::means::{Difference, Overall};
use super::pair::{Pair, title};

/// All requested pairs.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Comparison {
    pub pairs: Vec<Pair>,
    /// Requested pairs that are missing, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_compared: Vec<NotCompared>,
    /// Every two Qs that share P and a response set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// Pairs that share all but the task, over their tasks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overall: Vec<Overall>,
    /// The difference of two models' shifts, each on its own text, if it was requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between: Option<Between>,
}

impl Comparison {
    /// Whether some pair's tables are damaged or must not be compared, or a text lacks its P.
    pub fn failed(&self) -> bool {
        self.not_compared.iter().any(|pair| pair.failed)
    }
}

/// Two models that have nothing in common yet, or whose tables cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NotCompared {
    pub generation_model: String,
    pub task: String,
    pub p: String,
    pub q: String,
    pub why: String,
    /// Tables are damaged or must not be compared, where more scoring does not help, or P never scored the text.
    #[serde(default, skip_serializing_if = "is_false")]
    pub failed: bool,
    /// One of the two never scored the text, be it P or a model that scored other texts of the generation model.
    #[serde(default, skip_serializing_if = "is_false")]
    pub not_scored: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl NotCompared {
    /// That these are all there is, and why.
    pub fn all(pairs: &[Self]) -> String {
        let yet = if pairs.iter().any(|pair| pair.failed) { "" } else { " yet" };
        let described: Vec<_> = pairs.iter().map(Self::described).collect();
        format!("nothing to compare{yet}: {}", described.join("; "))
    }

    /// The models, the response set, and why.
    pub fn described(&self) -> String {
        format!("{}: {}", title(&self.p, &self.q, &self.task, &self.generation_model), self.why)
    }
}
