//! Experiments and models for which one entry stands: `names`, and names and sources with a `*`.
//!
//! Owns how an entry becomes several. Not here: what a `*` fits (`glob`), and what the entries mean (`parse`).

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::DeValue;

use super::glob;
use super::source::{Source, Table};
use crate::error::Result;
use crate::natural;

/// What stands for an experiment's name in what it says of its models and files.
pub const EXPERIMENT: &str = "{experiment}";

impl Source<'_> {
    /// An experiment for each of its `names`, if it has these in the place of a `name`; for one with a `*`, one for each
    /// name that makes a `dataset` that is there.
    pub fn by_name<'i>(&self, mut table: Table<'i>, dataset: &str) -> Result<Vec<Table<'i>>> {
        let Some((key, names)) = table.get_mut().remove_entry("names") else { return Ok(vec![table]) };
        let wrong = || self.at(&key.span(), "names: expected a list of strings, in the place of a name");
        let DeValue::Array(names) = names.into_inner() else { return Err(wrong()) };
        if names.is_empty() || table.get_ref().contains_key("name") {
            return Err(wrong());
        }
        let mut tables = Vec::new();
        for name in names {
            let pattern = name.get_ref().as_str().ok_or_else(wrong)?;
            for name in self.described(&key.span(), names_there(&table, dataset, pattern))? {
                tables.push(with(&table, &key.span(), "name", name));
            }
        }
        Ok(tables)
    }

    /// A model for each path that is there, if its `source` has a `*`. A `*` in its name stands for the same; without a
    /// name, that is the last part of the path.
    pub fn by_source<'i>(&self, table: Table<'i>, experiment: &str) -> Result<Vec<Table<'i>>> {
        let text = |key: &str| table.get_ref().get(key).and_then(|value| value.get_ref().as_str());
        let Some(source) = text("source").map(|source| source.replace(EXPERIMENT, experiment)) else {
            return Ok(vec![table]);
        };
        if !glob::is_pattern(&source) {
            return Ok(vec![table]);
        }
        let span = table.span();
        let name = text("name").map(ToOwned::to_owned);
        if name.as_ref().is_some_and(|name| !name.contains('*')) {
            let what = format!("name: `{source}` may be several models: put a `*` into the name, or leave it out");
            return Err(self.at(&span, what));
        }
        let found = self.described(&span, glob::matches(&source))?;
        let of = |text: &String| {
            let path = source.replace('*', text);
            let last = || Path::new(&path).file_name().map_or_else(String::new, |last| last.to_string_lossy().into());
            let name = name.as_ref().map_or_else(last, |name| name.replace('*', text));
            let name = name.strip_suffix(".gguf").unwrap_or(&name).to_owned();
            with(&with(&table, &span, "source", path.clone()), &span, "name", name)
        };
        Ok(found.iter().map(of).collect())
    }
}

/// A copy of a table with this text at `key`.
fn with<'i>(table: &Table<'i>, span: &Range<usize>, key: &'static str, text: String) -> Table<'i> {
    let mut table = table.clone();
    let value = DeValue::String(Cow::Owned(text));
    table.get_mut().insert(Spanned::new(span.clone(), key.into()), Spanned::new(span.clone(), value));
    table
}

/// The names that a `*` in the name of an experiment makes datasets of, of any of its tasks; the name itself without one.
fn names_there(table: &Table, dataset: &str, pattern: &str) -> Result<Vec<String>, String> {
    if !pattern.contains('*') {
        return Ok(vec![pattern.to_owned()]);
    }
    let table = table.get_ref();
    let files = table.get("text").and_then(|text| text.get_ref().as_str()).unwrap_or(dataset);
    let tasks = table.get("tasks").and_then(|tasks| tasks.get_ref().as_array());
    let tasks = tasks.into_iter().flatten().filter_map(|task| task.get_ref().as_str());
    let found = tasks.map(|task| glob::matches(&files.replace("{task}", task).replace(EXPERIMENT, pattern)));
    let (found, failed): (Vec<_>, Vec<_>) = found.partition(Result::is_ok);
    let mut texts: Vec<String> = found.into_iter().flatten().flatten().collect();
    texts.sort_by(|a, b| natural::compare(a, b));
    texts.dedup();
    match failed.into_iter().next() {
        Some(Err(why)) if texts.is_empty() => Err(format!("names: {why}")),
        _ => Ok(texts.iter().map(|text| pattern.replace('*', text)).collect()),
    }
}
