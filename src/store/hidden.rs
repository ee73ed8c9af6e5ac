//! The files of parts' hidden states: where they are, and the one of a part while it is scored.
//!
//! Owns writing rows at their places as samples finish, in any order, so that memory does not depend on the part. Not
//! here: publishing, which the part's writer does before its tables.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::files::ResultFile;
use super::layout::file_name;
use super::manifest::Manifest;
use super::temporary::Temporary;
use crate::error::{Error, Result};
use crate::hidden::{self, Layout};
use crate::schema::folder;

/// The extension of files of hidden states.
const KEPT: &str = "safetensors";
/// The same for temporary ones: written for the comparison that follows, which deletes them. No manifest mentions them.
/// Versions of tokshift that run at once must agree on it.
const TEMPORARY_STATES: &str = "loan.safetensors";

/// Where the hidden states of a cell's parts are.
#[derive(Clone, Debug)]
pub struct HiddenFiles {
    folder: PathBuf,
    keeps: bool,
}

impl HiddenFiles {
    /// Of the cell in `folder`.
    pub fn new(root: &Path, folder: &Path, manifest: &Manifest) -> Self {
        Self { folder: root.join(folder::HIDDEN).join(folder), keeps: manifest.engine.keep_hidden.is_some() }
    }

    /// The file of a part that is scored.
    pub fn file(&self, part: u32) -> ResultFile {
        ResultFile::at(self.folder.join(file_name(part, if self.keeps { KEPT } else { TEMPORARY_STATES })))
    }

    /// The file, if it is there.
    pub fn existing(&self, part: u32) -> Option<ResultFile> {
        Some(self.file(part)).filter(ResultFile::exists)
    }

    /// Deletes the temporary hidden states of a part that has changed.
    pub fn delete_temporary(&self, part: u32) -> Result<()> {
        if self.keeps { Ok(()) } else { self.file(part).delete() }
    }
}

/// Whether a file contains temporary hidden states.
pub fn is_temporary(file: &ResultFile) -> bool {
    file.path().to_string_lossy().ends_with(TEMPORARY_STATES)
}

/// A file under `.tmp` with room for every row; dropping it removes it.
#[derive(Debug)]
pub struct HiddenPart {
    temporary: Temporary,
    file: File,
    layout: Layout,
}

impl HiddenPart {
    pub(super) fn create(mut temporary: Temporary, layout: Layout) -> Result<Self> {
        let file = temporary.open()?;
        let failed = || Error::io("write", temporary.path());
        file.set_len(layout.bytes()).map_err(failed())?;
        file.write_all_at(&layout.head(), 0).map_err(failed())?;
        Ok(Self { temporary, file, layout })
    }

    /// Writes the rows of the sample at `place` of the layout.
    ///
    /// # Errors
    /// A full disk, say; rows of another number (a bug).
    pub fn put(&self, place: usize, rows: &[u8]) -> Result<()> {
        let (at, bytes) = self.layout.span(place);
        let path = self.temporary.path();
        if rows.len() != bytes {
            let what =
                format!("{} bytes of hidden states for a sample of {bytes} (this is a bug in tokshift)", rows.len());
            return Err(Error::file(path, what));
        }
        self.file.write_all_at(rows, at).map_err(Error::io("write", path))
    }

    /// Notes the hash of the tokens table that it is written with, if that has one: it is whole then.
    pub(super) fn seal(mut self, tokens: Option<&str>) -> Result<Temporary> {
        hidden::seal(&self.file, self.temporary.path(), tokens)?;
        self.temporary.finish(&self.file)?;
        Ok(self.temporary)
    }
}
