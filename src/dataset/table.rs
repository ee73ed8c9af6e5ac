//! A Parquet file's rows as JSON lines.
//!
//! Owns which columns are read: those that a row may be read from, and no others, whatever they contain. Only a few
//! rows are in memory at a time.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use arrow::array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::dataset::cells::{Cells, cells};
use crate::dataset::json::{FIELDS_LISTED, rejected};
use crate::error::{Error, Result, panic_message};

/// Rows in memory at a time; responses may be long.
const BATCH_ROWS: usize = 16;

/// The text of a table.
pub struct TableText {
    batches: ParquetRecordBatchReader,
    /// The table's columns by name, and which of them are read.
    columns: Vec<(String, bool)>,
    /// Lines of the last batch, and how much of them was read.
    lines: Vec<u8>,
    read: usize,
}

impl TableText {
    /// The columns of `wanted` names, and the names of some others.
    ///
    /// # Errors
    /// A file that is no Parquet.
    pub fn open(file: &File, path: &Path, wanted: &[&str]) -> Result<Self> {
        let broken = |what| Error::file(path, format!("not a Parquet file that can be read: {what}"));
        whole(|| Self::read(file, wanted)).map_err(broken)
    }

    fn read(file: &File, wanted: &[&str]) -> parquet::errors::Result<Self> {
        let open = |options| ParquetRecordBatchReaderBuilder::try_new_with_options(file.try_clone()?, options);
        // What a writer noted of its own types may be of a kind that we do not know: the file's are enough.
        let builder = open(ArrowReaderOptions::new())
            .or_else(|_| open(ArrowReaderOptions::new().with_skip_arrow_metadata(true)))?;
        let roots = builder.parquet_schema().root_schema().get_fields().iter();
        let columns: Vec<(String, bool)> =
            roots.map(|root| (root.name().to_owned(), wanted.contains(&root.name()))).collect();
        let read = columns.iter().enumerate().filter(|(_, (_, is_read))| *is_read).map(|(index, _)| index);
        let mask = ProjectionMask::roots(builder.parquet_schema(), read);
        let batches = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build()?;
        Ok(Self { batches, columns: listed(columns), lines: Vec::new(), read: 0 })
    }

    /// Renders the next batch; false at the end.
    fn advance(&mut self) -> io::Result<bool> {
        self.read = 0;
        self.lines.clear();
        let (batches, columns, lines) = (&mut self.batches, &self.columns, &mut self.lines);
        let next = || -> parquet::errors::Result<bool> {
            let Some(batch) = batches.next().transpose()? else { return Ok(false) };
            render(&batch, columns, lines);
            Ok(true)
        };
        whole(next).map_err(|what| io::Error::other(format!("its Parquet cannot be read: {what}")))
    }
}

/// Columns that are read, in order, and of the others as many as a message about a missing one lists and one more, once each.
fn listed(columns: Vec<(String, bool)>) -> Vec<(String, bool)> {
    let mut names = HashSet::new();
    let mut more = FIELDS_LISTED + 1;
    let is_listed = |(name, is_read): &(String, bool)| {
        let is_told = names.insert(name.clone()) && more > 0;
        more -= usize::from(is_told);
        *is_read || is_told
    };
    columns.into_iter().filter(is_listed).collect()
}

/// One line per row. Nulls are `null`, and so are unread values, of which only the name may be of use.
fn render(batch: &RecordBatch, columns: &[(String, bool)], lines: &mut Vec<u8>) {
    let mut read = batch.columns().iter();
    let columns: Vec<(String, Option<Result<Cells, String>>)> = columns
        .iter()
        .map(|(name, is_read)| {
            let column = if *is_read { read.next() } else { None };
            (serde_json::Value::from(name.as_str()).to_string(), column.map(|column| cells(column)))
        })
        .collect();
    for row in 0..batch.num_rows() {
        lines.push(b'{');
        for (index, (name, values)) in columns.iter().enumerate() {
            if index > 0 {
                lines.push(b',');
            }
            lines.extend_from_slice(name.as_bytes());
            lines.push(b':');
            let before = lines.len();
            let written = match values {
                None => {
                    lines.extend_from_slice(b"null");
                    Ok(())
                }
                Some(Ok(values)) => values(row, lines),
                Some(Err(reason)) => Err(reason.clone()),
            };
            // It is an unreadable row only if it is read from this field.
            if let Err(reason) = written {
                lines.truncate(before);
                lines.extend_from_slice(rejected(&reason).as_bytes());
            }
        }
        lines.extend_from_slice(b"}\n");
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
