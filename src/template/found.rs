//! A model's templates and special tokens, wherever they were found.
//!
//! Owns their names. Not here: reading them (`files`, `gguf`).

use std::collections::BTreeMap;

/// The template that is used where no other fits.
pub const DEFAULT: &str = "default";
/// The template that is used where there are tools.
pub const TOOL_USE: &str = "tool_use";

/// Sources of templates.
#[derive(Clone, Debug, Default)]
pub struct Templates {
    pub default: Option<String>,
    pub tool_use: Option<String>,
}

impl Templates {
    /// The templates there are, by name.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [(DEFAULT, &self.default), (TOOL_USE, &self.tool_use)]
            .into_iter()
            .filter_map(|(name, source)| Some((name, source.as_deref()?)))
    }

    /// The name of the template for a conversation with tools.
    pub fn with_tools(&self) -> &'static str {
        if self.tool_use.is_some() { TOOL_USE } else { DEFAULT }
    }
}

/// Names that stand for something else in transformers 4, with what they stand for.
pub type Otherwise = Vec<(String, Option<String>)>;

/// The special tokens of a tokenizer, as text.
#[derive(Clone, Debug, Default)]
pub struct SpecialTokens {
    named: BTreeMap<String, String>,
    /// All of them, without order.
    all: Vec<String>,
    in_four: Otherwise,
}

impl SpecialTokens {
    /// `named`, and others that have no name.
    pub fn new(named: BTreeMap<String, String>, mut all: Vec<String>) -> Self {
        all.extend(named.values().cloned());
        all.retain(|token| !token.is_empty());
        Self { named, all, in_four: Vec::new() }
    }

    /// The same, with names that stand for something else in transformers 4.
    #[must_use]
    pub fn otherwise_in_four(self, in_four: Otherwise) -> Self {
        Self { in_four, ..self }
    }

    /// The tokens that a template may name, by name.
    pub fn named(&self) -> impl Iterator<Item = (&str, &str)> {
        self.named.iter().map(|(name, token)| (name.as_str(), token.as_str()))
    }

    /// Names of tokens that stand for something else in transformers 4, each with what it is there.
    pub fn in_four(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.in_four.iter().map(|(name, token)| (name.as_str(), token.as_deref()))
    }

    /// The token by a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.named.get(name).map(String::as_str)
    }

    /// The token that ends a text.
    pub fn eos(&self) -> Option<&str> {
        self.get("eos_token")
    }

    /// The special token that stands first in `text`, with its place; the longest of those that begin there.
    pub fn first_in<'a>(&'a self, text: &str) -> Option<(usize, &'a str)> {
        let found = self.all.iter().filter_map(|token| Some((text.find(token.as_str())?, token.as_str())));
        found.min_by_key(|(at, token)| (*at, usize::MAX - token.len()))
    }

    /// The special token that `text` ends with, the longest if there are several.
    pub fn last_of(&self, text: &str) -> Option<&str> {
        let found = self.all.iter().map(String::as_str).filter(|token| text.ends_with(token));
        found.max_by_key(|token| token.len())
    }
}
