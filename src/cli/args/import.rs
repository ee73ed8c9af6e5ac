//! Arguments of `tokshift import`.

use std::path::PathBuf;

use clap::Parser;

/// Import the published study's token-loss files into tables that `kl` compares
#[derive(Debug, Parser)]
#[command(after_help = IMPORT_EXAMPLES)]
pub struct ImportArgs {
    /// Files named MODEL_GENERATION-MODEL_TASK_token_losses.json
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Directory for the tables
    #[arg(long, alias = "output_dir", value_name = "DIR")]
    pub output_dir: PathBuf,
}

const IMPORT_EXAMPLES: &str = "\
Examples:
  tokshift import ppl_data/UniReason-RL/*_token_losses.json --output-dir out
  tokshift kl --data-dir out";
