//! A Parquet file's rows as JSON lines.
//!
//! Owns that rendering: a column is a field, and what is null is left out. Refuses to hold more than a few rows.

use std::fs::File;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use arrow::json::LineDelimitedWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::error::{Error, Result, panic_message};

/// Rows that are held at a time: long responses are long here too.
const BATCH_ROWS: usize = 16;

/// The text of a table.
pub struct TableText {
    batches: ParquetRecordBatchReader,
    /// Lines of the last batch, and how much of them was read.
    lines: Vec<u8>,
    read: usize,
}

impl TableText {
    /// # Errors
    /// A file that is no Parquet.
    pub fn open(file: File, path: &Path) -> Result<Self> {
        let open = || ParquetRecordBatchReaderBuilder::try_new(file)?.with_batch_size(BATCH_ROWS).build();
        let broken = |what| Error::file(path, format!("not a Parquet file that can be read: {what}"));
        let batches = whole(open).map_err(broken)?;
        Ok(Self { batches, lines: Vec::new(), read: 0 })
    }

    /// Renders the next batch; false at the end.
    fn advance(&mut self) -> io::Result<bool> {
        self.read = 0;
        self.lines.clear();
        let (batches, lines) = (&mut self.batches, &mut self.lines);
        let next = || -> parquet::errors::Result<bool> {
            let Some(batch) = batches.next().transpose()? else { return Ok(false) };
            let mut writer = LineDelimitedWriter::new(&mut *lines);
            writer.write(&batch)?;
            writer.finish()?;
            Ok(true)
        };
        whole(next).map_err(|what| io::Error::other(format!("its Parquet cannot be read: {what}")))
    }
}

/// What `work` gives. The library panics on some broken files.
fn whole<T>(work: impl FnOnce() -> parquet::errors::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(panic) => Err(panic_message(&*panic)),
    }
}

impl Read for TableText {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.read == self.lines.len() {
            if !self.advance()? {
                return Ok(0);
            }
        }
        let read = (&self.lines[self.read..]).read(buffer)?;
        self.read += read;
        Ok(read)
    }
}
