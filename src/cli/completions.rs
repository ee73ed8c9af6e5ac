//! `tokshift completions` and `tokshift man`: what a shell and `man` know of the commands.
//!
//! Owns writing both. They come from the definitions that `--help` prints, so they cannot say anything else. Not here:
//! those definitions (`args`).

use std::fs;

use anyhow::{Context, Result};
use clap::CommandFactory;

use super::args::{Args, CompletionsArgs, ManArgs};
use super::exit::Exit;
use super::kl;

/// Prints a shell's completions.
pub fn run(args: &CompletionsArgs) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "tokshift", &mut script);
    kl::print(&String::from_utf8(script)?)
}

/// Writes one page per command into a folder.
pub fn man(args: &ManArgs) -> Result<Exit> {
    let folder = &args.folder;
    fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Args::command(), folder))
        .with_context(|| format!("cannot write man pages into `{}`", folder.display()))?;
    Ok(Exit::Done)
}
