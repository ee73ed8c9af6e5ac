//! Two models' shifts, each on its own text, as text for a terminal.
//!
//! Owns this block of lines. Not here: the computation (`figures`).

use std::iter;

use super::cells::{Row, aligned, cells};
use super::marks::named;
use crate::escape::visible;
use crate::shift::numbers::contrast::Contrast;
use crate::shift::numbers::stats::Estimate;
use crate::shift::result::between::{Between, BetweenMeasure, BetweenTask, BetweenTasks};
use crate::shift::result::comparison::Comparison;
use crate::shift::result::kl_estimate::KlEstimate;

/// The difference of two models' shifts, if it was requested.
pub fn between(comparison: &Comparison) -> String {
    comparison.between.iter().map(described).collect()
}

/// Task by task, over all of them, and what is missing.
fn described(between: &Between) -> String {
    let of_tasks = between.tasks.iter().map(|task| of_task(between, task));
    let overall = between.overall.iter().map(|overall| over_tasks(between, overall));
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

fn of_task(between: &Between, task: &BetweenTask) -> String {
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
    let rows = rows(between, &task.measures, "", &task.kl_estimate);
    lines(iter::once(title).chain(incomplete).chain([counts]), &rows, notes)
}

fn over_tasks(between: &Between, overall: &BetweenTasks) -> String {
    let title = title(between, &format!("over {} tasks", overall.tasks.len()));
    let counts = format!("paired by prompt: {} prompts of a task in both response sets", overall.prompts);
    let incomplete = overall.partial.then(|| "INCOMPLETE: parts or texts are missing".to_owned());
    let mut rows = rows(between, &overall.measures, "", &overall.kl_estimate);
    rows.extend(
        self::rows(between, &overall.mean_of_tasks, "mean of tasks: ", &overall.kl_estimate).into_iter().skip(1),
    );
    let notes = temperature(overall.temperature).into_iter().chain(note(&overall.kl_estimate));
    lines(iter::once(title).chain(incomplete).chain([counts]), &rows, notes)
}

fn lines(head: impl Iterator<Item = String>, rows: &[Row], notes: impl Iterator<Item = String>) -> String {
    let head = head.map(|line| visible(&line)).chain([String::new()]);
    head.chain(aligned(rows, 3)).chain(notes.map(|note| visible(&note))).map(|line| line + "\n").collect()
}

fn temperature(temperature: Option<f64>) -> Option<String> {
    temperature.filter(|t| *t != 1.0).map(|t| format!("kl: at temperature {t}, all else at 1"))
}

fn note(estimate: &KlEstimate) -> Option<String> {
    Some(format!("note: kl_k1 is {}", estimate.caveat()?))
}

fn rows(between: &Between, measures: &[BetweenMeasure], what: &str, estimate: &KlEstimate) -> Vec<Row> {
    let Between { model, minus, .. } = between;
    let head = ["measure", "mean", "unit", model, minus, "difference ± s.e.", "95% interval"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
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
