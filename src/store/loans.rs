//! Hidden rows on loan: made for a comparison that follows, and removed after it.
//!
//! Owns their end. Several processes may need a cell's at once, each for pairs of its own: every one of them holds a shared
//! lock from before it looks what is there, and who ends the loans needs that lock alone. So the last one removes them.

use std::path::PathBuf;

use super::directory::Store;
use super::hidden;
use super::layout::Cell;
use super::lock::{Lock, Shared};
use super::read::FoundCell;
use super::temporary::withdraw;
use crate::error::{Error, Result};

/// A cell whose loans no other process ends.
#[derive(Debug)]
pub struct Borrowed(#[expect(dead_code, reason = "held until it is dropped")] Shared);

impl Store {
    /// Keeps other processes from removing what a cell's parts lend, whether any do yet or not.
    ///
    /// # Errors
    /// A lock's file that cannot be created.
    pub fn borrow(&self, cell: &Cell) -> Result<Borrowed> {
        Ok(Borrowed(Shared::take(&self.root, &key(cell)?, &what(cell))?))
    }

    /// Removes what a cell's parts lent. Where another process needs it, or writes the cell, it stays for that one.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn end_loans(&self, found: &FoundCell, borrowed: Borrowed) -> Result<()> {
        drop(borrowed);
        let alone =
            [key(&found.cell)?, found.cell.folder()?].map(|key| Lock::take(&self.root, &key, &what(&found.cell)));
        let [_alone, _writes] = match alone {
            [Err(Error::Busy { .. }), _] | [_, Err(Error::Busy { .. })] => return Ok(()),
            [alone, writes] => [alone?, writes?],
        };
        let loans = found.hidden.iter().flatten().filter(|path| hidden::is_loan(path));
        loans.into_iter().try_for_each(|path| withdraw(path))
    }
}

/// What the lock is on; the cell's own folder is for who writes it.
fn key(cell: &Cell) -> Result<PathBuf> {
    Ok(PathBuf::from("loans").join(cell.folder()?))
}

fn what(Cell { generation_model, task, model }: &Cell) -> String {
    format!("`{model}` on `{task}` by `{generation_model}`")
}
