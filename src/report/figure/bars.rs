//! Bars: shares of the shift classes, mean shifts of rank, the tokens that shifted most.
//!
//! Owns these figures. Not here: intervals of KL (`kl_by_task`).

use std::fmt::Write;

use super::drawing::{CSV_PAIR, Figure, LABELS, csv, csv_number, csv_pair, label, mean, pairs};
use super::svg::{self, Svg, tick_label, ticks};
use crate::shift::{Comparison, Estimate, Pair, ShiftedToken, estimate_text};

const ROW: f64 = 24.0;
const BAR: f64 = 14.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 40.0;
const PLOT: f64 = 390.0;

const CLASSES: [(&str, &str, &str); 3] = [
    ("shift_class.unshifted", "unshifted", "f-a"),
    ("shift_class.marginal", "marginal", "f-b"),
    ("shift_class.shifted", "shifted", "f-c"),
];

/// Shares of unshifted, marginal and shifted tokens of each pair.
pub fn classes(comparison: &Comparison) -> Figure {
    let rows: Vec<(&Pair, [Option<f64>; 3])> =
        pairs(comparison).map(|pair| (pair, CLASSES.map(|(name, ..)| mean(pair, name).map(|m| m.value)))).collect();
    let labels: Vec<String> = rows.iter().map(|(pair, _)| label(pair)).collect();
    let left = svg::room(labels.iter().map(String::as_str), LABELS);
    let (mut drawing, y) = begun(left, rows.len());
    let x = |share: f64| left + 10.0 + share * PLOT;
    let mut at = x(0.0);
    for (_, name, class) in CLASSES {
        drawing.rectangle(class, [at, 4.0], [12.0, 12.0], name);
        drawing.text("f-minor", [at + 17.0, 14.0], "start", name);
        at += 100.0;
    }
    for (i, ((_, shares), label)) in rows.iter().zip(&labels).enumerate() {
        drawing.text("", [left, y(i) + 4.0], "end", &svg::shortened(label, left));
        let mut from = 0.0;
        for (share, (_, name, class)) in shares.iter().zip(CLASSES) {
            let Some(share) = share.filter(|share| *share > 0.0) else { continue };
            let title = format!("{label}: {:.1}% {name}", 100.0 * share);
            drawing.rectangle(class, [x(from), y(i) - BAR / 2.0], [share * PLOT, BAR], &title);
            from += share;
        }
    }
    axis(&mut drawing, (x(0.0), x(1.0)), y(rows.len()) - ROW / 2.0, "share of tokens");
    for percent in [0, 25, 50, 75, 100] {
        let at = x(f64::from(percent) / 100.0);
        drawing.text("f-minor", [at, y(rows.len()) + 4.0], "middle", &format!("{percent}%"));
    }
    let mut csv = format!("{CSV_PAIR},unshifted,marginal,shifted\n");
    for (pair, shares) in &rows {
        let _ = writeln!(csv, "{},{}", csv_pair(pair), shares.map(csv_number).join(","));
    }
    Figure { title: "Shares of unshifted, marginal and shifted tokens".to_owned(), svg: drawing, csv }
}

/// The mean of log2(rank by Q / rank by P) of each pair.
pub fn rank_shift(comparison: &Comparison) -> Figure {
    let rows: Vec<(String, String, Option<Estimate>)> =
        pairs(comparison).map(|pair| (label(pair), csv_pair(pair), mean(pair, "log2_rank_ratio"))).collect();
    let mut csv = format!("{CSV_PAIR},log2_rank_ratio,low,high\n");
    for (_, names, mean) in &rows {
        let numbers = [mean.map(|m| m.value), mean.and_then(|m| m.low), mean.and_then(|m| m.high)];
        let _ = writeln!(csv, "{names},{}", numbers.map(csv_number).join(","));
    }
    let bars: Vec<(String, Option<Estimate>)> = rows.into_iter().map(|(label, _, mean)| (label, mean)).collect();
    let svg = bars_of(&bars, "mean of log2(rank by Q / rank by P), doublings");
    Figure { title: "Mean shift of rank".to_owned(), svg, csv }
}

