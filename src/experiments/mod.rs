//! A study as a file: experiments × tasks × models, and how each is scored.
//!
//! Owns the TOML, and everything that follows without looking at a dataset or a model: patterns filled in, options
//! merged, names that would share a folder rejected. Paths in the file are relative to the current directory, like
//! those on the command line, wherever the file is. Not here: scoring (`cli`).

mod check;
mod experiment;
mod glob;
mod nearest;
mod options;
mod parse;
mod patterns;
mod source;

pub use experiment::{Experiment, Experiments, Model, TaskFile, WriterFrom};
pub use options::{DtypeChoice, OF_A_MODEL, OnError, Options, OutFormat, TemplateChoice};
pub use parse::read;
