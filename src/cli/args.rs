//! What was typed.
//!
//! Owns the clap structs and their help. Refuses meaning beyond a single option.

use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};

use crate::shift::Limit;

/// See, token by token, how far training, quantising or merging moved a language model.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 110, disable_help_subcommand = true, after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  tokshift demo
  tokshift score --dataset UniReason-RL_coqa.jsonl --models UniReason-RL=./rl,base=Qwen/Qwen3-14B --output-dir out
  tokshift kl --data-dir out";

#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(DemoArgs),
    Score(ScoreArgs),
    Kl(KlArgs),
    Import(ImportArgs),
    Verify(VerifyArgs),
}

impl Args {
    /// `--threads` of the command, if it has one.
    pub fn threads(&self) -> Option<usize> {
        match &self.command {
            Command::Score(args) => args.threads,
            Command::Kl(args) => args.threads,
            Command::Demo(_) | Command::Import(_) | Command::Verify(_) => None,
        }
    }
}

/// Score and compare three tiny models that the program carries: a tour in a minute
#[derive(Debug, Parser)]
pub struct DemoArgs {
    /// Where models, datasets and tables go
    #[arg(long, alias = "output_dir", default_value = "tokshift-demo", value_name = "DIR")]
    pub output_dir: PathBuf,
}

/// Teacher-force a dataset's responses through models; record what each thought of every response token
#[derive(Debug, Parser)]
#[command(after_help = SCORE_EXAMPLES)]
pub struct ScoreArgs {
    /// JSONL of rows `{input, output}`, named GENERATION-MODEL_TASK.jsonl; several share prompts in one pass
    #[arg(long, required = true, value_delimiter = ',', value_name = "FILE")]
    pub dataset: Vec<PathBuf>,

    /// Models as NAME=DIRECTORY or NAME=ORG/NAME[@REVISION]; without NAME=, the last part of the path
    #[arg(long, required = true, value_delimiter = ',', value_name = "MODEL")]
    pub models: Vec<String>,

    /// Where results go; a rerun with the same options continues there
    #[arg(long, alias = "output_dir", value_name = "DIR")]
    pub output_dir: PathBuf,

    /// Format of the tables
    #[arg(long, default_value = "parquet")]
    pub out: OutFormat,

    /// The model that wrote the responses, if the file's name does not say so
    #[arg(long, alias = "generation_model", value_name = "NAME")]
    pub generation_model: Option<String>,

    /// The task, if the file's name does not say so
    #[arg(long, value_name = "NAME")]
    pub task: Option<String>,

    /// Length of the lists of most likely tokens; 0 for none
    #[arg(long, alias = "top_k", default_value_t = 20, value_name = "K")]
    pub top_k: usize,

    /// Only the first rows (the published study scored 100)
    #[arg(long, value_name = "ROWS")]
    pub limit: Option<u32>,

    /// tokenizer.json for all models, or a model directory or hub id that has one
    /// [default: the generation model's if it is among the models, else the first model's]
    #[arg(long, value_name = "PATH")]
    pub tokenizer: Option<String>,

    /// Tokenise prompt and response as one text, or apart
    #[arg(long, default_value = "joint")]
    pub boundary: BoundaryArg,

    /// Token appended after each response: none, auto (the generation config's end-of-sequence) or an id
    #[arg(long, default_value = "none", value_name = "none|auto|ID")]
    pub end: String,

    /// What to do with a row longer than the shortest context among the models
    #[arg(long, alias = "too_long", default_value = "skip")]
    pub too_long: TooLongArg,

    /// What to do with a row that cannot be read
    #[arg(long, alias = "on_error", default_value = "skip")]
    pub on_error: OnErrorArg,

    /// Score parts again that hold a failed sample, and replace them: for samples that the model failed on, as when
    /// memory ran out; rows that cannot be read fail again
    #[arg(long, alias = "retry_failed", action = ArgAction::SetTrue)]
    pub retry_failed: bool,

    /// Field whose equal values mark rows that are not independent [default: equal prompts]
    #[arg(long, value_name = "FIELD")]
    pub cluster: Option<String>,

    /// Fields of the rows to keep in the samples table, e.g. reward,correct
    #[arg(long, alias = "keep_fields", value_delimiter = ',', value_name = "FIELDS")]
    pub keep_fields: Vec<String>,

    /// Type of weights and products
    #[arg(long, default_value = "auto")]
    pub dtype: DtypeArg,

    /// cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu")]
    pub device: String,

    /// CPU threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<usize>,

    /// Tokens computed together: decides memory and speed, never a number
    #[arg(
        long,
        visible_alias = "batch-size",
        alias = "batch_size",
        alias = "batch_tokens",
        default_value_t = 4096,
        value_name = "N"
    )]
    pub batch_tokens: usize,

    /// What scores: a model, or a stand-in with made-up numbers that needs a tokenizer only
    #[arg(long, default_value = "local", hide = true)]
    pub engine: EngineArg,
}

