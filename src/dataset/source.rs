//! Reads the rows of a dataset again, part by part.
//!
//! Owns the check that the file has not changed since its scan, and the place where reading continues. Not here: the
//! part boundaries (`cuts`).

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::dataset::boundaries::Part;
use crate::dataset::records::{Form, Records};
use crate::dataset::row::{ReadRow, Row, RowOptions};
use crate::dataset::unpack::Packing;
use crate::dataset::windows::Windows;
use crate::digest::Fingerprint;
use crate::error::{Error, Result};
use crate::schema::KeptField;

/// Rows of a file, or windows of a text that is in memory.
#[derive(Debug)]
pub enum Source {
    File(RowFile),
    Windows(Windows),
}

/// A file of rows that was scanned.
pub struct RowFile {
    packing: Packing,
    form: Form,
    /// To notice when the file changes under a run.
    was: Fingerprint,
    /// What is packed is not read from its beginning for every part: where the last one ended, reading goes on.
    ended_at: Mutex<Option<Records>>,
}

/// # Errors
/// What is no file, or cannot be read.
pub fn fingerprint(path: &Path) -> Result<Fingerprint> {
    let metadata = std::fs::metadata(path).map_err(Error::io("read the dataset", path))?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "is a directory" } else { "is not a file that can be read twice" };
        return Err(Error::dataset(path, None, format!("{what}, expected a file of rows")));
    }
    Fingerprint::of(path)
}

fn changed(path: &Path) -> Error {
    Error::dataset(path, None, "changed while it was read: run again")
}

impl RowFile {
    pub fn new(packing: Packing, form: Form, was: Fingerprint) -> Self {
        Self { packing, form, was, ended_at: Mutex::default() }
    }

    /// # Errors
    /// The file is not what was scanned any more.
    pub fn check(&self, path: &Path) -> Result<()> {
        if fingerprint(path)? == self.was { Ok(()) } else { Err(changed(path)) }
    }

    /// Describes the place of a row by its number.
    pub fn place(&self, number: u64) -> String {
        match self.packing {
            // It has no lines. Its rows count from 0, as in the column `row` of the samples table and in dataframes.
            Packing::Parquet => format!("row {} of the table (from 0)", number.saturating_sub(1)),
            _ => self.form.place(number),
        }
    }

    /// The rows of `part`.
    ///
    /// # Errors
    /// A file that cannot be read, or is not what was scanned any more.
    pub fn read(&self, path: &Path, part: &Part, options: &RowOptions, kept: &[KeptField]) -> Result<Vec<ReadRow>> {
        let mut records = self.reach(path, part, options)?;
        let end = part.offset + part.bytes;
        let (mut rows, mut sample) = (Vec::new(), part.first_sample);
        while records.offset() < end
            && let Some(record) = records.next_record()?
        {
            if record.text().is_empty() || record.offset < part.offset {
                continue;
            }
            let content = Row::parse(record.text(), options, kept);
            let row = ReadRow {
                row: part.first_row + rows.len() as u32,
                line: record.number,
                first_sample: sample,
                content: content.map_err(|what| format!("{}: {what}", self.place(record.number))),
            };
            sample = sample.saturating_add(row.samples());
            rows.push(row);
        }
        let is_whole = records.offset() == end && rows.len() == part.rows as usize;
        if !is_whole || sample - part.first_sample != part.samples {
            return Err(changed(path));
        }
        // Looked at after reading, so that a change while we read shows as well.
        self.check(path)?;
        if self.packing != Packing::Plain {
            *self.ended_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(records);
        }
        Ok(rows)
    }

    /// The file, at the beginning of `part` or, if the last part that was read ended before it, there.
    fn reach(&self, path: &Path, part: &Part, options: &RowOptions) -> Result<Records> {
        let last = self.ended_at.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(records) = last.filter(|records| records.offset() <= part.offset) {
            return Ok(records);
        }
        Records::resume(path, self.packing, self.form, (part.offset, part.first_line), &options.wanted())
    }
}

impl fmt::Debug for RowFile {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("RowFile").field("packing", &self.packing).field("form", &self.form).finish_non_exhaustive()
    }
}
