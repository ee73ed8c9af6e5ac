//! tokshift shows, token by token, how far a language model's distribution moved.
//!
//! Rows `{input, output}` are teacher-forced through several models; what each thought of every response token
//! becomes Parquet, and lazy queries over the joined tables compare the models. `ARCHITECTURE.md` walks the
//! modules in the order of the data; each imports only from those above it here.

pub mod cli;
pub mod dataset;
pub mod decoder;
pub mod digest;
pub mod engine;
pub mod error;
pub mod forest;
pub mod hub;
pub mod pipeline;
pub mod python_json;
pub mod reduce;
pub mod sample;
pub mod schema;
pub mod scores;
pub mod shift;
pub mod store;
pub mod study;
pub mod table;
pub mod tokenize;

pub use error::{Error, Result};
