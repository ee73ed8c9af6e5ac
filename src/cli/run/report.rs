//! The final report of a run: comparisons, then what is missing and why.
//!
//! Owns its text and its JSON. Not here: the values in it (`shift`).

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::compare::Compared;
use crate::cli::{kl, screen};
use crate::escape::visible;
use crate::score::cells::{Cell, Cells, State};
use crate::shift;

/// A cell for a script.
#[derive(Serialize)]
pub struct CellReport<'a> {
    pub experiment: &'a str,
    pub task: &'a str,
    pub model: &'a str,
    pub output: String,
    pub state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
}

impl<'a> CellReport<'a> {
    pub fn of(cells: &'a Cells, cell: &'a Cell) -> Self {
        let (state, reason) = match &cell.state {
            State::ToDo => ("to do", None),
            State::Done => ("done", None),
            State::Skipped(why) => ("skipped", Some(why.as_str())),
            State::Failed(why) => ("failed", Some(why.as_str())),
        };
        let experiment = cells.experiment(cell);
        Self {
            experiment: &experiment.name,
            task: &cells.task_file(cell).task,
            model: &cells.model(cell).name,
            output: experiment.output.display().to_string(),
            state,
            reason,
        }
    }
}

/// Prints the comparisons and every cell that is not done.
pub fn print(cells: &Cells, comparisons: &[Compared], json: bool) -> Result<()> {
    let reports: Vec<CellReport> = cells.all.iter().map(|cell| CellReport::of(cells, cell)).collect();
    let text = if json {
        let all = serde_json::json!({ "cells": reports, "comparisons": comparisons });
        serde_json::to_string_pretty(&all)? + "\n"
    } else {
        text(&reports, comparisons)
    };
    kl::print(&text).map(drop)
}

fn text(reports: &[CellReport], comparisons: &[Compared]) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let mut line = |line: String| writeln!(text, "{line}").unwrap_or_default();
    for Compared { output, comparison, failed } in comparisons {
        if !comparison.pairs.is_empty() {
            line(visible(output));
            shift::overview(comparison, screen::width()).lines().map(visible).for_each(&mut line);
            line(format!("\n{}", kl::everything(Path::new(output))));
        }
        if let Some(why) = failed {
            line(format!("{}: not compared: {}\n", visible(output), visible(why)));
        }
    }
    let count = |state: &str| reports.iter().filter(|cell| cell.state == state).count();
    let (done, failed, skipped) = (count("done"), count("failed"), count("skipped"));
    line(format!("{} cells: {done} done, {failed} failed, {skipped} skipped", reports.len()));
    missing(reports.iter()).into_iter().for_each(line);
    text
}

/// Cells that are not done, with their reasons; the models of a response set that share one are one line.
pub fn missing<'a>(reports: impl Iterator<Item = &'a CellReport<'a>>) -> Vec<String> {
    let missing: Vec<&CellReport> = reports.filter(|cell| cell.reason.is_some()).collect();
    let same = |a: &&CellReport, b: &&CellReport| {
        (a.experiment, a.task, a.state, a.reason) == (b.experiment, b.task, b.state, b.reason)
    };
    let group = |cells: &[&CellReport]| {
        let first = cells.first()?;
        let models = cells.iter().map(|cell| cell.model).collect::<Vec<_>>().join(", ");
        let CellReport { experiment, task, state, .. } = first;
        Some(visible(&format!("{state}: {experiment}, {task}, {models}: {}", first.reason?)))
    };
    missing.chunk_by(same).filter_map(group).collect()
}
