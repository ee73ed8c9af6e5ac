//! Python's two ways to format a text.
//!
//! Owns the two modules, which share `field`. Not here: values.

mod braces;
mod field;
mod percent;

pub use braces::braces;
pub use percent::percent;
