//! The published study's files: token losses as JSON, in and out.
//!
//! Owns the format of `{MODEL}_{GEN_task}_token_losses.json` (Huan et al. 2025, <https://arxiv.org/abs/2507.00432>)
//! and the rule for which tokens it contains. Not here: the study's KL value, which `shift` computes from the tables.

mod export;
mod import;
mod rules;

pub use export::export;
pub use import::import;
pub use rules::{ENGINE, first_position};
