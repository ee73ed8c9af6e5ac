//! Arguments of `tokshift kl` about importance weights.
//!
//! Owns them and how their values are parsed.

use clap::{Args, ValueEnum};

use crate::shift::{DashboardNames, Sampled};

/// How importance weights are computed and shown.
#[derive(Debug, Args)]
pub struct WeightArgs {
    /// Print the importance weights of recorded pairs as one JSON line per training step, under the names of a framework's
    /// dashboard
    #[arg(long, help_heading = "Importance weights", value_name = "FRAMEWORK", conflicts_with_all = [
        "json", "all", "table", "columns", "card", "scalars", "align", "between", "only_study", "explain",
    ])]
    pub names: Option<NamesArg>,

    /// Cut importance weights to C in the statistics of cut weights
    #[arg(long, help_heading = "Importance weights", alias = "weight_cap", default_value = "2", value_name = "C", value_parser = cap)]
    pub weight_cap: f64,

    /// What P's engine recorded: the distribution that it sampled from, whole or as top-p or top-k cut it, or raw numbers
    /// although it sampled under top-p or top-k; this decides what the mean weight is in expectation
    #[arg(long, help_heading = "Importance weights", value_name = "FROM")]
    pub sampled: Option<SampledArg>,
}

/// A framework of `kl --names`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NamesArg {
    Verl,
    Trl,
    PrimeRl,
    NemoRl,
}

impl NamesArg {
    /// As the library has it.
    pub fn names(self) -> DashboardNames {
        match self {
            Self::Verl => DashboardNames::Verl,
            Self::Trl => DashboardNames::Trl,
            Self::PrimeRl => DashboardNames::PrimeRl,
            Self::NemoRl => DashboardNames::NemoRl,
        }
    }
}

/// A value of `kl --sampled`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SampledArg {
    Whole,
    Cut,
    Raw,
}

impl SampledArg {
    /// As the library has it.
    pub fn sampled(self) -> Sampled {
        match self {
            Self::Whole => Sampled::Whole,
            Self::Cut => Sampled::Cut,
            Self::Raw => Sampled::Raw,
        }
    }
}

fn cap(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(cap) if cap > 0.0 && cap.is_finite() => Ok(cap),
        _ => Err("expected a number above 0".to_owned()),
    }
}
