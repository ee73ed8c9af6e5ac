//! The output directory: the only place that creates results.
//!
//! Owns layout, names, manifests, and the promise that what has a final name is whole. A part is written under `.tmp`,
//! synced, and published by rename: hidden rows if they are kept, then samples, then tokens, which alone means done. One process at a time writes a cell. Refuses to know what stands in a table.

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

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use arrow::array::RecordBatch;

pub use chosen::write_file;
use hidden::HiddenFiles;
pub use hidden::HiddenPart;
pub use loans::Borrowed;
pub use manifest::{DatasetFacts, EngineFacts, Manifest, PairManifest, TokenFacts};
pub use names::encode as folder_name;
pub use pairs::{FoundPair, PairCell, PairStore, found_pairs};
use read::manifests;
pub use read::{FoundCell, cells, part_of, settled_max_tokens};
pub use survey::{PartFiles, Survey, SurveyedCell, SurveyedPair, survey};

use crate::error::{Error, Result};
use crate::hidden::Layout;
use crate::schema::{folder, key};
use crate::table::{self, Format, Origin, Table};
use lock::Lock;
use temporary::{Temporary, create_directories, remove_leftovers, withdraw};

const MANIFEST: &str = "manifest.json";

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
        Origin { generation_model, task, model, beside: None, part, manifest: manifest.to_owned() }
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

    /// The cell of this manifest. Nothing is created before its first part: a run that fails earlier decides nothing.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if an earlier run of the cell, or another model's over the same dataset, decided otherwise.
    pub fn cell(&self, cell: &Cell, manifest: &Manifest, format: Format) -> Result<CellStore> {
        let store = CellStore {
            root: self.root.clone(),
            cell: cell.clone(),
            folder: cell.folder()?,
            format,
            digest: manifest.digest()?,
            manifest: manifest.clone(),
            claimed: AtomicBool::new(false),
            lends: false,
            lock: Mutex::new(None),
        };
        store.check()?;
        Ok(store)
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

/// Where one cell's parts go.
#[derive(Debug)]
pub struct CellStore {
    root: PathBuf,
    cell: Cell,
    folder: PathBuf,
    format: Format,
    manifest: Manifest,
    /// Of the manifest.
    digest: String,
    /// Whether the manifest is known to stand under its name.
    claimed: AtomicBool,
    /// [`CellStore::lending`].
    lends: bool,
    /// Held from [`CellStore::lock`] on.
    lock: Mutex<Option<Lock>>,
}

impl CellStore {
    /// An earlier run of the cell must have decided the same, and every model of its dataset must have scored the same
    /// rows, ids and parts.
    fn check(&self) -> Result<()> {
        let path = self.manifest_path();
        // Models that scored this dataset, this one included.
        for (sibling, path) in manifests(path.ancestors().nth(2).unwrap_or(&self.root))? {
            self.manifest.must_share_rows(&sibling, &path)?;
        }
        // Asked in this order: a manifest comes before its parts, so another process cannot slip in between.
        let parts = self.holds_parts();
        if path.exists() {
            return self.manifest.must_equal(&Manifest::read(&path)?, &path);
        }
        if parts {
            return Err(Error::file(path, "is missing, so what its parts were made with is unknown: delete them too"));
        }
        Ok(())
    }

    fn holds_parts(&self) -> bool {
        let folders = [folder::SAMPLES, folder::TOKENS].map(|table| self.root.join(table).join(&self.folder));
        folders.iter().any(|folder| fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()))
    }

    /// Keeps other processes from writing the cell, until this is dropped. [`CellStore::begin`] does it too; those who
    /// have to work long for a part ask before.
    ///
    /// # Errors
    /// [`Error::Busy`] if another process writes it.
    pub fn lock(&self) -> Result<()> {
        // Nothing panics while it is held.
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if lock.is_none() {
            let Manifest { generation_model, task, model, .. } = &self.manifest;
            let what = format!("`{model}` on `{task}` by `{generation_model}`");
            *lock = Some(Lock::take(&self.root, &self.folder, &what)?);
        }
        Ok(())
    }

    /// Publishes the manifest unless it is there. Where file systems have no locks, one of several processes wins, and
    /// the others must agree with it.
    ///
    /// Other models of the dataset may have begun since [`Store::cell`], so what it checked is checked again: before,
    /// lest a run that must fail leave a manifest, and after, since two may pass the first check at once.
    fn claim(&self) -> Result<()> {
        if self.claimed.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.check()?;
        let path = self.manifest_path();
        let mut file = Temporary::create(&self.root, MANIFEST)?;
        file.write(|out| out.write_all(self.manifest.to_json()?.as_bytes()).map_err(Error::io("write", &path)))?;
        let new = file.publish_new(&path)?;
        if let Err(error) = self.check() {
            if new {
                // Best effort: it holds no part, and would stand in the way of the run that came first.
                let _ = fs::remove_file(&path);
            }
            return Err(error);
        }
        self.claimed.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn manifest_path(&self) -> PathBuf {
        self.root.join(folder::RUNS).join(&self.folder).join(MANIFEST)
    }

    /// Whether the part's tokens, and so everything of it, are published.
    pub fn is_done(&self, part: u32) -> bool {
        self.path(folder::TOKENS, part).exists()
    }

    /// The parts that are done.
    pub fn done(&self) -> BTreeSet<u32> {
        (0..self.manifest.parts.len() as u32).filter(|&part| self.is_done(part)).collect()
    }

    /// The done part's samples table, and what it is written as.
    pub fn samples(&self, part: u32) -> (PathBuf, Format) {
        (self.path(folder::SAMPLES, part), self.format)
    }

    /// Files for the part under `.tmp`; dropping the writer instead of committing removes them.
    ///
    /// # Errors
    /// Another process writes the cell; files that cannot be created.
    pub fn begin(&self, part: u32) -> Result<PartWriter<'_>> {
        self.lock()?;
        let create = |table: &str| Temporary::create(&self.root, &format!("{table}-{part:08}"));
        let (samples, tokens) = (create(folder::SAMPLES)?, create(folder::TOKENS)?);
        Ok(PartWriter { cell: self, part, samples, tokens, hidden: None })
    }

    /// Parts that are scored from here on keep hidden rows, whether the manifest says so or not: if not, they are on
    /// loan, for whoever asked to use up and remove.
    #[must_use]
    pub fn lending(self) -> Self {
        Self { lends: true, ..self }
    }

    /// Whether parts that are scored have hidden rows too.
    pub fn takes_hidden(&self) -> bool {
        self.lends || self.manifest.engine.keep_hidden.is_some()
    }

    /// What the files of a part say of themselves.
    pub fn origin(&self, part: u32) -> Origin {
        self.cell.origin(&self.digest, part)
    }

    fn hidden_files(&self) -> HiddenFiles {
        HiddenFiles::new(&self.root, &self.folder, &self.manifest)
    }

    /// The file for the part's hidden rows, laid out before any is known. A disk that has no room for them tells when they
    /// are put.
    ///
    /// # Errors
    /// As [`CellStore::begin`].
    pub fn begin_hidden(&self, part: u32, layout: Layout) -> Result<HiddenPart> {
        self.lock()?;
        HiddenPart::create(Temporary::create(&self.root, &format!("{}-{part:08}", folder::HIDDEN))?, layout)
    }

    fn path(&self, table: &str, part: u32) -> PathBuf {
        self.root.join(table).join(&self.folder).join(file_name(part, self.format.extension()))
    }
}

