//! The rows of a table's files, in order, batch by batch.
//!
//! Owns the check that keys ascend: rows out of order would be missed silently. Not here: decoding (`table`), joining
//! (`merge`).

use super::columns::{Batch, Keyed};
use crate::error::{Error, Result};
use crate::store::ResultFile;
use crate::table::{self, TableReader};

/// A place in some files.
pub struct Cursor<'a, C> {
    files: std::slice::Iter<'a, ResultFile>,
    names: Vec<&'static str>,
    open: Option<(&'a ResultFile, table::Rows<C>)>,
    batch: Option<Batch<C>>,
    at: usize,
    last: Option<(u32, u32)>,
}

impl<'a, C: Keyed> Cursor<'a, C> {
    /// At the first row of `files`, of which the columns `names` are read, keys among them.
    pub fn new(files: &'a [ResultFile], names: &[&'static str]) -> Self {
        Self { files: files.iter(), names: names.to_vec(), open: None, batch: None, at: 0, last: None }
    }

    /// The batch and the row in it that come next; `None` after the last.
    ///
    /// # Errors
    /// A file that cannot be read, or whose keys do not ascend.
    pub fn peek(&mut self) -> Result<Option<(&Batch<C>, usize)>> {
        while self.batch.as_ref().is_none_or(|batch| self.at == batch.len()) {
            if !self.load()? {
                return Ok(None);
            }
        }
        Ok(self.batch.as_ref().map(|batch| (batch, self.at)))
    }

    /// Moves on by `rows` of the batch that was peeked at.
    pub fn advance(&mut self, rows: usize) {
        self.at += rows;
    }

    /// The next batch; false after the last.
    fn load(&mut self) -> Result<bool> {
        loop {
            if let Some((file, rows)) = &mut self.open {
                if let Some(columns) = rows.next() {
                    let batch = Batch::new(columns?).map_err(|what| Error::file(*file, what))?;
                    self.last = ascending(file, &batch, self.last)?;
                    (self.batch, self.at) = (Some(batch), 0);
                    return Ok(true);
                }
                self.open = None;
            }
            let Some(file) = self.files.next() else { return Ok(false) };
            self.open = Some((file, TableReader::open(file.open()?)?.columns(&self.names)?));
        }
    }
}

/// The last key, after `last`, if every key is above the one before it.
fn ascending<C>(file: &ResultFile, batch: &Batch<C>, mut last: Option<(u32, u32)>) -> Result<Option<(u32, u32)>> {
    for row in 0..batch.len() {
        let key = batch.key(row);
        if last.is_some_and(|last| key <= last) {
            let what = format!("sample_id {}, position {} does not come after the row before it", key.0, key.1);
            return Err(Error::file(file, format!("{what}; run `tokshift verify` to see what to delete")));
        }
        last = Some(key);
    }
    Ok(last)
}
