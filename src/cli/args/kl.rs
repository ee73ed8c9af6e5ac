//! Arguments of `tokshift kl`.
//!
//! Owns which of them go together, and how their values are parsed. Not here: whether a model of that name was scored.

use std::path::PathBuf;

use clap::{ArgAction, Parser, ValueEnum};

use super::listed::{self, Listed};
use super::shared::threads;
use crate::shift::{F32Version, Limit};

/// Compare scored models: KL(P‖Q) per token, with standard errors clustered by prompt
#[derive(Debug, Parser)]
#[command(after_help = KL_EXAMPLES)]
pub struct KlArgs {
    /// The output directory of `score`
    #[arg(long, help_heading = "Which pairs", alias = "data_dir", value_name = "DIR")]
    pub data_dir: PathBuf,

    /// P, the model that all others are compared with [default: the model that wrote the responses; for --text, the first
    /// model given to `score --exact`, else the first by name]
    #[arg(long, help_heading = "Which pairs", value_name = "NAME")]
    pub reference: Option<String>,

    /// The model that sampled the responses at temperature 1, if their file is not named after a model that was scored
    ///
    /// k1 and k3 estimate KL(P‖Q) only on responses that P itself sampled.
    #[arg(long, help_heading = "Which pairs", alias = "own_text", value_name = "MODEL", conflicts_with_all = ["only_study", "align"])]
    pub own_text: Option<String>,

    /// Only responses that this model wrote
    #[arg(long, help_heading = "Which pairs", aliases = ["generation_model", "target-gen-model", "target_gen_model"], value_name = "NAME")]
    pub generation_model: Option<String>,

    /// Only these tasks [default: all]
    #[arg(long, help_heading = "Which pairs", value_delimiter = ',', value_name = "NAME")]
    pub task: Vec<String>,

    /// Write the published study's KL values as JSON to this file
    #[arg(long, help_heading = "Output", visible_alias = "study-file", alias = "output_file", value_name = "FILE")]
    pub output_file: Option<PathBuf>,

