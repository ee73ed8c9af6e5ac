//! Where a pair moved, as text for a terminal: its slices, and its largest differences.
//!
//! Owns these two blocks of lines. Text from data is escaped, because a terminal would act on control characters.

use super::cells::{aligned, bounds, cells, number, token};
use super::marks::{legend, mark};
use crate::escape::visible;
use crate::schema::Divergence;
use crate::shift::numbers::stats::Estimate;
use crate::shift::result::exact::{ExactFigures, ShiftedToken};
use crate::shift::result::means::{Means, NoiseFloor, Slice};
use crate::shift::result::read_first::{FarToken, Place, ReadFirst};

/// Entries shown of each list of largest differences; the JSON has more.
const SHOWN: usize = 3;
/// Of each list of shifted tokens.
const SHOWN_TOKENS: usize = 5;

/// A line a slice and an empty one; nothing if there are none.
pub fn slices(slices: &[Slice]) -> Vec<String> {
    if slices.is_empty() {
        return Vec::new();
    }
    let head = ["slice", "tokens", "kl ± error", "kl_k1 ± error", "kl_k3 ± error", "kl bounds", "same top", "shifted"]
        .map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head.to_vec()).chain(slices.iter().map(row)).collect();
    let doubts = legend(slices.iter().map(|slice| &slice.kl_estimate));
    aligned(&rows, 1).into_iter().chain(doubts).chain([String::new()]).collect()
}

fn row(slice: &Slice) -> Vec<String> {
    let mean = |name: &str| slice.measures.iter().find(|m: &&Means| m.name == name).and_then(|m| m.token_mean);
    let bounds = mean("kl_lower").zip(mean("kl_upper")).map(|(low, high)| bounds(low.value, high.value));
    let lower = || mean("kl_lower").map_or_else(|| "-".to_owned(), |low| number(low.value) + " to -");
    let share = |mean: Option<Estimate>| mean.map_or_else(|| "-".to_owned(), |m| format!("{:.1}%", 100.0 * m.value));
    let [kl, _] = cells(mean("kl"));
    let [k1, k3] = ["kl_k1", "kl_k3"].map(|name| {
        let [value, _] = cells(mean(name));
        value + mark(&slice.kl_estimate)
    });
    vec![
        format!("{}={}", slice.by, slice.value),
        slice.tokens.to_string(),
        kl,
        k1,
        k3,
        bounds.unwrap_or_else(lower),
        share(mean("same_top")),
        share(mean("shift_class.shifted")),
    ]
}

/// The responses and tokens that moved most, and an empty line; nothing if none moved.
pub fn read_first(read_first: &ReadFirst) -> Vec<String> {
    let responses = read_first.responses.iter().take(SHOWN).map(|r| {
        let place = place(&r.place);
        format!("  {place}: ln p - ln q = {} nats over {} tokens", number(r.nats), r.tokens)
    });
    let tokens = read_first.tokens.iter().take(SHOWN).map(far_token);
    let lines: Vec<_> = responses.chain(tokens).collect();
    if lines.is_empty() {
        return lines;
    }
    let head = "largest differences (rows and tokens from 0):".to_owned();
    std::iter::once(head).chain(lines).chain([String::new()]).collect()
}

/// Lines that need full distributions: temperature, the end of responses, the tokens that shifted.
pub fn exact(exact: &ExactFigures) -> Vec<String> {
    let mut lines = Vec::new();
    if exact.temperature != 1.0 {
        let of = Divergence::ALL.map(Divergence::column).join(", ");
        lines.push(format!("{of} and the probability to end: at temperature {}, all else at 1", exact.temperature));
    }
    if let Some(stop) = &exact.stop {
        let [p, q, difference] = [stop.p, stop.q, stop.difference].map(|mean| cells(Some(mean)).join(" "));
        lines.push(format!("probability to end where the response ended: P {p}, Q {q}, Q - P {difference}"));
    }
    let described = |of: &ShiftedToken| {
        let text = token(of.token.as_deref(), Some(of.token_id)).unwrap_or_default();
        format!("{text} {} of {}, {} nats", of.shifted, of.tokens, number(of.kl))
    };
    for (what, tokens) in [
        ("written tokens at which the top token most often shifted", &exact.most_shifted),
        ("written tokens with most of KL(P‖Q)", &exact.most_kl),
    ] {
        let described: Vec<_> = tokens.iter().take(SHOWN_TOKENS).map(described).collect();
        if !described.is_empty() {
            lines.push(format!("{what}: {}", described.join("; ")));
        }
    }
    lines
}

/// The KL of both models with their f32 versions, and what of the pair is below that.
pub fn noise_floor(floor: &NoiseFloor) -> Vec<String> {
    let [p, q] = [floor.p, floor.q].map(|mean| cells(Some(mean)).join(" "));
    let [in_f32, _] = cells(floor.in_f32);
    let below = if floor.is_below { "; kl is BELOW the noise floor" } else { "" };
    let share = 100.0 * floor.tokens_below;
    vec![
        format!("noise floor, KL(model‖itself in f32): P {p}, Q {q}{below}"),
        format!("kl of both in f32: {in_f32}; {share:.1}% of tokens lie below the floor's 99th percentile"),
    ]
}

fn place(place: &Place) -> String {
    let id = place.row_id.as_ref().map_or_else(String::new, |id| format!(" ({})", visible(id)));
    format!("row {}{id}", place.row)
}

fn far_token(far: &FarToken) -> String {
    let logprob = |side: Option<f64>| side.map_or_else(|| "-".to_owned(), number);
    let (p, q) = (logprob(far.logprob_p), logprob(far.logprob_q));
    let text = token(far.token.as_deref(), far.token_id).map_or_else(String::new, |text| {
        let before = far.before.as_ref().map_or_else(String::new, |before| format!("…{}", visible(before)));
        format!(": {before}{text}")
    });
    format!("  {}, token {}: ln p {p}, ln q {q}{text}", place(&far.place), far.position)
}
