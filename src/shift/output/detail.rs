//! Where a pair moved, as text for a terminal: its slices, and its largest differences.
//!
//! Owns these two blocks of lines. Text from data is escaped, because a terminal would act on control characters.

use super::cells::{bounds, cells, number, share, token};
use super::layout::{Column, Give, Grid, wrapped};
use super::marks::{legend, mark};
use crate::escape::visible;
use crate::schema::Divergence;
use crate::shift::numbers::stats::Estimate;
use crate::shift::result::exact::{ExactFigures, MovedTop, ShiftedToken};
use crate::shift::result::means::{Means, NoiseFloor, Slice};
use crate::shift::result::read_first::{FarToken, Place, ReadFirst};

/// Entries shown of each list of largest differences; the JSON has more.
const SHOWN: usize = 3;
/// Of each list of shifted tokens.
const SHOWN_TOKENS: usize = 5;

/// One line per slice and an empty one; nothing if there are none.
pub fn slices(slices: &[Slice], width: usize) -> Vec<String> {
    if slices.is_empty() {
        return Vec::new();
    }
    let columns = [
        ("slice", Give::Name),
        ("tokens", Give::Never),
        ("kl ± s.e.", Give::Never),
        ("kl_k1 ± s.e.", Give::Drop(2)),
        ("kl_k3 ± s.e.", Give::Drop(1)),
        ("kl bounds", Give::Never),
        ("same top", Give::Never),
        ("shifted", Give::Never),
    ];
    let columns = columns.map(|(head, give)| Column::new(head, give)).to_vec();
    let fitted = Grid { columns, rows: slices.iter().map(row).collect() }.fitted(width);
    let caveats = legend(slices.iter().map(|slice| &slice.kl_estimate));
    let caveats = caveats.iter().flat_map(|line| wrapped(line, width, 2));
    fitted.with_left_out(width).into_iter().chain(caveats).chain([String::new()]).collect()
}

fn row(slice: &Slice) -> Vec<String> {
    let mean = |name: &str| slice.measures.iter().find(|m: &&Means| m.name == name).and_then(|m| m.token_mean);
    let bounds = mean("kl_lower").map(|low| bounds(low.value, mean("kl_upper").map(|high| high.value)));
    let share = |name| mean(name).map_or_else(|| "-".to_owned(), |m| share(m.value));
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
        bounds.unwrap_or_else(|| "-".to_owned()),
        share("same_top"),
        share("shift_class.shifted"),
    ]
}

/// The responses and tokens that moved most, and an empty line; nothing if none moved.
pub fn read_first(read_first: &ReadFirst) -> Vec<String> {
    let places = || read_first.responses.iter().map(|r| &r.place).chain(read_first.tokens.iter().map(|t| &t.place));
    let has_several = places().any(|place| place.turn > 0);
    let place = |of: &Place| place(of, has_several);
    let responses = read_first.responses.iter().take(SHOWN).map(|r| {
        let text = r.text.as_ref().map_or_else(String::new, |text| format!(": {}", visible(text)));
        format!("  {}: ln p - ln q = {} nats over {} tokens{text}", place(&r.place), number(r.nats), r.tokens)
    });
    let tokens = read_first.tokens.iter().take(SHOWN).map(|far| far_token(far, &place(&far.place)));
    let lines: Vec<_> = responses.chain(tokens).collect();
    if lines.is_empty() {
        return lines;
    }
    let what = if has_several { "rows, responses and tokens" } else { "rows and tokens" };
    let head = format!("largest differences ({what} counted from 1):");
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
        let [p, q, difference] = [stop.p, stop.q, stop.difference].map(described);
        lines.push(format!("probability to end where the response ended: P {p}, Q {q}, Q - P {difference}"));
    }
    if !exact.most_moved.is_empty() {
        lines.push("top tokens that differ, [P's] → [Q's] places (share of KL), and the largest of them:".to_owned());
    }
    lines.extend(exact.most_moved.iter().take(SHOWN_TOKENS).map(|moved| {
        let example = moved.example.as_ref().map_or_else(String::new, |far| {
            let before = far.before.as_ref().map_or_else(String::new, |before| format!("…{}", visible(before)));
            let written = token(far.token.as_deref(), far.token_id).unwrap_or_default();
            let response =
                if far.place.turn > 0 { format!(", response {}", far.place.turn + 1) } else { String::new() };
            format!(": row {}{response}, token {}: {before}{written}", far.place.row + 1, far.position + 1)
        });
        format!("  {}{example}", moved_top(moved))
    }));
    let of_token = |of: &ShiftedToken| {
        let text = token(of.token.as_deref(), Some(of.token_id)).unwrap_or_default();
        format!("{text} {} of {}, {} nats", of.shifted, of.tokens, number(of.kl))
    };
    for (what, tokens) in [
        ("written tokens at which the top token most often shifted", &exact.most_shifted),
        ("written tokens with most of KL(P‖Q)", &exact.most_kl),
    ] {
        let described: Vec<_> = tokens.iter().take(SHOWN_TOKENS).map(of_token).collect();
        if !described.is_empty() {
            lines.push(format!("{what}: {}", described.join("; ")));
        }
    }
    lines
}

/// Two top tokens, at how many positions they are, and with how much of the KL.
pub fn moved_top(moved: &MovedTop) -> String {
    let [from, to] = [(&moved.from, moved.from_id), (&moved.to, moved.to_id)]
        .map(|(text, id)| token(text.as_deref(), Some(id)).unwrap_or_default());
    format!("{from} → {to} {} ({})", moved.places, share(moved.share_of_kl))
}

/// A mean with its standard error, and its interval in brackets.
fn described(mean: Estimate) -> String {
    let [mean, interval] = cells(Some(mean));
    if interval.is_empty() { mean } else { format!("{mean} ({interval})") }
}

/// The KL of both models with their f32 versions, and what of the pair is below that.
pub fn noise_floor(floor: &NoiseFloor) -> Vec<String> {
    let [p, q] = [floor.p, floor.q].map(described);
    let [in_f32, _] = cells(floor.in_f32);
    let below = if floor.is_below { "; kl is BELOW the noise floor" } else { "" };
    let share = 100.0 * floor.tokens_below;
    vec![
        format!("noise floor, KL(model‖itself in f32): P {p}, Q {q}{below}"),
        format!("kl of both in f32: {in_f32}; {share:.1}% of tokens lie below the floor's 99th percentile"),
    ]
}

/// Where a sample is, as people count; its response only where rows have several.
fn place(place: &Place, has_several: bool) -> String {
    let id = place.row_id.as_ref().map_or_else(String::new, |id| format!(" ({})", visible(id)));
    let response = if has_several { format!(", response {}", place.turn + 1) } else { String::new() };
    format!("row {}{id}{response}", place.row + 1)
}

fn far_token(far: &FarToken, place: &str) -> String {
    let logprob = |side: Option<f64>| side.map_or_else(|| "-".to_owned(), number);
    let (p, q) = (logprob(far.logprob_p), logprob(far.logprob_q));
    let text = token(far.token.as_deref(), far.token_id).map_or_else(String::new, |text| {
        let before = far.before.as_ref().map_or_else(String::new, |before| format!("…{}", visible(before)));
        format!(": {before}{text}")
    });
    format!("  {place}, token {}: ln p {p}, ln q {q}{text}", far.position + 1)
}
