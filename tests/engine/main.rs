//! From token ids to numbers: decoders, adapters and GGUF files against their references, and exact measures.

#[path = "../common/mod.rs"]
mod common;

mod adapters;
mod exact;
mod forms;
mod gguf;
mod golden;
mod hub;
mod oracle;
