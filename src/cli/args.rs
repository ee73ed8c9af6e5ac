//! What was typed.
//!
//! Owns the clap structs and their help. Refuses meaning beyond a single option.

use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};

use super::text::TextArgs;
use crate::experiments::{self, Options};
use crate::shift::{Limit, Twin};
use crate::template::NaiveDate;

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
    /// Rows as JSONL, a JSON array (each also as .gz or .zst) or Parquet, named GENERATION-MODEL_TASK.jsonl; several
    /// share prompts in one pass. A row is {input, output}, {prompt, response or completion}, {prompt, responses},
    /// {messages}, {prompt_token_ids, response_token_ids} or one of lm-evaluation-harness's logs
    #[arg(long, required_unless_present = "text", value_delimiter = ',', value_name = "FILE")]
    pub dataset: Vec<PathBuf>,

    #[command(flatten)]
    pub text: TextArgs,

    /// Models as NAME=DIRECTORY, NAME=FILE.gguf or NAME=ORG/NAME[@REVISION]; without NAME=, the last part of the path
    #[arg(long, required = true, value_delimiter = ',', value_name = "MODEL")]
    pub models: Vec<String>,

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
    pub options: Options,

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

const SCORE_EXAMPLES: &str = "\
Examples:
  tokshift score --dataset UniReason-RL_coqa.jsonl --models UniReason-RL=./rl,base=./base --output-dir out
  tokshift score --dataset rl_math.jsonl,sft_math.jsonl --models Qwen/Qwen3-0.6B,tuned=./tuned --output-dir out \\
      --end auto --top-k 50 --keep-fields reward
  tokshift score --text wiki.test.raw --models bf16=./bf16,q4=./q4 --output-dir out --exact

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

    /// Only these tasks [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub task: Vec<String>,

    /// Write the study's figures as JSON to this file
    #[arg(long, alias = "output_file", value_name = "FILE")]
    pub output_file: Option<PathBuf>,

    /// Nothing but the study's figures, at a fraction of the time: as JSON, printed unless --output-file is given
    #[arg(
        long,
        alias = "only_study",
        action = ArgAction::SetTrue,
        conflicts_with_all = ["statistics", "quantiles", "slices", "exact", "noise_floor", "fail_above", "json", "explain"]
    )]
    pub only_study: bool,

    /// Write every mean and quantile to this Parquet file, a row a figure
    #[arg(long, value_name = "FILE")]
    pub statistics: Option<PathBuf>,

    /// Take quantiles over tokens too: more passes over the tables
    #[arg(long, action = ArgAction::SetTrue)]
    pub quantiles: bool,

    /// Take means by region (think, answer, end), kind of token, position and kept field too
    #[arg(long, action = ArgAction::SetTrue)]
    pub slices: bool,

    /// Exact measures from the full distributions, of parts that `score --keep-hidden` made: writes what is missing of
    /// the pairs tables first; they are used wherever they are whole
    #[arg(long, action = ArgAction::SetTrue, requires = "models")]
    pub exact: bool,

    /// The models whose heads --exact needs, as `score` was given them
    #[arg(long, value_delimiter = ',', value_name = "MODEL", requires = "exact")]
    pub models: Vec<String>,

    /// What --exact divides the logits of both models by
    #[arg(long, default_value = "1", value_name = "T", value_parser = temperature, requires = "exact")]
    pub temperature: f64,

    /// Compare models with --exact though one gives ids that the other lacks more than 0.001 of its probability
    #[arg(long, alias = "allow_removed", action = ArgAction::SetTrue, requires = "exact")]
    pub allow_removed: bool,

    /// Compare every two models, in the contexts that each text's writer wrote
    #[arg(long, alias = "all_pairs", action = ArgAction::SetTrue)]
    pub all_pairs: bool,

    /// Models that were scored in f32 too, under another name: what of a pair is within each model's distance from itself.
    /// Needs their exact measures
    #[arg(long, alias = "noise_floor", value_delimiter = ',', value_name = "MODEL=F32-MODEL", value_parser = twin)]
    pub noise_floor: Vec<Twin>,

    /// Compare samples whose prompts were tokenised differently
    #[arg(long, alias = "allow_different_context", action = ArgAction::SetTrue)]
    pub allow_different_context: bool,

    /// Compare models whose tokenizers differ, each scored into a directory of its own: over the smallest stretches of
    /// text that both cut alike, bits a byte and differences of log-probability alone
    #[arg(long, value_name = "BY", requires = "other_dir", conflicts_with_all = [
        "output_file", "only_study", "statistics", "quantiles", "slices", "exact", "noise_floor", "fail_above", "explain",
    ])]
    pub align: Option<AlignArg>,

    /// What --align compares with the models under --data-dir: an output directory of `score` by another tokenizer
    #[arg(long, alias = "other_dir", value_name = "DIR", requires = "align")]
    pub other_dir: Option<PathBuf>,

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
  tokshift kl --data-dir out --exact --models rl=./rl,base=./base     # after score --keep-hidden
  tokshift kl --data-dir out --output-file kl_divergence_results.json
  tokshift kl --data-dir qwen --other-dir llama --align text
  tokshift kl --data-dir out --fail-above kl_upper=0.05 --fail-above shift_class.shifted=0.01

