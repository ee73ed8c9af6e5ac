//! Arguments of `tokshift export`.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Write results in another format: JSON lines, rows for distillation, llama.cpp's logits file, token losses
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

    /// With `axolotl` and `distillkit`: the tokenizer that made the ids, a file or a model
    #[arg(long, value_name = "TOKENIZER", required_if_eq_any([("format", "axolotl"), ("format", "distillkit")]))]
    pub tokenizer: Option<String>,

    /// With `llama-logits`: the text that was scored
    #[arg(long, value_name = "FILE", required_if_eq("format", "llama-logits"))]
    pub text: Option<PathBuf>,

    /// With `llama-logits`: the model that was scored with --keep-hidden, as NAME=SOURCE
    #[arg(long, value_name = "MODEL", required_if_eq("format", "llama-logits"))]
    pub models: Option<String>,

    /// With `llama-logits`: the file to write
    #[arg(short, long, value_name = "FILE", required_if_eq("format", "llama-logits"))]
    pub output: Option<PathBuf>,
}

/// What tables are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// One JSON object per row on stdout; −∞ is null, an unknown value is left out
    Jsonl,
    /// The published study's files, in DIR/token_losses
    TokenLosses,
    /// Rows for axolotl's distillation: whole sequences with the lists of most likely tokens
    Axolotl,
    /// The same for DistillKit
    Distillkit,
    /// A base for `llama-perplexity --kl-divergence`: every id's log-probability in 16 bits
    LlamaLogits,
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
  tokshift export out --format token-losses --task ifeval
  tokshift export out --format axolotl --model teacher --tokenizer ./teacher \\
      > teacher.jsonl
  tokshift export out --format llama-logits --text wiki.test.raw \\
      --models bf16=./bf16 -o bf16.kld";
