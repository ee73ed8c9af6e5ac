//! The one scan of a dataset: its parts, its size, its kept fields' types.

use std::path::{Path, PathBuf};

use crate::dataset::row::{ReadRow, RowOptions};
use crate::error::Result;
use crate::schema::KeptField;

/// A part closes at this many rows...
pub const PART_ROWS: u32 = 256;
/// ...or at this much input + output text in bytes, whichever comes first; a longer row is a part alone.
pub const PART_BYTES: u64 = 256 * 1024;

/// What decides the cuts beside the data.
#[derive(Clone, Debug, Default)]
pub struct PlanOptions {
    pub rows: RowOptions,
    /// `--limit`: only the first rows.
    pub limit: Option<u32>,
}

/// One part: a run of whole rows.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Part {
    pub first_row: u32,
    pub rows: u32,
    pub first_sample: u32,
    pub samples: u32,
    /// Where its first line begins in the file, and how many bytes of the file it spans.
    pub offset: u64,
    pub bytes: u64,
    /// Line of its first row, from 1.
    pub first_line: u64,
}

/// What one scan found.
#[derive(Clone, Debug)]
pub struct Plan {
    pub path: PathBuf,
    pub options: PlanOptions,
    pub parts: Vec<Part>,
    pub rows: u32,
    pub samples: u32,
    pub kept: Vec<KeptField>,
    /// BLAKE3 of the file.
    pub hash: String,
}

/// Reads the whole file once.
pub fn scan(_path: &Path, _options: PlanOptions) -> Result<Plan> {
    unimplemented!()
}

impl Plan {
    /// The rows of part `index`, in order, bad ones included.
    pub fn read_part(&self, _index: u32) -> Result<Vec<ReadRow>> {
        unimplemented!()
    }
}
