//! Arguments of `tokshift remove`.

use std::path::PathBuf;

use clap::{ArgAction, Parser};

/// Remove what a model has scored, with its pairs, from an output directory
#[derive(Debug, Parser)]
pub struct RemoveArgs {
    /// The output directory of `score` or `run`
    #[arg(value_name = "DIR")]
    pub output_dir: PathBuf,

    /// The model whose scores are removed
    #[arg(long, value_name = "NAME")]
    pub model: String,

    /// Only on responses for this task
    #[arg(long, value_name = "NAME")]
    pub task: Option<String>,

    /// Only on responses that this model wrote
    #[arg(long, alias = "generation_model", value_name = "NAME")]
    pub generation_model: Option<String>,

    /// Print what would be removed and stop
    #[arg(long, alias = "dry_run", action = ArgAction::SetTrue)]
    pub dry_run: bool,
}
