//! The one scan of a dataset: its parts, its size, the types of its kept fields.
//!
//! Owns what is true of the whole file. No rows are kept.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::dataset::boundaries::{Boundaries, Part};
use crate::dataset::names::described_shapes;
use crate::dataset::records::{Record, Records};
use crate::dataset::row::{ReadRow, Row, RowOptions};
use crate::dataset::seen::{self, Seen};
use crate::dataset::source::{self, RowFile, Source};
use crate::dataset::unpack::{Packing, Tally};
use crate::dataset::windows::Windows;
use crate::digest;
use crate::error::{Error, Result};
use crate::schema::KeptField;

/// What decides the part boundaries, other than the data.
#[derive(Clone, Debug, Default)]
pub struct PlanOptions {
    /// How rows are read.
    pub rows: RowOptions,
    /// `--limit`: only the first rows.
    pub limit: Option<u32>,
    /// The parts that earlier runs have: their boundaries stay.
    pub earlier: Vec<Part>,
}

/// What one scan found. Holds no rows: its size grows with the number of parts alone.
#[derive(Debug)]
pub struct Plan {
    /// The file.
    pub path: PathBuf,
    /// The options that it was scanned with.
    pub options: PlanOptions,
    /// The parts, in order.
    pub parts: Vec<Part>,
    /// Number of rows.
    pub rows: u32,
    /// Number of samples.
    pub samples: u32,
    /// Fields that the samples table keeps, with their types.
    pub kept: Vec<KeptField>,
    /// BLAKE3 of the whole file, 64 hex digits, whatever the limit.
    pub hash: String,
    /// What shows whether the rows begin with those of an earlier run.
    pub hashes: RowHashes,
    /// Whether any row is a chat, which takes a template.
    pub has_chats: bool,
    /// Whether any row is a prompt and a response as text, which an end token may follow.
    pub has_texts: bool,
    source: Source,
}

/// Reads the whole file once, holding one row at a time.
///
/// # Errors
/// A file that cannot be read, changes, or contains no readable row; a field to keep or to cluster by that no row has,
/// or that would be kept under a name that is taken; more rows than 32 bits can number.
pub fn scan(path: &Path, options: PlanOptions) -> Result<Plan> {
    seen::check_names(&options.rows)?;
    let before = source::fingerprint(path)?;
    let (packing, tally) = (Packing::of(path)?, Tally::default());
    let mut records = Records::begin(path, packing, &tally, &options.rows.wanted())?;
    let (mut cuts, mut seen) = (Boundaries::new(before.bytes(), &options.earlier), Seen::new(&options.rows));
    let (mut has_chats, mut has_texts) = (false, false);
    let mut first_bad = None;
    let earlier_rows = options.earlier.last().map(|last| last.first_row + last.rows);
    let (mut rows_hash, mut hashes) = (blake3::Hasher::new(), RowHashes::default());
    while let Some(record) = records.next_record()? {
        if record.text().is_empty() {
            continue;
        }
        if options.limit.is_some_and(|limit| cuts.rows() >= limit) {
            break;
        }
        rows_hash.update(record.text()).update(b"\n");
        let row = Row::parse(record.text(), &options.rows, &[]);
        // Nothing is known of an unreadable row's text but the length of its line.
        let text_bytes = row.as_ref().map_or(record.raw.len() as u64, Row::text_bytes);
        if !cuts.add(&record, row.as_ref().map_or(1, Row::samples), text_bytes) {
            return Err(Error::dataset(path, None, "more rows or samples than 32 bits can number"));
        }
        match row {
            Ok(row) => {
                seen.add(&row);
                has_chats |= row.has_chats();
                has_texts |= row.has_texts();
            }
            Err(what) => first_bad = first_bad.or(Some(what)),
        }
        if earlier_rows == Some(cuts.rows()) {
            hashes.of_earlier_rows = Some(rows_hash.finalize().to_hex().to_string());
        }
    }
    hashes.rows = Some(rows_hash.finalize().to_hex().to_string());
    hashes.of_earlier_file = match options.earlier.last() {
        Some(last) if packing == Packing::Plain => Some(digest::beginning(path, last.offset + last.bytes)?),
        _ => None,
    };
    let file = RowFile::new(packing, records.form(), before);
    drop(records);
    let hash = tally.finish(path)?;
    file.check(path)?;
    if cuts.rows() == 0 {
        return Err(Error::dataset(path, None, "contains no rows"));
    }
    if let (true, Some(what)) = (seen.is_empty(), first_bad) {
        return Err(no_usable_row(path, options.limit, &what));
    }
    let kept = seen.finish(path, &options.rows)?;
    Ok(Plan { hashes, has_chats, has_texts, ..Plan::new(path, options, cuts, kept, hash, Source::File(file)) })
}

