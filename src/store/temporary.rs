//! Files that are not results yet, and how they become results.
//!
//! Owns `.tmp`, durability and the deletion of what dead processes left. Not here: what a file is for.
//!
//! A name begins with its *owner*, the process that made it.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::error::ArrowError;
use parquet::errors::ParquetError;

use super::layout::is_absent;
use super::owner::Owner;
use crate::error::{Error, Result};
use crate::schema::folder;

/// Age at which a file of another machine counts as left behind; a part is written in seconds.
const ABANDONED: Duration = Duration::from_hours(24);

/// Prefix of temporary files next to a file that the user chose; the owner follows.
const OWNED_PREFIX: &str = ".tokshift-";

/// Numbers the names of this process.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// A file under `.tmp`, or next to the one that it will replace; deleted unless it is published.
#[derive(Debug)]
pub(super) struct Temporary {
    path: PathBuf,
    /// Whole and synced.
    written: bool,
    published: bool,
}

impl Temporary {
    /// An empty file of this process. `name` is ours, never a person's.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be created.
    pub fn create(root: &Path, name: &str) -> Result<Self> {
        Self::create_as(|owned| root.join(folder::TEMPORARY).join(format!("{owned}-{name}")))
    }

    /// An empty file of this process in the folder of `path`, so that renaming to it is one step.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be created.
    pub fn next_to(path: &Path) -> Result<Self> {
        Self::create_as(|owned| path.with_file_name(format!("{OWNED_PREFIX}{owned}")))
    }

    /// Under the first name that is free, of those that this process owns.
    fn create_as(path: impl Fn(&str) -> PathBuf) -> Result<Self> {
        let owner = Owner::this_process();
        loop {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let path = path(&format!("{owner}-{number}"));
            match File::create_new(&path) {
                Ok(_) => return Ok(Self { path, written: false, published: false }),
                // Of an earlier process with this id: ids come back.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Error::io("create", &path)(e)),
            }
        }
    }

    /// Writes the whole content and syncs it to disk.
    pub fn write<T>(&mut self, content: impl FnOnce(&mut BufWriter<File>) -> Result<T>) -> Result<T> {
        self.written = false;
        let failed = || Error::io("write", &self.path);
        let mut file = BufWriter::new(File::create(&self.path).map_err(failed())?);
        let written = content(&mut file).map_err(|error| at(&self.path, error))?;
        let file = file.into_inner().map_err(|e| failed()(e.into_error()))?;
        file.sync_all().map_err(failed())?;
        self.written = true;
        Ok(written)
    }

    /// The empty file, to be written at any place in any order; [`Temporary::finish`] ends that.
    pub fn open(&mut self) -> Result<File> {
        self.written = false;
        File::options().read(true).write(true).open(&self.path).map_err(Error::io("write", &self.path))
    }

    /// Syncs what was written to the file that [`Temporary::open`] gave: it is whole.
    pub fn finish(&mut self, file: &File) -> Result<()> {
        file.sync_all().map_err(Error::io("write", &self.path))?;
        self.written = true;
        Ok(())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was written.
    pub fn read(&self) -> Result<Vec<u8>> {
        fs::read(&self.path).map_err(Error::io("read", &self.path))
    }

    /// Renames to `path`, replacing an existing file.
    pub fn publish(mut self, path: &Path) -> Result<()> {
        let parent = self.prepare(path)?;
        fs::rename(&self.path, path).map_err(Error::io("publish", path))?;
        self.published = true;
        sync_directory(&parent)
    }

    /// As [`Temporary::publish`], of a second name of the file: it can be published again if another process replaces it.
    pub fn publish_link(&self, path: &Path) -> Result<()> {
        let parent = self.prepare(path)?;
        let link = self.link()?;
        let renamed = fs::rename(&link, path).map_err(Error::io("publish", path));
        // Two names of one file stay as they are when one is renamed to the other.
        let _ = fs::remove_file(&link);
        renamed.and_then(|()| sync_directory(&parent))
    }

    /// A second name of the file, under `.tmp` too.
    fn link(&self) -> Result<PathBuf> {
        let owner = Owner::this_process();
        loop {
            let path = self.path.with_file_name(format!("{owner}-{}-link", COUNTER.fetch_add(1, Ordering::Relaxed)));
            match fs::hard_link(&self.path, &path) {
                Ok(()) => return Ok(path),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Error::io("create", &path)(e)),
            }
        }
    }

