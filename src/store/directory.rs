//! An output directory that can be written.
//!
//! Owns its first steps: the check that it can be written, and the deletion of what dead processes left. Not here:
//! parts of a cell (`cell`) and of a pair (`pairs`).

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use super::cell::CellStore;
use super::files::ResultFile;
use super::layout::{Cell, MANIFEST};
use super::lock::remove_unheld;
use super::manifest::Manifest;
use super::manifest::pair::PairManifest;
use super::names;
use super::pairs::PairStore;
use super::temporary::{Temporary, create_directories, remove_leftovers};
use crate::error::{Error, Result};
use crate::schema::folder;

/// An output directory that can be written.
#[derive(Debug)]
pub struct Store {
    pub(super) root: PathBuf,
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
        remove_unheld(&temporary);
        Ok(Self { root: root.to_owned() })
    }

    /// The cell of this manifest, with its response set as earlier runs fixed it. Nothing is created before
    /// [`CellStore::lock`], and the model's own manifest not before its first part: a run that fails earlier decides
    /// nothing.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if an earlier run of the cell, or another model's over the same text, decided otherwise.
    pub fn cell(&self, cell: &Cell, manifest: &Manifest) -> Result<CellStore> {
        CellStore::open(&self.root, cell, manifest)
    }

    /// What an earlier run decided for the cell; `None` if there was none.
    ///
    /// # Errors
    /// As [`Manifest::read`].
    pub fn manifest_of(&self, cell: &Cell) -> Result<Option<Manifest>> {
        let path = self.root.join(folder::RUNS).join(cell.folder()?).join(MANIFEST);
        if path.exists() { Manifest::read(&path).map(Some) } else { Ok(None) }
    }

    /// Where the exact measures of two finished cells go. Nothing is created before the first part.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the run that made its parts decided otherwise.
    pub fn pair(&self, manifest: &PairManifest) -> Result<PairStore> {
        PairStore::open(&self.root, manifest)
    }

    /// Publishes a file made of finished cells under `folder` of the output directory, replacing an older one. `name`
    /// may contain anything that models and tasks are called; the resulting path is returned.
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
        let mut written = Temporary::create(&self.root, folder)?;
        written.write(content)?;
        ResultFile::at(&path).put(written)?;
        Ok(path)
    }

    /// Deletes a file that [`Store::publish`] made, if it is there.
    ///
    /// # Errors
    /// A file that cannot be deleted.
    pub fn delete_derived(&self, folder: &str, name: &str) -> Result<()> {
        ResultFile::at(self.root.join(folder).join(names::encode(name)?)).delete()
    }
}