/// What shows whether rows begin with those of an earlier run, so that only the others are scored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowHashes {
    /// BLAKE3 of the texts of all rows that are scored, each with a line end. Manifests of older versions lack it.
    #[serde(default)]
    pub rows: Option<String>,
    /// The same of as many rows as an earlier run had, if there are so many.
    #[serde(skip)]
    pub of_earlier_rows: Option<String>,
    /// BLAKE3 of the beginning of the file that an earlier run had, if it is not packed.
    #[serde(skip)]
    pub of_earlier_file: Option<String>,
}

impl RowHashes {
    /// Whether nothing is known of it.
    pub fn is_unknown(&self) -> bool {
        self.rows.is_none()
    }

    /// Whether it begins with the rows of an earlier run, whose file had this BLAKE3.
    pub fn begins_with(&self, earlier: &Self, blake3: &str) -> bool {
        let has_rows = self.of_earlier_rows.is_some() && self.of_earlier_rows == earlier.rows;
        has_rows || self.of_earlier_file.as_deref() == Some(blake3)
    }
}

/// The error of a file whose rows are all unreadable; `what` is wrong with the first.
fn no_usable_row(path: &Path, limit: Option<u32>, what: &str) -> Error {
    let forms = "rows are JSON lines, a JSON array or Parquet, uncompressed or compressed with gzip or zstd";
    let among = limit.map(|limit| format!(" among its first {limit}")).unwrap_or_default();
    let shapes = format!(
        "a row has {} or other names by --fields; tokshift scores responses that exist and generates none",
        described_shapes()
    );
    let is_plain = path.extension().is_some_and(|ending| ["raw", "txt"].iter().any(|plain| ending == *plain));
    let text = if is_plain { "; plain text is scored with --text" } else { "" };
    Error::dataset(path, None, format!("contains no usable row{among}; the first: {what} ({forms}; {shapes}{text})"))
}

impl Plan {
    fn new(
        path: &Path,
        options: PlanOptions,
        cuts: Boundaries,
        kept: Vec<KeptField>,
        hash: String,
        source: Source,
    ) -> Self {
        let (rows, samples, parts) = (cuts.rows(), cuts.samples(), cuts.finish());
        let (path, hashes, has_chats, has_texts) = (path.to_owned(), RowHashes::default(), false, false);
        Self { path, options, parts, rows, samples, kept, hash, hashes, has_chats, has_texts, source }
    }

    /// The rows of part `index`, in order, bad ones included. Parts of packed files are best read in order.
    ///
    /// # Errors
    /// A part that the plan does not have, a file that cannot be read, or one that is not what was scanned any more.
    pub fn read_part(&self, index: u32) -> Result<Vec<ReadRow>> {
        let no_part = || Error::dataset(&self.path, None, format!("has {} parts, no part {index}", self.parts.len()));
        let part = self.parts.get(index as usize).ok_or_else(no_part)?;
        match &self.source {
            Source::File(file) => file.read(&self.path, part, &self.options.rows, &self.kept),
            Source::Windows(windows) => Ok(windows.read(part)),
        }
    }

    /// Describes the place of a row by its [`ReadRow::line`].
    pub fn place(&self, line: u64) -> String {
        match &self.source {
            Source::File(file) => file.place(line),
            Source::Windows(_) => format!("window {line}"),
        }
    }

    /// Tokens of a window, if the rows are windows of a text.
    pub fn window(&self) -> Option<u32> {
        match &self.source {
            Source::File(_) => None,
            Source::Windows(windows) => Some(windows.size()),
        }
    }
}

impl Windows {
    /// The plan of the text at `path`, at most `limit` windows of it. Each window is a row; the boundaries of the parts that
    /// `earlier` runs have stay.
    ///
    /// # Errors
    /// A text of less than a window, or one that cannot be read.
    pub fn plan(self, path: &Path, limit: Option<u32>, earlier: Vec<Part>) -> Result<Plan> {
        let bytes = 4 * self.size as u64;
        let windows = (self.ids.len() / self.size).min(limit.map_or(usize::MAX, |limit| limit as usize));
        let mut cuts = Boundaries::new(4 * self.ids.len() as u64, &earlier);
        for index in 0..windows as u64 {
            let record = Record { number: index + 1, offset: index * bytes, end: (index + 1) * bytes, raw: &[] };
            if !cuts.add(&record, 1, bytes) {
                return Err(Error::dataset(path, None, "more windows than 32 bits can number"));
            }
        }
        if windows == 0 {
            let (tokens, size) = (self.ids.len(), self.size);
            return Err(Error::dataset(path, None, format!("{tokens} tokens are less than a window of {size}")));
        }
        let options = PlanOptions { limit, earlier, ..PlanOptions::default() };
        Ok(Plan::new(path, options, cuts, Vec::new(), digest::file(path)?, Source::Windows(self)))
    }
}
