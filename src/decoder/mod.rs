//! One decoder for all families: a spec read from a config, a body (from tokens to final hidden states) and a head
//! (from these to logits).
//!
//! Owns the forward pass in two implementations. The reference implementation consists of candle operations, runs on
//! any device and defines the right values. The CPU implementation (`cpu`) consists of fused steps over the CPU's
//! kernels. Not here: samples and scores; the decoder processes forests and returns rows.

mod adapter;
mod attention;
mod block;
mod body;
mod checkpoint;
mod config;
mod cpu;
mod embedding;
mod ffn;
mod fp8;
mod head;
mod linear;
mod load;
mod names;
mod rope;
mod spec;
mod weight;

pub use adapter::{Adapter, Targets, base_of};
pub use body::Body;
pub use checkpoint::Checkpoint;
pub use head::{Head, LogitBlock, VOCABULARY_BLOCK};
pub use spec::{Activation, DecoderSpec, Experts, Norms, QkNorm, Rope, RopeScaling};
pub use weight::{Backend, Weight};

/// Products are padded to at least this many rows. Matrix libraries take another kernel, with another order of
/// summation, for one or two rows (candle: up to 1.5e-4 in f32), and a row's numbers must not depend on its company.
const MIN_ROWS: usize = 16;
/// Products are padded to at least this many columns: of up to 16, the order of summation depends on the rows (the
/// `gemm` crate, f32).
const MIN_COLUMNS: usize = 32;
