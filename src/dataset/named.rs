//! A row's fields by the names that shapes have for them.
//!
//! Owns reading values under the user's own field names. Not here: shapes (`shapes`).

use serde::Deserialize;
use serde_json::Value;

use crate::dataset::json::{self, Fields};
use crate::dataset::names::{FieldNames, Shape};

/// A row's fields by the names that shapes have for them.
pub struct Named<'a> {
    fields: &'a Fields<'a>,
    names: &'a FieldNames,
}

impl<'a> Named<'a> {
    pub fn new(fields: &'a Fields<'a>, names: &'a FieldNames) -> Self {
        Self { fields, names }
    }

    /// The value as it is written; `None` if it is missing or null.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.fields.get(self.names.of(name))
    }

    /// The value of a field that need not be there.
    pub fn optional(&self, name: &str) -> Result<Option<&'a str>, String> {
        self.fields.value(self.names.of(name))
    }

    pub fn need(&self, name: &str) -> Result<&'a str, String> {
        self.optional(name)?.ok_or_else(|| self.fields.missing(self.names.of(name)))
    }

    pub fn text(&self, name: &str) -> Result<String, String> {
        self.fields.text(self.names.of(name))
    }

    /// The value as JSON.
    pub fn json(&self, name: &str) -> Result<Value, String> {
        let unreadable = |e| format!("`{}` cannot be read: {e}", self.names.of(name));
        serde_json::from_str(self.finite(name, self.need(name)?)?).map_err(unreadable)
    }

    /// `raw`, the value of `name`, if it is JSON.
    ///
    /// # Errors
    /// It contains a word of Python's for a number, which no reader of JSON knows and no template would be given as it is.
    pub fn finite<'r>(&self, name: &str, raw: &'r str) -> Result<&'r str, String> {
        match json::not_finite(raw) {
            None => Ok(raw),
            Some(number) => {
                Err(format!("`{}` holds {number}, which is no number of JSON: give it as a text", self.called(name)))
            }
        }
    }

    /// A list whose items are called `what`.
    pub fn list<T: Deserialize<'a>>(&self, name: &str, what: &str) -> Result<Vec<T>, String> {
        self.fields.list(self.names.of(name), what)
    }

    /// A text next to ids: `name` must be a string; any of `others` is read if it is one (it may be a list of
    /// messages).
    pub fn text_of_ids(&self, name: &str, others: &[&str]) -> Result<Option<String>, String> {
        if let Some(text) = self.fields.optional_text(self.names.of(name))? {
            return Ok(Some(text));
        }
        let other = others.iter().find(|other| self.get(other).is_some_and(|raw| raw.starts_with('"')));
        other.map(|other| self.text(other)).transpose()
    }

    /// The fields of a shape, for a message.
    pub fn described(&self, shape: &Shape) -> String {
        shape.needs.iter().map(|name| format!("`{}`", self.called(name))).collect::<Vec<_>>().join(" + ")
    }

    /// What a field is called in the row.
    pub fn called<'n>(&'n self, name: &'n str) -> &'n str {
        self.names.of(name)
    }
}
