//! The verbs by which every file of an output directory is found, read, published and deleted.
//!
//! Owns all access to files under their final names: [`list`], [`ResultFile::open`] (whose bytes are read by ranges),
//! [`ResultFile::put`] (or [`ResultFile::put_link`], which can be repeated), [`ResultFile::put_new`] and
//! [`ResultFile::delete`], here those of a file system. Storage of another kind needs these five. Not here: what only a file system needs, which is locks (`lock`) and files that are not results
//! yet (`temporary`).

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::layout::is_absent;
use super::temporary::{Temporary, delete_published};
use crate::error::{Error, Result};
use crate::stored::StoredFile;
use crate::table::{self, Origin};

/// The name that a file of an output directory has, or would have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResultFile(PathBuf);

impl ResultFile {
    /// The file called `path`, whether it is there or not.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Its name. It is for messages, for lists of what to delete, and for the lazy scans of polars, which open files
    /// themselves (`shift::tables::scan`); everything else reads by [`ResultFile::open`].
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Whether it is there.
    pub fn exists(&self) -> bool {
        self.0.exists()
    }

    /// Opens it for reading.
    ///
    /// # Errors
    /// [`Error::Io`] if it is not there or cannot be read.
    pub fn open(&self) -> Result<StoredFile> {
        StoredFile::new(File::open(&self.0).map_err(Error::io("read", &self.0))?, &self.0)
    }

    /// Which part a Parquet file says that it is, and its hash of itself; neither for a file of another program.
    ///
    /// # Errors
    /// A file that cannot be read, or is no Parquet.
    pub fn footer(&self) -> Result<(Option<Origin>, Option<String>)> {
        table::footer(&self.open()?)
    }

    /// All of its bytes.
    pub(super) fn read(&self) -> Result<Vec<u8>> {
        fs::read(&self.0).map_err(Error::io("read", &self.0))
    }

    /// Whether it is, byte by byte, what was written.
    pub(super) fn is_as(&self, written: &Temporary) -> Result<bool> {
        match fs::read(&self.0) {
            Err(e) if is_absent(&e) => Ok(false),
            there => Ok(there.map_err(Error::io("read", &self.0))? == written.read()?),
        }
    }

    /// Publishes what was written under this name, and replaces a file that is there.
    pub(super) fn put(&self, written: Temporary) -> Result<()> {
        written.publish(&self.0)
    }

    /// As [`ResultFile::put`]; `written` stays, so that it can be put again if another process replaces it.
    pub(super) fn put_link(&self, written: &Temporary) -> Result<()> {
        written.publish_link(&self.0)
    }

    /// Whether the file under this name is the one that [`ResultFile::put_link`] or [`ResultFile::put_new`] put there.
    pub(super) fn is_from(&self, written: &Temporary) -> bool {
        written.is_at(&self.0)
    }

    /// Publishes what was written unless a file is there, in one step; whether it was published.
    pub(super) fn put_new(&self, written: &Temporary) -> Result<bool> {
        written.publish_new(&self.0)
    }

    /// Deletes it, for good before anything is published after it. One that is not there is no error.
    pub(super) fn delete(&self) -> Result<()> {
        delete_published(&self.0)
    }
}

/// For the names in errors.
impl AsRef<Path> for ResultFile {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

/// A name in a folder.
#[derive(Debug)]
pub(super) struct Listed {
    /// The whole name.
    pub path: PathBuf,
    /// Whether other names are under it. A link is none: it could lead anywhere, and round in circles.
    pub is_folder: bool,
}

impl Listed {
    /// Its last part, empty if that is not UTF-8.
    pub fn name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }
}

/// What is in `folder`, in no order. Names that begin with a dot are file managers' and notebooks', and are left out.
///
/// # Errors
/// A folder that is not there or cannot be listed.
pub(super) fn list(folder: &Path) -> Result<Vec<Listed>> {
    let mut listed = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let entry = entry.map_err(Error::io("list", folder))?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            let path = entry.path();
            let is_folder = entry.file_type().map_err(Error::io("list", &path))?.is_dir();
            listed.push(Listed { path, is_folder });
        }
    }
    Ok(listed)
}

/// As [`list`]; nothing if the folder is not there.
pub(super) fn list_if_there(folder: &Path) -> Result<Vec<Listed>> {
    match list(folder) {
        Err(Error::Io { source, .. }) if is_absent(&source) => Ok(Vec::new()),
        listed => listed,
    }
}
