//! Arguments of `tokshift kl`.
//!
//! Owns which of them go together, and how their values are parsed. Not here: whether a model of that name was scored.

use std::path::{Path, PathBuf};

use clap::{ArgAction, Parser, ValueEnum};

use super::listed::{self, Listed};
use super::shared::threads;
use super::weights::WeightArgs;
use crate::shift::{F32Version, FileFormat, Limit, Pick};

/// Compare scored models: KL(P‖Q) per token, with standard errors clustered by prompt
#[derive(Debug, Parser)]
#[command(help_template = KL_HELP, after_help = KL_EXIT_CODES)]
pub struct KlArgs {
    /// The output directory of `score` or `run`
    #[arg(value_name = "OUT", required_unless_present = "data_dir", conflicts_with = "data_dir")]
    pub output_dir: Option<PathBuf>,

    /// The same as OUT
    #[arg(long, help_heading = "Which pairs", aliases = ["data_dir", "output-dir", "output_dir"], value_name = "OUT")]
    pub data_dir: Option<PathBuf>,

    /// Only the pair of these two models, with every measure (as --all); repeatable
    #[arg(long, help_heading = "Which pairs", value_name = "P,Q", value_parser = two_models, conflicts_with = "align")]
    pub pair: Vec<[String; 2]>,

    /// Every measure, pair by pair
    #[arg(long, help_heading = "What to report", action = ArgAction::SetTrue, conflicts_with = "json")]
    pub all: bool,

    /// P, the model that all others are compared with [default: the one that the first run on the responses recorded: the
    /// model that wrote them, else the first of --models]
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
    #[arg(long, help_heading = "The published study", aliases = ["output-file", "output_file"], value_name = "FILE")]
    pub study_file: Option<PathBuf>,

    /// Compute only the published study's KL values, which is much faster; printed as JSON unless --study-file is given
    #[arg(
        long,
        help_heading = "The published study",
        alias = "only_study",
        action = ArgAction::SetTrue,
        conflicts_with_all = ["statistics", "quantiles", "slices", "exact", "noise_floor", "fail_above", "fail_below", "json", "explain", "all", "table", "columns", "card", "scalars"]
    )]
    pub only_study: bool,

    /// The table as Markdown, LaTeX or CSV (all digits, standard errors and intervals in columns of their own)
    #[arg(long, help_heading = "Output", value_name = "FORMAT", conflicts_with_all = ["json", "all", "align"])]
    pub table: Option<TableArg>,

    /// Columns of the table: any measure, kl.q0.99 and other quantiles, perplexity_ratio, best_kl, bounds, clusters, size, …
    #[arg(long, help_heading = "Output", value_delimiter = ',', value_name = "COLUMN,…", value_parser = column, conflicts_with_all = ["json", "all", "align"])]
    pub columns: Vec<Pick>,

    /// A table for the model card of a quantised model: file, size, KL (mean, 99%, 99.9%), same top, ratio of perplexities
    #[arg(long, help_heading = "Output", action = ArgAction::SetTrue, conflicts_with_all = ["json", "all", "columns", "align"])]
    pub card: bool,

    /// Print one flat JSON object of numbers for dashboards: \"math/rl-base/kl\": 0.0142
    #[arg(long, help_heading = "Output", action = ArgAction::SetTrue, conflicts_with_all = ["json", "all", "table", "columns", "card", "align"])]
    pub scalars: bool,

    #[command(flatten)]
    pub weights: WeightArgs,

    /// Write every mean and quantile to this file, one row per statistic: .parquet, .csv, .json or .jsonl
    #[arg(long, help_heading = "Output", value_name = "FILE", value_parser = statistics_file)]
    pub statistics: Option<(PathBuf, FileFormat)>,

    /// Also compute quantiles over tokens (with --all), which reads the tables more than once
    #[arg(long, help_heading = "What to report", action = ArgAction::SetTrue)]
    pub quantiles: bool,

    /// Also compute means by region (think, answer, end), kind of token, position and kept field (with --all)
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
    /// Exact if both pairs have exact measures, else by k1. Prompts that only one of the two response sets has are left out and counted.
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
        "study_file", "only_study", "statistics", "quantiles", "slices", "exact", "noise_floor", "fail_above",
        "fail_below", "explain", "all",
    ])]
    pub align: Option<AlignArg>,

    /// The other output directory of `score` that --align compares OUT with
    #[arg(
        long,
        help_heading = "Different tokenizers",
        visible_alias = "align-dir",
        alias = "other_dir",
        value_name = "DIR",
        requires = "align"
    )]
    pub other_dir: Option<PathBuf>,

    /// Exit with code 3 if in some pair the 95% interval of MEASURE ends above X, with 5 if that is not known; repeatable
    ///
    /// MEASURE is a mean over tokens (kl_upper), a quantile (kl.q0.999), perplexity_ratio or the like. It is not known if
    /// parts are missing, if there is no value or interval, or if kl_k1 or kl_k3 does not estimate KL(P‖Q).
    #[arg(long, help_heading = "Limits", alias = "fail_above", value_name = "MEASURE=X", value_parser = at_most, conflicts_with = "explain")]
    pub fail_above: Vec<Limit>,

    /// As --fail-above, if the interval begins below X: --fail-below same_top=0.95
    #[arg(long, help_heading = "Limits", alias = "fail_below", value_name = "MEASURE=X", value_parser = at_least, conflicts_with = "explain")]
    pub fail_below: Vec<Limit>,

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

