//! A TOML file whose errors name the line.
//!
//! Owns line numbers, arrays of tables, and the rule that an unknown key is an error that names the nearest known one. Not
//! here: what keys mean (`parse`).

use std::ops::Range;
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::nearest::nearest;
use super::options::{NAMES, Options};
use crate::error::{Error, Result};

/// A file's text, to find line numbers.
pub struct Source<'a> {
    /// Path of the file, for messages.
    pub path: &'a Path,
    /// Its content.
    pub text: &'a str,
}

/// A table and its place in the file.
pub type Table<'i> = Spanned<DeTable<'i>>;

impl Source<'_> {
    /// Takes the array of tables `key` out of `table`.
    pub fn tables<'i>(&self, table: &mut Table<'i>, key: &str) -> Result<Vec<Table<'i>>> {
        let Some((_, value)) = table.get_mut().remove_entry(key) else { return Ok(Vec::new()) };
        let no_tables = |span: &Range<usize>| self.at(span, format!("expected tables headed [[…{key}]]"));
        let span = value.span();
        let DeValue::Array(values) = value.into_inner() else { return Err(no_tables(&span)) };
        let table = |value: Spanned<DeValue<'i>>| {
            let span = value.span();
            match value.into_inner() {
                DeValue::Table(table) => Ok(Spanned::new(span, table)),
                _ => Err(no_tables(&span)),
            }
        };
        values.into_iter().map(table).collect()
    }

    /// The keys in `own`, and the others as options. `inside` are the tables that may stand here too.
    pub fn split<T: DeserializeOwned>(&self, table: Table, own: &[&str], inside: Option<&str>) -> Result<(T, Options)> {
        let span = table.span();
        let known = || own.iter().chain(&NAMES).copied().chain(inside);
        for key in table.get_ref().keys() {
            let found = key.get_ref().as_ref();
            if known().all(|known| known != found) {
                return Err(self.at(&key.span(), unknown_key(found, inside, known())));
            }
        }
        let (head, options): (DeTable, DeTable) =
            table.into_inner().into_iter().partition(|(key, _)| own.contains(&key.get_ref().as_ref()));
        Ok((self.decode(head, &span)?, self.decode(options, &span)?))
    }

    fn decode<T: DeserializeOwned>(&self, table: DeTable, span: &Range<usize>) -> Result<T> {
        let deserializer = Deserializer::from(Spanned::new(span.clone(), table));
        T::deserialize(deserializer).map_err(|e| self.toml(&e, span))
    }

    /// What TOML's reader found, with its line.
    pub fn toml(&self, error: &toml::de::Error, around: &Range<usize>) -> Error {
        self.at(&error.span().unwrap_or(around.clone()), error.message())
    }

    /// `result`, with the line of `span` before what is wrong.
    pub fn described<T>(&self, span: &Range<usize>, result: Result<T, String>) -> Result<T> {
        result.map_err(|what| self.at(span, what))
    }

    /// An error at the line of `span`.
    pub fn at(&self, span: &Range<usize>, what: impl AsRef<str>) -> Error {
        let line = 1 + self.text.bytes().take(span.start).filter(|&byte| byte == b'\n').count();
        Error::file(self.path, format!("line {line}: {}", what.as_ref()))
    }
}

/// What to say of a key that nothing reads.
fn unknown_key<'k>(key: &str, inside: Option<&str>, known: impl Iterator<Item = &'k str> + Clone) -> String {
    let name = |known: &str| {
        if Some(known) != inside {
            return format!("`{known}`");
        }
        if known == "model" { "`[[experiment.model]]`".to_owned() } else { format!("`[[{known}]]`") }
    };
    match nearest(key, known.clone()) {
        Some(nearest) => format!("`{key}` is no key here: {} is", name(nearest)),
        None => format!("`{key}` is no key here; keys are {}", known.map(name).collect::<Vec<_>>().join(", ")),
    }
}
