//! Removes a cell: everything that one model has of one response set.
//!
//! Owns the order: the tokens first, so that a process that is killed on the way leaves parts that are not done, never
//! parts that only look whole. Files with names that tokshift does not give are the user's own and stay.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::directory::Store;
use super::files::{ResultFile, list_if_there};
use super::inventory::is_result_name;
use super::layout::{Cell, MANIFEST, ResponseSetKey};
use super::lock::Lock;
use super::pairs::pair_folders;
use super::response_set::ResponseSetStore;
use super::temporary_hidden;
use crate::error::Result;
use crate::schema::folder;

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Files, manifests among them.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
}

impl Store {
    /// Removes the tables, hidden states and manifests of cells, whole or damaged, their pairs with other models, and the
    /// manifest of a response set if no other model has scored it. What was removed is in the order of the cells.
    ///
    /// # Errors
    /// [`Error::Busy`](crate::Error::Busy) if another process scores the responses of a cell or compares it, before
    /// anything is deleted; a file that cannot be deleted.
    pub fn remove(&self, cells: &[&Cell]) -> Result<Vec<Removed>> {
        // All locks come before the first deletion. A run holds the lock of the response set while it scores any model of
        // it.
        let sets: BTreeSet<&ResponseSetKey> = cells.iter().map(|cell| &cell.set).collect();
        let store = |set: &ResponseSetKey| -> Result<_> { Ok(ResponseSetStore::new(&self.root, &set.folder()?)) };
        let lock_set = |set: &ResponseSetKey| store(set)?.lock();
        let _scores = sets.into_iter().map(lock_set).collect::<Result<Vec<_>>>()?;
        let lock_cell = |cell: &&Cell| {
            let what = cell.to_string();
            let writes = Lock::take(&self.root, &cell.folder()?, &what)?;
            Ok((writes, Lock::take(&self.root, &temporary_hidden::key(cell)?, &what)?))
        };
        let _uses = cells.iter().map(lock_cell).collect::<Result<Vec<_>>>()?;
        cells.iter().map(|cell| self.remove_locked(cell, &store(&cell.set)?)).collect()
    }

    /// Removes a cell of a response set, whose locks the caller holds.
    fn remove_locked(&self, cell: &Cell, text: &ResponseSetStore) -> Result<Removed> {
        let folder = cell.folder()?;
        let mut removed = Removed::default();
        let table = |table: &str| self.root.join(table).join(&folder);
        self.remove_from(&table(folder::TOKENS), &mut removed)?;
        for pair in pair_folders(&self.root, cell)? {
            self.remove_from(&self.root.join(folder::PAIRS).join(&pair), &mut removed)?;
            self.remove_from(&self.root.join(folder::RUNS).join(&pair), &mut removed)?;
        }
        for name in [folder::SAMPLES, folder::HIDDEN, folder::RUNS] {
            self.remove_from(&table(name), &mut removed)?;
        }
        if text.remove_unscored()? {
            removed.files += 1;
            self.remove_empty(text.path().parent().unwrap_or(&self.root));
        }
        Ok(removed)
    }

    /// Deletes the results in a folder, and the folder and those above it if nothing is left in them.
    fn remove_from(&self, folder: &Path, removed: &mut Removed) -> Result<()> {
        let mut files: Vec<PathBuf> = list_if_there(folder)?.into_iter().map(|found| found.path).collect();
        files.retain(|path| is_result_name(path));
        // A manifest without its tables decides nothing; tables without their manifest are damaged.
        files.sort_by_key(|path| path.ends_with(MANIFEST));
        for path in files {
            let bytes = fs::metadata(&path).map(|data| data.len()).unwrap_or_default();
            ResultFile::at(path).delete()?;
            removed.files += 1;
            removed.bytes += bytes;
        }
        self.remove_empty(folder);
        Ok(())
    }

    /// Removes the folders from `folder` up that are empty.
    fn remove_empty(&self, folder: &Path) {
        for level in folder.ancestors().take_while(|level| *level != self.root) {
            // A folder that is not empty stays.
            if fs::remove_dir(level).is_err() {
                break;
            }
        }
    }
}
