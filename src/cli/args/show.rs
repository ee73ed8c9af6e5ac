//! Arguments of `tokshift show`.

use clap::{ArgAction, Parser};

use super::which::{ShownArgs, WhichArgs};

/// Show one response with every token coloured by how far its probability moved
///
/// Blue (overlined): the model finds the token likelier than P does; orange (underlined): less likely. NO_COLOR, and an
/// output that is no terminal, leave {+likelier+} and {-less likely-}.
#[derive(Debug, Parser)]
#[command(after_help = SHOW_EXAMPLES)]
pub struct ShowArgs {
    #[command(flatten)]
    pub which: WhichArgs,

    /// The sample, by its `sample_id`
    #[arg(value_name = "SAMPLE")]
    pub sample: u32,

    #[command(flatten)]
    pub shown: ShownArgs,

    /// Show the numbers and lists of the token at this position instead
    #[arg(long, value_name = "N")]
    pub token: Option<u32>,

    /// Print everything of the sample as JSON, or of the one token
    #[arg(long, action = ArgAction::SetTrue)]
    pub json: bool,
}

const SHOW_EXAMPLES: &str = "\
Examples:
  tokshift show out 17
  tokshift show out 17 --task coqa --models base --token 42
  tokshift show out 17 --json | jq '.tokens[].pairs[0].delta_logprob'

Exit codes: 0 done; 1 error; 2 wrong usage.";
