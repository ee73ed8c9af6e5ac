//! Comparison of models with different tokenizers.

pub mod read;
pub mod pair;
