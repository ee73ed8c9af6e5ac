//! Rows of a dataset: what a JSONL line says, and how the file is cut into parts.
//!
//! Owns reading other people's rows. Refuses tokens: a row is text or ids here, `tokenize` makes samples of it.

mod cuts;
mod harness;
mod json;
mod lines;
mod names;
mod plan;
mod row;
mod shapes;

use std::path::Path;

pub use cuts::{PART_BYTES, PART_ROWS, Part};
pub use names::FieldNames;
pub use plan::{Plan, PlanOptions, scan};
pub use row::{Content, ReadRow, Row, RowOptions};

/// Generation model and task from a file called `GEN_task.jsonl`: the name is split at its first underscore, as in
/// `UniReason-RL_hendrycks_math_500.jsonl`.
pub fn names_from_path(path: &Path) -> Option<(String, String)> {
    let (generation_model, task) = path.file_stem()?.to_str()?.split_once('_')?;
    (!generation_model.is_empty() && !task.is_empty()).then(|| (generation_model.to_owned(), task.to_owned()))
}
