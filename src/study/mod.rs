//! The published study's files: token losses as JSON.
//!
//! Owns the format of `{MODEL}_{GEN_task}_token_losses.json` (Huan et al. 2025, <https://arxiv.org/abs/2507.00432>)
//! and the rule for which tokens it contains. Not here: reading such files (`recorded`), and the study's KL value, which
//! `shift` computes from the tables.

mod export;
mod rules;

pub use export::export;
pub use rules::{SUFFIX, first_position};
