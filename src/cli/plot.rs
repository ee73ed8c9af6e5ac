//! `tokshift plot`: one figure as SVG, or its values as CSV.
//!
//! Owns which comparison a figure needs. Not here: drawing (`report::figure`).

use anyhow::Result;

use super::args::{FigureArg, PlotArgs};
use super::exit::Exit;
use super::progress;
use crate::Error;
use crate::report::figure::{self, Figure};
use crate::report::{Contents, Options};
use crate::shift::{self, Comparison};
use crate::store;

/// What a file is, by the end of its name.
#[derive(Clone, Copy)]
enum Form {
    Svg,
    Csv,
}

/// Compares, draws, writes.
pub fn run(args: &PlotArgs) -> Result<Exit> {
    let form = match args.output.extension().and_then(|extension| extension.to_str()) {
        Some("svg") => Form::Svg,
        Some("csv") => Form::Csv,
        _ => {
            return Err(Error::usage(
                "--output must end with .svg or .csv; other programs convert SVG (rsvg-convert, inkscape)",
            )
            .into());
        }
    };
    let (figure, failed) = drawn(args)?;
    let text = match form {
        Form::Svg => figure.file(),
        Form::Csv => figure.csv,
    };
    store::write_file(&args.output, text.as_bytes())?;
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

/// The figure, and whether a pair could not be compared.
fn drawn(args: &PlotArgs) -> Result<(Figure, bool)> {
    let root = &args.which.output_dir;
    let mut options = args.which.options();
    options.slices = args.figure == FigureArg::Position;
    options.quantiles = (args.figure == FigureArg::Quantiles).then_some(shift::EXACT);
    if matches!(args.figure, FigureArg::Distribution | FigureArg::EntropyKl) {
        let contents = Contents::new(root, &Options { shift: options, ..Options::default() })?;
        report(&contents.comparison);
        let is_exact = contents.comparison.pairs.iter().any(|pair| pair.exact.is_some());
        let figure = match args.figure {
            FigureArg::Distribution => figure::distribution(&contents)?,
            _ if is_exact => figure::entropy_kl(&contents)?,
            _ => return Err(Error::usage("entropy-kl needs exact measures: run `tokshift kl --exact` first").into()),
        };
        return Ok((figure, contents.comparison.failed()));
    }
    let comparison = shift::compare(root, &options)?;
    report(&comparison);
    let is_exact = comparison.pairs.iter().any(|pair| pair.exact.is_some());
    let measure = |otherwise: &str| {
        args.measure.clone().unwrap_or_else(|| if is_exact { "kl".to_owned() } else { otherwise.to_owned() })
    };
    let figure = match args.figure {
        FigureArg::Classes => figure::classes(&comparison),
        FigureArg::RankShift => figure::rank_shift(&comparison),
        FigureArg::Tokens if !is_exact => {
            return Err(Error::usage("tokens needs exact measures: run `tokshift kl --exact` first").into());
        }
        FigureArg::Tokens => figure::tokens(&comparison),
        FigureArg::Position => {
            let measure = measure("delta_entropy");
            let none = || Error::usage(format!("no pair has means of `{measure}` by position"));
            figure::position(&comparison, &measure, &measure).ok_or_else(none)?
        }
        FigureArg::Quantiles => {
            let measure = measure("kl_k3");
            let has = comparison.pairs.iter().any(|pair| pair.quantiles.iter().any(|found| found.measure == measure));
            if !has {
                return Err(Error::usage(format!("no pair has quantiles of `{measure}`")).into());
            }
            figure::quantiles(&comparison, &measure)
        }
        _ => figure::kl_by_task(&comparison),
    };
    Ok((figure, comparison.failed()))
}

fn report(comparison: &Comparison) {
    for line in shift::warnings(comparison) {
        progress::say(&line);
    }
}
