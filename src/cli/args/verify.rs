//! Arguments of `tokshift verify`.

use std::path::PathBuf;

use clap::{ArgAction, Parser};

/// Read an output directory again: what is damaged, and which files to delete so that it is made anew
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
  tokshift verify out --json | jq --raw-output0 '.redo[]' | xargs -0 rm --      # then the same `tokshift score` again

Exit codes: 0 all is well; 1 something is not, or an error; 2 wrong usage.";
