//! Arguments of `tokshift run`.
//!
//! Owns what is no part of a file of experiments. Refuses scoring options: they stand in the file.

use std::path::PathBuf;

use clap::{ArgAction, Parser};

use super::shared::{EngineArg, threads};

/// Score and compare what a file of experiments asks for; a rerun does what is missing
#[derive(Debug, Parser)]
#[command(after_help = RUN_EXAMPLES)]
pub struct RunArgs {
    /// TOML of experiments × tasks × models; its paths are relative to the current directory
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Print what would be done and stop: nothing is created, fetched or loaded
    #[arg(long, alias = "dry_run", action = ArgAction::SetTrue)]
    pub dry_run: bool,

    /// Score parts again that hold a failed sample, and replace them: for samples that the model failed on, as when
    /// memory ran out; rows that cannot be read fail again
    #[arg(long, alias = "retry_failed", action = ArgAction::SetTrue)]
    pub retry_failed: bool,

    /// Print everything as JSON instead of tables
    #[arg(long, action = ArgAction::SetTrue)]
    pub json: bool,

    /// CPU threads [default: those of the file, else all cores]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<usize>,

    /// What scores: a model, or a stand-in with made-up numbers that needs a tokenizer only
    #[arg(long, default_value = "local", hide = true)]
    pub engine: EngineArg,
}

const RUN_EXAMPLES: &str = "\
Examples:
  tokshift run study.toml --dry-run
  tokshift run study.toml
  tokshift run study.toml --json > study.json

Exit codes: 0 done; 1 error, or a cell or a comparison failed; 2 wrong usage; 4 done, but datasets are missing or some
rows that this run came to were not scored; 130, 143 ended by SIGINT or SIGTERM, the same command continues.";
