//! What a Parquet file says of itself: which part of which cell it is.
//!
//! Owns the entry of the footer that holds it. A folder that was renamed or files that were put elsewhere would turn signs
//! without a trace otherwise. Refuses JSON lines, which have no place for it.

use parquet::file::metadata::KeyValue;
use serde::{Deserialize, Serialize};

const KEY: &str = "tokshift.part";

/// A part of a cell, by names and by what decided its numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub generation_model: String,
    pub task: String,
    pub model: String,
    pub part: u32,
    /// Digest of the cell's manifest.
    pub manifest: String,
}

impl Origin {
    /// The entry of a footer.
    pub(super) fn entry(&self) -> KeyValue {
        KeyValue::new(KEY.to_owned(), serde_json::to_string(self).unwrap_or_default())
    }

    /// What a footer with these `entries` says.
    pub fn read(entries: Option<&Vec<KeyValue>>) -> Option<Self> {
        let entry = entries.into_iter().flatten().find(|entry| entry.key == KEY)?;
        serde_json::from_str(entry.value.as_ref()?).ok()
    }

    /// How a file that says it is `found` is not this part; `None` if it is.
    pub fn contradicted_by(&self, found: &Self) -> Option<String> {
        let names = |of: &Self| (of.generation_model.clone(), of.task.clone(), of.model.clone(), of.part);
        if names(found) != names(self) {
            let Self { generation_model, task, model, part, .. } = found;
            return Some(format!(
                "was written as part {part} of model `{model}`, task `{task}`, text by `{generation_model}`: files were moved"
            ));
        }
        (found.manifest != self.manifest)
            .then(|| "was written under another manifest: files of two runs are mixed".to_owned())
    }
}
