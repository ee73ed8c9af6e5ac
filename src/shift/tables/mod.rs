//! The tables of two models: which they are, what their footers say, and their rows.

pub mod response_sets;
pub mod writer;
pub mod reference;
pub mod f32_versions;
pub mod requested;
pub mod run_notes;
pub mod pair_files;
pub mod files;
pub mod select;
pub mod apart;
pub mod scan;
pub mod footers;
pub mod samples;
pub mod shared_clusters;
pub mod fields;
pub mod columns;
pub mod cursor;
