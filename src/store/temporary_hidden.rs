//! Temporary hidden states: written for the comparison that follows and deleted after it.
//!
//! Owns their deletion. Several processes may need one cell's files at once, for different pairs: each takes a shared
//! lock before it looks for them, and deleting needs the exclusive lock. So the last process deletes them.

use std::path::PathBuf;

use super::directory::Store;
use super::files::ResultFile;
use super::hidden;
use super::layout::Cell;
use super::lock::{Lock, Shared};
use super::read::FoundCell;
use crate::error::{Error, Result};

/// Until this is dropped, no other process deletes the temporary hidden states of a cell.
#[derive(Debug)]
pub struct TemporaryLock(#[expect(dead_code, reason = "held until it is dropped")] Shared);

impl Store {
    /// Keeps other processes from deleting a cell's temporary hidden states, whether there are any yet or not.
    ///
    /// # Errors
    /// A lock's file that cannot be created.
    pub fn lock_temporary(&self, cell: &Cell) -> Result<TemporaryLock> {
        Ok(TemporaryLock(Shared::take(&self.root, &key(cell)?, &cell.to_string())?))
    }

    /// Deletes a cell's temporary hidden states, unless another process needs them or writes the cell.
    ///
    /// # Errors
    /// A file that cannot be deleted.
    pub fn delete_temporary(&self, found: &FoundCell, locked: TemporaryLock) -> Result<()> {
        drop(locked);
        let alone =
            [key(&found.cell)?, found.cell.folder()?].map(|key| Lock::take(&self.root, &key, &found.cell.to_string()));
        let [_alone, _writes] = match alone {
            [Err(Error::Busy { .. }), _] | [_, Err(Error::Busy { .. })] => return Ok(()),
            [alone, writes] => [alone?, writes?],
        };
        let mut files = found.hidden.iter().flatten().filter(|file| hidden::is_temporary(file));
        files.try_for_each(ResultFile::delete)
    }
}

/// The lock's key, which versions of tokshift that run at once must agree on. The process that writes the cell locks the
/// cell's own folder.
pub(super) fn key(cell: &Cell) -> Result<PathBuf> {
    Ok(PathBuf::from("loans").join(cell.folder()?))
}
