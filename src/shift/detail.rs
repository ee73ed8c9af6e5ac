//! Where a pair moved, as text for a terminal: its slices, and what to read first.
//!
//! Owns these two blocks of lines. Refuses to show text as it stands: data may hold what a terminal obeys.

use super::comparison::Means;
use super::display::{NOT_KL, aligned, cells, number};
use super::read_first::{FarToken, Place, ReadFirst};
use super::slices::Slice;
use super::stats::Estimate;
use crate::escape::visible;

/// Of each list to read first; the JSON has more.
const SHOWN: usize = 3;

/// A line a slice and an empty one; nothing if there are none.
pub(super) fn slices(slices: &[Slice], not_kl_estimate: bool) -> Vec<String> {
    if slices.is_empty() {
        return Vec::new();
    }
    let mut head =
        ["slice", "tokens", "kl_k1 ± error", "kl_k3 ± error", "kl bounds", "same top", "shifted"].map(str::to_owned);
    if not_kl_estimate {
        head[2..4].iter_mut().for_each(|name| name.insert_str("kl_k1".len(), NOT_KL));
    }
    let rows: Vec<_> = std::iter::once(head.to_vec()).chain(slices.iter().map(row)).collect();
    aligned(&rows, 1).into_iter().chain([String::new()]).collect()
}

fn row(slice: &Slice) -> Vec<String> {
    let mean = |name: &str| slice.measures.iter().find(|m: &&Means| m.name == name).and_then(|m| m.token_mean);
    let value = |mean: Option<Estimate>| mean.map_or_else(|| "-".to_owned(), |m| number(m.value));
    let share = |mean: Option<Estimate>| mean.map_or_else(|| "-".to_owned(), |m| format!("{:.1}%", 100.0 * m.value));
    let [k1, _] = cells(mean("kl_k1"));
    let [k3, _] = cells(mean("kl_k3"));
    vec![
        format!("{}={}", slice.by, slice.value),
        slice.tokens.to_string(),
        k1,
        k3,
        format!("{} to {}", value(mean("kl_lower")), value(mean("kl_upper"))),
        share(mean("same_top")),
        share(mean("shift_class.shifted")),
    ]
}

/// The responses and tokens that moved most, and an empty line; nothing if none moved.
pub(super) fn read_first(read_first: &ReadFirst) -> Vec<String> {
    let responses = read_first.responses.iter().take(SHOWN).map(|r| {
        let place = place(&r.place);
        format!("read first: {place}: ln p - ln q = {} nats over {} tokens", number(r.nats), r.tokens)
    });
    let tokens = read_first.tokens.iter().take(SHOWN).map(token);
    let lines: Vec<_> = responses.chain(tokens).collect();
    if lines.is_empty() { lines } else { lines.into_iter().chain([String::new()]).collect() }
}

fn place(place: &Place) -> String {
    let id = place.row_id.as_ref().map_or_else(String::new, |id| format!(" ({})", visible(id)));
    format!("row {}{id}", place.row)
}

fn token(token: &FarToken) -> String {
    let logprob = |side: Option<f64>| side.map_or_else(|| "-".to_owned(), number);
    let (p, q) = (logprob(token.logprob_p), logprob(token.logprob_q));
    let text = token.token.as_ref().map_or_else(String::new, |text| {
        let before = token.before.as_ref().map_or_else(String::new, |before| format!("…{}", visible(before)));
        format!(": {before}[{}]", visible(text))
    });
    format!("read first: {}, token {}: ln p {p}, ln q {q}{text}", place(&token.place), token.position)
}
