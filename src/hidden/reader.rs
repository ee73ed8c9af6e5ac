//! Complete files of hidden states: checking their hash, and reading rows.
//!
//! Owns every check of a file that may have been changed. Only the requested rows are in memory.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use half::bf16;
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::layout::{
    DIGITS, Float, HASH, HIDDEN, Index, LENGTH_BYTES, ORIGIN, POSITION, SAMPLE_ID, Shape, TOKENS, header,
};
use crate::error::{Error, Result};
use crate::stored::StoredFile;

/// Longest header that is read, far above any of ours.
const MAX_HEADER_BYTES: u64 = 1 << 16;

/// Writes into the header of a whole file the hash of its tokens table, if that has one, and its own.
///
/// # Errors
/// A file that cannot be read or written, or has no place for hashes.
pub fn seal(file: &File, path: &Path, tokens: Option<&str>) -> Result<()> {
    let written = StoredFile::new(file.try_clone().map_err(Error::io("read", path))?, path)?;
    if let Some(tokens) = tokens.filter(|hash| hash.len() == DIGITS) {
        let head = head(&written)?;
        file.write_all_at(tokens.as_bytes(), digits(&head, TOKENS, path)? as u64).map_err(Error::io("write", path))?;
    }
    let (at, _, hash) = hashes(&written)?;
    file.write_all_at(hash.as_bytes(), at).map_err(Error::io("write", path))
}

/// The beginning of a file, its header included.
fn head(file: &StoredFile) -> Result<Vec<u8>> {
    let (mut head, longest) = (Vec::new(), LENGTH_BYTES as u64 + MAX_HEADER_BYTES);
    file.tail(0).take(longest).read_to_end(&mut head).map_err(Error::io("read", file.path()))?;
    Ok(head)
}

/// Where the digits of the header's first entry called `key` begin: after the key come `":"`.
fn digits(head: &[u8], key: &str, path: &Path) -> Result<usize> {
    let found = head.windows(key.len()).position(|window| window == key.as_bytes());
    let at = found.map(|found| found + key.len() + 3).filter(|at| at + DIGITS <= head.len());
    at.ok_or_else(|| Error::file(path, "not a hidden-state file of tokshift: no hash of itself"))
}

/// The place of a file's hash, the hash there, and the right one.
fn hashes(file: &StoredFile) -> Result<(u64, Vec<u8>, String)> {
    let (mut head, path) = (head(file)?, file.path());
    let at = digits(&head, HASH, path)?;
    let recorded = head[at..at + DIGITS].to_vec();
    head[at..at + DIGITS].fill(b'0');
    let mut hasher = blake3::Hasher::new();
    hasher.update(&head);
    hasher.update_reader(file.tail(head.len() as u64)).map_err(Error::io("read", path))?;
    Ok((at as u64, recorded, hasher.finalize().to_hex().to_string()))
}

/// An open file.
#[derive(Debug)]
pub struct Reader {
    file: StoredFile,
    shape: Shape,
    origin: String,
    tokens: String,
    index: Index,
    /// Where the rows begin.
    rows: u64,
}

impl Reader {
    /// Reads a file once, so that every byte is known to be the one that was written.
    ///
    /// # Errors
    /// [`Error::File`] for anything that `score` did not write, or that changed since.
    pub fn new(file: StoredFile) -> Result<Self> {
        let path = file.path();
        let (_, recorded, hash) = hashes(&file)?;
        if hash.as_bytes() != recorded {
            return Err(Error::file(
                path,
                "its bytes have changed since it was written: delete its part's tokens too, and score again",
            ));
        }
        let wrong = |what: String| Error::file(path, format!("not a hidden-state file of tokshift: {what}"));
        let mut length = [0; LENGTH_BYTES];
        file.read_exact_at(&mut length, 0).map_err(Error::io("read", path))?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER_BYTES {
            return Err(wrong(format!("its header claims {length} bytes")));
        }
        let mut json = vec![0; length as usize];
        file.read_exact_at(&mut json, LENGTH_BYTES as u64).map_err(Error::io("read", path))?;
        let metadata: Metadata = serde_json::from_slice(&json).map_err(|e| wrong(e.to_string()))?;
        let (shape, rows) = shape(&metadata).map_err(wrong)?;
        let entry = |name| metadata.metadata().as_ref().and_then(|entries| entries.get(name)).cloned();
        let described = entry(ORIGIN).zip(entry(TOKENS));
        let (origin, tokens) = described.ok_or_else(|| wrong("it does not say which part it is".to_owned()))?;
        let begin = LENGTH_BYTES as u64 + length;
        let size = file.length();
        let expected = rows.checked_mul(2 * size_of::<u32>() + shape.bytes()).map_or(0, |bytes| begin + bytes as u64);
        if size != expected || begin != header(shape, &origin, rows).len() as u64 {
            return Err(wrong(format!("{size} bytes where its header lists {expected}")));
        }
        let ids = |tensor: u64| -> Result<Vec<u32>> {
            let mut ids = vec![0_u32; rows];
            let at = begin + tensor * (rows * size_of::<u32>()) as u64;
            file.read_exact_at(bytemuck::cast_slice_mut(&mut ids), at).map_err(Error::io("read", path))?;
            Ok(ids.into_iter().map(u32::from_le).collect())
        };
        let index = Index { sample_id: ids(0)?, position: ids(1)? };
        if !(0..rows).skip(1).all(|row| index.key(row - 1) < index.key(row)) {
            return Err(wrong("its rows are not in order".to_owned()));
        }
        let rows = begin + (rows * 2 * size_of::<u32>()) as u64;
        Ok(Self { file, shape, origin, tokens, index, rows })
    }

