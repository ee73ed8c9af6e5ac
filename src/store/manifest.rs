//! The manifest of a cell: everything that decides its numbers.
//!
//! Owns what a later run must agree with. It is split into two files. What all models of a response set share is in
//! [`text`], published once and before anything is scored. A model's own file contains the rest, and the digest of the
//! shared one. Not here: what cannot change a number, such as paths, threads, batch sizes and times.

pub(super) mod facts;
mod file;
pub(super) mod pair;
pub(super) mod response_set;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::facts::{DatasetFacts, EngineFacts, ReferenceFacts, TokenFacts};
use self::file::{ARITHMETIC, ELSEWHERE, compare};
use self::response_set::ResponseSetManifest;
use super::layout::{Cell, TEXT};
use crate::dataset::{Part, RowHashes};
use crate::error::{Error, Result};

/// What made a cell's tables.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// [`FORMAT_VERSION`](crate::schema::FORMAT_VERSION) of the files.
    pub format_version: u32,
    /// Name of the model that wrote the responses.
    pub generation_model: String,
    /// Name of the task.
    pub task: String,
    /// Name of the model that scored the responses.
    pub model: String,
    /// What the tables are written as: `parquet`.
    pub out: String,
    /// The same for every model of a response set.
    pub dataset: DatasetFacts,
    /// The same for every model of a response set.
    pub tokens: TokenFacts,
    /// What computed the scores.
    pub engine: EngineFacts,
    /// The same for every model of a response set.
    pub reference: ReferenceFacts,
    /// As in [`ResponseSetManifest`].
    pub begun_as: Option<String>,
    /// As in [`ResponseSetManifest`].
    pub hashes: RowHashes,
    /// The same for every model of a response set.
    pub parts: Vec<Part>,
}

/// A model's own file. Serialised with its fields in this order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfModel {
    format_version: u32,
    generation_model: String,
    task: String,
    model: String,
    out: String,
    /// Digest of the response set's manifest.
    text: String,
    engine: EngineFacts,
}

impl Manifest {
    /// Reads the manifest at `path`, and that of its response set, which is in the folder above.
    ///
    /// # Errors
    /// A file that cannot be read, is not a manifest, or is of another format version; a response set's manifest that is not there, or is not
    /// the one that the model scored.
    pub fn read(path: &Path) -> Result<Self> {
        let of_model: OfModel = file::read(path)?;
        let place = text_of(path);
        let text = ResponseSetManifest::read(&place).map_err(|error| match error {
            Error::Io { source, .. } if source.kind() == ErrorKind::NotFound => {
                let what = format!("`{}` is missing, so which rows were scored is unknown", place.display());
                Error::file(path, format!("{what}: delete this and its parts, and score again"))
            }
            other => other,
        })?;
        if text.digest()? != of_model.text {
            let what = format!("was written for another `{}` than the one that is here", place.display());
            return Err(Error::file(path, format!("{what}: files of two runs are mixed, or one was edited")));
        }
        let OfModel { format_version, generation_model, task, model, out, engine, .. } = of_model;
        let ResponseSetManifest { dataset, tokens, reference, begun_as, parts, hashes, .. } = text;
        Ok(Self {
            format_version,
            generation_model,
            task,
            model,
            out,
            dataset,
            tokens,
            engine,
            reference,
            begun_as,
            hashes,
            parts,
        })
    }

    /// The cell that it says it is of.
    pub fn cell(&self) -> Cell {
        Cell::new(&self.generation_model, &self.task, &self.model)
    }

    /// What all models of the response set share.
    pub fn text(&self) -> ResponseSetManifest {
        let Self { format_version, generation_model, task, dataset, tokens, reference, parts, .. } = self.clone();
        let (begun_as, hashes) = (self.begun_as.clone(), self.hashes.clone());
        ResponseSetManifest {
            format_version,
            generation_model,
            task,
            dataset,
            tokens,
            reference,
            begun_as,
            parts,
            hashes,
        }
    }

    /// The same model on another response set.
    #[must_use]
    pub fn over(self, text: ResponseSetManifest) -> Self {
        let ResponseSetManifest { dataset, tokens, reference, begun_as, parts, hashes, .. } = text;
        Self { dataset, tokens, reference, begun_as, hashes, parts, ..self }
    }

    fn of_model(&self) -> Result<OfModel> {
        let text = self.text().digest()?;
        let Self { format_version, generation_model, task, model, out, engine, .. } = self.clone();
        Ok(OfModel { format_version, generation_model, task, model, out, text, engine })
    }

    /// BLAKE3 of what it says, that of its response set included, whichever version of tokshift wrote it.
    pub fn digest(&self) -> Result<String> {
        file::digest(&self.of_model()?)
    }

    /// The content of the model's own file: the same manifest gives the same bytes.
    pub fn to_json(&self) -> Result<String> {
        file::to_json(&self.of_model()?)
    }

    /// Compares with what an earlier run of the same cell left at `path`.
    ///
    /// # Errors
    /// [`Error::Mismatch`] that names the first field in which they differ.
    pub fn must_equal(&self, earlier: &Self, path: &Path) -> Result<()> {
        self.must_agree(earlier, path, &|_| true)
    }

    /// As [`Manifest::must_equal`], of a cell that is done: another processor has nothing to add to it.
    pub fn must_be_of(&self, earlier: &Self, path: &Path) -> Result<()> {
        self.must_agree(earlier, path, &|field| field != ARITHMETIC)
    }

    fn must_agree(&self, earlier: &Self, path: &Path, matters: &dyn Fn(&str) -> bool) -> Result<()> {
        let (now, before) = (self.text(), earlier.text());
        if !now.extends(&before) {
            now.must_equal(&before, &text_of(path))?;
        }
        compare(path, &earlier.of_model()?, &self.of_model()?, matters, ELSEWHERE)
    }
}

/// Path of the response set's manifest; `path` is that of a model's.
fn text_of(path: &Path) -> PathBuf {
    path.ancestors().nth(2).unwrap_or(Path::new("")).join(TEXT)
}
