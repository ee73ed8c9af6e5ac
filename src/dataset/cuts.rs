//! Splits a dataset into parts.
//!
//! Owns the two limits. The part boundaries depend on the rows alone, so that every model of a dataset has the same
//! parts.

use crate::dataset::records::Record;

/// A part closes at this many rows...
pub const PART_ROWS: u32 = 256;
/// ...or at this many bytes of input and output text, whichever comes first. A longer row is a part by itself.
pub const PART_BYTES: u64 = 256 * 1024;

/// One part: a run of whole rows.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Part {
    pub first_row: u32,
    pub rows: u32,
    pub first_sample: u32,
    pub samples: u32,
    /// Where its first row begins in the (unpacked) file, and how many bytes of it it spans.
    pub offset: u64,
    pub bytes: u64,
    /// Line of its first row, from 1; of a JSON array the element, of Parquet the row.
    pub first_line: u64,
}

/// The parts so far, the last one open.
#[derive(Default)]
pub struct Cuts {
    done: Vec<Part>,
    open: Option<Part>,
    open_text: u64,
    rows: u32,
    samples: u32,
}

impl Cuts {
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
        let full = self.open.as_ref().is_some_and(|part| part.rows >= PART_ROWS);
        if full || self.open_text + text_bytes > PART_BYTES {
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
