//! The manifest of a pair: what decides its exact measures.
//!
//! Owns the reference to its two runs. Not here: what decided those runs.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::file::{self, compare};
use crate::error::Result;
use crate::store::layout::{PairCell, ResponseSetKey};

/// What made a pairs table. Serialised with its fields in this order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairManifest {
    /// [`FORMAT_VERSION`](crate::schema::FORMAT_VERSION) of the files.
    pub format_version: u32,
    /// Name of the model that wrote the responses.
    pub generation_model: String,
    /// Name of the task.
    pub task: String,
    /// Name of P.
    pub p: String,
    /// Name of Q.
    pub q: String,
    /// What both models' logits are divided by.
    pub temperature: f64,
    /// Ids that end a response; the probability of any of them is kept.
    pub stop: Vec<u32>,
    /// BLAKE3 of what the two cells' manifests say.
    pub of_p: String,
    /// Digest of Q's manifest.
    pub of_q: String,
}

impl PairManifest {
    /// The pair that it says it is of.
    pub fn cell(&self) -> PairCell {
        ResponseSetKey::new(&self.generation_model, &self.task).pair(&self.p, &self.q)
    }

    /// As [`Manifest::read`](super::Manifest::read).
    pub fn read(path: &Path) -> Result<Self> {
        file::read(path)
    }

    /// As [`Manifest::digest`](super::Manifest::digest).
    pub fn digest(&self) -> Result<String> {
        file::digest(self)
    }

    /// As [`Manifest::to_json`](super::Manifest::to_json).
    pub fn to_json(&self) -> Result<String> {
        file::to_json(self)
    }

    /// As [`Manifest::must_equal`](super::Manifest::must_equal), of what made `tables`: without these it would decide nothing.
    pub fn must_equal(&self, earlier: &Self, path: &Path, tables: &Path) -> Result<()> {
        let instead = format!("delete `{}`", tables.display());
        compare(path, earlier, self, &|_| true, &instead)
    }
}
