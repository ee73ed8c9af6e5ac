//! One token that both models scored: its columns, its values, and its measures.

pub mod columns;
pub mod lists;
pub mod seen;
pub mod expressions;
pub mod measures;
