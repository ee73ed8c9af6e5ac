//! Statistics and formulas: numbers in, numbers out.

pub mod json;
pub mod student;
pub mod stats;
pub mod contrast;
pub mod relation;
pub mod quantiles;
pub mod math;
pub mod bounds;
pub mod spans;
pub mod kinds;
pub mod regions;
pub mod buckets;
