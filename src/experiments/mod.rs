//! A study as a file: experiments × tasks × models, and how each is scored.
//!
//! Owns the TOML, and what can be said of it without looking at a dataset or a model: patterns filled in, options
//! merged, names that would share a folder refused. Refuses to score. Paths in the file are relative to the directory
//! that tokshift is started in, as those of its command line are, wherever the file lies.

mod check;
mod experiment;
mod options;
mod parse;

pub use experiment::{Experiment, Experiments, Model, Text};
pub use options::{DtypeChoice, OF_A_MODEL, OnError, Options, OutFormat, TemplateChoice};
pub use parse::read;