/// A part on its way.
#[derive(Debug)]
pub struct PartWriter<'a> {
    cell: &'a CellStore,
    part: u32,
    samples: Temporary,
    tokens: Temporary,
    hidden: Option<HiddenPart>,
}

impl PartWriter<'_> {
    /// Writes both tables of the part, whole. Nothing is published by it.
    ///
    /// # Errors
    /// A full disk, say.
    pub fn write(&mut self, samples: &RecordBatch, tokens: &RecordBatch) -> Result<()> {
        let format = self.cell.format;
        let origin = Some(&self.cell.origin(self.part));
        self.samples.write(|file| table::write(file, format, Table::Samples, samples, origin))?;
        self.tokens.write(|file| table::write(file, format, Table::Tokens, tokens, origin))
    }

    /// Publishes these hidden rows with the part.
    pub fn keep(&mut self, hidden: HiddenPart) {
        self.hidden = Some(hidden);
    }

    /// Publishes the part, after the manifest if it is the cell's first, and in place of what it was before if it is done
    /// again: a crash leaves the old part, the new one, or one that is not done.
    ///
    /// # Errors
    /// As [`Store::cell`] if another run came first, and a part that was not written; if the tokens are not published,
    /// the part is not done.
    pub fn commit(self) -> Result<()> {
        let files = self.cell.hidden_files();
        if self.hidden.is_some() != self.cell.takes_hidden() {
            let what = "its hidden rows are not what was asked for (this is a bug in tokshift)";
            return Err(Error::file(files.path(self.part), what));
        }
        self.cell.claim()?;
        let [samples, tokens] = [folder::SAMPLES, folder::TOKENS].map(|table| self.cell.path(table, self.part));
        // What comes out as it was leaves everything that was made of it.
        let is_same = self.tokens.is_as(&tokens)? && self.samples.is_as(&samples)?;
        if !is_same {
            // A part that is done again is not done from here until both of its tables are new.
            pairs::withdraw_part(&self.cell.root, &self.cell.manifest, self.part)?;
            withdraw(&tokens)?;
            files.withdraw_loan(self.part)?;
        }
        if let Some(hidden) = self.hidden {
            hidden.publish(&files.path(self.part))?;
        }
        if is_same {
            return Ok(());
        }
        self.samples.publish(&samples)?;
        self.tokens.publish(&tokens)
    }
}

#[cfg(test)]
mod tests;
