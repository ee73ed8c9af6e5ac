//! A file before its rows are known: its header, its index, and where each sample's rows go.
//!
//! Owns the order of the bytes. Not here: reading complete files (`reader`).

use serde::{Deserialize, Serialize};

use crate::sample::Sample;

/// The format's bytes are little-endian, and numbers are read and written as the processor has them.
const _: () = assert!(cfg!(target_endian = "little"), "hidden states are read on little-endian machines only");

/// Tensors of a file, in this order.
pub const SAMPLE_ID: &str = "sample_id";
/// Tensor of the positions in the response, `[rows]` u32.
pub const POSITION: &str = "position";
/// Tensor of the final hidden states, `[rows, hidden]`.
pub const HIDDEN: &str = "hidden";
/// The header entry with the file's hash. It comes before all entries whose length varies.
pub(super) const HASH: &str = "tokshift.blake3";
/// The header's entry that says what the rows are of.
pub(super) const ORIGIN: &str = "tokshift.part";
/// The header entry with the hash of the tokens table that was written with the rows; zeros if that has none.
pub(super) const TOKENS: &str = "tokshift.tokens";
/// Hexadecimal digits of a hash.
pub(super) const DIGITS: usize = 64;
/// Bytes of the header's length, which open the file.
pub(super) const LENGTH_BYTES: usize = 8;

/// What rows are stored as: the type that the head's product rounds them to, so that nothing is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Float {
    /// 32-bit floats.
    F32,
    /// bfloat16.
    Bf16,
}

impl Float {
    fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }

    /// The name that safetensors has for it.
    fn tag(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::Bf16 => "BF16",
        }
    }
}

/// One row of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Type of the numbers.
    pub dtype: Float,
    /// Numbers in a row.
    pub width: usize,
}

impl Shape {
    /// Bytes of a row.
    pub fn bytes(self) -> usize {
        self.dtype.bytes() * self.width
    }
}

/// Rows that a sample has: one a scored token, read at the position before it, and the one after the last token.
pub fn rows_of(sample: &Sample) -> usize {
    sample.scored_tokens().count() + 1
}

/// Which row of a file is what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// `[rows]`, ascending.
    pub sample_id: Vec<u32>,
    /// `[rows]`: place in the response of the token that the row predicts; the row after the last token has their number.
    pub position: Vec<u32>,
}

/// A file before its rows are known.
#[derive(Clone, Debug)]
pub struct Layout {
    shape: Shape,
    /// What the rows are of, in words that mean nothing here.
    origin: String,
    index: Index,
    /// First row of each sample.
    starts: Vec<usize>,
}

impl Layout {
    /// Room for the rows of `samples`, in their order, which is that of their ids. Those of a sample that fails stay zero.
    pub fn new<'a>(shape: Shape, origin: String, samples: impl Iterator<Item = &'a Sample>) -> Self {
        let (mut index, mut starts) = (Index::default(), Vec::new());
        for sample in samples {
            starts.push(index.position.len());
            let scored = sample.tokens.iter().enumerate().filter(|(_, token)| token.index > 0);
            index.position.extend(scored.map(|(place, _)| place as u32));
            index.position.push(sample.tokens.len() as u32);
            index.sample_id.resize(index.position.len(), sample.sample_id);
        }
        Self { shape, origin, index, starts }
    }

    fn rows(&self) -> usize {
        self.index.position.len()
    }

    /// Bytes of the header and the index, which open the file.
    pub fn head(&self) -> Vec<u8> {
        let mut head = header(self.shape, &self.origin, self.rows());
        for ids in [&self.index.sample_id, &self.index.position] {
            head.extend(ids.iter().flat_map(|id| id.to_le_bytes()));
        }
        head
    }

    /// Bytes of the whole file.
    pub fn bytes(&self) -> u64 {
        self.rows_begin() + (self.rows() * self.shape.bytes()) as u64
    }

    /// Where the rows of the sample at `place` go, and how many bytes they are.
    pub fn span(&self, place: usize) -> (u64, usize) {
        let end = self.starts.get(place + 1).copied().unwrap_or(self.rows());
        let row = self.shape.bytes();
        (self.rows_begin() + (self.starts[place] * row) as u64, (end - self.starts[place]) * row)
    }

    fn rows_begin(&self) -> u64 {
        (header(self.shape, &self.origin, self.rows()).len() + 2 * size_of::<u32>() * self.rows()) as u64
    }
}

/// The length and the JSON that open a file of so many rows, a multiple of eight bytes; its hashes are zeros.
pub(super) fn header(shape: Shape, origin: &str, rows: usize) -> Vec<u8> {
    let ids = rows * size_of::<u32>();
    let entry = |name: &str, dtype: &str, shape: &str, begin: usize, end: usize| {
        format!(r#""{name}":{{"dtype":"{dtype}","shape":[{shape}],"data_offsets":[{begin},{end}]}}"#)
    };
    let tensors = [
        entry(SAMPLE_ID, "U32", &rows.to_string(), 0, ids),
        entry(POSITION, "U32", &rows.to_string(), ids, 2 * ids),
        entry(HIDDEN, shape.dtype.tag(), &format!("{rows},{}", shape.width), 2 * ids, 2 * ids + rows * shape.bytes()),
    ];
    let zeros = "0".repeat(DIGITS);
    let (origin, tensors) = (serde_json::Value::from(origin), tensors.join(","));
    let mut json =
        format!(r#"{{"__metadata__":{{"{HASH}":"{zeros}","{TOKENS}":"{zeros}","{ORIGIN}":{origin}}},{tensors}}}"#);
    while !json.len().is_multiple_of(LENGTH_BYTES) {
        json.push(' ');
    }
    [&(json.len() as u64).to_le_bytes(), json.as_bytes()].concat()
}
