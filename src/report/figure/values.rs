//! Figures over single tokens: how a measure is distributed, its quantiles, and entropy against KL.
//!
//! Owns these figures and the one pass over all parts that collects their values. Not here: means (`shift`).

use std::fmt::Write;

use std::collections::BTreeMap;

use super::drawing::{Figure, LABELS, csv};
use super::svg::{self, Svg, tick_label, ticks};
use crate::error::Result;
use crate::report::contents::Contents;
use crate::report::part::Part;
use crate::shift::Comparison;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 10.0;

/// Curves of one drawing.
const CURVES: usize = 3;

/// Bins of a histogram over Δ log p from −10 to 10 nats; both ends take what lies beyond.
const BINS: usize = 80;
const REACH: f64 = 10.0;

/// Bins of entropy from 0 to 8 nats, and of log10 KL from −6 to 1.
const CELLS: usize = 40;
const MOST_ENTROPY: f64 = 8.0;
const KL_DECADES: (f64, f64) = (-6.0, 1.0);

/// Tokens of each pair by their change of log-probability, on a logarithmic scale.
///
/// # Errors
/// A file that cannot be read.
pub fn distribution(contents: &Contents) -> Result<Figure> {
    let mut counts: BTreeMap<(usize, usize), Vec<u64>> = BTreeMap::new();
    contents.parts(|set, part| {
        for q in 0..part.others.len() {
            let bins = counts.entry((set, q)).or_insert_with(|| vec![0; BINS]);
            let deltas = (0..part.rows.keys.len()).map(|row| part.delta(q, row));
            deltas.filter(|delta| !delta.is_nan()).for_each(|delta| bins[bin(delta)] += 1);
        }
    })?;
    let edge = |bin: usize| (bin as f64 / BINS as f64 * 2.0 - 1.0) * REACH;
    let mut lines = String::from("generation_model,task,p,q,from,to,tokens\n");
    let most = counts.values().flatten().copied().max().unwrap_or(1).max(10) as f64;
    let x = |delta: f64| LEFT + (delta + REACH) / (2.0 * REACH) * (WIDTH - LEFT - 20.0);
    // No token is below one token.
    let y = |count: f64| TOP + HEIGHT * (1.0 - (count.max(0.5) / 0.5).log10() / (most / 0.5).log10());
    let mut drawing = Svg::new(WIDTH, TOP + HEIGHT + 44.0 + 18.0 * counts.len().min(CURVES) as f64);
    for decade in (0..).map(|power| 10_f64.powi(power)).take_while(|decade| *decade <= most) {
        drawing.line("f-grid", [LEFT, y(decade)], [WIDTH - 20.0, y(decade)]);
        drawing.text("f-minor", [LEFT - 6.0, y(decade) + 4.0], "end", &tick_label(decade));
    }
    for tick in ticks(-REACH, REACH) {
        drawing.text("f-minor", [x(tick), TOP + HEIGHT + 16.0], "middle", &tick_label(tick));
    }
    drawing.text("", [f64::midpoint(LEFT, WIDTH), TOP + HEIGHT + 34.0], "middle", "Δ log p, nats; tokens");
    for (number, ((set, q), bins)) in counts.iter().enumerate() {
        let [generation_model, task, p, q] = names(contents, *set, *q);
        for (bin, tokens) in bins.iter().enumerate() {
            let names = [&generation_model, &task, &p, &q].map(|name| csv(name)).join(",");
            let _ = writeln!(lines, "{names},{},{},{tokens}", edge(bin), edge(bin + 1));
        }
        if number < CURVES {
            let points = bins
                .iter()
                .enumerate()
                .flat_map(|(bin, count)| [[x(edge(bin)), y(*count as f64)], [x(edge(bin + 1)), y(*count as f64)]]);
            drawing.path(&format!("f-curve f-s{number}"), points, false);
            legend(&mut drawing, number, &format!("{task} by {generation_model}: {p} → {q}"));
        }
    }
    Ok(Figure { title: "Tokens by their change of log-probability".to_owned(), svg: drawing, csv: lines })
}

fn bin(delta: f64) -> usize {
    let place = (delta.clamp(-REACH, REACH) + REACH) / (2.0 * REACH) * BINS as f64;
    (place as usize).min(BINS - 1)
}

/// Tokens of all pairs with exact measures by P's entropy and KL(P‖Q).
///
/// # Errors
/// A file that cannot be read.
pub fn entropy_kl(contents: &Contents) -> Result<Figure> {
    let mut counts = vec![0_u64; CELLS * CELLS];
    contents.parts(|_, part| count_cells(part, &mut counts))?;
    let size = [(WIDTH - LEFT - 20.0) / CELLS as f64, HEIGHT / CELLS as f64];
    let most = counts.iter().copied().max().unwrap_or(1).max(2) as f64;
    let mut drawing = Svg::new(WIDTH, TOP + HEIGHT + 44.0);
    let mut lines = String::from("entropy_from,entropy_to,kl_from,kl_to,tokens\n");
    for (cell, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let (column, row) = (cell % CELLS, cell / CELLS);
        let at = [LEFT + column as f64 * size[0], TOP + (CELLS - 1 - row) as f64 * size[1]];
        let shade = 1 + ((*count as f64).ln() / most.ln() * 4.0).floor().clamp(0.0, 4.0) as usize;
        drawing.rectangle(&format!("f-k{shade}"), at, size, &format!("{count} tokens"));
        let (entropy, kl) = (|i: usize| i as f64 / CELLS as f64 * MOST_ENTROPY, |i: usize| 10_f64.powf(decade(i)));
        let _ = writeln!(lines, "{},{},{},{},{count}", entropy(column), entropy(column + 1), kl(row), kl(row + 1));
    }
    for tick in ticks(0.0, MOST_ENTROPY) {
        let x = LEFT + tick / MOST_ENTROPY * size[0] * CELLS as f64;
        drawing.text("f-minor", [x, TOP + HEIGHT + 16.0], "middle", &tick_label(tick));
    }
    for power in KL_DECADES.0 as i32..=KL_DECADES.1 as i32 {
        let y = TOP + HEIGHT * (1.0 - (f64::from(power) - KL_DECADES.0) / (KL_DECADES.1 - KL_DECADES.0));
        drawing.line("f-grid", [LEFT - 4.0, y], [LEFT, y]);
        drawing.text("f-minor", [LEFT - 6.0, y + 4.0], "end", &format!("1e{power}"));
    }
    drawing.text(
        "",
        [f64::midpoint(LEFT, WIDTH), TOP + HEIGHT + 34.0],
        "middle",
        "entropy of P, nats; KL(P‖Q), nats (darker: more tokens)",
    );
    Ok(Figure { title: "Entropy of P and KL(P‖Q) of each token".to_owned(), svg: drawing, csv: lines })
}

