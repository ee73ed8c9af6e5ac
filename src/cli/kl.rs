//! `tokshift kl`: compares, then prints tables, JSON or the study's file, and checks the limits last.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

use super::args::{AlignArg, KlArgs, Listed, NamesArg, SampledArg, TableArg};
use super::exit::Exit;
use super::terminal::Terminal;
use super::{progress, screen, signals};
use crate::run_log::{self, MadeFrom};
use crate::score::exact::Exact;
use crate::shift::{self, Comparison, Document, Limit, StudyFigures, TableFormat, TableRequest, Unmet};
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
        return print(&shift::explain(args.root(), &options)?);
    }
    let comparison = shift::compare(args.root(), &options)?;
    report(&shift::warnings(&comparison));
    if let Some(path) = &args.study_file {
        store::write_file(path, study_json(&shift::study_figures(&comparison))?.as_bytes())?;
    }
    if let Some((path, format)) = &args.statistics {
        store::write_file(path, &shift::statistics_file(&comparison, *format)?)?;
    }
    print(&shown(args, &options, &comparison)?)?;
    let limits = [&args.fail_above[..], &args.fail_below[..]].concat();
    let unmet = shift::unmet(&comparison, &limits);
    for Unmet { message, is_known } in &unmet {
        let what = if *is_known { "limit not met" } else { "limit not known to be met" };
        progress::say(&format!("{what}: {message}"));
    }
    Ok(match () {
        () if unmet.iter().any(|unmet| unmet.is_known) => Exit::Beyond,
        () if !unmet.is_empty() => Exit::Unknown,
        () => exit(comparison.failed()),
    })
}

/// What goes to stdout.
fn shown(args: &KlArgs, options: &shift::Options, comparison: &Comparison) -> Result<String> {
    let width = screen::width();
    if args.json {
        return Ok(Document::new(comparison.clone(), options).to_json()?);
    }
    if args.scalars {
        return Ok(shift::scalars(comparison)?);
    }
    if args.weights.names.is_some() {
        return Ok(shift::named_scalars(comparison)?);
    }
    if args.table.is_some() || args.card || !args.columns.is_empty() {
        let format = match args.table {
            Some(TableArg::Latex) => TableFormat::Latex,
            Some(TableArg::Csv) => TableFormat::Csv,
            Some(TableArg::Markdown) => TableFormat::Markdown,
            None if args.card => TableFormat::Markdown,
            None => TableFormat::Terminal(width),
        };
        let sizes = &model_bytes(args.root());
        let request = TableRequest { format, columns: args.columns.clone(), is_card: args.card, sizes };
        return Ok(shift::export(comparison, &request));
    }
    if args.between.is_some() {
        return Ok(shift::overview(comparison, width) + "\n" + &shift::between(comparison, width));
    }
    if args.all || args.quantiles || args.slices || !args.pair.is_empty() {
        return Ok(shift::table(comparison, width));
    }
    Ok(shift::overview(comparison, width) + "\n" + &everything(args.root()))
}

/// Bytes of each model's weights, as the log says of what was scored last.
fn model_bytes(root: &Path) -> BTreeMap<String, u64> {
    let is_weights = |name: &str| [".safetensors", ".gguf"].iter().any(|ending| name.ends_with(ending));
    let made_from = run_log::made_from(root).into_iter().filter_map(|MadeFrom { cell, files, .. }| {
        let weights = files.iter().filter(|(name, _)| is_weights(name)).map(|(_, file)| file.bytes);
        let bytes: Option<u64> = weights.sum();
        Some((cell.model, bytes.filter(|bytes| *bytes > 0)?))
    });
    made_from.collect()
}

/// The command that shows what an overview leaves out.
pub fn everything(root: &Path) -> String {
    format!("Every measure, pair by pair: tokshift kl {} --all\n", typed(root))
}

/// A path as it is typed in a shell.
fn typed(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "_./-+=,@%".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// The exit code of a comparison; `failed` if a pair's tables are damaged or must not be compared.
fn exit(failed: bool) -> Exit {
    if failed { Exit::Failed } else { Exit::Done }
}

/// Quantiles and slices are also computed if another requested output needs them.
fn options(args: &KlArgs) -> shift::Options {
    let in_table = args.card || args.columns.iter().any(|column| column.is_quantile());
    let of_limits = args.fail_above.iter().chain(&args.fail_below).any(Limit::is_on_quantile);
    let of_outputs = args.statistics.is_some() || !args.noise_floor.is_empty() || in_table || of_limits;
    let quantiles = args.quantiles || of_outputs;
    shift::Options {
        reference: args.reference.clone(),
        own_text: args.own_text.clone(),
        tasks: args.task.clone(),
        pairs: args.pair.clone(),
        generation_models: args.generation_model.iter().cloned().collect(),
        between: between(args),
        all_pairs: args.all_pairs,
        allow_different_context: args.allow_different_context,
        noise_floor: args.noise_floor.clone(),
        quantiles: quantiles.then_some(shift::EXACT),
        slices: args.slices || args.statistics.is_some(),
        weight_cap: Some(args.weights.weight_cap),
        sampled: args.weights.sampled.map_or_else(shift::Sampled::default, SampledArg::sampled),
        names: args.weights.names.map(NamesArg::names),
        plain: args.plain,
    }
}

/// Both options or none, as their parser makes sure.
fn between(args: &KlArgs) -> Option<shift::BetweenModels> {
    let ([minus, model], to) = args.between.clone().zip(args.to.clone())?;
    Some(shift::BetweenModels { model, minus, to })
}

fn only_study(args: &KlArgs, options: &shift::Options) -> Result<Exit> {
    let figures = shift::only_study(args.root(), options)?;
    report(&figures.warnings);
    let json = study_json(&figures)?;
    match &args.study_file {
        Some(path) => store::write_file(path, json.as_bytes())?,
        None => drop(print(&json)?),
    }
    Ok(exit(figures.failed))
}

/// Writes missing pairs tables.
pub fn exact(args: &KlArgs, options: &shift::Options) -> Result<()> {
    let KlArgs { models, temperature, allow_removed, .. } = args;
    let root = args.root();
    let models = &Listed::all(models);
    let exact = Exact { root, models, temperature: *temperature, allow_removed: *allow_removed };
    exact.must_know_models()?;
    Ok(exact.run(&shift::chosen(root, options)?, (&Terminal::new(), &signals::stop()))?)
}

fn align(args: &KlArgs, other: &Path, options: &shift::Options) -> Result<Exit> {
    let comparison = shift::compare_aligned([args.root(), other], options)?;
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
