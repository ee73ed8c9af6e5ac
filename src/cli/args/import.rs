//! Arguments of `tokshift import`.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, ValueEnum};

use crate::recorded::{Format, Tokens};

/// Import log-probabilities that other programs recorded into tables that `kl` compares
#[derive(Debug, Parser)]
#[command(after_help = IMPORT_EXAMPLES)]
pub struct ImportArgs {
    /// Files of one format: all of them together are one text, those of the published study one each
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Directory for the tables; the same command resumes there
    #[arg(long, alias = "output_dir", value_name = "DIR")]
    pub output_dir: PathBuf,

    /// The files' format [default: by the fields of their first row]
    #[arg(long, value_name = "FORMAT", value_parser = format())]
    pub format: Option<Format>,

    /// The model that wrote the responses, if the files do not say so
    #[arg(long, alias = "generation_model", value_name = "NAME")]
    pub generation_model: Option<String>,

    /// The task, if the files do not say so
    #[arg(long, value_name = "NAME")]
    pub task: Option<String>,

    /// The model that the numbers are of, if the files do not say so [default: the one that wrote the text]
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,

    /// Field names in your rows, e.g. logprobs=ref_logprobs
    #[arg(long, value_delimiter = ',', value_name = "NAME=FIELD")]
    pub fields: Vec<String>,

    /// Cluster standard errors by this field [default: by the token ids before the response]
    #[arg(long, visible_alias = "cluster-by", value_name = "FIELD")]
    pub cluster: Option<String>,

    /// Fields to copy to the samples table, e.g. reward,correct
    #[arg(long, alias = "keep_fields", value_delimiter = ',', value_name = "FIELDS")]
    pub keep_fields: Vec<String>,

    /// Which tokens to read of answers that have log-probabilities of the prompt and of the generated tokens
    #[arg(long, value_name = "TOKENS")]
    pub tokens: Option<TokensArg>,

    /// Size of the vocabulary: a row with an id beyond it is unreadable
    #[arg(long, value_name = "IDS")]
    pub vocab: Option<u32>,
}

/// Tokens of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TokensArg {
    /// Those of the prompt
    Prompt,
    /// Those that the model generated
    Generated,
}

impl TokensArg {
    /// As the library has it.
    pub fn tokens(self) -> Tokens {
        match self {
            Self::Prompt => Tokens::Prompt,
            Self::Generated => Tokens::Generated,
        }
    }
}

fn format() -> impl TypedValueParser<Value = Format> {
    let names = PossibleValuesParser::new(Format::ALL.map(Format::name));
    names.try_map(|name| Format::ALL.into_iter().find(|format| format.name() == name).ok_or("no such format"))
}

const IMPORT_EXAMPLES: &str = "\
Examples:
  tokshift import rl_math.jsonl --output-dir out --model trainer \\
      --fields logprobs=trainer_logprobs
  tokshift import ppl_data/UniReason-RL/*_token_losses.json --output-dir out
  tokshift import agent_rows.jsonl --output-dir out --fields mask=loss_mask
  tokshift import run/token_exports/step_*/rank_*.jsonl --output-dir rl
  tokshift kl rl --names prime-rl       # importance weights, one line per step
  tokshift kl --data-dir out

A row of the format `rows` is {token_ids, logprobs, mask?, top_logprobs?}.

Exit codes: 0 done; 1 error; 2 wrong usage; 4 done, but some rows have no
numbers (see `status` and `reason` in the samples table).";
