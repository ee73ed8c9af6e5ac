//! `--dry-run`: what would be done, and how long it may take.
//!
//! Owns the estimates. Nothing is created, downloaded or loaded.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::Serialize;

use super::report::{CellReport, missing};
use crate::cli::args::{EngineArg, RunArgs};
use crate::cli::exit::Exit;
use crate::cli::kl;
use crate::cli::progress::duration;
use crate::cli::response_sets;
use crate::decoder::{Adapter, Checkpoint};
use crate::error::Error;
use crate::escape::visible;
use crate::run_log::{self, Entry};
use crate::score::cells::{Cell, Cells, State};
use crate::score::session::no_own_template;
use crate::shift::aligned;
use crate::store::OWN;
use crate::template::ChatTemplate;
use crate::{experiments, hub};

/// Tokens are not counted, because tokenising would take minutes. If no log says how many bytes make one token, four
/// do: natural text with current tokenizers.
const BYTES_A_TOKEN: f64 = 4.0;

/// A cell of the plan.
#[derive(Serialize)]
struct Planned<'a> {
    #[serde(flatten)]
    report: CellReport<'a>,
    source: &'a str,
    dataset: String,
    /// Whether the model's files would come from the hub first.
    fetch: bool,
    /// `own` where each model reads messages by its own chat template.
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<&'static str>,
    rows: Option<u32>,
    /// Of the whole dataset, from its bytes.
    tokens_estimate: Option<u64>,
    parts_done: usize,
    parts: Option<usize>,
    /// For the remaining work, at the speed in the logs of this model; absent if there is none.
    seconds_estimate: Option<f64>,
}

/// Prints the plan.
pub fn print(cells: &Cells, args: &RunArgs) -> Result<Exit> {
    let entries: BTreeMap<_, _> =
        cells.experiments.iter().map(|e| (e.output.as_path(), run_log::entries(&e.output))).collect();
    let entries: Vec<Entry> = entries.into_values().flatten().collect();
    let states: Vec<Looked> = cells.all.iter().map(|cell| look(cells, cell, args.engine)).collect();
    let planned: Vec<Planned> =
        cells.all.iter().zip(&states).map(|(cell, looked)| plan(cells, cell, looked, &entries)).collect();
    if args.json {
        return kl::print(&(serde_json::to_string_pretty(&serde_json::json!({ "cells": planned }))? + "\n"));
    }
    let sets = response_sets::lines(&cells.response_sets(), false).into_iter().map(|line| visible(&line) + "\n");
    kl::print(&(text(&planned) + &sets.collect::<String>()))
}

/// What can be said of a cell before anything is opened for writing.
struct Looked {
    /// The cell in the state that a run would find.
    cell: Cell,
    fetch: bool,
}

fn look(cells: &Cells, cell: &Cell, engine: EngineArg) -> Looked {
    let place = |state, fetch| {
        let &Cell { experiment, task, model, .. } = cell;
        Looked { cell: Cell { experiment, task, model, state }, fetch }
    };
    if cell.state != State::ToDo {
        return place(cell.state.clone(), false);
    }
    if let Some((_, why)) = cells.unreadable().find(|(output, _)| *output == cells.experiment(cell).output) {
        return place(State::Failed(why.to_owned()), false);
    }
    if let Some(why) = cells.damage(cell).or_else(|| cells.rejected(cell)) {
        return place(State::Failed(why), false);
    }
    if cells.bytes_missing(cell) == 0 {
        return place(State::Done, false);
    }
    match is_here(cells.model(cell), engine, has_own_template(cells, cell)) {
        Ok(here) => place(State::ToDo, !here),
        Err(why) => place(State::Failed(why), false),
    }
}

/// Whether messages are rendered by the model's own chat template.
fn has_own_template(cells: &Cells, cell: &Cell) -> bool {
    let has_chats = cells.dataset(cell).is_some_and(|dataset| dataset.plan.has_chats);
    has_chats && cells.experiment(cell).options.has_own_templates()
}

/// Whether a model's files are on this machine.
fn is_here(model: &experiments::Model, engine: EngineArg, needs_template: bool) -> Result<bool, String> {
    let look = || -> crate::Result<bool> {
        let (base, adapter) = hub::parts(&model.source);
        let adapter = adapter.map(|adapter| hub::find(adapter, hub::Kind::Adapter)).transpose()?;
        let Some(base) = hub::find(base, hub::Kind::Model)? else { return Ok(false) };
        if needs_template && ChatTemplate::of_model(&base)?.is_none() {
            return Err(Error::Usage(no_own_template(&model.name)));
        }
        if engine == EngineArg::Local {
            Checkpoint::open(&base)?;
            adapter.iter().flatten().try_for_each(|adapter| Adapter::open(adapter).map(drop))?;
        }
        Ok(adapter.is_none_or(|adapter| adapter.is_some()))
    };
    look().map_err(|e| e.to_string())
}

