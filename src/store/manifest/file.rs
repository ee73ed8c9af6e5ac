//! Manifests as JSON files, and how two of them differ.
//!
//! Owns the format version, and the wording of a mismatch. Not here: what a manifest says.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::schema::FORMAT_VERSION;
use crate::store::files::ResultFile;

/// Written next to the manifest's own fields, and not compared: versions of tokshift that agree on the format version
/// and on all else may continue each other's runs.
const RENDERED_BY: &str = "rendered_by";

/// What a run can do that decides otherwise than an earlier one of its cell.
pub(super) const ELSEWHERE: &str = "another --output-dir";

/// Field that differs between processors unless TOKSHIFT_CPU is set.
pub(super) const ARITHMETIC: &str = "engine.arithmetic";

/// Longest text that a message shows whole; hashes are longer.
const SHOWN_CHARS: usize = 40;

/// Names of a list that a message shows.
const LISTED: usize = 8;

/// The content of the file.
#[derive(Serialize)]
struct File<'a, T> {
    #[serde(flatten)]
    manifest: &'a T,
    rendered_by: &'static str,
}

pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = ResultFile::at(path).read()?;
    let broken = |e| Error::file(path, format!("not a tokshift manifest: {e}"));
    let mut content: Map<String, Value> = serde_json::from_slice(&text).map_err(broken)?;
    // Checked first: another format may have other fields.
    match content.get("format_version") {
        Some(version) if *version != FORMAT_VERSION => {
            let is_newer = version.as_u64().is_some_and(|version| version > u64::from(FORMAT_VERSION));
            let instead = if is_newer {
                "a newer tokshift wrote it: update tokshift, or use another --output-dir"
            } else {
                "score again into another --output-dir, or use the tokshift version that wrote it"
            };
            let what = format!("format version {version}, this tokshift reads {FORMAT_VERSION}: {instead}");
            return Err(Error::file(path, what));
        }
        _ => content.remove(RENDERED_BY),
    };
    serde_json::from_value(Value::Object(content)).map_err(broken)
}

pub(super) fn digest(manifest: &impl Serialize) -> Result<String> {
    let json = serde_json::to_vec(manifest).map_err(|e| Error::Usage(format!("manifest: {e}")))?;
    Ok(blake3::hash(&json).to_hex().to_string())
}

pub(super) fn to_json(manifest: &impl Serialize) -> Result<String> {
    let file = File { manifest, rendered_by: concat!("tokshift ", env!("CARGO_PKG_VERSION")) };
    serde_json::to_string_pretty(&file).map(|text| text + "\n").map_err(|e| Error::Usage(format!("manifest: {e}")))
}

/// Names the first field, among those that `matters`, in which two manifests differ, and what to do `instead` of agreeing.
pub(super) fn compare<T: Serialize>(
    path: &Path,
    before: &T,
    now: &T,
    matters: &dyn Fn(&str) -> bool,
    instead: &str,
) -> Result<()> {
    let (Ok(before), Ok(now)) = (serde_json::to_value(before), serde_json::to_value(now)) else {
        return Err(Error::file(path, "cannot be compared"));
    };
    match difference(String::new(), &before, &now, matters) {
        None => Ok(()),
        Some((field, values)) => {
            let instead = if field == ARITHMETIC {
                format!("set TOKSHIFT_CPU to the manifest's value, or {instead}")
            } else {
                instead.to_owned()
            };
            let field = described(&field);
            Err(Error::Mismatch { manifest: path.to_owned(), field, values, instead })
        }
    }
}

/// What follows from an option or from the file: it is named only where nothing else differs.
const CONSEQUENCES: [&str; 3] = ["dataset.rows", "dataset.samples", "parts"];

/// The field that differs, an option before what follows from it, and what it says in both.
pub(super) fn difference(
    field: String,
    before: &Value,
    now: &Value,
    matters: &dyn Fn(&str) -> bool,
) -> Option<(String, String)> {
    let is_option = |field: &str| matters(field) && !CONSEQUENCES.iter().any(|other| field.starts_with(other));
    let option = first_difference(field.clone(), before, now, &is_option);
    option.or_else(|| first_difference(field, before, now, matters))
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

/// Options by the fields that they decide.
const FLAGS: [(&str, &str); 20] = [
    ("dataset.blake3", "the dataset's content"),
    ("dataset.rows", "the dataset: its rows"),
    ("dataset.samples", "the dataset: its samples"),
    ("dataset.limit", "--limit"),
    ("dataset.window", "--window"),
    ("dataset.fields", "--fields"),
    ("dataset.cluster", "--cluster"),
    ("dataset.keep_fields", "--keep-fields"),
    ("tokens.tokenizer", "--tokenizer"),
    ("tokens.bos", "--bos"),
    ("tokens.boundary", "--boundary"),
    ("tokens.end", "--end"),
    ("tokens.too_long", "--too-long"),
    ("tokens.chat_template", "--chat-template"),
    ("tokens.chat_template_kwargs", "--chat-template-kwargs"),
    ("engine.top_k", "--top-k"),
    ("engine.dtype", "--dtype"),
    ("engine.device", "--device"),
    ("engine.keep_hidden", "--keep-hidden"),
    ("out", "--out"),
];

/// A field in the words of the option that decides it, if there is one.
pub(super) fn described(field: &str) -> String {
    let flag = FLAGS.iter().find(|(name, _)| *name == field).map(|(_, flag)| (*flag).to_owned());
    let of_file = || field.strip_prefix("engine.files.").map(|file| format!("the model's file {file}"));
    flag.or_else(of_file).unwrap_or_else(|| field.to_owned())
}

/// A value for a message: hashes and long lists are cut.
fn shorten(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) if items.len() <= LISTED && items.iter().all(Value::is_string) => {
            items.iter().map(shorten).collect::<Vec<_>>().join(", ")
        }
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::String(text) if text.chars().count() > SHOWN_CHARS => {
            format!("`{}…`", text.chars().take(12).collect::<String>())
        }
        Value::String(text) => format!("`{text}`"),
        other => other.to_string(),
    }
}
