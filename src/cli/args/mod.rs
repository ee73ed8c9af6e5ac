//! What was typed.
//!
//! Owns the clap structs and their help, a file a command. Refuses meaning beyond a single option.

mod demo;
mod import;
mod inspect;
mod kl;
mod listed;
mod options;
mod render;
mod run;
mod score;
mod shared;
mod status;
mod verify;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};

pub use demo::DemoArgs;
pub use import::ImportArgs;
pub use inspect::InspectArgs;
pub use kl::{AlignArg, KlArgs};
pub use listed::Listed;
pub use render::RenderArgs;
pub use run::RunArgs;
pub use score::ScoreArgs;
pub use shared::EngineArg;
pub use status::StatusArgs;
pub use verify::VerifyArgs;

use crate::experiments;

/// See, token by token, how far training, quantising or merging moved a language model.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 110, disable_help_subcommand = true, after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,

    /// Tell on stderr what is done; twice for more
    #[arg(short, long, global = true, action = ArgAction::Count, display_order = 900)]
    pub verbose: u8,

    /// What such messages look like
    #[arg(long, global = true, default_value = "text", value_name = "FORMAT", display_order = 901)]
    pub log_format: LogFormat,
}

const EXAMPLES: &str = "\
Examples:
  tokshift demo
  tokshift score --dataset UniReason-RL_coqa.jsonl --models UniReason-RL=./rl,base=Qwen/Qwen3-14B --output-dir out
  tokshift kl --data-dir out
  tokshift run study.toml --dry-run";

#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(DemoArgs),
    Score(ScoreArgs),
    Kl(KlArgs),
    Run(RunArgs),
    Status(StatusArgs),
    Inspect(InspectArgs),
    Import(ImportArgs),
    Verify(VerifyArgs),
    Render(RenderArgs),
}

impl Args {
    /// `--threads` of the command, or of the file that it is about, if there is any.
    pub fn threads(&self) -> Option<usize> {
        match &self.command {
            Command::Score(args) => args.threads,
            Command::Kl(args) => args.threads,
            // A file that cannot be read is told of by the command itself.
            Command::Run(args) => args.threads.or_else(|| experiments::read(&args.file).ok()?.threads),
            Command::Demo(_)
            | Command::Import(_)
            | Command::Inspect(_)
            | Command::Status(_)
            | Command::Verify(_)
            | Command::Render(_) => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    /// An object a line
    Json,
}
