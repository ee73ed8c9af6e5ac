//! The content of a header, and its values by key.
//!
//! Owns which types of tensors are known. Not here: bytes (`read`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use candle_core::quantized::GgmlDType;

use super::value::{Array, Value};
use crate::error::{Error, Result};

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
    /// The file.
    pub path: PathBuf,
    /// Metadata by key.
    pub metadata: BTreeMap<String, Value>,
    /// Tensors by name.
    pub tensors: BTreeMap<String, TensorInfo>,
}

/// A tensor in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Type, and how it is quantised.
    pub kind: GgmlDType,
    /// Outermost dimension first, as everywhere but in the file.
    pub shape: Vec<usize>,
    /// Where its bytes begin in the file.
    pub offset: u64,
    /// How many they are.
    pub bytes: u64,
}

impl Header {
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

    /// The boolean of this key, if there is one. Another type is an error.
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

    /// The array of this key, if there is one. Another type is an error.
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
