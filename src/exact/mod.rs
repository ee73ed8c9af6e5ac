//! Exact comparison: the full distributions of two models at every token, recomputed from stored hidden states.
//!
//! Owns the steps from hidden-state files and heads, or a logits file of llama.cpp, to pairs tables. Only the two heads
//! are in memory. Cost per token:
//! two head products and the reductions over the vocabulary, no forward pass. Not here: scoring (`pipeline`), and
//! statistics (`shift`).

mod batch;
mod divergences;
mod error_bound;
mod failure;
mod in_16_bits;
mod kernel;
mod measures;
mod options;
mod pair;
mod part;
mod position;
mod rest;
mod side;
mod softmax;
mod tile;
mod tokens;

pub use failure::Failure;
pub use measures::{Options as MeasureOptions, Row};
pub use options::{MAX_REMOVED, Options};
pub use pair::{Done, Pair, manifest_of, missing, must_agree};
pub use side::Side;
pub use tile::Tiles;
