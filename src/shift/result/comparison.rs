//! The result of comparing models, as plain data.
//!
//! Owns the content of a whole comparison. Not here: computing it (`figures`), and showing it (`output`).

use std::collections::BTreeMap;

use super::between::Between;
use super::means::{Difference, Overall};
use super::pair::{Pair, title};

/// All requested pairs.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Comparison {
    /// The models of all pairs, each once, in order of appearance.
    #[serde(default)]
    pub models: Vec<ModelFacts>,
    /// The pairs that were compared.
    pub pairs: Vec<Pair>,
    /// Requested pairs that are missing, and why.
    #[serde(default)]
    pub not_compared: Vec<NotCompared>,
    /// Every two Qs that share P and a response set.
    #[serde(default)]
    pub differences: Vec<Difference>,
    /// Pairs that share all but the task, over their tasks.
    #[serde(default)]
    pub overall: Vec<Overall>,
    /// The difference of two models' shifts, each on its own text, if it was requested.
    #[serde(default)]
    pub between: Option<Between>,
}

/// What computed a model's numbers. A name that means other weights in another response set is there twice.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ModelFacts {
    /// Its name in the output directory.
    pub name: String,
    /// The type of its products.
    pub dtype: String,
    /// BLAKE3 of its files, by their names.
    pub files: BTreeMap<String, String>,
}

impl Comparison {
    /// Adds a model, unless it is there.
    pub fn add_model(&mut self, model: ModelFacts) {
        if !self.models.contains(&model) {
            self.models.push(model);
        }
    }

    /// Whether some pair's tables are damaged or must not be compared, or a text lacks its P.
    pub fn failed(&self) -> bool {
        self.not_compared.iter().any(|pair| pair.failed)
    }
}

/// Two models that have nothing in common yet, or whose tables cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NotCompared {
    /// Name of the model that wrote the responses.
    pub generation_model: String,
    /// Name of the task.
    pub task: String,
    /// Name of P.
    pub p: String,
    /// Name of Q.
    pub q: String,
    /// Why it was not compared.
    pub why: String,
    /// Tables are damaged or must not be compared, where more scoring does not help, or P never scored the response set.
    #[serde(default)]
    pub failed: bool,
    /// One of the two never scored the text, be it P or a model that scored other texts of the generation model.
    #[serde(default)]
    pub not_scored: bool,
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
