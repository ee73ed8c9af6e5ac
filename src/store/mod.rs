//! The output directory: the only place that creates results.
//!
//! Owns layout, names, manifests, and the promise that what has a final name is whole. A part is written under `.tmp`,
//! synced, and published by rename: hidden rows if they are kept, then samples, then tokens, which alone means done. One
//! process at a time writes a cell, and the first of all settles its text. Refuses to know what stands in a table.

mod cell;
mod chosen;
mod hidden;
mod loans;
mod lock;
mod manifest;
pub mod names;
mod owner;
mod pairs;
mod read;
mod survey;
mod temporary;
mod text;

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

pub use cell::{CellStore, PartWriter};
pub use chosen::write_file;
pub use hidden::HiddenPart;
pub use loans::Borrowed;
pub use manifest::{DatasetFacts, EngineFacts, Manifest, OWN, PairManifest, TextManifest, TokenFacts};
pub use names::encode as folder_name;
pub use pairs::{FoundPair, PairCell, PairStore, found_pairs};
pub use read::{DamagedCell, FoundCell, cells, cells_and_damaged, cells_to_continue, part_of};
pub use survey::{PartFiles, Survey, SurveyedCell, SurveyedPair, SurveyedText, survey};

use crate::error::{Error, Result};
use crate::schema::{folder, key};
use crate::table::{Format, Origin};
use temporary::{Temporary, create_directories, remove_leftovers};

const MANIFEST: &str = "manifest.json";
/// What all models of a text share, in the folder of their folders.
const TEXT: &str = "text.json";

/// What one run of one model over one dataset is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// The model that wrote the responses.
    pub generation_model: String,
    pub task: String,
    /// The model that scores them.
    pub model: String,
}

impl Cell {
    /// What the files of `part` say of themselves; `manifest` is the digest of the cell's.
    pub fn origin(&self, manifest: &str, part: u32) -> Origin {
        let Self { generation_model, task, model } = self.clone();
        let manifest = manifest.to_owned();
        Origin { generation_model, task, model, beside: None, part, manifest, samples: None, tokens: [None, None] }
    }

    /// `generation_model=G/task=T/model=M`.
    fn folder(&self) -> Result<PathBuf> {
        Ok(text_folder(&self.generation_model, &self.task)?.join(level(key::MODEL, &self.model)?))
    }
}

/// `generation_model=G/task=T`.
fn text_folder(generation_model: &str, task: &str) -> Result<PathBuf> {
    Ok([level(key::GENERATION_MODEL, generation_model)?, level(key::TASK, task)?].iter().collect())
}

fn level(key: &str, name: &str) -> Result<String> {
    Ok(format!("{key}={}", names::encode(name)?))
}

/// The file of a part. Eight digits, so that names sort as parts do.
fn file_name(part: u32, extension: &str) -> String {
    format!("part-{part:08}.{extension}")
}

/// Nothing there, or a file where a folder would be: file managers leave some.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// An output directory that can be written.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Creates the directory if it is missing, tries that it can be written, and clears away what dead processes left.
    ///
    /// # Errors
    /// A directory that cannot be created or written.
    pub fn open(root: &Path) -> Result<Self> {
        let temporary = root.join(folder::TEMPORARY);
        let unusable = |error| match error {
            Error::Io { source, .. } => Error::io("write in the output directory", root)(source),
            other => other,
        };
        create_directories(&temporary).and_then(|()| Temporary::create(root, "probe")).map_err(unusable)?;
        remove_leftovers(&temporary);
        lock::remove_unheld(&temporary);
        Ok(Self { root: root.to_owned() })
    }

    /// The cell of this manifest, over its text as earlier runs settled it. Nothing is created before [`CellStore::lock`], and
    /// the model's own manifest not before its first part: a run that fails earlier decides nothing.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if an earlier run of the cell, or another model's over the same text, decided otherwise.
    pub fn cell(&self, cell: &Cell, manifest: &Manifest, format: Format) -> Result<CellStore> {
        CellStore::open(&self.root, cell, manifest, format)
    }

    /// Where the exact measures of two finished cells go. Nothing is created before the first part.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the run that made its parts decided otherwise.
    pub fn pair(&self, manifest: &PairManifest) -> Result<PairStore> {
        PairStore::open(&self.root, manifest)
    }

    /// Publishes a file made of finished cells under `folder` of the output directory, replacing an older one. `name`
    /// may hold anything that models and tasks are called; the path that came of it is returned.
    ///
    /// # Errors
    /// A name too long for a file, a full disk; what `content` gives.
    pub fn publish(
        &self,
        folder: &str,
        name: &str,
        content: impl FnOnce(&mut BufWriter<File>) -> Result<()>,
    ) -> Result<PathBuf> {
        let path = self.root.join(folder).join(names::encode(name)?);
        let mut file = Temporary::create(&self.root, folder)?;
        file.write(content)?;
        file.publish(&path)?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests;
