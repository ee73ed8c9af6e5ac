//! Models whose tokenizers differ.

pub mod read;
pub mod pair;
