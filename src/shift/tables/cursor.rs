//! The rows of a table's files, in order, batch by batch.
//!
//! Owns reading, and the check that keys ascend: rows out of order would be missed silently. Not here: joining
//! (`merge`).

use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::columns::Columns;
use crate::error::{Error, Result};

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 8192;

/// A place in some files.
pub struct Cursor<'a> {
    files: std::slice::Iter<'a, PathBuf>,
    names: Vec<&'static str>,
    open: Option<(&'a Path, ParquetRecordBatchReader)>,
    batch: Option<Columns>,
    at: usize,
    last: Option<(u32, u32)>,
}

impl<'a> Cursor<'a> {
    /// At the first row of `files`, of which the columns `names` are read, keys among them.
    pub fn new(files: &'a [PathBuf], names: &[&'static str]) -> Self {
        Self { files: files.iter(), names: names.to_vec(), open: None, batch: None, at: 0, last: None }
    }

    /// The batch and the row in it that come next; `None` after the last.
    ///
    /// # Errors
    /// A file that cannot be read, or whose keys do not ascend.
    pub fn peek(&mut self) -> Result<Option<(&Columns, usize)>> {
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
            if let Some((path, reader)) = &mut self.open {
                if let Some(batch) = reader.next() {
                    let batch = Columns::new(path, &batch.map_err(|e| Error::file(*path, e.to_string()))?)?;
                    self.last = ascending(path, &batch, self.last)?;
                    (self.batch, self.at) = (Some(batch), 0);
                    return Ok(true);
                }
                self.open = None;
            }
            let Some(path) = self.files.next() else { return Ok(false) };
            self.open = Some((path, open(path, &self.names)?));
        }
    }
}

fn open(path: &Path, names: &[&str]) -> Result<ParquetRecordBatchReader> {
    let failed = |e: parquet::errors::ParquetError| Error::file(path, e.to_string());
    let file = File::open(path).map_err(Error::io("read", path))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(failed)?;
    // What an older file lacks is null; `footers` knows what none may lack.
    let roots: Vec<usize> = names.iter().filter_map(|name| builder.schema().index_of(name).ok()).collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(failed)
}

/// The last key, after `last`, if every key is above the one before it.
fn ascending(path: &Path, batch: &Columns, mut last: Option<(u32, u32)>) -> Result<Option<(u32, u32)>> {
    for row in 0..batch.len() {
        let key = batch.key(row);
        if last.is_some_and(|last| key <= last) {
            let what = format!("sample_id {}, position {} does not come after the row before it", key.0, key.1);
            return Err(Error::file(path, format!("{what}; run `tokshift verify` to see what to delete")));
        }
        last = Some(key);
    }
    Ok(last)
}
