//! The manifest of a cell: everything that decides its numbers.
//!
//! Owns what a later run must agree with, and how a disagreement is told. Refuses what cannot change a number: paths,
//! threads, batch sizes, times.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dataset::Part;
use crate::error::{Error, Result};

/// What made a cell's tables. Serialised with its fields in this order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub format_version: u32,
    pub generation_model: String,
    pub task: String,
    pub model: String,
    /// `parquet` or `jsonl`.
    pub out: String,
    /// The same for every model of a dataset.
    pub dataset: DatasetFacts,
    /// The same for every model of a dataset.
    pub tokens: TokenFacts,
    pub engine: EngineFacts,
    /// The same for every model of a dataset.
    pub parts: Vec<Part>,
}

/// Which rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetFacts {
    /// BLAKE3 of the file.
    pub blake3: String,
    pub rows: u32,
    pub samples: u32,
    pub limit: Option<u32>,
    pub cluster: Option<String>,
    pub keep_fields: Vec<String>,
}

/// How rows became ids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenFacts {
    /// BLAKE3 of the tokenizer file.
    pub tokenizer: String,
    pub boundary: String,
    /// The id of the appended end token.
    pub end: Option<u32>,
    /// Longest sample in tokens.
    pub max_tokens: usize,
    pub too_long: String,
}

/// What scored them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EngineFacts {
    pub name: String,
    /// File name to BLAKE3 of config and weights.
    pub files: BTreeMap<String, String>,
    /// Type of weights and products: `f32` or `bf16`.
    pub dtype: String,
    /// `cpu` or `cuda`.
    pub device: String,
    pub top_k: usize,
    pub rank_rule: String,
}

impl Manifest {
    /// Reads the manifest at `path`.
    ///
    /// # Errors
    /// A file that cannot be read, is not a manifest, or is of another format version.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).map_err(Error::io("read", path))?;
        let manifest: Self =
            serde_json::from_slice(&text).map_err(|e| Error::file(path, format!("not a tokshift manifest: {e}")))?;
        if manifest.format_version != crate::schema::FORMAT_VERSION {
            let (has, reads) = (manifest.format_version, crate::schema::FORMAT_VERSION);
            return Err(Error::file(path, format!("format version {has}, this tokshift reads {reads}")));
        }
        Ok(manifest)
    }

    /// The file's content: the same manifest gives the same bytes.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n").map_err(|e| Error::Usage(format!("manifest: {e}")))
    }

    /// Compares with what an earlier run of the same cell left at `path`.
    ///
    /// # Errors
    /// [`Error::Mismatch`] that names the first field in which they differ.
    pub fn must_equal(&self, earlier: &Self, path: &Path) -> Result<()> {
        compare(path, &serde_json::to_value(earlier), &serde_json::to_value(self), &|_| true)
    }

    /// Compares with the manifest of another model over the same dataset: rows, ids and parts must agree.
    ///
    /// # Errors
    /// [`Error::Mismatch`] that names the first field in which they differ.
    pub fn must_share_rows(&self, sibling: &Self, path: &Path) -> Result<()> {
        let shared = |field: &str| ["dataset.", "tokens.", "parts"].iter().any(|prefix| field.starts_with(prefix));
        compare(path, &serde_json::to_value(sibling), &serde_json::to_value(self), &shared)
    }
}

type Json = serde_json::Result<Value>;

/// Names the first field, among those that `matters`, in which two manifests differ.
fn compare(path: &Path, before: &Json, now: &Json, matters: &dyn Fn(&str) -> bool) -> Result<()> {
    let (Ok(before), Ok(now)) = (before, now) else {
        return Err(Error::file(path, "cannot be compared"));
    };
    match first_difference(String::new(), before, now, matters) {
        None => Ok(()),
        Some((field, before, now)) => Err(Error::Mismatch { manifest: path.to_owned(), field, before, now }),
    }
}

fn first_difference(
    field: String,
    before: &Value,
    now: &Value,
    matters: &dyn Fn(&str) -> bool,
) -> Option<(String, String, String)> {
    if let (Value::Object(a), Value::Object(b)) = (before, now) {
        let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
        let mut differences = keys.map(|key| {
            let name = if field.is_empty() { key.clone() } else { format!("{field}.{key}") };
            let (a, b) = (a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null));
            first_difference(name, a, b, matters)
        });
        return differences.find_map(|difference| difference);
    }
    (before != now && matters(&field)).then(|| (field, shorten(before), shorten(now)))
}

/// A value for a message: hashes and lists are cut.
fn shorten(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::String(text) if text.chars().count() > 16 => format!("`{}…`", text.chars().take(12).collect::<String>()),
        Value::String(text) => format!("`{text}`"),
        other => other.to_string(),
    }
}
