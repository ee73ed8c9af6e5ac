//! Arguments of `tokshift score`.
//!
//! Owns what a run is given beside the scoring options, which a file of experiments may give too ([`OptionArgs`]).

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{ArgAction, Parser, value_parser};

use super::listed::{self, Listed};
use super::options::OptionArgs;
use super::shared::{EngineArg, threads};
use crate::dataset::WINDOW;

/// Teacher-force a dataset's responses through models; record what each thought of every response token
#[derive(Debug, Parser)]
#[command(after_help = SCORE_EXAMPLES)]
pub struct ScoreArgs {
    /// Rows as JSONL, a JSON array (each also as .gz or .zst) or Parquet, named GENERATION-MODEL_TASK.jsonl (split after
    /// the longest name in --models that it begins with, else at its first `_`); several share prompts in one pass. A row
    /// is {input, output}, {prompt, response or completion}, {prompt, responses}, {messages}, {prompt_token_ids,
    /// response_token_ids} or one of lm-evaluation-harness's logs
    #[arg(long, required_unless_present = "text", value_name = "FILE", value_parser = OsStringValueParser::new().try_map(listed::files))]
    pub dataset: Vec<Listed<PathBuf>>,

    #[command(flatten)]
    pub text: TextArgs,

    /// Models as NAME=DIRECTORY, NAME=FILE.gguf or NAME=ORG/NAME[@REVISION], between commas or each with --models of its
    /// own; without NAME=, the last part of the path
    #[arg(long, required = true, value_name = "MODEL", value_parser = listed::models)]
    pub models: Vec<Listed<String>>,

    /// Where results go; a rerun with the same options continues there
    #[arg(long, alias = "output_dir", value_name = "DIR")]
    pub output_dir: PathBuf,

    /// The model that wrote the responses, if the file's name does not say so
    #[arg(long, alias = "generation_model", value_name = "NAME")]
    pub generation_model: Option<String>,

    /// The task, if the file's name does not say so
    #[arg(long, value_name = "NAME")]
    pub task: Option<String>,

    #[command(flatten)]
    pub options: OptionArgs,

    /// Then compare every two of the models exactly, from the full distributions, as `kl --exact` does. Hidden rows take up
    /// room until that is done; with --keep-hidden they stay
    #[arg(long, action = ArgAction::SetTrue)]
    pub exact: bool,

    /// Compare models with --exact though one gives ids that the other lacks more than 0.001 of its probability
    #[arg(long, alias = "allow_removed", action = ArgAction::SetTrue, requires = "exact")]
    pub allow_removed: bool,

    /// Score parts again that hold a failed sample, and replace them: for samples that the model failed on, as when
    /// memory ran out; rows that cannot be read fail again
    #[arg(long, alias = "retry_failed", action = ArgAction::SetTrue)]
    pub retry_failed: bool,

    /// CPU threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<usize>,

    /// What scores: a model, or a stand-in with made-up numbers that needs a tokenizer only
    #[arg(long, default_value = "local", hide = true)]
    pub engine: EngineArg,
}

/// What a text's rows would be chosen and read by.
const OF_ROWS: [&str; 6] = ["dataset", "fields", "cluster", "keep_fields", "boundary", "end"];

#[derive(Debug, clap::Args)]
pub struct TextArgs {
    /// Plain text instead of rows, cut into windows of which the second half is scored, as llama.cpp does; called
    /// `text` and by the file's name unless --generation-model and --task say otherwise
    #[arg(long, conflicts_with_all = OF_ROWS, value_name = "FILE")]
    pub text: Option<PathBuf>,

    /// Tokens of a window of --text; of 512, 255 are scored
    #[arg(long, requires = "text", default_value_t = WINDOW, value_name = "N", value_parser = value_parser!(u32).range(4..))]
    pub window: u32,
}

const SCORE_EXAMPLES: &str = "\
Examples:
  tokshift score --dataset UniReason-RL_coqa.jsonl --models UniReason-RL=./rl,base=./base --output-dir out
  tokshift score --dataset rl_math.jsonl,sft_math.jsonl --models Qwen/Qwen3-0.6B,tuned=./tuned --output-dir out \\
      --end auto --top-k 50 --keep-fields reward
  tokshift score --text wiki.test.raw --models bf16=./bf16,q4=./q4 --output-dir out --exact

Exit codes: 0 done; 1 error; 2 wrong usage; 4 done, but some rows that this run came to were not scored
(why: `status` and `reason` in the samples table); 130, 143 ended by SIGINT or SIGTERM: what is finished is kept, the
same command continues; a second signal ends at once.";
