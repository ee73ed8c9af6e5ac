//! The command-line arguments.
//!
//! Owns the clap structs and their help, one file per command. Not here: checks that involve more than one option.

mod completions;
mod demo;
mod export;
mod import;
mod inspect;
mod kl;
mod listed;
mod options;
mod remove;
mod plot;
mod render;
mod report;
mod run;
mod score;
mod shared;
mod show;
mod status;
mod verify;
mod view;
mod which;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};

pub use completions::{CompletionsArgs, ManArgs};
pub use demo::DemoArgs;
pub use export::{ExportArgs, ExportFormat, ExportTable};
pub use import::{ImportArgs, TokensArg};
pub use inspect::InspectArgs;
pub use kl::{AlignArg, KlArgs, TableArg};
pub use listed::Listed;
pub use plot::{FigureArg, PlotArgs};
pub use remove::RemoveArgs;
pub use render::RenderArgs;
pub use report::ReportArgs;
pub use run::RunArgs;
pub use score::ScoreArgs;
pub use shared::EngineArg;
pub use show::ShowArgs;
pub use status::StatusArgs;
pub use verify::VerifyArgs;
pub use view::ViewArgs;
pub use which::{ShownArgs, WhichArgs};

use crate::experiments;

#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 110, help_template = HELP)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,

    /// Log progress to stderr; -vv for debug output
    #[arg(short, long, global = true, action = ArgAction::Count, display_order = 900)]
    pub verbose: u8,

    /// Format of everything on stderr: lines of text, or JSON objects
    #[arg(long, global = true, default_value = "text", value_name = "FORMAT", display_order = 901)]
    pub log_format: LogFormat,
}

const HELP: &str = "\
{about-with-newline}
{usage-heading} {usage}

First steps:
  tokshift demo
  tokshift score --dataset rl_coqa.jsonl --models rl=./rl,base=Qwen/Qwen3-14B \\
      --output-dir out
  tokshift kl out
  tokshift help score

{all-args}";

#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(DemoArgs),
    Score(ScoreArgs),
    Kl(KlArgs),
    Report(ReportArgs),
    View(ViewArgs),
    Show(ShowArgs),
    Plot(PlotArgs),
    Run(RunArgs),
    Status(StatusArgs),
    Remove(RemoveArgs),
    Inspect(InspectArgs),
    Import(ImportArgs),
    Export(ExportArgs),
    Verify(VerifyArgs),
    Render(RenderArgs),
    Completions(CompletionsArgs),
    #[command(hide = true)]
    Man(ManArgs),
}

impl Args {
    /// `--threads` of the command, or of the study file that it runs.
    pub fn threads(&self) -> Option<usize> {
        match &self.command {
            Command::Score(args) => args.threads,
            Command::Kl(args) => args.threads,
            // The command itself reports a file that cannot be read.
            Command::Run(args) => args.threads.or_else(|| experiments::read(&args.file).ok()?.threads),
            Command::Completions(_)
            | Command::Demo(_)
            | Command::Man(_)
            | Command::Export(_)
            | Command::Import(_)
            | Command::Report(_)
            | Command::Show(_)
            | Command::Plot(_)
            | Command::View(_)
            | Command::Inspect(_)
            | Command::Remove(_)
            | Command::Status(_)
            | Command::Verify(_)
            | Command::Render(_) => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    /// One JSON object per line
    Json,
}