fn plan<'a>(cells: &'a Cells, cell: &'a Cell, looked: &'a Looked, entries: &[Entry]) -> Planned<'a> {
    let model = cells.model(cell);
    let plan = cells.dataset(cell).map(|dataset| &dataset.plan);
    let own = || entries.iter().filter(|entry| entry.cell.model == model.name);
    let (rate, bytes_a_token) = (run_log::rate(own()), run_log::bytes_a_token(own()).unwrap_or(BYTES_A_TOKEN));
    let tokens = |bytes: u64| bytes as f64 / bytes_a_token;
    let left = tokens(cells.bytes_missing(cell));
    let bytes = plan.map(|plan| plan.parts.iter().map(|part| part.bytes).sum::<u64>());
    Planned {
        report: CellReport::of(cells, &looked.cell),
        source: &model.source,
        dataset: cells.task_file(cell).dataset.display().to_string(),
        fetch: looked.fetch,
        template: has_own_template(cells, cell).then_some(OWN),
        rows: plan.map(|plan| plan.rows),
        tokens_estimate: bytes.map(|bytes| tokens(bytes).round() as u64),
        parts_done: cells.found(cell).map_or(0, |found| found.parts.len()),
        parts: plan.map(|plan| plan.parts.len()),
        seconds_estimate: rate.map(|rate| left / rate).filter(|_| looked.cell.state == State::ToDo),
    }
}

fn text(planned: &[Planned]) -> String {
    let head = ["experiment", "task", "model", "state", "rows", "tokens (estimate)", "parts done", "time"];
    let or_dash = |figure: Option<String>| figure.unwrap_or_else(|| "-".to_owned());
    let row = |cell: &Planned| {
        let state = if cell.fetch { "to fetch" } else { cell.report.state };
        let time = match (cell.report.state, cell.seconds_estimate) {
            ("to do", None) => "unknown".to_owned(),
            (_, seconds) => or_dash(seconds.map(duration)),
        };
        vec![
            cell.report.experiment.to_owned(),
            cell.report.task.to_owned(),
            cell.report.model.to_owned(),
            state.to_owned(),
            or_dash(cell.rows.map(|rows| rows.to_string())),
            or_dash(cell.tokens_estimate.map(|tokens| tokens.to_string())),
            or_dash(cell.parts.map(|parts| format!("{}/{parts}", cell.parts_done))),
            time,
        ]
    };
    let rows: Vec<_> = std::iter::once(head.map(str::to_owned).to_vec()).chain(planned.iter().map(row)).collect();
    let report = planned.iter().map(|cell| &cell.report);
    let own =
        planned.iter().filter(|cell| cell.template.is_some()).map(|cell| (cell.report.experiment, cell.report.task));
    let own: BTreeSet<(&str, &str)> = own.collect();
    let own = own.into_iter().map(|(experiment, task)| {
        visible(&format!(
            "template = \"own\": {experiment}, {task}: each model reads messages by its own chat template"
        ))
    });
    let lines = aligned(&rows, 4).into_iter().chain([String::new(), total(planned)]).chain(own).chain(missing(report));
    lines.map(|line| line + "\n").collect()
}

fn total(planned: &[Planned]) -> String {
    let count = |state: &str| planned.iter().filter(|cell| cell.report.state == state).count();
    let (done, skipped, failed) = (count("done"), count("skipped"), count("failed"));
    let to_do: Vec<_> = planned.iter().filter(|cell| cell.report.state == "to do").collect();
    let known: f64 = to_do.iter().filter_map(|cell| cell.seconds_estimate).sum();
    let time = match to_do.iter().filter(|cell| cell.seconds_estimate.is_none()).count() {
        0 => duration(known),
        unknown if unknown == to_do.len() => "unknown".to_owned(),
        unknown => format!("{} and {unknown} cells of unknown time", duration(known)),
    };
    let n = planned.len();
    format!(
        "{n} cells: {} to do, {done} done, {skipped} skipped, {failed} would fail; time: {time}\n\
         (tokens are estimated from bytes: by the logs of earlier runs, else {BYTES_A_TOKEN} bytes per token)",
        to_do.len()
    )
}