/// The tokens at which P's most likely token most often is not among Q's top three, pair by pair.
pub fn tokens(comparison: &Comparison) -> Figure {
    const MOST: usize = 10;
    let of_pair = |pair: &Pair| {
        let tokens = pair.exact.as_ref().map(|exact| exact.most_shifted.clone()).unwrap_or_default();
        tokens.into_iter().take(MOST).collect::<Vec<_>>()
    };
    let name = |token: &ShiftedToken| {
        token.token.clone().filter(|text| !text.is_empty()).unwrap_or(format!("#{}", token.token_id))
    };
    let rows: Vec<(&Pair, ShiftedToken)> =
        pairs(comparison).flat_map(|pair| of_pair(pair).into_iter().map(move |token| (pair, token))).collect();
    let mut lines = format!("{CSV_PAIR},token_id,token,shifted,tokens\n");
    for (pair, token) in &rows {
        let ShiftedToken { token_id, shifted, tokens, .. } = token;
        let _ = writeln!(lines, "{},{token_id},{},{shifted},{tokens}", csv_pair(pair), csv(&name(token)));
    }
    let bars = rows.iter().map(|(pair, token)| {
        let (value, n) = (token.shifted as f64, token.tokens);
        let count = Estimate { value, stderr: None, low: None, high: None, clusters: 0, n };
        (format!("{} by {}, {}: [{}]", pair.task, pair.generation_model, pair.q, name(token)), Some(count))
    });
    let svg = bars_of(&bars.collect::<Vec<_>>(), "places at which P's most likely token is not among Q's top three");
    Figure { title: "Tokens that shifted most".to_owned(), svg, csv: lines }
}

/// Horizontal bars from 0, with intervals.
fn bars_of(rows: &[(String, Option<Estimate>)], unit: &str) -> Svg {
    let left = svg::room(rows.iter().map(|(label, _)| label.as_str()), LABELS);
    let (mut drawing, y) = begun(left, rows.len());
    let ends = rows
        .iter()
        .filter_map(|(_, mean)| *mean)
        .flat_map(|m| [m.value, m.low.unwrap_or(m.value), m.high.unwrap_or(m.value)]);
    let (low, high) =
        ends.filter(|end| end.is_finite()).fold((0.0_f64, 0.0_f64), |(low, high), end| (low.min(end), high.max(end)));
    let span = (high - low).max(1e-9);
    let x = |value: f64| left + 10.0 + (value - low) / span * PLOT;
    let bottom = y(rows.len()) - ROW / 2.0;
    for tick in ticks(low, high) {
        drawing.line("f-grid", [x(tick), TOP], [x(tick), bottom]);
        drawing.text("f-minor", [x(tick), bottom + 16.0], "middle", &tick_label(tick));
    }
    for (i, (label, mean)) in rows.iter().enumerate() {
        drawing.text("", [left, y(i) + 4.0], "end", &svg::shortened(label, left));
        let Some(mean) = mean.filter(|mean| mean.value.is_finite()) else { continue };
        let (from, to) = (x(mean.value.min(0.0)), x(mean.value.max(0.0)));
        drawing.rectangle(
            "f-a",
            [from, y(i) - BAR / 2.0],
            [to - from, BAR],
            &format!("{label}: {}", estimate_text(Some(mean))[0]),
        );
        if let (Some(low), Some(high)) = (mean.low, mean.high) {
            drawing.line("f-line", [x(low), y(i)], [x(high), y(i)]);
        }
    }
    drawing.line("f-axis", [x(0.0), TOP], [x(0.0), bottom]);
    drawing.text("", [x(low + span / 2.0), bottom + 34.0], "middle", unit);
    drawing
}

/// A drawing of so many rows, and the middle of each.
fn begun(left: f64, rows: usize) -> (Svg, impl Fn(usize) -> f64) {
    let drawing = Svg::new(left + PLOT + 40.0, TOP + ROW * rows as f64 + BOTTOM);
    (drawing, |row: usize| TOP + ROW * (row as f64 + 0.5))
}

fn axis(drawing: &mut Svg, (from, to): (f64, f64), y: f64, unit: &str) {
    drawing.line("f-axis", [from, y], [to, y]);
    drawing.text("", [f64::midpoint(from, to), y + 34.0], "middle", unit);
}
