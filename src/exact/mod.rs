//! Exact shift: the full distributions of two models at every token, from the hidden rows that each kept.
//!
//! Owns the way from hidden files and heads to pairs tables. Two heads are in memory and no body: what takes long is four
//! numbers' worth of the vocabulary a token, not a forward pass. Refuses to score, and statistics: `shift` has them.

mod batch;
mod doubt;
mod failure;
mod kernel;
mod measures;
mod options;
mod pair;
mod part;
mod position;
mod rest;
mod softmax;
mod tile;
mod tokens;

pub use failure::Failure;
pub use measures::{Options as MeasureOptions, Row};
pub use options::{MAX_REMOVED, Options};
pub use pair::{Pair, manifest_of, missing, must_agree};
pub use tile::Tiles;