Exit codes: 0 done; 1 error; 2 wrong usage; 3 --fail-above: a mean may lie above its limit, or has no value.";

/// Score and compare what a file of experiments asks for; a rerun does what is missing
#[derive(Debug, Parser)]
#[command(after_help = RUN_EXAMPLES)]
pub struct RunArgs {
    /// TOML of experiments × tasks × models; its paths are relative to the current directory
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Print what would be done and stop: nothing is created, fetched or loaded
    #[arg(long, alias = "dry_run", action = ArgAction::SetTrue)]
    pub dry_run: bool,

    /// Score parts again that hold a failed sample, and replace them: for samples that the model failed on, as when
    /// memory ran out; rows that cannot be read fail again
    #[arg(long, alias = "retry_failed", action = ArgAction::SetTrue)]
    pub retry_failed: bool,

    /// Print everything as JSON instead of tables
    #[arg(long, action = ArgAction::SetTrue)]
    pub json: bool,

    /// CPU threads [default: those of the file, else all cores]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<usize>,

    /// What scores: a model, or a stand-in with made-up numbers that needs a tokenizer only
    #[arg(long, default_value = "local", hide = true)]
    pub engine: EngineArg,
}

const RUN_EXAMPLES: &str = "\
Examples:
  tokshift run study.toml --dry-run
  tokshift run study.toml
  tokshift run study.toml --json > study.json

Exit codes: 0 done; 1 error, or a cell or a comparison failed; 2 wrong usage; 4 done, but datasets are missing or some
rows that this run came to were not scored; 130, 143 ended by SIGINT or SIGTERM, the same command continues.";

/// Show what an output directory holds and what it cost
#[derive(Debug, Parser)]
pub struct StatusArgs {
    /// The output directory of `score` or `run`
    #[arg(value_name = "DIR")]
    pub output_dir: PathBuf,

    /// Print everything as JSON instead of a table
    #[arg(long, action = ArgAction::SetTrue)]
    pub json: bool,
}

/// Show what was understood of a model: arithmetic, parameters, tokenizer, memory
#[derive(Debug, Parser)]
pub struct InspectArgs {
    /// A model directory, a .gguf file, or ORG/NAME[@REVISION]
    #[arg(value_name = "MODEL")]
    pub model: String,

    /// Print everything as JSON
    #[arg(long, action = ArgAction::SetTrue)]
    pub json: bool,
}

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
  tokshift verify out --json | jq --raw-output0 '.redo[]' | xargs -0 rm --      # then the same `tokshift score` again

Exit codes: 0 all is well; 1 something is not, or an error; 2 wrong usage.";

/// See what a chat template makes of conversations: the prompt, the response and the end of each turn
#[derive(Debug, Parser)]
#[command(after_help = RENDER_EXAMPLES)]
pub struct RenderArgs {
    /// A chat template's file (special tokens: those of the files beside it), a model directory or ORG/NAME[@REVISION]
    #[arg(value_name = "TEMPLATE")]
    pub template: String,

    /// Conversations, one JSON value after another: `{messages, tools}`, or a list of messages
    #[arg(long, value_name = "FILE")]
    pub messages: PathBuf,

    /// The day that a template's `strftime_now` tells [default: 2024-07-26]
    #[arg(long, alias = "chat_date", value_name = "YYYY-MM-DD")]
    pub chat_date: Option<NaiveDate>,

    /// Print a JSON object a conversation
    #[arg(long, action = ArgAction::SetTrue)]
    pub json: bool,
}

const RENDER_EXAMPLES: &str = "\
Examples:
  tokshift render Qwen/Qwen3-0.6B --messages chats.jsonl
  tokshift render ./rl/chat_template.jinja --messages chats.jsonl --json | jq -r '.turns[].response'

Exit codes: 0 done; 1 error, or a conversation cannot be rendered; 2 wrong usage.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineArg {
    Local,
    Mock,
}

/// What `kl --align` aligns models by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AlignArg {
    /// Bytes of the response
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    /// An object a line
    Json,
}

fn limit(text: &str) -> Result<Limit, String> {
    let (measure, value) = text.split_once('=').ok_or("expected MEASURE=X")?;
    match value.parse::<f64>() {
        Ok(value) if !value.is_nan() => Limit::new(measure, value).map_err(|e| e.to_string()),
        _ => Err(format!("`{value}` is not a number")),
    }
}

fn twin(text: &str) -> Result<Twin, String> {
    let (model, in_f32) = text.split_once('=').ok_or("expected MODEL=F32-MODEL")?;
    Ok(Twin { model: model.to_owned(), in_f32: in_f32.to_owned() })
}

fn temperature(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(t) if (0.01..=100.0).contains(&t) => Ok(t),
        _ => Err("expected a number from 0.01 to 100".to_owned()),
    }
}

fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if (1..=1024).contains(&n) => Ok(n),
        _ => Err("expected a number from 1 to 1024".to_owned()),
    }
}
