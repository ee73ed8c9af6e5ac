//! What a program asks an import for.

use std::path::PathBuf;

use super::formats::{Format, Tokens};

/// What is to be imported, and where the tables go.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Files of one format. Those of the published study are a cell each; all others together are one response set.
    pub files: Vec<PathBuf>,
    /// The output directory, which is created; what is there already is continued.
    pub output_dir: PathBuf,
    /// `None`: each file's, by the fields of its first row.
    pub format: Option<Format>,
    /// The model that wrote the responses, the task, and the model that the numbers are of; `None` where the files say so.
    pub generation_model: Option<String>,
    /// Name of the task.
    pub task: Option<String>,
    /// Name of the model.
    pub model: Option<String>,
    /// What the rows call the format's fields, each as `NAME=FIELD`.
    pub fields: Vec<String>,
    /// The field whose equal values mark rows that are not independent; `None`: equal contexts do.
    pub cluster: Option<String>,
    /// Fields of the rows to keep in the samples table, besides those that the format keeps by itself.
    pub keep_fields: Vec<String>,
    /// Which tokens are read of answers that have numbers of both.
    pub tokens: Option<Tokens>,
    /// Ids that the model can score, if that is known.
    pub vocab: Option<u32>,
}
