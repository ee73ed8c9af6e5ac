//! A study as a file: experiments × tasks × models, and how each is scored.
//!
//! Owns the TOML, and what can be said of it without looking at a dataset or a model: patterns filled in, options
//! merged, names that would share a folder refused. Refuses to score. Paths in the file are relative to the directory
//! that tokshift is started in, as those of its command line are, wherever the file lies.

mod check;
mod options;
mod parse;

use std::path::PathBuf;

pub use options::{BoundaryChoice, DtypeChoice, OF_A_MODEL, OnError, Options, OutFormat, TooLongChoice};
pub use parse::read;

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
