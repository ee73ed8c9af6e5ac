//! Arguments of `tokshift verify`.

use std::path::PathBuf;

use clap::{ArgAction, Parser};

/// Check an output directory for damage and list the files to delete before rerunning the command
#[derive(Debug, Parser)]
#[command(after_help = VERIFY_EXAMPLES)]
pub struct VerifyArgs {
    /// The output directory of `score` or `import`
    #[arg(value_name = "DIR")]
    pub output_dir: PathBuf,

    /// Print everything as JSON instead of a table
    #[arg(long, action = ArgAction::SetTrue)]
    pub json: bool,
}

const VERIFY_EXAMPLES: &str = "\
Examples:
  tokshift verify out
  tokshift verify out --json | jq --raw-output0 '.redo[]' | xargs -0 rm --
  # then run the same `tokshift score` again

Exit codes: 0 no problem found; 1 a problem was found, or an error; 2 wrong
usage.";
