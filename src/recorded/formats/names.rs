//! `--fields`: what the fields of a format are called in the rows at hand.
//!
//! Owns the renaming. Not here: which fields a format has (the formats).

use crate::error::{Error, Result};

/// What the rows call the fields of a format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldNames(Vec<(String, String)>);

impl FieldNames {
    /// From `NAME=FIELD` each: rows have `FIELD` where the format has `NAME`, which is one of `known`.
    ///
    /// # Errors
    /// [`Error::Usage`]: no format has a field of that name, or one stands twice.
    pub fn parse(pairs: &[String], known: &[&str]) -> Result<Self> {
        let mut names = Self::default();
        for pair in pairs {
            let wrong = |what: &str| Error::usage(format!("--fields `{pair}`: {what}"));
            let parts = pair.split_once('=').filter(|(_, field)| !field.is_empty());
            let (name, field) = parts.ok_or_else(|| wrong("expected NAME=FIELD, as in logprobs=ref_logprobs"))?;
            if !known.contains(&name) {
                return Err(wrong(&format!("no format has a field `{name}`")));
            }
            if names.0.iter().any(|(other, _)| other == name) {
                return Err(wrong(&format!("`{name}` stands twice")));
            }
            names.0.push((name.to_owned(), field.to_owned()));
        }
        Ok(names)
    }

    /// The field of a row that has what the format calls `name`.
    pub fn of<'a>(&'a self, name: &'a str) -> &'a str {
        self.0.iter().find(|(other, _)| other == name).map_or(name, |(_, field)| field)
    }

    /// Whether the field that the format calls `name` was named.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(other, _)| other == name)
    }

    /// As they were given.
    pub fn to_words(&self) -> Vec<String> {
        self.0.iter().map(|(name, field)| format!("{name}={field}")).collect()
    }
}
