//! Hidden rows on disk: what a model's head reads, one row a token, as a safetensors file.
//!
//! Owns the file's layout and its hash of itself. Whoever has the head's weights gets both full distributions again from
//! such files, without a logits file and without the body. Refuses names and places: `store` has them.

mod layout;
mod reader;

pub use layout::{Float, HIDDEN, Index, Layout, POSITION, SAMPLE_ID, Shape, rows_of};
pub use reader::{Reader, seal};

#[cfg(test)]
mod tests;
