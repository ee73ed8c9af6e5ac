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

/// Response sets of one generation model, and the models that score them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Experiment {
    /// Its name.
    pub name: String,
    /// The output directory; experiments may share one.
    pub output: PathBuf,
    /// Scoring options.
    pub options: Options,
    /// The model that wrote the responses.
    pub generation_model: String,
    /// Where that name was taken from.
    pub writer_from: WriterFrom,
    /// Whether P is compared exactly with the other models, and whether these are with one another too.
    pub exact: bool,
    /// Whether the other models are compared exactly with one another too.
    pub all_pairs: bool,
    /// The models that score them, at least one.
    pub models: Vec<Model>,
    /// The files of its tasks: one response set each.
    pub task_files: Vec<TaskFile>,
}

/// Where the name of the model that wrote responses was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriterFrom {
    /// `--generation-model`, or `generation_model` in a file of experiments.
    Option,
    /// The name before a file, as in `step_20=FILE`.
    BeforeFile,
    /// The name of a model that the file's name is or begins with.
    FileName,
    /// What stands before the first `_` of the file's name; no model is called so.
    Underscore,
    /// The name of the experiment, which is that of one of its models.
    Experiment,
    /// Nothing says it: the first model of the experiment.
    FirstModel,
    /// No model wrote a plain text.
    Text,
}

/// A model by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// A directory or a hub id.
    pub source: String,
    /// The experiment's options with its own in their place.
    pub options: Options,
}

/// The file of one task: what a generation model wrote for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskFile {
    /// Name of the task.
    pub task: String,
    /// The file of rows, or of plain text.
    pub dataset: PathBuf,
    /// Tokens of a window of a plain text; `None` for rows.
    pub window: Option<u32>,
}
