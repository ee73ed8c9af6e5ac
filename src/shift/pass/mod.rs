//! The sums and quantiles of a pair: by one pass over the ordered tables, or by the lazy query that defines them.

pub mod merge;
pub mod sums;
pub mod collect;
pub mod plain;
pub mod values;

#[cfg(test)]
mod tests;
