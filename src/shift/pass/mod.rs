//! One pass over ordered tables: the fast way to the sums that everybody wants.

pub mod merge;
pub mod sums;
pub mod values;

#[cfg(test)]
mod tests;
