//! The file of a part's hidden rows while the part is scored.
//!
//! Owns the way of rows to their places as samples finish, in any order: memory does not depend on the part. Refuses to
//! publish; the part's writer does, before its tables.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::temporary::Temporary;
use crate::error::{Error, Result};
use crate::hidden::{self, Layout};

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
                format!("{} bytes of hidden rows for a sample of {bytes} (this is a bug in tokshift)", rows.len());
            return Err(Error::file(path, what));
        }
        self.file.write_all_at(rows, at).map_err(Error::io("write", path))
    }

    /// Seals the file and publishes it.
    pub(super) fn publish(mut self, path: &Path) -> Result<()> {
        hidden::seal(&self.file, self.temporary.path())?;
        self.temporary.finish(&self.file)?;
        self.temporary.publish(path)
    }
}
