//! Arguments of `tokshift run`.
//!
//! Owns what is not in the study file. Not here: scoring options, which the file contains.

use std::path::PathBuf;

use clap::{ArgAction, Parser};

use super::shard::ShardArgs;
use super::shared::{EngineArg, threads};

/// Score and compare all experiments in a TOML file; a rerun scores what is missing
#[derive(Debug, Parser)]
#[command(after_help = RUN_EXAMPLES)]
pub struct RunArgs {
    /// TOML file of experiments × tasks × models; its paths are relative to the current directory
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Print what would be done and stop; nothing is created, downloaded or loaded
    #[arg(long, alias = "dry_run", action = ArgAction::SetTrue)]
    pub dry_run: bool,

    /// Rescore and replace every part that contains a failed sample
    ///
    /// Use it after model failures such as running out of memory; unreadable rows fail again.
    #[arg(long, alias = "retry_failed", action = ArgAction::SetTrue)]
    pub retry_failed: bool,

    #[command(flatten)]
    pub shard: ShardArgs,

    /// Also write the published study's KL values to OUT/comparison/kl_divergence_results.json
    #[arg(long, action = ArgAction::SetTrue)]
    pub study: bool,

    /// Print everything as JSON instead of tables
    #[arg(long, action = ArgAction::SetTrue)]
    pub json: bool,

    /// CPU threads [default: `threads` in the file, else all cores]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<usize>,

    /// The engine: a model, or a mock with made-up scores that needs only a tokenizer
    #[arg(long, default_value = "local", hide = true)]
    pub engine: EngineArg,
}

const RUN_EXAMPLES: &str = "\
Examples:
  tokshift run study.toml --dry-run
  tokshift run study.toml
  tokshift run study.toml --json > study.json

Exit codes: 0 done; 1 error, or a model failed on a task, or a comparison
failed; 2 wrong usage; 4 done, but datasets are missing, or some rows that this
run read were not scored; 130, 143 stopped by SIGINT or SIGTERM: the same
command resumes.";