    /// Whether `path` is a name of this very file.
    pub fn is_at(&self, path: &Path) -> bool {
        let identity = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
        identity(path).is_some_and(|there| identity(&self.path) == Some(there))
    }

    /// Publishes unless `path` exists already, atomically; whether it was published.
    pub fn publish_new(&self, path: &Path) -> Result<bool> {
        let parent = self.prepare(path)?;
        match fs::hard_link(&self.path, path) {
            Ok(()) => sync_directory(&parent).map(|()| true),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(Error::io("publish", path)(e)),
        }
    }

    /// A file with a final name must be complete: an empty tokens file would mean a part that is done.
    fn prepare(&self, path: &Path) -> Result<PathBuf> {
        if !self.written {
            return Err(Error::file(path, "not published: nothing was written for it (this is a bug in tokshift)"));
        }
        let parent = path.parent().unwrap_or(Path::new("."));
        create_directories(parent)?;
        Ok(parent.to_owned())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.published {
            // Best effort: a leftover is removed by a later run.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// What the writers of tables hide: that the file system said no, and where.
fn at(path: &Path, error: Error) -> Error {
    match error {
        Error::Parquet(ParquetError::External(cause)) => match cause.downcast() {
            Ok(source) => Error::io("write", path)(*source),
            Err(cause) => Error::Parquet(ParquetError::External(cause)),
        },
        Error::Arrow(ArrowError::IoError(_, source)) => Error::io("write", path)(source),
        other => other,
    }
}

/// Removes a published file, for good before anything is published after it. One that is not there is none.
pub(super) fn delete_published(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_directory(path.parent().unwrap_or(Path::new("."))),
        Err(e) if is_absent(&e) => Ok(()),
        Err(e) => Err(Error::io("replace", path)(e)),
    }
}

/// Creates `directory`, each new level synced into its parent.
pub(super) fn create_directories(directory: &Path) -> Result<()> {
    let missing: Vec<_> = directory.ancestors().take_while(|level| !level.exists()).collect();
    fs::create_dir_all(directory).map_err(Error::io("create", directory))?;
    missing.iter().rev().filter_map(|level| level.parent()).try_for_each(sync_directory)
}

/// Makes renames in `directory` survive a power cut.
fn sync_directory(directory: &Path) -> Result<()> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    File::open(directory).and_then(|d| d.sync_all()).map_err(Error::io("sync", directory))
}

/// Deletes temporary files of processes that have ended. Files of live processes, and files that tokshift did not name, are
/// kept.
pub(super) fn remove_leftovers(temporary: &Path) {
    for path in leftovers(temporary) {
        let _ = fs::remove_file(path);
    }
}

/// As [`remove_leftovers`], for the files of [`Temporary::next_to`] in this folder.
pub(super) fn remove_leftovers_beside(path: &Path) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for path in leftovers_called(folder, OWNED_PREFIX) {
        let _ = fs::remove_file(path);
    }
}

/// What dead processes left.
pub(super) fn leftovers(temporary: &Path) -> impl Iterator<Item = PathBuf> {
    leftovers_called(temporary, "")
}

/// What dead processes left in `folder` under names that begin with `prefix`.
fn leftovers_called(folder: &Path, prefix: &'static str) -> impl Iterator<Item = PathBuf> {
    let left = move |entry: &fs::DirEntry| {
        let owner = entry.file_name().to_str().and_then(|name| owner_of(name.strip_prefix(prefix)?));
        let age = || entry.metadata().and_then(|data| data.modified()).ok()?.elapsed().ok();
        owner.is_some_and(|owner| match owner.is_running() {
            Some(running) => !running,
            None => age().is_some_and(|age| age > ABANDONED),
        })
    };
    fs::read_dir(folder).into_iter().flatten().flatten().filter(left).map(|entry| entry.path())
}

/// The owner in the name of a temporary file; `None` if we did not name it.
fn owner_of(name: &str) -> Option<Owner> {
    let (process, _) = name.match_indices('-').nth(1)?;
    let number = name[process + 1..].split('-').next()?;
    number.parse::<u64>().ok().and_then(|_| Owner::parse(&name[..process]))
}

#[cfg(test)]
mod tests;
