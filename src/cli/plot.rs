//! `tokshift plot`: one figure as SVG, or its values as CSV.
//!
//! Owns which comparison a figure needs. Not here: drawing (`report::figure`).

use std::path::Path;

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
        _ => return Err(Error::Usage(refusal(&args.output)).into()),
    };
    let (figure, failed) = drawn(args)?;
    let text = match form {
        Form::Svg => figure.file(),
        Form::Csv => figure.csv,
    };
    store::write_file(&args.output, text.as_bytes())?;
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

/// Why a file of this name is not written, and how to get it from an SVG.
fn refusal(output: &Path) -> String {
    let extension = output.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    match extension.as_deref() {
        Some(format @ ("png" | "pdf" | "eps" | "ps")) => {
            let [svg, other] = ["svg", format].map(|extension| output.with_extension(extension).display().to_string());
            let zoom = if format == "png" { " --zoom 3" } else { "" };
            format!(
                "`{other}`: figures are written as SVG or CSV, and other programs convert SVG: use -o {svg}, then \
                 rsvg-convert --format {format}{zoom} {svg} -o {other} (librsvg) or inkscape {svg} -o {other}"
            )
        }
        _ => format!("`{}`: the name of --output must end with .svg or .csv", output.display()),
    }
}

/// The figure, and whether a pair could not be compared.
fn drawn(args: &PlotArgs) -> Result<(Figure, bool)> {
    let root = &args.which.output_dir;
    let mut options = args.which.options();
    options.slices = args.figure == FigureArg::Position;
    options.quantiles = (args.figure == FigureArg::Quantiles).then_some(shift::EXACT);
    if matches!(args.figure, FigureArg::Distribution | FigureArg::EntropyKl) {
        let contents = Contents::new(root, &Options { shift: options, ..Options::default() })?;
        let comparison = contents.comparison.get();
        comparison.into_iter().for_each(report);
        let is_exact = comparison.is_some_and(|found| found.pairs.iter().any(|pair| pair.exact.is_some()));
        let figure = match args.figure {
            FigureArg::Distribution => figure::distribution(&contents)?,
            _ if is_exact => figure::entropy_kl(&contents)?,
            _ => return Err(Error::usage("entropy-kl needs exact measures: run `tokshift kl --exact` first").into()),
        };
        return Ok((figure, comparison.is_some_and(Comparison::failed)));
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