    /// Compute only the published study's KL values, which is much faster; printed as JSON unless --output-file is given
    #[arg(
        long,
        help_heading = "Output",
        alias = "only_study",
        action = ArgAction::SetTrue,
        conflicts_with_all = ["statistics", "quantiles", "slices", "exact", "noise_floor", "fail_above", "json", "explain"]
    )]
    pub only_study: bool,

    /// Write every mean and quantile to this Parquet file, one row per statistic
    #[arg(long, help_heading = "Output", value_name = "FILE")]
    pub statistics: Option<PathBuf>,

    /// Also compute quantiles over tokens, which reads the tables more than once
    #[arg(long, help_heading = "What to report", action = ArgAction::SetTrue)]
    pub quantiles: bool,

    /// Also compute means by region (think, answer, end), kind of token, position and kept field
    #[arg(long, help_heading = "What to report", action = ArgAction::SetTrue)]
    pub slices: bool,

    /// Compute exact measures from the full distributions of parts scored with --keep-hidden
    ///
    /// Missing pairs tables are written first. Complete ones are shown even without this option.
    #[arg(long, help_heading = "Exact comparison", action = ArgAction::SetTrue)]
    pub exact: bool,

    /// The models whose output heads --exact needs, as given to `score`; none if all pairs tables are complete
    #[arg(long, help_heading = "Exact comparison", value_name = "MODEL", requires = "exact", value_parser = listed::models)]
    pub models: Vec<Listed<String>>,

    /// Divide both models' logits by T, with --exact
    #[arg(long, help_heading = "Exact comparison", default_value = "1", value_name = "T", value_parser = temperature, requires = "exact")]
    pub temperature: f64,

    /// Let --exact proceed even if the ids that one model lacks have a mean probability above 0.001 in the other
    #[arg(long, help_heading = "Exact comparison", visible_alias = "allow-vocab-mismatch", alias = "allow_removed", action = ArgAction::SetTrue, requires = "exact")]
    pub allow_removed: bool,

    /// Also compare the other models with each other; P is then the first by name
    #[arg(long, help_heading = "Which pairs", alias = "all_pairs", action = ArgAction::SetTrue)]
    pub all_pairs: bool,

    /// Compare the shifts of two models, each on the responses that it wrote itself, with standard errors paired by prompt:
    /// KL(B‖TO) on text by B minus KL(A‖TO) on text by A
    ///
    /// Exact if both pairs have exact measures, else by k1. Prompts that only one of the two texts has are left out and counted.
    #[arg(long, help_heading = "Which pairs", value_name = "A,B", requires = "to", value_parser = between_models, conflicts_with_all = [
        "reference", "own_text", "generation_model", "all_pairs", "noise_floor", "only_study", "align",
    ])]
    pub between: Option<[String; 2]>,

    /// What --between compares both models with, such as the base
    #[arg(long, help_heading = "Which pairs", value_name = "NAME", requires = "between")]
    pub to: Option<String>,

    /// Models that were also scored in f32, under another name: report how much of a pair's KL rounding alone explains
    ///
    /// Needs exact measures of each model and its f32 version.
    #[arg(long, help_heading = "What to report", alias = "noise_floor", value_delimiter = ',', value_name = "MODEL=F32-MODEL", value_parser = f32_version)]
    pub noise_floor: Vec<F32Version>,

    /// Compare samples whose prompts were tokenised differently
    #[arg(long, help_heading = "Which pairs", alias = "allow_different_context", action = ArgAction::SetTrue)]
    pub allow_different_context: bool,

    /// Compare models with different tokenizers, scored into separate directories, over the shortest spans whose ends are
    /// token boundaries in both
    ///
    /// Reports bits per byte, log-probability differences and k1 only.
    #[arg(long, help_heading = "Different tokenizers", value_name = "BY", requires = "other_dir", conflicts_with_all = [
        "output_file", "only_study", "statistics", "quantiles", "slices", "exact", "noise_floor", "fail_above", "explain",
    ])]
    pub align: Option<AlignArg>,

    /// The other output directory of `score` that --align compares --data-dir with
    #[arg(
        long,
        help_heading = "Different tokenizers",
        visible_alias = "align-dir",
        alias = "other_dir",
        value_name = "DIR",
        requires = "align"
    )]
    pub other_dir: Option<PathBuf>,

    /// Exit with code 3 unless in every pair the 95% interval of MEASURE's token mean is known to end at or below X;
    /// repeatable
    ///
    /// It is not known if parts are missing, if the mean has no interval, or if kl_k1 or kl_k3 does not estimate KL(P‖Q).
    #[arg(long, help_heading = "What to report", alias = "fail_above", value_name = "MEASURE=X", value_parser = limit)]
    pub fail_above: Vec<Limit>,

    /// Compute every statistic by the lazy queries that --explain prints: slow, and equal except for the last digits
    #[arg(long, help_heading = "Output", action = ArgAction::SetTrue, conflicts_with_all = ["only_study", "align"])]
    pub plain: bool,

    /// Print everything as JSON instead of tables
    #[arg(long, help_heading = "Output", action = ArgAction::SetTrue)]
    pub json: bool,

    /// Print the query plans and stop
    #[arg(long, help_heading = "Output", action = ArgAction::SetTrue)]
    pub explain: bool,

    /// CPU threads [default: all cores]
    #[arg(long, help_heading = "Output", value_name = "N", value_parser = threads)]
    pub threads: Option<usize>,
}

const KL_EXAMPLES: &str = "\
Examples:
  tokshift kl --data-dir out
  tokshift kl --data-dir out --reference base --json | jq .
  tokshift kl --data-dir out --statistics statistics.parquet
  tokshift kl --data-dir out --exact --models rl=./rl,base=./base
  tokshift kl --data-dir out --output-file kl_divergence_results.json
  tokshift kl --data-dir out --between rl,sft --to base
  tokshift kl --data-dir qwen --other-dir llama --align text
  tokshift kl --data-dir out --fail-above kl_upper=0.05

Exit codes: 0 done; 1 error, or a pair cannot be compared (the others are);
2 wrong usage; 3 --fail-above: a mean is above its limit, or is not known to be
at most its limit.";

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

fn f32_version(text: &str) -> Result<F32Version, String> {
    let (model, in_f32) = text.split_once('=').ok_or("expected MODEL=F32-MODEL")?;
    Ok(F32Version { model: model.to_owned(), in_f32: in_f32.to_owned() })
}

fn between_models(text: &str) -> Result<[String; 2], String> {
    let names: Vec<&str> = text.split(',').collect();
    match names[..] {
        [minus, model] if !minus.is_empty() && !model.is_empty() && minus != model => {
            Ok([minus, model].map(str::to_owned))
        }
        _ => Err("expected two models, A,B".to_owned()),
    }
}

fn temperature(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(t) if (0.01..=100.0).contains(&t) => Ok(t),
        _ => Err("expected a number from 0.01 to 100".to_owned()),
    }
}
