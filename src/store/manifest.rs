//! The manifest of a cell: everything that decides its numbers.
//!
//! Owns what a later run must agree with, and how a disagreement is told. Refuses what cannot change a number: paths,
//! threads, batch sizes, times.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::dataset::{Part, Plan};
use crate::error::{Error, Result};
use crate::hidden;
use crate::schema::FORMAT_VERSION;

/// Told beside the manifest's own fields, and no part of it: versions of tokshift that agree on the format version and
/// on all else may continue each other's runs.
const RENDERED_BY: &str = "rendered_by";

/// What a run can do that decides otherwise than an earlier one of its cell.
const ELSEWHERE: &str = "another --output-dir";

/// What another processor decides otherwise, unless it is asked not to.
const ARITHMETIC: &str = "engine.arithmetic";

/// Longest text that a message shows whole; hashes are longer.
const SHOWN_CHARS: usize = 40;

/// What made a cell's tables. Serialised with its fields in this order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
#[serde(deny_unknown_fields)]
pub struct DatasetFacts {
    /// BLAKE3 of the file.
    pub blake3: String,
    pub rows: u32,
    pub samples: u32,
    pub limit: Option<u32>,
    /// Tokens of a window, where the rows are windows of a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u32>,
    /// What the rows call the fields that are read, where that differs from their usual names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    pub cluster: Option<String>,
    pub keep_fields: Vec<String>,
}

impl DatasetFacts {
    /// Of a dataset that was scanned.
    pub fn of(plan: &Plan) -> Self {
        let Plan { hash, rows, samples, options, .. } = plan;
        Self {
            blake3: hash.clone(),
            rows: *rows,
            samples: *samples,
            limit: options.limit,
            window: plan.window(),
            fields: options.rows.fields.to_words(),
            cluster: options.rows.cluster.clone(),
            keep_fields: options.rows.keep.clone(),
        }
    }

    /// The first field in which an earlier run's rows differ from these, with both values.
    pub fn difference(&self, earlier: &Self) -> Option<String> {
        let (Ok(before), Ok(now)) = (serde_json::to_value(earlier), serde_json::to_value(self)) else { return None };
        let (field, values) = first_difference("dataset".to_owned(), &before, &now, &|_| true)?;
        Some(format!("{field} = {values}"))
    }
}

/// How rows became ids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenFacts {
    /// BLAKE3 of the tokenizer file.
    pub tokenizer: String,
    pub boundary: String,
    /// The id of the appended end token.
    pub end: Option<u32>,
    /// Longest sample in tokens: the shortest context among the models that were scored first. A model of a shorter one that
    /// comes later leaves out what it cannot take.
    pub max_tokens: usize,
    pub too_long: String,
    /// Identity of the chat template, where rows are chats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat_template: Option<String>,
}

impl TokenFacts {
    /// What later runs over the same rows go by; what was imported settles nothing.
    pub fn settled(&self) -> Option<usize> {
        Some(self.max_tokens).filter(|&max_tokens| max_tokens > 0)
    }
}

/// What scored them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineFacts {
    pub name: String,
    /// File name to BLAKE3 of config and weights.
    pub files: BTreeMap<String, String>,
    /// Type of weights and products: `f32` or `bf16`.
    pub dtype: String,
    /// `cpu` or `cuda`.
    pub device: String,
    /// How its products were summed, where the processor decides that: bf16 models differ by some 0.02 nats a token
    /// between any two ways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arithmetic: Option<String>,
    pub top_k: usize,
    /// Ids that the model can score; absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocab: Option<usize>,
    pub rank_rule: String,
    /// The hidden rows that its parts keep; absent if they keep none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_hidden: Option<hidden::Shape>,
}

impl Manifest {
    /// Reads the manifest at `path`.
    ///
    /// # Errors
    /// A file that cannot be read, is not a manifest, or is of another format version.
    pub fn read(path: &Path) -> Result<Self> {
        read(path)
    }

    /// BLAKE3 of what it says, whichever version of tokshift wrote it.
    pub fn digest(&self) -> Result<String> {
        digest(self)
    }

    /// The file's content: the same manifest gives the same bytes.
    pub fn to_json(&self) -> Result<String> {
        to_json(self)
    }

    /// Compares with what an earlier run of the same cell left at `path`.
    ///
    /// # Errors
    /// [`Error::Mismatch`] that names the first field in which they differ.
    pub fn must_equal(&self, earlier: &Self, path: &Path) -> Result<()> {
        compare(path, &serde_json::to_value(earlier), &serde_json::to_value(self), &|_| true, ELSEWHERE)
    }

    /// As [`Manifest::must_equal`], of a cell that is done: another processor has nothing to add to it.
    pub fn must_be_of(&self, earlier: &Self, path: &Path) -> Result<()> {
        let matters = |field: &str| field != ARITHMETIC;
        compare(path, &serde_json::to_value(earlier), &serde_json::to_value(self), &matters, ELSEWHERE)
    }

