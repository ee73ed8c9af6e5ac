//! A comparison as text, tables, JSON and limits that it keeps or not.

pub mod cells;
pub mod layout;
pub mod marks;
pub mod warnings;
pub mod summary;
pub mod notes;
pub mod detail;
pub mod floors;
pub mod relations;
pub mod between;
pub mod overview;
pub mod table;
pub mod aligned;
pub mod statistic;
pub mod gate;
pub mod weight_statistics;
pub mod statistics;
pub mod file;
pub mod columns;
pub mod csv;
pub mod export;
pub mod document;
pub mod scalars;
pub mod study;
pub mod weights;
