//! The content of a study file.
//!
//! Owns experiments, their models and response sets. Not here: reading the file (`parse`).

use std::path::PathBuf;

use super::options::Options;

/// What a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Experiments {
    /// CPU threads of the whole run.
    pub threads: Option<usize>,
    /// In the file's order; at least one.
    pub experiments: Vec<Experiment>,
}

/// Texts of one generation model, and the models that score them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Experiment {
    pub name: String,
    /// The output directory; experiments may share one.
    pub output: PathBuf,
    pub options: Options,
    /// The first wrote the texts.
    pub models: Vec<Model>,
    pub texts: Vec<Text>,
}

impl Experiment {
    /// The model that wrote the texts.
    pub fn generation_model(&self) -> &str {
        self.models.first().map_or("", |model| &model.name)
    }
}

/// A model by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    pub name: String,
    /// A directory or a hub id.
    pub source: String,
    /// The experiment's options with its own in their place.
    pub options: Options,
}

/// What a generation model wrote for a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    pub task: String,
    pub dataset: PathBuf,
}
