//! Arguments of `tokshift plot`.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use super::which::WhichArgs;

/// Draw a figure of a comparison as SVG, or write its values as CSV
#[derive(Debug, Parser)]
#[command(after_help = PLOT_EXAMPLES)]
pub struct PlotArgs {
    #[command(flatten)]
    pub which: WhichArgs,

    /// What to draw
    #[arg(long, value_name = "FIGURE")]
    pub figure: FigureArg,

    /// The file to write: its name ends with .svg or .csv
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,

    /// The measure of `position` and `quantiles` [default: kl with exact measures, else delta_entropy for `position` and kl_k3 for
    /// `quantiles`]
    #[arg(long, value_name = "NAME")]
    pub measure: Option<String>,
}

/// A figure as papers draw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FigureArg {
    /// KL of each pair with its 95% interval, bounds, noise floor and the published study's value
    KlByTask,
    /// A measure by position in the response
    Position,
    /// Shares of unshifted, marginal and shifted tokens
    Classes,
    /// Mean log2 ratio of ranks
    RankShift,
    /// Tokens by change of log-probability
    Distribution,
    /// Quantiles of a measure over tokens
    Quantiles,
    /// Tokens by entropy of P and exact KL
    EntropyKl,
    /// The tokens that shifted most
    Tokens,
}

const PLOT_EXAMPLES: &str = "\
Examples:
  tokshift plot out --figure kl-by-task -o kl.svg
  tokshift plot out --figure position --measure kl -o position.csv
  rsvg-convert --zoom 3 kl.svg > kl.png        # for other formats

Exit codes: 0 done; 1 error, or a pair cannot be compared (the others are);
2 wrong usage.";
