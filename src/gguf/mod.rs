//! GGUF, the file format of llama.cpp: what a header says, and where each tensor's bytes lie.
//!
//! Owns the container of <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, versions 2 and 3, little-endian.
//! A header is read without belief: nothing is allocated for what it claims, only for bytes that are there, and every
//! tensor must lie within the file, apart from the others. Refuses to know what a key or a tensor means.

mod read;
mod value;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::quantized::GgmlDType;

use crate::error::{Error, Result};

pub use value::{Array, Value};

/// What such files' names end with.
pub const EXTENSION: &str = "gguf";
/// Types of tensors that are read, by their number in a file.
pub const KINDS: [(u32, GgmlDType); 13] = [
    (0, GgmlDType::F32),
    (1, GgmlDType::F16),
    (30, GgmlDType::BF16),
    (2, GgmlDType::Q4_0),
    (3, GgmlDType::Q4_1),
    (6, GgmlDType::Q5_0),
    (7, GgmlDType::Q5_1),
    (8, GgmlDType::Q8_0),
    (10, GgmlDType::Q2K),
    (11, GgmlDType::Q3K),
    (12, GgmlDType::Q4K),
    (13, GgmlDType::Q5K),
    (14, GgmlDType::Q6K),
];

/// The header of a file.
#[derive(Debug)]
pub struct Header {
    pub path: PathBuf,
    pub metadata: BTreeMap<String, Value>,
    pub tensors: BTreeMap<String, TensorInfo>,
}

/// A tensor in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    pub kind: GgmlDType,
    /// Outermost dimension first, as everywhere but in the file.
    pub shape: Vec<usize>,
    /// Where its bytes begin in the file.
    pub offset: u64,
    /// How many they are.
    pub bytes: u64,
}

/// Whether a path names a GGUF file.
pub fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(EXTENSION)) && path.is_file()
}

impl Header {
    /// Reads the header of the file at `path`.
    ///
    /// # Errors
    /// Not GGUF, cut short, a key or tensor listed twice, a type that is not read, a tensor outside the file or over
    /// another, or one file of several.
    pub fn read(path: &Path) -> Result<Self> {
        let header = read::header(path)?;
        match header.unsigned("split.count")? {
            Some(count @ 2..) => Err(header.error(format!("one of {count} files: merge them with llama-gguf-split"))),
            _ => Ok(header),
        }
    }

    /// `what` is wrong with the file.
    pub fn error(&self, what: impl Into<String>) -> Error {
        Error::file(&self.path, what)
    }

    /// A text, if the key is there.
    ///
    /// # Errors
    /// The key has another type, here as below.
    pub fn text(&self, key: &str) -> Result<Option<&str>> {
        self.get(key, "a string", |value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.get(key, "a bool", |value| match value {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        })
    }

    /// An integer that is not negative.
    pub fn unsigned(&self, key: &str) -> Result<Option<u64>> {
        self.get(key, "an integer from 0", |value| match value {
            Value::Unsigned(n) => Some(*n),
            Value::Signed(n) => u64::try_from(*n).ok(),
            _ => None,
        })
    }

    pub fn array(&self, key: &str) -> Result<Option<&Array>> {
        self.get(key, "an array", |value| match value {
            Value::Array(array) => Some(array),
            _ => None,
        })
    }

    fn get<'a, T>(&'a self, key: &str, expected: &str, pick: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>> {
        let Some(value) = self.metadata.get(key) else { return Ok(None) };
        pick(value).map(Some).ok_or_else(|| self.error(format!("`{key}` is {value}, expected {expected}")))
    }
}
