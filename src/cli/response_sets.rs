//! What a command understood of its options, in words.
//!
//! Owns a line per response set: task, writer and where that was taken from, rows, P and why, and what P is compared with.
//! A writer that is none of the models is a warning with its remedy. Not here: deciding any of it (`score`).

use super::progress::{say, say_once};
use crate::experiments::WriterFrom;
use crate::score::ResponseSet;
use crate::shift::Because;
use crate::store::ResponseSetKey;

/// Models that a line names.
const NAMED: usize = 6;

/// Prints a line per response set. `is_score`: whether the options are those of `score`, and not of a file of experiments.
pub fn print(sets: &[ResponseSet], is_score: bool) {
    for line in lines(sets, is_score) {
        if line.starts_with("warning: ") { say_once(&line) } else { say(&line) }
    }
    if sets.iter().any(|set| set.lacks_end) {
        let end = if is_score { "--end auto" } else { "end = \"auto\"" };
        say(&format!(
            "note: the end of these responses is not scored: {end} appends the end token to responses that are text"
        ));
    }
}

/// A line per response set, and a warning where its writer is none of the models.
pub fn lines(sets: &[ResponseSet], is_score: bool) -> Vec<String> {
    sets.iter().flat_map(|set| std::iter::once(line(set)).chain(warning(set, is_score))).collect()
}

/// As `math by step_10 (the file's name): 192 rows; P = step_10, which wrote them; 1 pair, Q = base`.
fn line(set: &ResponseSet) -> String {
    let ResponseSet { set: ResponseSetKey { generation_model, task }, rows, samples, .. } = set;
    let from = match set.writer_from {
        WriterFrom::Option => "as given",
        WriterFrom::BeforeFile => "named before the file",
        WriterFrom::FileName => "a model that the file is named after",
        WriterFrom::Underscore => "from the file's name",
        WriterFrom::Experiment => "the experiment's name",
        WriterFrom::FirstModel => "the experiment's first model",
        WriterFrom::Text => "plain text, which no model wrote",
    };
    let size = match set.window {
        Some(window) => format!("{} of {window} tokens", count(*rows, "window")),
        None if rows == samples => count(*rows, "row"),
        None => format!("{}, {}", count(*rows, "row"), count(*samples, "response")),
    };
    let before = set.rows_before.map(|rows| format!(", after {rows} of an earlier run")).unwrap_or_default();
    format!("{task} by {generation_model} ({from}): {size}{before}; {}", of_p(set))
}

fn count(n: u32, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

fn of_p(set: &ResponseSet) -> String {
    let Some((p, because)) = &set.p else { return "no P: kl needs --reference".to_owned() };
    let because = match (because, set.is_fixed) {
        (Because::Requested, false) => "as requested",
        (Because::Requested, true) => "as requested by an earlier run",
        (Because::Writer, _) => "which wrote them",
        (Because::First, false) => "the first of the models",
        (Because::First, true) => "the first of the models of an earlier run",
    };
    let others: Vec<&str> = set.models.iter().filter(|model| *model != p).map(String::as_str).collect();
    let shown = others.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let pairs = match others.len() {
        0 => "no other model to compare with yet".to_owned(),
        1 => format!("1 pair, Q = {shown}"),
        n if n <= NAMED => format!("{n} pairs, Q = {shown}"),
        n => format!("{n} pairs, Q = {shown} and {} more", n - NAMED),
    };
    format!("P = {p}, {because}; {pairs}")
}

/// What to do where the writer is none of the models, or was only guessed.
fn warning(set: &ResponseSet, is_score: bool) -> Option<String> {
    let ResponseSet { set: ResponseSetKey { generation_model: writer, task }, path, .. } = set;
    if set.writer_from == WriterFrom::FirstModel {
        return Some(format!(
            "warning: nothing says which model wrote the responses for `{task}` in `{}`: taken to be `{writer}`, the \
             experiment's first model. If it was another, set generation_model in the experiment",
            path.display()
        ));
    }
    if !set.lacks_writer() {
        return None;
    }
    let p = set.p.as_ref().map_or("P", |(p, _)| p);
    let remedy = match (set.writer_from, is_score) {
        (WriterFrom::Underscore, _) => format!(
            "`{}` is split at its first `_`; if one of the models wrote the responses, use --dataset NAME=FILE with its \
             name, and --task",
            path.file_name().unwrap_or_default().to_string_lossy()
        ),
        (_, true) => format!("if `{writer}` is a model, add {writer}=SOURCE to --models"),
        (_, false) => format!("if `{writer}` is a model, add it to the experiment"),
    };
    Some(format!(
        "warning: `{writer}`, which wrote the responses for `{task}`, is none of the models: the others are compared with \
         `{p}`, and k1 and k3 do not estimate KL on responses that P did not write; {remedy}"
    ))
}
