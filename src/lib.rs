//! tokshift measures, token by token, how far a language model's distribution has moved.
//!
//! Rows `{input, output}` are teacher-forced through several models. Each model's scores of every response token
//! become Parquet, and lazy queries over the joined tables compare the models. `ARCHITECTURE.md` describes the modules
//! in the order of the data; each imports only from those above it here.

pub mod error;
pub mod stop;
pub mod digest;
pub mod escape;
pub mod natural;
pub mod stand_in;
pub mod stored;
pub mod json_strings;
pub mod python_json;
pub mod schema;
pub mod sample;
pub mod scores;
pub mod hidden;
pub mod gguf;
pub mod llama_logits;
pub mod tokenizer_class;
pub mod template;
pub mod dataset;
pub mod tokenize;
pub mod kernel;
pub mod reduce;
pub mod forest;
pub mod decoder;
pub mod engine;
pub mod hub;
pub mod table;
pub mod store;
pub mod run_log;
pub mod pipeline;
pub mod exact;
pub mod study;
pub mod export;
pub mod recorded;
pub mod verify;
pub mod shift;
pub mod report;
pub mod experiments;
pub mod score;
pub mod cli;

pub use error::{Error, Result};

/// What tests share names the library as its users do.
#[cfg(test)]
extern crate self as tokshift;

#[cfg(test)]
#[path = "../tests/common/made.rs"]
mod made;
