//! Texts that are filled in, in Python's two ways.
//!
//! Owns nothing but the order: both ways stand on a field. Refuses to know values.

mod braces;
mod field;
mod percent;

pub use braces::braces;
pub use percent::percent;
