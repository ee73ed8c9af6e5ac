//! Why rows have no measures.
//!
//! Owns which model's logits are not finite. Not here: files (`part`).

use super::measures::Side;
use crate::error::Error;

/// Why a tile has no measures.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A row of the tile, and whose logits they are: 0 P's, 1 Q's.
    #[error("the logits at row {row} of {} are not finite", ["P", "Q"][*side])]
    NotFinite {
        /// Row of the tile, from 0.
        row: usize,
        /// 0 for P, 1 for Q.
        side: usize,
    },
    /// Any other error.
    #[error(transparent)]
    Other(#[from] Error),
}

impl Failure {
    /// Of a row.
    pub fn of(row: usize) -> impl Fn(Side) -> Self {
        move |side| Self::NotFinite { row, side: side as usize }
    }
}
