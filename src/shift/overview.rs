//! A comparison on one screen: a line a pair.
//!
//! Owns which few figures tell most. Refuses detail: `display` has it.

use super::comparison::{Comparison, Pair};
use super::display::{aligned, number};
use super::stats::Estimate;

/// One line a pair, grouped by text: how far Q stands from P (k1 with its error and the guaranteed bounds, nats a
/// token), and how often P's favourite token is still Q's.
pub fn overview(comparison: &Comparison) -> String {
    let head = ["text", "P", "Q", "KL(P‖Q) by k1", "bounds", "same top", "samples"].map(str::to_owned).to_vec();
    let rows: Vec<_> = std::iter::once(head).chain(comparison.pairs.iter().map(row)).collect();
    let mut text: String = aligned(&rows, 3).into_iter().map(|line| line + "\n").collect();
    if comparison.pairs.iter().any(|pair| pair.not_kl_estimate) {
        text += "* not a KL estimate: the text is not what P samples at temperature 1; the bounds hold all the same\n";
    }
    text
}

fn row(pair: &Pair) -> Vec<String> {
    let mean = |name: &str| -> Option<Estimate> { pair.measures.iter().find(|m| m.name == name)?.token_mean };
    let value = |name: &str| mean(name).map_or_else(|| "-".to_owned(), |m| number(m.value));
    let mark = if pair.not_kl_estimate { "*" } else { "" };
    let k1 = mean("kl_k1").map_or_else(
        || "-".to_owned(),
        |m| {
            let error = m.stderr.map_or_else(String::new, |error| format!(" ± {}", number(error)));
            format!("{}{error}{mark}", number(m.value))
        },
    );
    let share = mean("same_top").map_or_else(|| "-".to_owned(), |m| format!("{:.1}%", 100.0 * m.value));
    vec![
        format!("{} by {}", pair.task, pair.generation_model),
        pair.p.clone(),
        pair.q.clone(),
        k1,
        format!("{} to {}", value("kl_lower"), value("kl_upper")),
        share,
        pair.samples.to_string(),
    ]
}