    /// Compares with the manifest of another model over the same dataset: rows, ids and parts must agree.
    ///
    /// # Errors
    /// [`Error::Mismatch`] that names the first field in which they differ.
    pub fn must_share_rows(&self, sibling: &Self, path: &Path) -> Result<()> {
        let shared = |field: &str| ["dataset.", "tokens.", "parts"].iter().any(|prefix| field.starts_with(prefix));
        compare(path, &serde_json::to_value(sibling), &serde_json::to_value(self), &shared, ELSEWHERE)
    }
}

/// What stands in the file.
#[derive(Serialize)]
struct File<'a, T> {
    #[serde(flatten)]
    manifest: &'a T,
    rendered_by: &'static str,
}

/// What made a pairs table. Serialised with its fields in this order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairManifest {
    pub format_version: u32,
    pub generation_model: String,
    pub task: String,
    pub p: String,
    pub q: String,
    /// What both models' logits are divided by.
    pub temperature: f64,
    /// Ids that end a response; the probability of any of them is kept.
    pub stop: Vec<u32>,
    /// BLAKE3 of what the two cells' manifests say.
    pub of_p: String,
    pub of_q: String,
}

impl PairManifest {
    /// As [`Manifest::read`].
    pub fn read(path: &Path) -> Result<Self> {
        read(path)
    }

    /// As [`Manifest::digest`].
    pub fn digest(&self) -> Result<String> {
        digest(self)
    }

    /// As [`Manifest::to_json`].
    pub fn to_json(&self) -> Result<String> {
        to_json(self)
    }

    /// As [`Manifest::must_equal`], of what made `tables`: without these it would decide nothing.
    pub fn must_equal(&self, earlier: &Self, path: &Path, tables: &Path) -> Result<()> {
        let instead = format!("delete `{}`", tables.display());
        compare(path, &serde_json::to_value(earlier), &serde_json::to_value(self), &|_| true, &instead)
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read(path).map_err(Error::io("read", path))?;
    let broken = |e| Error::file(path, format!("not a tokshift manifest: {e}"));
    let mut content: Map<String, Value> = serde_json::from_slice(&text).map_err(broken)?;
    // Asked first: another format may have other fields.
    match content.get("format_version") {
        Some(version) if *version != FORMAT_VERSION => {
            let is_newer = version.as_u64().is_some_and(|version| version > u64::from(FORMAT_VERSION));
            let instead = if is_newer {
                "a newer tokshift wrote it: update, or give another --output-dir"
            } else {
                "score again into another --output-dir, or use the tokshift that wrote it"
            };
            let what = format!("format version {version}, this tokshift reads {FORMAT_VERSION}: {instead}");
            return Err(Error::file(path, what));
        }
        _ => content.remove(RENDERED_BY),
    };
    serde_json::from_value(Value::Object(content)).map_err(broken)
}

fn digest(manifest: &impl Serialize) -> Result<String> {
    let json = serde_json::to_vec(manifest).map_err(|e| Error::Usage(format!("manifest: {e}")))?;
    Ok(blake3::hash(&json).to_hex().to_string())
}

fn to_json(manifest: &impl Serialize) -> Result<String> {
    let file = File { manifest, rendered_by: concat!("tokshift ", env!("CARGO_PKG_VERSION")) };
    serde_json::to_string_pretty(&file).map(|text| text + "\n").map_err(|e| Error::Usage(format!("manifest: {e}")))
}

type Json = serde_json::Result<Value>;

/// Names the first field, among those that `matters`, in which two manifests differ, and what to do `instead` of agreeing.
fn compare(path: &Path, before: &Json, now: &Json, matters: &dyn Fn(&str) -> bool, instead: &str) -> Result<()> {
    let (Ok(before), Ok(now)) = (before, now) else {
        return Err(Error::file(path, "cannot be compared"));
    };
    match first_difference(String::new(), before, now, matters) {
        None => Ok(()),
        Some((field, values)) => {
            let instead = if field == ARITHMETIC {
                format!("ask for the same by TOKSHIFT_CPU=NAME, or {instead}")
            } else {
                instead.to_owned()
            };
            Err(Error::Mismatch { manifest: path.to_owned(), field, values, instead })
        }
    }
}

/// The first field that differs, and what it says in both.
fn first_difference(
    field: String,
    before: &Value,
    now: &Value,
    matters: &dyn Fn(&str) -> bool,
) -> Option<(String, String)> {
    if let (Value::Object(a), Value::Object(b)) = (before, now) {
        let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
        let mut differences = keys.map(|key| {
            let name = if field.is_empty() { key.clone() } else { format!("{field}.{key}") };
            let (a, b) = (a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null));
            first_difference(name, a, b, matters)
        });
        return differences.find_map(|difference| difference);
    }
    if let (Value::Array(a), Value::Array(b)) = (before, now)
        && a.len() == b.len()
    {
        let mut items = a.iter().zip(b).enumerate();
        return items.find_map(|(i, (a, b))| first_difference(format!("{field}[{i}]"), a, b, matters));
    }
    (before != now && matters(&field)).then(|| (field, format!("{}, this run has {}", shorten(before), shorten(now))))
}

/// A value for a message: hashes and lists are cut.
fn shorten(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::String(text) if text.chars().count() > SHOWN_CHARS => {
            format!("`{}…`", text.chars().take(12).collect::<String>())
        }
        Value::String(text) => format!("`{text}`"),
        other => other.to_string(),
    }
}