fn decade(row: usize) -> f64 {
    KL_DECADES.0 + row as f64 / CELLS as f64 * (KL_DECADES.1 - KL_DECADES.0)
}

fn count_cells(part: &Part, counts: &mut [u64]) {
    let place = |share: f64| ((share * CELLS as f64).max(0.0) as usize).min(CELLS - 1);
    for kl in part.kl.iter().flatten() {
        for (row, kl) in kl.iter().enumerate() {
            let entropy = f64::from(part.rows.scores.entropy[row]);
            if entropy.is_nan() || kl.is_nan() {
                continue;
            }
            let decades = (kl.max(1e-12).log10() - KL_DECADES.0) / (KL_DECADES.1 - KL_DECADES.0);
            counts[place(decades) * CELLS + place(entropy / MOST_ENTROPY)] += 1;
        }
    }
}

/// The quantiles of one measure of each pair, if they were taken.
pub fn quantiles(comparison: &Comparison, measure: &str) -> Figure {
    let mut lines = String::from("generation_model,task,p,q,measure,quantile,value\n");
    let mut curves = Vec::new();
    for pair in &comparison.pairs {
        for found in pair.quantiles.iter().filter(|found| found.measure == measure) {
            let names = [&pair.generation_model, &pair.task, &pair.p, &pair.q].map(|name| csv(name)).join(",");
            for quantile in &found.quantiles {
                let _ = writeln!(lines, "{names},{measure},{},{}", csv(&quantile.name), quantile.estimate.value);
            }
            let label = format!("{} by {}: {} → {}", pair.task, pair.generation_model, pair.p, pair.q);
            curves.push((label, found.quantiles.iter().map(|found| found.estimate.value).collect::<Vec<_>>(), found));
        }
    }
    curves.truncate(CURVES);
    let values = || curves.iter().flat_map(|(_, values, _)| values).copied().filter(|value| value.is_finite());
    let (low, high) = values().fold((0.0_f64, 1e-9_f64), |(low, high), value| (low.min(value), high.max(value)));
    let longest = curves.iter().map(|(_, values, _)| values.len()).max().unwrap_or(1);
    let x = |place: usize| LEFT + (WIDTH - LEFT - 30.0) * (place as f64 + 0.5) / longest as f64;
    let y = |value: f64| TOP + (high - value) / (high - low) * HEIGHT;
    let mut drawing = Svg::new(WIDTH, TOP + HEIGHT + 44.0 + 18.0 * curves.len() as f64);
    for tick in ticks(low, high) {
        drawing.line("f-grid", [LEFT, y(tick)], [WIDTH - 20.0, y(tick)]);
        drawing.text("f-minor", [LEFT - 6.0, y(tick) + 4.0], "end", &tick_label(tick));
    }
    for (number, (label, values, found)) in curves.iter().enumerate() {
        if number == 0 {
            for (place, quantile) in found.quantiles.iter().enumerate() {
                let name = quantile.name.strip_prefix("q0").unwrap_or(&quantile.name).replace("median", ".5");
                drawing.text("f-minor", [x(place), TOP + HEIGHT + 16.0], "middle", &name);
            }
        }
        drawing.path(
            &format!("f-curve f-s{number}"),
            values.iter().enumerate().map(|(place, value)| [x(place), y(*value)]),
            false,
        );
        legend(&mut drawing, number, label);
    }
    drawing.text(
        "",
        [f64::midpoint(LEFT, WIDTH), TOP + HEIGHT + 34.0],
        "middle",
        &format!("quantile of {measure} over tokens"),
    );
    Figure { title: format!("Quantiles of {measure} over tokens"), svg: drawing, csv: lines }
}

fn legend(drawing: &mut Svg, number: usize, label: &str) {
    let at = TOP + HEIGHT + 54.0 + 18.0 * number as f64;
    drawing.rectangle(&format!("f-s{number}"), [LEFT, at - 9.0], [12.0, 10.0], "");
    drawing.text("f-minor", [LEFT + 18.0, at], "start", &svg::shortened(label, LABELS + 100.0));
}

/// A pair's names.
fn names(contents: &Contents, set: usize, q: usize) -> [String; 4] {
    let set = &contents.sets[set];
    [&set.key.generation_model, &set.key.task, &set.models[0].name, &set.models[q + 1].name].map(Clone::clone)
}