    /// Width and type of the rows.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// What the rows are of, as it was given to [`super::Layout::new`].
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether the rows were written with the tokens table of this hash. A table without a hash cannot be checked.
    pub fn is_beside(&self, tokens: Option<&str>) -> bool {
        tokens.is_none_or(|tokens| tokens == self.tokens)
    }

    /// Where each sample's rows are.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The rows of `range`, `[rows, width]` row-major.
    ///
    /// # Errors
    /// [`Error::File`] if a number is not finite.
    pub fn read(&self, range: Range<usize>) -> Result<Vec<f32>> {
        let (count, row) = (range.len() * self.shape.width, self.shape.bytes());
        let at = self.rows + (range.start * row) as u64;
        let read = |bytes: &mut [u8]| self.file.read_exact_at(bytes, at).map_err(Error::io("read", self.file.path()));
        let values = match self.shape.dtype {
            Float::F32 => {
                let mut values = vec![0.0_f32; count];
                read(bytemuck::cast_slice_mut(&mut values))?;
                values
            }
            Float::Bf16 => {
                let mut values = vec![bf16::ZERO; count];
                read(bytemuck::cast_slice_mut(&mut values))?;
                values.into_iter().map(f32::from).collect()
            }
        };
        match values.iter().position(|x| !x.is_finite()) {
            None => Ok(values),
            Some(at) => {
                let row = range.start + at / self.shape.width;
                Err(Error::file(self.file.path(), format!("row {row} holds {}", values[at])))
            }
        }
    }
}

impl Index {
    /// Sample and position of a row.
    pub fn key(&self, row: usize) -> (u32, u32) {
        (self.sample_id[row], self.position[row])
    }

    /// Rows of the file.
    pub fn len(&self) -> usize {
        self.sample_id.len()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.sample_id.is_empty()
    }
}

/// The shape and number of the rows, from a header that lists our three tensors in our layout.
fn shape(metadata: &Metadata) -> Result<(Shape, usize), String> {
    let info = |name: &str| metadata.info(name).ok_or_else(|| format!("no tensor `{name}`"));
    let hidden = info(HIDDEN)?;
    let [rows, width] = hidden.shape[..] else { return Err(format!("`{HIDDEN}` has shape {:?}", hidden.shape)) };
    let dtype = match hidden.dtype {
        Dtype::F32 => Float::F32,
        Dtype::BF16 => Float::Bf16,
        other => return Err(format!("`{HIDDEN}` is {other:?}")),
    };
    let ids = rows.checked_mul(size_of::<u32>()).ok_or("too many rows")?;
    for (name, begin) in [(SAMPLE_ID, 0), (POSITION, ids)] {
        let info = info(name)?;
        if info.dtype != Dtype::U32 || info.shape != [rows] || info.data_offsets.0 != begin {
            return Err(format!("`{name}` is {:?} {:?} at {:?}", info.dtype, info.shape, info.data_offsets));
        }
    }
    if hidden.data_offsets.0 != 2 * ids {
        return Err(format!("`{HIDDEN}` begins at {}", hidden.data_offsets.0));
    }
    Ok((Shape { dtype, width }, rows))
}
