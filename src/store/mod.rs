//! The output directory: the only place that creates results.
//!
//! Owns layout, names, manifests, and the promise that what has a final name is whole. A part is written under `.tmp`,
//! synced, and published by rename: samples first, then tokens, which alone means done. (Files kept beside the tables
//! are published before both, so that done parts have them.) Refuses to know what stands in a table.

mod manifest;
mod names;
mod read;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arrow::array::RecordBatch;

pub use manifest::{DatasetFacts, EngineFacts, Manifest, TokenFacts};
pub use read::{FoundCell, cells};

use crate::error::{Error, Result};
use crate::schema::{folder, key};
use crate::table::{self, Format, Table};

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
    /// `generation_model=G/task=T/model=M`.
    fn folder(&self) -> Result<PathBuf> {
        let level = |key: &str, name: &str| -> Result<String> { Ok(format!("{key}={}", names::encode(name)?)) };
        let generation_model = level(key::GENERATION_MODEL, &self.generation_model)?;
        Ok([generation_model, level(key::TASK, &self.task)?, level(key::MODEL, &self.model)?].iter().collect())
    }
}

/// An output directory that can be written.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Creates the directory if it is missing and clears away what dead processes left unfinished.
    ///
    /// # Errors
    /// A directory that cannot be created or written.
    pub fn open(root: &Path) -> Result<Self> {
        let temporary = root.join(folder::TEMPORARY);
        fs::create_dir_all(&temporary).map_err(Error::io("create the output directory", root))?;
        let probe = Temporary::create(root, "probe")?;
        drop(probe);
        remove_leftovers(&temporary);
        Ok(Self { root: root.to_owned() })
    }

    /// The cell of this manifest. Nothing is created before its first part: a run that fails earlier decides nothing.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if an earlier run of the cell, or another model's over the same dataset, decided otherwise.
    pub fn cell(&self, cell: &Cell, manifest: &Manifest, format: Format) -> Result<CellStore> {
        let (root, folder, manifest) = (self.root.clone(), cell.folder()?, manifest.clone());
        let store = CellStore { root, folder, format, manifest, claimed: AtomicBool::new(false) };
        store.check()?;
        Ok(store)
    }
}

impl Store {
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
    folder: PathBuf,
    format: Format,
    manifest: Manifest,
    /// Whether the manifest is known to stand under its name.
    claimed: AtomicBool,
}

impl CellStore {
    /// An earlier run of the cell must have decided the same, and every model of its dataset must have scored the same
    /// rows, ids and parts.
    fn check(&self) -> Result<()> {
        let path = self.manifest_path();
        let models = path.ancestors().nth(2).unwrap_or(&self.root);
        for entry in fs::read_dir(models).into_iter().flatten().flatten() {
            let sibling = entry.path().join(MANIFEST);
            if sibling.exists() {
                self.manifest.must_share_rows(&Manifest::read(&sibling)?, &sibling)?;
            }
        }
        if path.exists() { self.manifest.must_equal(&Manifest::read(&path)?, &path) } else { Ok(()) }
    }

    /// Publishes the manifest unless it is there; of several processes one wins, and the others must agree with it.
    fn claim(&self) -> Result<()> {
        if self.claimed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let path = self.manifest_path();
        let mut file = Temporary::create(&self.root, MANIFEST)?;
        file.write(|out| out.write_all(self.manifest.to_json()?.as_bytes()).map_err(Error::io("write", &path)))?;
        file.publish_new(&path)?;
        self.check()?;
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

    /// Files for the part under `.tmp`; dropping the writer instead of committing removes them.
    ///
    /// # Errors
    /// Files that cannot be created.
    pub fn begin(&self, part: u32) -> Result<PartWriter<'_>> {
        let create = |table: &str| Temporary::create(&self.root, &format!("{table}-{part:08}"));
        Ok(PartWriter { cell: self, part, samples: create(folder::SAMPLES)?, tokens: create(folder::TOKENS)? })
    }

    fn path(&self, table: &str, part: u32) -> PathBuf {
        let name = format!("part-{part:08}.{}", self.format.extension());
        self.root.join(table).join(&self.folder).join(name)
    }
}

