//! The names of folders and files in the output directory.
//!
//! Owns these names. Not here: which of them exist (`read`, `inventory`).

use std::io;
use std::path::PathBuf;

use super::names;
use crate::error::Result;
use crate::schema::key;
use crate::table::Origin;

pub(super) const MANIFEST: &str = "manifest.json";
/// What all models of a text share, in the folder of their folders.
pub(super) const TEXT: &str = "text.json";

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
    pub(super) fn folder(&self) -> Result<PathBuf> {
        Ok(text_folder(&self.generation_model, &self.task)?.join(level(key::MODEL, &self.model)?))
    }
}

/// `generation_model=G/task=T`.
pub(super) fn text_folder(generation_model: &str, task: &str) -> Result<PathBuf> {
    Ok([level(key::GENERATION_MODEL, generation_model)?, level(key::TASK, task)?].iter().collect())
}

fn level(key: &str, name: &str) -> Result<String> {
    Ok(format!("{key}={}", names::encode(name)?))
}

/// The file of a part. Eight digits, so that names sort as parts do.
pub(super) fn file_name(part: u32, extension: &str) -> String {
    format!("part-{part:08}.{extension}")
}

/// Nothing there, or a file where a folder would be: file managers leave some.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
