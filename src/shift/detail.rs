//! Where a pair moved, as text for a terminal: its slices, and what to read first.
//!
//! Owns these two blocks of lines. Refuses to show text as it stands: data may hold what a terminal obeys.

use super::comparison::Means;
use super::display::{NOT_KL, aligned, cells, number};
use super::read_first::{FarToken, Place, ReadFirst};
use super::slices::Slice;
use super::stats::Estimate;

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
        format!("{}={}", escaped(&slice.by), escaped(&slice.value)),
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
    let id = place.row_id.as_ref().map_or_else(String::new, |id| format!(" ({})", escaped(id)));
    format!("row {}{id}", place.row)
}

fn token(token: &FarToken) -> String {
    let logprob = |side: Option<f64>| side.map_or_else(|| "-".to_owned(), number);
    let (p, q) = (logprob(token.logprob_p), logprob(token.logprob_q));
    let text = token.token.as_ref().map_or_else(String::new, |text| {
        let before = token.before.as_ref().map_or_else(String::new, |before| format!("…{}", escaped(before)));
        format!(": {before}[{}]", escaped(text))
    });
    format!("read first: {}, token {}: ln p {p}, ln q {q}{text}", place(&token.place), token.position)
}

/// Control characters and the marks that turn the direction of writing, made visible.
pub fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '\n' => out.push('⏎'),
            c if c.is_control()
                || matches!(c, '\u{61c}' | '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                out.extend(c.escape_unicode());
            }
            c => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        assert_eq!(escaped("a\nb\u{1b}[31m\u{202e}é"), "a⏎b\\u{1b}[31m\\u{202e}é");
    }
}
