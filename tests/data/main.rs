//! From files to samples: rows and their formats, chat templates, token ids, and files that others wrote.

// The fuzz targets' functions bring made samples of their own along: the fuzzer is a crate of its own.
#![allow(clippy::duplicate_mod)]

#[path = "../common/mod.rs"]
mod common;

mod chat;
mod content_parts;
mod corpora;
mod dataset;
mod formats;
mod llama_logits;
mod names;
mod recorded;
mod recorded_sdk;
mod study;
mod teacher;
mod template;
mod text;
mod tokenize;