const SCORE_EXAMPLES: &str = "\
Examples:
  tokshift score --dataset UniReason-RL_coqa.jsonl --models UniReason-RL=./rl,base=./base --output-dir out
  tokshift score --dataset rl_math.jsonl,sft_math.jsonl --models Qwen/Qwen3-0.6B,tuned=./tuned --output-dir out \\
      --end auto --top-k 50 --keep-fields reward

Exit codes: 0 done; 1 error; 2 wrong usage; 4 done, but some rows that this run came to were not scored
(why: `status` and `reason` in the samples table); 130, 143 ended by SIGINT or SIGTERM: what is finished is kept, the
same command continues; a second signal ends at once.";

/// Compare models over the tables of `score`: KL(P‖Q) per token with honest errors
#[derive(Debug, Parser)]
#[command(after_help = KL_EXAMPLES)]
pub struct KlArgs {
    /// The output directory of `score`
    #[arg(long, alias = "data_dir", value_name = "DIR")]
    pub data_dir: PathBuf,

    /// P, the model that others are compared with [default: the one that wrote the responses]
    #[arg(long, value_name = "NAME")]
    pub reference: Option<String>,

    /// Only responses that this model wrote
    #[arg(long, aliases = ["target_gen_model", "generation-model", "generation_model"], value_name = "NAME")]
    pub target_gen_model: Option<String>,

    /// Write the study's figures as JSON to this file
    #[arg(long, alias = "output_file", value_name = "FILE")]
    pub output_file: Option<PathBuf>,

    /// Write every mean and quantile to this Parquet file, a row a figure
    #[arg(long, value_name = "FILE")]
    pub statistics: Option<PathBuf>,

    /// Take quantiles over tokens too: a pass over the tables for each
    #[arg(long, action = ArgAction::SetTrue)]
    pub quantiles: bool,

    /// Take means by region (think, answer, end), kind of token, position and kept field too
    #[arg(long, action = ArgAction::SetTrue)]
    pub slices: bool,

    /// Compare samples whose prompts were tokenised differently
    #[arg(long, alias = "allow_different_context", action = ArgAction::SetTrue)]
    pub allow_different_context: bool,

    /// Exit with code 3 if the upper 95% end of MEASURE's mean over tokens is above X in any pair; repeatable
    #[arg(long, alias = "fail_above", value_name = "MEASURE=X", value_parser = limit)]
    pub fail_above: Vec<Limit>,

    /// Print everything as JSON instead of a table
    #[arg(long, action = ArgAction::SetTrue)]
    pub json: bool,

    /// Print the query plans and stop
    #[arg(long, action = ArgAction::SetTrue)]
    pub explain: bool,

    /// CPU threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<usize>,
}

const KL_EXAMPLES: &str = "\
Examples:
  tokshift kl --data-dir out
  tokshift kl --data-dir out --reference base --json | jq .
  tokshift kl --data-dir out --statistics statistics.parquet
  tokshift kl --data-dir out --output-file kl_divergence_results.json
  tokshift kl --data-dir out --fail-above kl_upper=0.05 --fail-above shift_class.shifted=0.01

Exit codes: 0 done; 1 error; 2 wrong usage; 3 --fail-above: a mean may lie above its limit, or has no value.";

/// Read the published study's token-loss files into tables that `kl` compares
#[derive(Debug, Parser)]
#[command(after_help = IMPORT_EXAMPLES)]
pub struct ImportArgs {
    /// Files called MODEL_GENERATION-MODEL_TASK_token_losses.json
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Where tables go
    #[arg(long, alias = "output_dir", value_name = "DIR")]
    pub output_dir: PathBuf,
}

const IMPORT_EXAMPLES: &str = "\
Examples:
  tokshift import ppl_data/UniReason-RL/*_token_losses.json --output-dir out
  tokshift kl --data-dir out";

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
  tokshift verify out --json | jq -r '.redo[]' | xargs -d '\\n' rm      # then the same `tokshift score` again

Exit codes: 0 all is well; 1 something is not, or an error; 2 wrong usage.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutFormat {
    Parquet,
    Jsonl,
    /// Parquet, and the published study's JSON beside it
    TokenLosses,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BoundaryArg {
    Joint,
    Separate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TooLongArg {
    /// Record it as too long
    Skip,
    /// Score the tokens that fit
    Truncate,
    /// End the run
    Fail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnErrorArg {
    /// Record it as failed and go on
    Skip,
    /// End the run
    Fail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DtypeArg {
    /// As the weights are stored: bf16 stays bf16, anything else is f32
    Auto,
    F32,
    Bf16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineArg {
    Local,
    Mock,
}

fn limit(text: &str) -> Result<Limit, String> {
    let (measure, value) = text.split_once('=').ok_or("expected MEASURE=X")?;
    match value.parse::<f64>() {
        Ok(value) if !value.is_nan() => Limit::new(measure, value).map_err(|e| e.to_string()),
        _ => Err(format!("`{value}` is not a number")),
    }
}

fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if (1..=1024).contains(&n) => Ok(n),
        _ => Err("expected a number from 1 to 1024".to_owned()),
    }
}
