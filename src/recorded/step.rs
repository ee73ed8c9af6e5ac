//! What is said of an import on the way.
//!
//! Owns the numbers. Not here: printing them (`cli`).

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// `reading` the files for their parts, or `writing` tables.
    pub doing: &'static str,
    /// Bytes read, or parts written.
    pub done: u64,
    /// Of so many.
    pub of: u64,
}
