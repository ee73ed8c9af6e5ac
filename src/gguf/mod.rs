//! GGUF, the file format of llama.cpp: what a header says, and where each tensor's bytes are.
//!
//! Owns the container of <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, versions 2 and 3, little-endian.
//! A header is not trusted: memory is allocated only for bytes that exist, never for what it claims, and every tensor
//! must lie within the file, without overlapping another. Not here: what a key or a tensor means.

mod header;
mod read;
mod value;

use std::path::Path;

pub use header::{Header, KINDS, TensorInfo};
pub use value::{Array, Value};

/// What such files' names end with.
pub const EXTENSION: &str = "gguf";

/// Whether a path names a GGUF file.
pub fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(EXTENSION)) && path.is_file()
}