/// A part on its way.
#[derive(Debug)]
pub struct PartWriter<'a> {
    cell: &'a CellStore,
    part: u32,
    samples: Temporary,
    tokens: Temporary,
}

impl PartWriter<'_> {
    /// Writes both tables of the part, once.
    ///
    /// # Errors
    /// A full disk, say; nothing is published.
    pub fn write(&mut self, samples: &RecordBatch, tokens: &RecordBatch) -> Result<()> {
        let format = self.cell.format;
        self.samples.write(|file| table::write(file, format, Table::Samples, samples))?;
        self.tokens.write(|file| table::write(file, format, Table::Tokens, tokens))
    }

    /// Publishes the part, after the manifest if it is the cell's first.
    ///
    /// # Errors
    /// As [`PartWriter::write`], and as [`Store::cell`] if another run came first; if the tokens are not published, the
    /// part is not done.
    pub fn commit(self) -> Result<()> {
        self.cell.claim()?;
        self.samples.publish(&self.cell.path(folder::SAMPLES, self.part))?;
        self.tokens.publish(&self.cell.path(folder::TOKENS, self.part))
    }
}

/// A file under `.tmp`, removed unless it is published.
#[derive(Debug)]
struct Temporary {
    path: PathBuf,
    published: bool,
}

impl Temporary {
    /// An empty file. Its name begins with the process id, so that leftovers can be told from work in progress.
    fn create(root: &Path, name: &str) -> Result<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = root.join(folder::TEMPORARY).join(format!("{}-{number}-{name}", std::process::id()));
        File::create(&path).map_err(Error::io("write in the output directory: create", &path))?;
        Ok(Self { path, published: false })
    }

    /// Writes the content and syncs it to disk.
    fn write(&mut self, content: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
        let failed = || Error::io("write", &self.path);
        let mut file = BufWriter::new(File::create(&self.path).map_err(failed())?);
        content(&mut file)?;
        let file = file.into_inner().map_err(|e| failed()(e.into_error()))?;
        file.sync_all().map_err(failed())
    }

    /// Renames to `path`. What may stand there already is the same part by another process, with the same bytes.
    fn publish(mut self, path: &Path) -> Result<()> {
        let parent = create_parent(path)?;
        fs::rename(&self.path, path).map_err(Error::io("publish", path))?;
        self.published = true;
        sync_directory(&parent)
    }

    /// Publishes unless `path` exists already, atomically; whether it was published.
    fn publish_new(self, path: &Path) -> Result<bool> {
        let parent = create_parent(path)?;
        match fs::hard_link(&self.path, path) {
            Ok(()) => sync_directory(&parent).map(|()| true),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(Error::io("publish", path)(e)),
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.published {
            // Best effort: a leftover is removed by the next run.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Creates the directory of `path`, each new level synced into its parent.
fn create_parent(path: &Path) -> Result<PathBuf> {
    let parent = path.parent().unwrap_or(Path::new(".")).to_owned();
    let missing: Vec<_> = parent.ancestors().take_while(|level| !level.exists()).map(Path::to_owned).collect();
    fs::create_dir_all(&parent).map_err(Error::io("create", &parent))?;
    for level in missing.iter().rev() {
        level.parent().map_or(Ok(()), sync_directory)?;
    }
    Ok(parent)
}

/// Makes renames in `directory` survive a power cut.
fn sync_directory(directory: &Path) -> Result<()> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    File::open(directory).and_then(|d| d.sync_all()).map_err(Error::io("sync", directory))
}

/// Removes files of processes that no longer run; another live process may share the directory.
fn remove_leftovers(temporary: &Path) {
    let Ok(entries) = fs::read_dir(temporary) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.split('-').next()).and_then(|pid| pid.parse::<u32>().ok());
        if owner.is_some_and(|pid| pid == std::process::id() || is_running(pid)) {
            continue;
        }
        let _ = fs::remove_file(entry.path());
    }
}

/// Without `/proc` nothing is known, and everything counts as running.
fn is_running(pid: u32) -> bool {
    let proc = Path::new("/proc");
    !proc.join("self").exists() || proc.join(pid.to_string()).exists()
}

#[cfg(test)]
mod tests;
