//! Final hidden states on disk: the input of a model's head, one row per token, as a safetensors file.
//!
//! Owns the file's layout and its hash of itself. From such files and the head's weights both full distributions can
//! be recomputed, without a file of logits and without the body. Not here: names and places (`store`).

mod layout;
mod reader;

pub use layout::{Float, HIDDEN, Index, Layout, POSITION, SAMPLE_ID, Shape, rows_of};
pub use reader::{Reader, seal};

#[cfg(test)]
mod tests;
