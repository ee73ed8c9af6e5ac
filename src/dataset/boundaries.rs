//! Splits a dataset into parts.
//!
//! Owns the limits. The part boundaries depend only on the file, so that all models have the same parts of a dataset.
//! Boundaries that an earlier run fixed stay.

use crate::dataset::records::Record;

/// A part closes at this many rows...
pub const PART_ROWS: u32 = 256;
/// ...or at this many bytes of input and output text, whichever comes first. A longer row is a part by itself. A part that
/// is interrupted is scored again from its beginning: some 16,000 tokens are minutes of work for a large model on a CPU.
pub const PART_BYTES: u64 = 64 * 1024;
/// The same for files of more than [`LARGE_FILE`], so that they do not become too many parts.
pub const PART_BYTES_OF_LARGE: u64 = 256 * 1024;
/// Bytes of a file, packed or not, above which parts are larger.
pub const LARGE_FILE: u64 = 64 << 20;

/// One part: a run of whole rows.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Part {
    /// Number of its first row in the dataset, from 0.
    pub first_row: u32,
    /// Number of its rows.
    pub rows: u32,
    /// Number of its first sample in the dataset, from 0.
    pub first_sample: u32,
    /// Number of its samples.
    pub samples: u32,
    /// Offset of its first row in the unpacked file.
    pub offset: u64,
    /// Bytes of its rows.
    pub bytes: u64,
    /// Number of its first row in messages, from 1: a line, an element of a JSON array or a row of Parquet.
    pub first_line: u64,
}

/// The parts so far, the last one open.
pub struct Boundaries {
    /// The first row of each part that an earlier run fixed, ascending, and the first row after them.
    earlier: Vec<u32>,
    most_bytes: u64,
    done: Vec<Part>,
    open: Option<Part>,
    open_text: u64,
    rows: u32,
    samples: u32,
}

impl Boundaries {
    /// For a file of `file_bytes` bytes. `earlier` are the parts that an earlier run fixed.
    pub fn new(file_bytes: u64, earlier: &[Part]) -> Self {
        let last = earlier.last().map(|part| part.first_row + part.rows);
        let most_bytes = if file_bytes > LARGE_FILE { PART_BYTES_OF_LARGE } else { PART_BYTES };
        let earlier = earlier.iter().map(|part| part.first_row).chain(last).collect();
        Self { earlier, most_bytes, done: Vec::new(), open: None, open_text: 0, rows: 0, samples: 0 }
    }

    /// Rows so far.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Samples so far.
    pub fn samples(&self) -> u32 {
        self.samples
    }

    /// Adds the row of `record`, whose `samples` contain `text_bytes` of text. Returns false if 32 bits cannot number
    /// them.
    pub fn add(&mut self, record: &Record, samples: u32, text_bytes: u64) -> bool {
        let (Some(rows), Some(all)) = (self.rows.checked_add(1), self.samples.checked_add(samples)) else {
            return false;
        };
        let is_earlier = self.earlier.last().is_some_and(|last| self.rows <= *last);
        let is_full = self.open.as_ref().is_some_and(|part| part.rows >= PART_ROWS);
        let is_cut = if is_earlier {
            self.earlier.binary_search(&self.rows).is_ok()
        } else {
            is_full || self.open_text + text_bytes > self.most_bytes
        };
        if is_cut {
            self.close();
        }
        let part = self.open.get_or_insert(Part {
            first_row: self.rows,
            rows: 0,
            first_sample: self.samples,
            samples: 0,
            offset: record.offset,
            bytes: 0,
            first_line: record.number,
        });
        part.rows += 1;
        part.samples += samples;
        part.bytes = record.end - part.offset;
        self.open_text += text_bytes;
        (self.rows, self.samples) = (rows, all);
        true
    }

    fn close(&mut self) {
        self.done.extend(self.open.take());
        self.open_text = 0;
    }

    /// Every part, in order.
    pub fn finish(mut self) -> Vec<Part> {
        self.close();
        self.done
    }
}
