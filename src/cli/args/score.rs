//! Arguments of `tokshift score`.
//!
//! Owns what a run is given besides the scoring options, which a file of experiments may give too ([`OptionArgs`]).

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{ArgAction, Parser, value_parser};

use super::listed::{self, Listed};
use super::options::OptionArgs;
use super::shard::ShardArgs;
use super::shared::{EngineArg, threads};
use crate::dataset::WINDOW;
use crate::score::DatasetFile;

/// Score existing responses with several models: log-probability, rank, entropy and top k of every response token
#[derive(Debug, Parser)]
#[command(after_help = SCORE_EXAMPLES)]
pub struct ScoreArgs {
    /// Responses: JSONL, a JSON array (also .gz, .zst) or Parquet, named GENERATION-MODEL_TASK.jsonl
    ///
    /// The name is split after the longest name of a model that it begins with, else at its first `_`; NAME=FILE names the
    /// model that wrote the responses, and the task is then the rest of the file's name. Several datasets share prompts in
    /// one pass. A row is {input, output}, {prompt, response or completion}, {prompt, responses},
    /// {messages}, {conversations}, {prompt_token_ids, response_token_ids}, {token_ids, mask} or a row of lm-evaluation-harness's logs. tokshift
    /// scores responses that exist; it generates none.
    #[arg(long, help_heading = "What to score", required_unless_present = "text", num_args = 1.., value_name = "FILE", value_parser = OsStringValueParser::new().try_map(listed::datasets))]
    pub dataset: Vec<Listed<DatasetFile>>,

    #[command(flatten)]
    pub text: TextArgs,

    /// Models: NAME=DIRECTORY, NAME=FILE.gguf, NAME=ORG/NAME[@REVISION] or NAME=BASE+ADAPTER_DIR for LoRA
    ///
    /// Separate them by commas or spaces. Without NAME=, the name is the last part of the path.
    #[arg(long, help_heading = "Models", required = true, num_args = 1.., value_name = "MODEL", value_parser = listed::models)]
    pub models: Vec<Listed<String>>,

    /// Directory for the results; the same command resumes there
    #[arg(long, help_heading = "Output", alias = "output_dir", value_name = "DIR")]
    pub output_dir: PathBuf,

    /// The model that wrote the responses, if the file's name does not say so
    #[arg(long, help_heading = "What to score", alias = "generation_model", value_name = "NAME")]
    pub generation_model: Option<String>,

    /// The task, if the file's name does not say so
    #[arg(long, help_heading = "What to score", value_name = "NAME")]
    pub task: Option<String>,

    #[command(flatten)]
    pub options: OptionArgs,

    /// Then compare P of each response set exactly with the other models, as `kl --exact` does
    ///
    /// The hidden states need disk space until that is done and are then deleted, unless --keep-hidden is given.
    #[arg(long, help_heading = "Exact comparison", action = ArgAction::SetTrue)]
    pub exact: bool,

    /// Then measure how much of a KL rounding to bf16 alone gives: score the first 32 rows into DIR, once more in f32 with
    /// each model that is computed in bf16, and compare
    #[arg(long, help_heading = "Exact comparison", alias = "noise_floor", value_name = "DIR")]
    pub noise_floor: Option<PathBuf>,

    /// With --exact, compare the other models with one another too
    #[arg(long, help_heading = "Exact comparison", alias = "all_pairs", action = ArgAction::SetTrue, requires = "exact")]
    pub all_pairs: bool,

    /// Let --exact proceed even if the ids that one model lacks have a mean probability above 0.001 in the other
    #[arg(long, help_heading = "Exact comparison", visible_alias = "allow-vocab-mismatch", alias = "allow_removed", action = ArgAction::SetTrue, requires = "exact")]
    pub allow_removed: bool,

    /// Remove what a model of the same name has scored on these responses, if its files or options were others
    #[arg(long, help_heading = "Failures", action = ArgAction::SetTrue)]
    pub replace: bool,

    /// Rescore and replace every part that contains a failed sample
    ///
    /// Use it after model failures such as running out of memory; unreadable rows fail again.
    #[arg(long, help_heading = "Failures", alias = "retry_failed", action = ArgAction::SetTrue)]
    pub retry_failed: bool,

    #[command(flatten)]
    pub shard: ShardArgs,

    /// CPU threads [default: all cores]
    #[arg(long, help_heading = "Speed", value_name = "N", value_parser = threads)]
    pub threads: Option<usize>,

    /// The engine: a model, or a mock with made-up scores that needs only a tokenizer
    #[arg(long, default_value = "local", hide = true)]
    pub engine: EngineArg,
}

/// Options that apply to rows, and so not to plain text.
const OF_ROWS: [&str; 6] = ["dataset", "fields", "cluster", "keep_fields", "boundary", "end"];

#[derive(Debug, clap::Args)]
pub struct TextArgs {
    /// Plain text instead of rows: windows of which the second half is scored, as in llama.cpp's perplexity
    ///
    /// The generation model is called `text` and the task is the file's name, unless --generation-model and --task say
    /// otherwise.
    #[arg(long, help_heading = "What to score", conflicts_with_all = OF_ROWS, value_name = "FILE")]
    pub text: Option<PathBuf>,

    /// Tokens per window of --text; of 512, 255 are scored
    #[arg(long, help_heading = "What to score", requires = "text", default_value_t = WINDOW, value_name = "N", value_parser = value_parser!(u32).range(4..))]
    pub window: u32,
}

const SCORE_EXAMPLES: &str = "\
Examples:
  tokshift score --dataset rl_coqa.jsonl --models rl=./rl,base=./base \\
      --output-dir out
  tokshift score --dataset step_*.jsonl --models base=./base ckpt/step_* \\
      --output-dir out --end auto --keep-fields reward
  tokshift score --dataset rl_math.jsonl --models base=Qwen/Qwen3-0.6B \\
      rl=Qwen/Qwen3-0.6B+./adapters/rl --output-dir out
  tokshift score --text wiki.test.raw --models bf16=./bf16,q4=./q4 \\
      --output-dir out --exact

Exit codes: 0 done; 1 error; 2 wrong usage; 4 done, but some rows that this run
read were not scored (see `status` and `reason` in the samples table; a rerun
exits with 0); 130, 143 stopped by SIGINT or SIGTERM: finished parts are kept and
the same command resumes; a second signal kills at once.";
