//! A comparison as text, Parquet and exit codes.

pub mod cells;
pub mod marks;
pub mod warnings;
pub mod detail;
pub mod relations;
pub mod between;
pub mod overview;
pub mod table;
pub mod aligned;
pub mod gate;
pub mod statistics;
pub mod study;
