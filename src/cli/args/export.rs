//! Arguments of `tokshift export`.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Write tables in another format: JSON lines to stdout, or the published study's token losses
#[derive(Debug, Parser)]
#[command(after_help = EXPORT_EXAMPLES)]
pub struct ExportArgs {
    /// The output directory of `score`, `run` or `import`
    #[arg(value_name = "DIR")]
    pub output_dir: PathBuf,

    /// What to write
    #[arg(long, value_name = "FORMAT")]
    pub format: ExportFormat,

    /// Which table to write as JSON lines
    #[arg(long, default_value = "tokens", value_name = "TABLE")]
    pub table: ExportTable,

    /// Only these tasks
    #[arg(long, value_delimiter = ',', value_name = "TASKS")]
    pub task: Vec<String>,

    /// Only these models' scores
    #[arg(long, value_delimiter = ',', value_name = "MODELS")]
    pub model: Vec<String>,
}

/// What tables are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// One JSON object per row on stdout; −∞ is null, an unknown value is left out
    Jsonl,
    /// The published study's files, in DIR/token_losses
    TokenLosses,
}

/// A table of JSON lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportTable {
    /// One row per response token
    Tokens,
    /// One row per sample
    Samples,
}

const EXPORT_EXAMPLES: &str = "\
Examples:
  tokshift export out --format jsonl --model rl > tokens.jsonl
  tokshift export out --format jsonl --table samples | jq .status
  tokshift export out --format token-losses --task ifeval";
