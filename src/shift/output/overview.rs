//! A comparison on one screen: one line per pair.
//!
//! Owns the choice of the few statistics that matter most. Not here: all others (`table`).

use super::cells::{self, aligned, bounds, cells, number};
use super::marks;
use crate::escape::visible;
use crate::shift::numbers::stats::Estimate;
use crate::shift::result::comparison::Comparison;
use crate::shift::result::exact::ShiftedToken;
use crate::shift::result::kl_estimate;
use crate::shift::result::pair::Pair;

/// Number of the most shifted tokens of a pair that are shown.
const TOKENS: usize = 5;

/// One line per pair, grouped by response set: how far Q is from P (exact if known, else k1 and k3 with their standard
/// errors and the guaranteed bounds, nats per token), and how often both have the same top token. Then, where full
/// distributions are known, the written tokens at which P's top token most often falls out of Q's top three.
pub fn overview(comparison: &Comparison) -> String {
    let is_exact = comparison.pairs.iter().any(|pair| pair.exact.is_some());
    let mut head = vec!["responses", "P", "Q"];
    head.extend(is_exact.then_some("KL(P‖Q) exact"));
    let estimates = if is_exact { ["by k1", "by k3"] } else { ["KL(P‖Q) by k1", "by k3"] };
    head.extend(estimates.into_iter().chain(["bounds", "same top", "shifted", "samples"]));
    let head = head.into_iter().map(str::to_owned).collect();
    let rows = std::iter::once(head).chain(comparison.pairs.iter().map(|pair| row(pair, is_exact)));
    let mut text: String = aligned(&rows.collect::<Vec<_>>(), 3).into_iter().map(|line| line + "\n").collect();
    let doubts = marks::legend(comparison.pairs.iter().map(|pair| &pair.kl_estimate));
    if !doubts.is_empty() {
        text.extend(doubts.into_iter().map(|line| line + "\n"));
        text += if is_exact {
            "exact KL and bounds are valid all the same\n"
        } else {
            "the bounds are valid all the same\n"
        };
    }
    if comparison.pairs.iter().any(|pair| pair.partial.is_some()) {
        text += "INCOMPLETE where parts are missing: not all of the text was compared\n";
    }
    let tokens: Vec<String> = comparison.pairs.iter().filter_map(shifted_tokens).collect();
    if !tokens.is_empty() {
        text += "\nWritten tokens at which P's top token is most often not among Q's top three:\n";
    }
    for line in tokens {
        text += &line;
    }
    text
}

fn row(pair: &Pair, is_exact: bool) -> Vec<String> {
    let mean = |name: &str| -> Option<Estimate> { pair.measures.iter().find(|m| m.name == name)?.token_mean };
    let bounds = mean("kl_lower").zip(mean("kl_upper")).map(|(low, high)| bounds(low.value, high.value));
    let lower = || mean("kl_lower").map_or_else(|| "-".to_owned(), |low| number(low.value) + " to -");
    let [exact, k1, k3] = ["kl", "kl_k1", "kl_k3"].map(|name| {
        let [value, _] = cells(mean(name));
        value + kl_estimate::of_measure(name, &pair.kl_estimate).map_or("", marks::mark)
    });
    let share = |name| mean(name).map_or_else(|| "-".to_owned(), |m| format!("{:.1}%", 100.0 * m.value));
    let part = pair.partial.as_ref().map_or_else(String::new, |of| format!(" ({} of {} parts)", of.compared, of.parts));
    let text = format!("{} by {}{part}", pair.task, pair.generation_model);
    let mut row = vec![text, pair.p.clone(), pair.q.clone()];
    row.extend(is_exact.then_some(exact));
    row.extend([k1, k3, bounds.unwrap_or_else(lower)]);
    row.extend([share("same_top"), share("shift_class.shifted"), pair.samples.to_string()]);
    row
}

fn shifted_tokens(pair: &Pair) -> Option<String> {
    let tokens = &pair.exact.as_ref()?.most_shifted;
    let described = |token: &ShiftedToken| {
        let text = cells::token(token.token.as_deref(), Some(token.token_id)).unwrap_or_default();
        format!("{text} {} of {}", token.shifted, token.tokens)
    };
    let described: Vec<String> = tokens.iter().take(TOKENS).map(described).collect();
    let what = if described.is_empty() { "none".to_owned() } else { described.join(", ") };
    let who = format!("{} by {}, P = {}, Q = {}", pair.task, pair.generation_model, pair.p, pair.q);
    Some(visible(&format!("  {who}: {what}")) + "\n")
}
