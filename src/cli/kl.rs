//! `tokshift kl`: compares, then prints tables, JSON or the study's file, and checks the limits last.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

use super::args::{AlignArg, KlArgs, Listed};
use super::exit::Exit;
use super::terminal::Terminal;
use super::{progress, signals};
use crate::score::exact::Exact;
use crate::shift::{self, StudyFigures};
use crate::store;

/// Compares every model with P.
pub fn run(args: &KlArgs) -> Result<Exit> {
    let options = options(args);
    if args.only_study {
        return only_study(args, &options);
    }
    if let (Some(AlignArg::Text), Some(other)) = (args.align, &args.other_dir) {
        return align(args, other, &options);
    }
    if args.exact {
        exact(args, &options)?;
    }
    if args.explain {
        return print(&shift::explain(&args.data_dir, &options)?);
    }
    let comparison = shift::compare(&args.data_dir, &options)?;
    report(&shift::warnings(&comparison));
    if let Some(path) = &args.output_file {
        store::write_file(path, study_json(&shift::study_figures(&comparison))?.as_bytes())?;
    }
    if let Some(path) = &args.statistics {
        store::write_file(path, &shift::statistics_parquet(&comparison)?)?;
    }
    if args.json {
        print(&(serde_json::to_string_pretty(&comparison)? + "\n"))?;
    } else {
        print(&shift::table(&comparison))?;
    }
    let exceeded = shift::exceeded(&comparison, &args.fail_above);
    for message in &exceeded {
        progress::say(&format!("limit not met: {message}"));
    }
    Ok(if exceeded.is_empty() { exit(comparison.failed()) } else { Exit::Above })
}

/// The exit code of a comparison; `failed` if a pair's tables are damaged or must not be compared.
fn exit(failed: bool) -> Exit {
    if failed { Exit::Failed } else { Exit::Done }
}

/// Quantiles and slices are also computed if another requested output needs them.
fn options(args: &KlArgs) -> shift::Options {
    let quantiles = args.quantiles || args.statistics.is_some() || !args.noise_floor.is_empty();
    shift::Options {
        reference: args.reference.clone(),
        own_text: args.own_text.clone(),
        tasks: args.task.clone(),
        generation_models: args.generation_model.iter().cloned().collect(),
        between: between(args),
        all_pairs: args.all_pairs,
        allow_different_context: args.allow_different_context,
        noise_floor: args.noise_floor.clone(),
        quantiles: quantiles.then_some(shift::EXACT),
        slices: args.slices || args.statistics.is_some(),
        plain: args.plain,
    }
}

/// Both options or none, as their parser makes sure.
fn between(args: &KlArgs) -> Option<shift::BetweenModels> {
    let ([minus, model], to) = args.between.clone().zip(args.to.clone())?;
    Some(shift::BetweenModels { model, minus, to })
}

fn only_study(args: &KlArgs, options: &shift::Options) -> Result<Exit> {
    let figures = shift::only_study(&args.data_dir, options)?;
    report(&figures.warnings);
    let json = study_json(&figures)?;
    match &args.output_file {
        Some(path) => store::write_file(path, json.as_bytes())?,
        None => drop(print(&json)?),
    }
    Ok(exit(figures.failed))
}

/// Writes missing pairs tables.
pub fn exact(args: &KlArgs, options: &shift::Options) -> Result<()> {
    let KlArgs { data_dir: root, models, temperature, allow_removed, .. } = args;
    let models = &Listed::all(models);
    let exact = Exact { root, models, temperature: *temperature, allow_removed: *allow_removed };
    exact.must_know_models()?;
    Ok(exact.run(&shift::chosen(root, options)?, (&Terminal::new(), &signals::stop()))?)
}

fn align(args: &KlArgs, other: &Path, options: &shift::Options) -> Result<Exit> {
    let comparison = shift::compare_aligned([&args.data_dir, other], options)?;
    report(&shift::aligned_warnings(&comparison));
    if args.json {
        print(&(serde_json::to_string_pretty(&comparison.pairs)? + "\n"))?;
    } else {
        print(&shift::aligned_table(&comparison.pairs))?;
    }
    Ok(exit(comparison.not_compared.iter().any(|pair| pair.failed)))
}

/// The study's file. Pairs without a value are listed on stderr.
fn study_json(figures: &StudyFigures) -> Result<String> {
    let json = figures.to_json()?;
    report(&figures.left_out);
    Ok(json)
}

/// Prints lines to stderr.
fn report(lines: &[String]) {
    for line in lines {
        progress::say(line);
    }
}

/// Writes to stdout; a reader that has stopped (`| head`) is not an error.
pub fn print(text: &str) -> Result<Exit> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e).context("cannot write to stdout"),
        _ => Ok(Exit::Done),
    }
}
