//! The manifest of a response set: which rows every model of it scores, and how they became ids.
//!
//! Owns which fields a later run must share, and which it adopts. Not here: everything that belongs to one model.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::facts::{DatasetFacts, ReferenceFacts, TokenFacts};
use super::file::{self, ELSEWHERE, compare};
use crate::dataset::{Part, RowHashes};
use crate::error::Result;
use crate::store::layout::ResponseSetKey;

/// What all models of a response set share. Serialised with its fields in this order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResponseSetManifest {
    /// [`FORMAT_VERSION`](crate::schema::FORMAT_VERSION) of the files.
    pub format_version: u32,
    /// Name of the model that wrote the responses.
    pub generation_model: String,
    /// Name of the task.
    pub task: String,
    /// The dataset.
    pub dataset: DatasetFacts,
    /// How token ids were made.
    pub tokens: TokenFacts,
    /// P, and why.
    #[serde(default, skip_serializing_if = "ReferenceFacts::is_unknown")]
    pub reference: ReferenceFacts,
    /// BLAKE3 of this manifest as it was when the first model was scored, if rows were added since: the models' manifests
    /// refer to that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_as: Option<String>,
    /// The parts, in order.
    pub parts: Vec<Part>,
    /// What shows whether the rows of a later run begin with these.
    #[serde(default, skip_serializing_if = "RowHashes::is_unknown")]
    pub hashes: RowHashes,
}

/// Fields that decide no score: they are neither compared nor hashed.
const OTHERS: [&str; 3] = ["reference", "begun_as", "hashes"];

impl ResponseSetManifest {
    /// The response set that it says it is of.
    pub fn set(&self) -> ResponseSetKey {
        ResponseSetKey::new(&self.generation_model, &self.task)
    }

    /// As [`Manifest::read`](super::Manifest::read).
    pub fn read(path: &Path) -> Result<Self> {
        file::read(path)
    }

    /// BLAKE3 of everything in it that decides a score, whichever version of tokshift wrote it; if rows were added, of what
    /// it was before.
    pub fn digest(&self) -> Result<String> {
        if let Some(begun_as) = &self.begun_as {
            return Ok(begun_as.clone());
        }
        file::digest(&Self { reference: ReferenceFacts::default(), hashes: RowHashes::default(), ..self.clone() })
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
        compare(path, earlier, self, &|field| !OTHERS.iter().any(|other| field.starts_with(other)), ELSEWHERE)
    }

    /// This text as the run that came first left it at `path`: the longest sample and the choice of P are that run's, all
    /// else must be equal, but that more rows may follow on the earlier ones.
    ///
    /// # Errors
    /// As [`ResponseSetManifest::must_equal`].
    pub fn as_fixed(mut self, earlier: &Self, path: &Path) -> Result<Self> {
        self.tokens.max_tokens = earlier.tokens.max_tokens;
        self.reference.clone_from(&earlier.reference);
        if self.extends(earlier) {
            return Ok(Self { begun_as: Some(earlier.digest()?), ..self });
        }
        self.begun_as.clone_from(&earlier.begun_as);
        if self.dataset.extends(&earlier.dataset, self.begins_with(earlier)) {
            // More rows would do: what else differs is named.
            let (dataset, parts) = (earlier.dataset.clone(), earlier.parts.clone());
            Self { dataset, parts, ..self.clone() }.must_equal(earlier, path)?;
        }
        self.must_equal(earlier, path).map(|()| self)
    }

    /// Whether its rows are those of `earlier`, with more rows after them or more kept fields, in parts of which the first are
    /// the same; all else is equal.
    pub fn extends(&self, earlier: &Self) -> bool {
        let (before, now) = (&earlier.parts, &self.parts);
        // The line end of the last row may have come with the next row, and a table's rows are longer with more fields.
        let is_same = |(old, new): (&Part, &Part)| {
            let of = |part: &Part| (part.first_row, part.rows, part.first_sample, part.samples);
            of(old) == of(new)
        };
        let adds_rows = self.dataset.rows > earlier.dataset.rows;
        let is_more = (now.len() > before.len()) == adds_rows && before.iter().zip(now).all(is_same);
        let (dataset, parts) = (earlier.dataset.clone(), before.clone());
        let as_before = Self { dataset, parts, ..self.clone() };
        is_more
            && self.dataset.extends(&earlier.dataset, self.begins_with(earlier))
            && as_before.must_equal(earlier, Path::new("")).is_ok()
    }

    /// Whether both are the same file.
    pub fn is_same(&self, other: &Self) -> bool {
        let without = |manifest: &Self| Self { hashes: RowHashes::default(), ..manifest.clone() };
        without(self) == without(other)
    }

    /// Whether its rows begin with those of `earlier`.
    fn begins_with(&self, earlier: &Self) -> bool {
        self.hashes.begins_with(&earlier.hashes, &earlier.dataset.blake3)
    }
}
