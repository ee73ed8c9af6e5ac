//! Rows of a dataset: lines of JSONL, elements of a JSON array or rows of Parquet, and the split of the file into
//! parts.
//!
//! Owns reading other people's rows. Not here: tokens. A row is text or ids, and `tokenize` makes samples of it.

mod cells;
mod chats;
mod content;
mod conversations;
mod boundaries;
mod dumps;
pub(crate) mod endings;
mod foreign;
mod harness;
pub(crate) mod json;
mod masked;
pub(crate) mod named;
pub(crate) mod names;
mod plan;
pub(crate) mod records;
mod row;
pub(crate) mod seen;
mod shapes;
pub(crate) mod source;
mod table;
pub(crate) mod unpack;
mod windows;

use std::path::Path;

pub use boundaries::{LARGE_FILE, PART_BYTES, PART_BYTES_OF_LARGE, PART_ROWS, Part};
pub use content::Content;
pub use names::FieldNames;
pub use plan::{Plan, PlanOptions, RowHashes, scan};
pub use row::{ReadRow, Row, RowOptions, RowValue};
pub use windows::{WINDOW, Windows};

/// What files of rows end with.
const ENDINGS: [&str; 8] = [".gz", ".zst", ".zstd", ".jsonl", ".json", ".ndjson", ".parquet", ".txt"];

/// Generation model and task from a file called `GEN_task.jsonl`, or with another ending that files of rows have. GEN is
/// the longest of `models` that stands before an underscore; or else what stands before the first one, as in
/// `UniReason-RL_hendrycks_math_500.jsonl.gz`. `None` if a name is missing.
pub fn names_from_path(path: &Path, models: &[String]) -> Option<(String, String)> {
    let stem = stem(path)?;
    let known = models.iter().filter_map(|model| Some((model.as_str(), stem.strip_prefix(model)?.strip_prefix('_')?)));
    let known = known.filter(|(_, task)| !task.is_empty()).max_by_key(|(model, _)| model.len());
    let (generation_model, task) = known.or_else(|| stem.split_once('_'))?;
    // `samples_hellaswag_2025-01-31T…` of lm-evaluation-harness does not say who wrote the samples.
    let is_named = !generation_model.is_empty() && !task.is_empty() && !is_log(stem);
    is_named.then(|| (generation_model.to_owned(), task.to_owned()))
}

/// The name of a file of rows without the endings that such files have, as `GEN_task` of `GEN_task.jsonl.gz`.
pub fn stem(path: &Path) -> Option<&str> {
    match without_ending(path.file_name()?.to_str()?) {
        Some(once) => Some(without_ending(once).unwrap_or(once)),
        None => path.file_stem()?.to_str(),
    }
}

fn without_ending(name: &str) -> Option<&str> {
    ENDINGS.iter().find_map(|ending| name.strip_suffix(ending))
}

/// Whether a file's name is that of a log of lm-evaluation-harness: `samples_`, a task, a date.
fn is_log(stem: &str) -> bool {
    let date = stem.strip_prefix("samples_").and_then(|rest| rest.rsplit_once('_')).map(|(_, date)| date.as_bytes());
    date.is_some_and(|date| matches!(date, [b'1'..=b'9', _, _, _, b'-', _, _, b'-', _, _, b'T', ..]))
}
