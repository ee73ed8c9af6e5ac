//! Two models' shifts, each on its own text, as text for a terminal.
//!
//! Owns this block of lines. Not here: the computation (`figures`).

use std::iter;

use super::cells::{Row, cells};
use super::layout::{Column, Give, Grid, wrapped};
use super::marks::named;
use crate::escape::visible;
use crate::shift::numbers::contrast::Contrast;
use crate::shift::numbers::stats::Estimate;
use crate::shift::result::between::{Between, BetweenMeasure, BetweenTask, BetweenTasks};
use crate::shift::result::comparison::Comparison;
use crate::shift::result::kl_estimate::KlEstimate;

/// The difference of two models' shifts, if it was requested, in at most `width` columns of a terminal.
pub fn between(comparison: &Comparison, width: usize) -> String {
    comparison.between.iter().map(|between| described(between, width)).collect()
}

/// Task by task, over all of them, and what is missing.
fn described(between: &Between, width: usize) -> String {
    let of_tasks = between.tasks.iter().map(|task| of_task(between, task, width));
    let overall = between.overall.iter().map(|overall| over_tasks(between, overall, width));
    let missing = between.missing.iter().map(|missing| {
        let Between { model, minus, .. } = between;
        visible(&format!("`{model}` - `{minus}`: nothing on `{}`: {}", missing.task, missing.why)) + "\n"
    });
    of_tasks.chain(overall).chain(missing).collect::<Vec<_>>().join("\n")
}

/// What is subtracted from what.
fn title(Between { model, minus, to, .. }: &Between, of: &str) -> String {
    format!("KL(`{model}`‖`{to}`) on text by `{model}` - KL(`{minus}`‖`{to}`) on text by `{minus}`, {of}")
}

fn of_task(between: &Between, task: &BetweenTask, width: usize) -> String {
    let Between { model, minus, .. } = between;
    let title = title(between, &format!("`{}`", task.task));
    let counts = format!(
        "paired by prompt: {} prompts in both response sets, {} samples by `{model}`, {} by `{minus}`",
        task.prompts, task.samples.model, task.samples.minus
    );
    let incomplete = task.partial.then(|| "INCOMPLETE: parts are missing".to_owned());
    let exact = temperature(task.temperature);
    let notes = exact.into_iter().chain(task.notes.iter().map(|note| format!("note: {note}")));
    let notes = notes.chain(note(&task.kl_estimate));
    let rows = rows(&task.measures, "", &task.kl_estimate);
    lines(iter::once(title).chain(incomplete).chain([counts]), &grid(between, rows), notes, width)
}

fn over_tasks(between: &Between, overall: &BetweenTasks, width: usize) -> String {
    let title = title(between, &format!("over {} tasks", overall.tasks.len()));
    let counts = format!("paired by prompt: {} prompts of a task in both response sets", overall.prompts);
    let incomplete = overall.partial.then(|| "INCOMPLETE: parts or texts are missing".to_owned());
    let mut rows = rows(&overall.measures, "", &overall.kl_estimate);
    rows.extend(self::rows(&overall.mean_of_tasks, "mean of tasks: ", &overall.kl_estimate));
    let notes = temperature(overall.temperature).into_iter().chain(note(&overall.kl_estimate));
    lines(iter::once(title).chain(incomplete).chain([counts]), &grid(between, rows), notes, width)
}

fn lines(head: impl Iterator<Item = String>, grid: &Grid, notes: impl Iterator<Item = String>, width: usize) -> String {
    let wrap = |line: String| wrapped(&visible(&line), width, 2);
    let head = head.flat_map(wrap).chain([String::new()]);
    let lines = head.chain(grid.fitted(width).with_left_out(width)).chain(notes.flat_map(wrap));
    lines.map(|line| line + "\n").collect()
}

/// The table of the two shifts and their difference.
fn grid(Between { model, minus, .. }: &Between, rows: Vec<Row>) -> Grid {
    let columns = [
        ("measure", Give::Name),
        ("mean", Give::Name),
        ("unit", Give::Name),
        (model, Give::Drop(2)),
        (minus, Give::Drop(2)),
        ("difference ± s.e.", Give::Never),
        ("95% interval", Give::Drop(1)),
    ];
    Grid { columns: columns.map(|(head, give)| Column::new(visible(head), give)).to_vec(), rows }
}

fn temperature(temperature: Option<f64>) -> Option<String> {
    temperature.filter(|t| *t != 1.0).map(|t| format!("kl: at temperature {t}, all else at 1"))
}

fn note(estimate: &KlEstimate) -> Option<String> {
    Some(format!("note: kl_k1 is {}", estimate.caveat()?))
}

fn rows(measures: &[BetweenMeasure], what: &str, estimate: &KlEstimate) -> Vec<Row> {
    let mut rows = Vec::new();
    for measure in measures {
        for (mean, contrast) in measure.means() {
            let Some(Contrast { model, minus, difference }) = contrast else { continue };
            let unit = if mean == "response_mean" { "nats/response" } else { &measure.unit };
            let mut row = vec![named(&measure.name, estimate), format!("{what}{}", unit_of(mean)), unit.to_owned()];
            let value = |of: Estimate| {
                let [value, _] = cells(Some(of));
                value
            };
            row.extend([value(model), value(minus)]);
            row.extend(cells(Some(difference)));
            rows.push(row);
        }
    }
    rows
}

/// What a mean is over.
fn unit_of(mean: &str) -> &str {
    match mean {
        "token_mean" => "over tokens",
        "sample_mean" => "over samples",
        "prompt_mean" => "over prompts",
        _ => "a response",
    }
}
