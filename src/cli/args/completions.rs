//! Arguments of `tokshift completions` and `tokshift man`.

use std::path::PathBuf;

use clap::Parser;
use clap_complete::Shell;

/// Print completions of commands and options for a shell
#[derive(Debug, Parser)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  tokshift completions bash > ~/.local/share/bash-completion/completions/tokshift
  tokshift completions fish > ~/.config/fish/completions/tokshift.fish
  tokshift completions zsh > ~/.zfunc/_tokshift       # with ~/.zfunc in $fpath

Exit codes: 0 done; 1 error; 2 wrong usage.";

/// Write man pages, one per command
#[derive(Debug, Parser)]
pub struct ManArgs {
    /// The folder to write them into
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}
