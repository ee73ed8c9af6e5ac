//! Arguments of `tokshift kl`.
//!
//! Owns which of them go together, and what their values look like. Refuses what the tables must say: names of models.

use std::path::PathBuf;

use clap::{ArgAction, Parser, ValueEnum};

use super::listed::{self, Listed};
use super::shared::threads;
use crate::shift::{Limit, Twin};

/// Compare models over the tables of `score`: KL(P‖Q) per token with honest errors
#[derive(Debug, Parser)]
#[command(after_help = KL_EXAMPLES)]
pub struct KlArgs {
    /// The output directory of `score`
    #[arg(long, alias = "data_dir", value_name = "DIR")]
    pub data_dir: PathBuf,

    /// P, the model that others are compared with [default: the one that wrote the responses; of windows of a text the
    /// one that `score --exact` was given first, else the first by name]
    #[arg(long, value_name = "NAME")]
    pub reference: Option<String>,

    /// The model that sampled, at temperature 1, the responses whose file is not called by a model that was scored: k1 and k3
    /// estimate KL(P‖Q) on P's own responses alone
    #[arg(long, alias = "own_text", value_name = "MODEL", conflicts_with_all = ["only_study", "align"])]
    pub own_text: Option<String>,

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
    #[arg(long, value_name = "MODEL", requires = "exact", value_parser = listed::models)]
    pub models: Vec<Listed<String>>,

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

    /// Exit with code 3 if the upper 95% end of MEASURE's mean over tokens is above X in any pair, or not known to be at
    /// most X, as kl_k1 is not where it does not estimate KL(P‖Q); repeatable
    #[arg(long, alias = "fail_above", value_name = "MEASURE=X", value_parser = limit)]
    pub fail_above: Vec<Limit>,

    /// Compute every figure by the lazy queries that define it, which --explain prints: slow, and equal but for the last
    /// digits
    #[arg(long, action = ArgAction::SetTrue, conflicts_with_all = ["only_study", "align"])]
    pub plain: bool,

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

Exit codes: 0 done; 1 error, or a pair cannot be compared (the others are); 2 wrong usage; 3 --fail-above: a mean may lie
above its limit, has no value, or does not estimate KL(P‖Q).";

/// What `kl --align` aligns models by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AlignArg {
    /// Bytes of the response
    Text,
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