impl KlArgs {
    /// The directory that is compared.
    pub fn root(&self) -> &Path {
        // Clap requires one of the two.
        self.output_dir.as_deref().or(self.data_dir.as_deref()).unwrap_or(Path::new("."))
    }
}

const KL_HELP: &str = "\
{about-with-newline}
{usage-heading} {usage}

Examples:
  tokshift kl out                          # one line per task and pair
  tokshift kl out --pair rl,base           # every measure of one pair
  tokshift kl out --all --quantiles --slices
  tokshift kl out --table markdown         # also latex, csv
  tokshift kl out --columns kl,kl.q0.99,same_top,ppl_ratio
  tokshift kl out --card --reference bf16  # for a quantised model's card
  tokshift kl out --json | jq '.pairs[] | [.task, .p, .q, .kl_estimate.answer]'
  tokshift kl out --statistics statistics.csv
  tokshift kl out --names verl             # rollout engine and trainer, one JSON line per step
  tokshift kl out --exact --models rl=./rl,base=./base
  tokshift kl out --fail-above kl_upper=0.05 --fail-below same_top=0.95
  tokshift kl qwen --other-dir llama --align text

{all-args}{after-help}";

const KL_EXIT_CODES: &str = "\
Exit codes: 0 done; 1 error, or a pair cannot be compared (the others are);
2 wrong usage; 3 --fail-above, --fail-below: an interval reaches beyond its
limit; 5 no interval does, but some limit is not known to be kept.";

/// What `kl --align` aligns models by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AlignArg {
    /// Bytes of the response
    Text,
}

/// A format of `kl --table`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TableArg {
    Markdown,
    Latex,
    Csv,
}

fn at_most(text: &str) -> Result<Limit, String> {
    let (measure, value) = limit(text)?;
    Limit::at_most(measure, value).map_err(|e| e.to_string())
}

fn at_least(text: &str) -> Result<Limit, String> {
    let (measure, value) = limit(text)?;
    Limit::at_least(measure, value).map_err(|e| e.to_string())
}

fn limit(text: &str) -> Result<(&str, f64), String> {
    let (measure, value) = text.split_once('=').ok_or("expected MEASURE=X")?;
    match value.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok((measure, number)),
        // An infinite limit would be kept by everything, or by nothing.
        _ => Err(format!("`{value}` is no finite number")),
    }
}

fn column(name: &str) -> Result<Pick, String> {
    Pick::of_name(name).map_err(|e| e.to_string())
}

fn statistics_file(path: &str) -> Result<(PathBuf, FileFormat), String> {
    let format = FileFormat::of_path(Path::new(path)).map_err(|e| e.to_string())?;
    Ok((PathBuf::from(path), format))
}

fn two_models(text: &str) -> Result<[String; 2], String> {
    let names: Vec<&str> = text.split(',').collect();
    match names[..] {
        [p, q] if !p.is_empty() && !q.is_empty() && p != q => Ok([p.to_owned(), q.to_owned()]),
        _ => Err("expected the names of two models, P,Q".to_owned()),
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
