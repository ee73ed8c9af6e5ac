//! Arguments of `tokshift status`.

use std::path::PathBuf;

use clap::{ArgAction, Parser};

/// Show progress, size and speed of an output directory
#[derive(Debug, Parser)]
pub struct StatusArgs {
    /// The output directory of `score` or `run`
    #[arg(value_name = "DIR")]
    pub output_dir: PathBuf,

    /// Print everything as JSON instead of a table
    #[arg(long, action = ArgAction::SetTrue)]
    pub json: bool,
}
