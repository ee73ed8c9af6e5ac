//! The names of folders and files in the output directory.
//!
//! Owns these names. Not here: which of them exist (`read`, `inventory`).

use std::cmp::Ordering;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::names;
use crate::error::Result;
use crate::natural;
use crate::schema::key;
use crate::table::Origin;

pub(super) const MANIFEST: &str = "manifest.json";
/// File name of what all models of a response set share, in the folder above theirs.
pub(super) const TEXT: &str = "text.json";

/// Whether the file is the manifest of a response set, as opposed to that of a model or a pair.
pub fn is_response_set_manifest(path: &Path) -> bool {
    path.ends_with(TEXT)
}

/// Names a response set: all samples of one task that one generation model wrote.
///
/// Keys, cells and pairs are ordered by their names, in [natural order](natural).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ResponseSetKey {
    /// The model that wrote the responses.
    pub generation_model: String,
    /// The task that the prompts are from.
    pub task: String,
}

/// Names a cell: one model's scores of one response set.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cell {
    /// The response set.
    #[serde(flatten)]
    pub set: ResponseSetKey,
    /// The model that scores it.
    pub model: String,
}

/// Names a pair: two models on one response set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PairCell {
    /// The response set.
    pub set: ResponseSetKey,
    /// The model that is P.
    pub p: String,
    /// The model that is Q.
    pub q: String,
}

impl Ord for ResponseSetKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_writer = natural::compare(&self.generation_model, &other.generation_model);
        by_writer.then_with(|| natural::compare(&self.task, &other.task))
    }
}

impl Ord for Cell {
    fn cmp(&self, other: &Self) -> Ordering {
        self.set.cmp(&other.set).then_with(|| natural::compare(&self.model, &other.model))
    }
}

impl Ord for PairCell {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_p = self.set.cmp(&other.set).then_with(|| natural::compare(&self.p, &other.p));
        by_p.then_with(|| natural::compare(&self.q, &other.q))
    }
}

impl PartialOrd for ResponseSetKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialOrd for Cell {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialOrd for PairCell {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl ResponseSetKey {
    /// The key of these names.
    pub fn new(generation_model: impl Into<String>, task: impl Into<String>) -> Self {
        Self { generation_model: generation_model.into(), task: task.into() }
    }

    /// The cell of `model` on this response set.
    pub fn cell(&self, model: impl Into<String>) -> Cell {
        Cell { set: self.clone(), model: model.into() }
    }

    /// The pair of `p` and `q` on this response set.
    pub fn pair(&self, p: impl Into<String>, q: impl Into<String>) -> PairCell {
        PairCell { set: self.clone(), p: p.into(), q: q.into() }
    }

    /// `generation_model=G/task=T`.
    pub(super) fn folder(&self) -> Result<PathBuf> {
        Ok([level(key::GENERATION_MODEL, &self.generation_model)?, level(key::TASK, &self.task)?].iter().collect())
    }
}

impl Cell {
    /// The cell of these names.
    pub fn new(generation_model: impl Into<String>, task: impl Into<String>, model: impl Into<String>) -> Self {
        Self { set: ResponseSetKey::new(generation_model, task), model: model.into() }
    }

    /// What the files of `part` say of themselves; `manifest` is the digest of the cell's.
    pub fn origin(&self, manifest: &str, part: u32) -> Origin {
        let Self { set: ResponseSetKey { generation_model, task }, model } = self.clone();
        let manifest = manifest.to_owned();
        Origin { generation_model, task, model, q: None, part, manifest, samples: None, tokens: [None, None] }
    }

    /// `generation_model=G/task=T/model=M`.
    pub(super) fn folder(&self) -> Result<PathBuf> {
        Ok(self.set.folder()?.join(level(key::MODEL, &self.model)?))
    }
}

impl PairCell {
    /// The cells of P and Q.
    pub fn cells(&self) -> [Cell; 2] {
        [&self.p, &self.q].map(|model| self.set.cell(model))
    }

    /// What the file of `part` says of itself; `manifest` is the digest of the pair's.
    pub fn origin(&self, manifest: &str, part: u32) -> Origin {
        Origin { q: Some(self.q.clone()), ..self.set.cell(&self.p).origin(manifest, part) }
    }

    /// `generation_model=G/task=T/p=M1/q=M2`.
    pub(super) fn folder(&self) -> Result<PathBuf> {
        Ok(self.set.folder()?.join(level(key::P, &self.p)?).join(level(key::Q, &self.q)?))
    }
}

/// As messages name it.
impl fmt::Display for ResponseSetKey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "`{}` by `{}`", self.task, self.generation_model)
    }
}

/// As messages name it.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "`{}` on {}", self.model, self.set)
    }
}

/// As messages name it.
impl fmt::Display for PairCell {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "`{}` and `{}` on {}", self.p, self.q, self.set)
    }
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
