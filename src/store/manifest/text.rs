//! The manifest of a response set: which rows every model of it scores, and how they became ids.
//!
//! Owns which fields a later run must share, and which it adopts. Not here: everything that belongs to one model.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::facts::{DatasetFacts, TokenFacts};
use super::file::{self, ELSEWHERE, compare};
use crate::dataset::Part;
use crate::error::Result;
use crate::store::layout::ResponseSetKey;

/// What all models of a text share. Serialised with its fields in this order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextManifest {
    pub format_version: u32,
    pub generation_model: String,
    pub task: String,
    pub dataset: DatasetFacts,
    pub tokens: TokenFacts,
    pub parts: Vec<Part>,
}

impl TextManifest {
    /// The response set that it says it is of.
    pub fn set(&self) -> ResponseSetKey {
        ResponseSetKey::new(&self.generation_model, &self.task)
    }

    /// As [`Manifest::read`](super::Manifest::read).
    pub fn read(path: &Path) -> Result<Self> {
        file::read(path)
    }

    /// BLAKE3 of what it says, whichever version of tokshift wrote it.
    pub fn digest(&self) -> Result<String> {
        file::digest(self)
    }

    /// The file's content: the same manifest gives the same bytes.
    pub fn to_json(&self) -> Result<String> {
        file::to_json(self)
    }

    /// Compares with the one that an earlier run left at `path`.
    ///
    /// # Errors
    /// [`Error::Mismatch`](crate::Error::Mismatch) that names the first field in which they differ.
    pub fn must_equal(&self, earlier: &Self, path: &Path) -> Result<()> {
        compare(path, earlier, self, &|_| true, ELSEWHERE)
    }

    /// This text as the run that came first left it at `path`: the longest sample is that run's, all else must be equal.
    ///
    /// # Errors
    /// As [`TextManifest::must_equal`].
    pub fn as_fixed(mut self, earlier: &Self, path: &Path) -> Result<Self> {
        self.tokens.max_tokens = earlier.tokens.max_tokens;
        self.must_equal(earlier, path).map(|()| self)
    }
}
