//! A comparison as text for a terminal.
//!
//! Owns columns and the order of the notes. It returns a string and prints nothing.

use std::fmt::Write;
use std::iter;

use super::between::between;
use super::cells::{Row, aligned, aligned_where, cells, number, short};
use super::detail::{exact, noise_floor, read_first, slices};
use super::marks::named;
use super::overview::overview;
use super::relations::relations;
use super::warnings::incomplete;
use crate::escape::visible;
use crate::shift::numbers::stats::Estimate;
use crate::shift::result::comparison::Comparison;
use crate::shift::result::kl_estimate::KlEstimate;
use crate::shift::result::means::{Difference, Means, Overall, Quantiles, Sides};
use crate::shift::result::pair::{LeftOut, Pair};

/// Every pair, one below the other: the models, the amount of text, the means, the notes. Several pairs end in an
/// overview. Tables take at most `width` columns of a terminal where they can.
pub fn table(comparison: &Comparison, width: usize) -> String {
    let pairs = comparison.pairs.iter().map(|of| pair(of, width));
    let overview = (comparison.pairs.len() > 1).then(|| overview(comparison, width));
    let others = comparison.differences.iter().map(difference).chain(comparison.overall.iter().map(overall));
    let between = comparison.between.iter().map(|_| between(comparison));
    pairs.chain(others).chain(overview).chain(between).collect::<Vec<_>>().join("\n")
}

fn pair(pair: &Pair, width: usize) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let mut line = |line: String| writeln!(text, "{line}").unwrap_or_default();
    line(pair.title());
    if let Some(partial) = &pair.partial {
        line(incomplete(partial));
    }
    line(format!("{} samples, {} tokens, {} clusters", pair.samples, pair.tokens, pair.clusters));
    line(String::new());
    aligned_where(&rows(pair), is_left).into_iter().for_each(&mut line);
    line(String::new());
    line(of_sides("perplexity over tokens", pair.perplexity));
    line(of_sides("mean of sample perplexities", pair.mean_sample_perplexity));
    joint(pair).into_iter().for_each(&mut line);
    pair.exact.iter().flat_map(exact).for_each(&mut line);
    pair.noise_floor.iter().flat_map(noise_floor).for_each(&mut line);
    quantiles(&pair.quantiles, &pair.kl_estimate).into_iter().for_each(&mut line);
    slices(&pair.slices, width).into_iter().for_each(&mut line);
    relations(&pair.fields).into_iter().for_each(&mut line);
    read_first(&pair.read_first).into_iter().for_each(&mut line);
    pair.left_out.iter().map(left_out).chain(pair.notes.iter().map(|n| format!("note: {n}"))).for_each(line);
    text
}

fn left_out(left_out: &LeftOut) -> String {
    let LeftOut { p, q, samples } = left_out;
    format!("left out: P {}, Q {}: {samples} samples", p.as_str(), q.as_str())
}

/// One model's value next to the other's.
fn of_sides(what: &str, sides: Sides) -> String {
    let described = |side: Option<Estimate>| {
        let [mean, interval] = cells(side);
        if interval.is_empty() { mean } else { format!("{mean} ({interval})") }
    };
    format!("{what}: P {}, Q {}", described(sides.p), described(sides.q))
}

/// Ratio and difference of perplexities, correlation, root mean square of Δp.
fn joint(pair: &Pair) -> Vec<String> {
    let estimate = |what: &str, estimate: Option<Estimate>| {
        let [mean, interval] = cells(Some(estimate?));
        let interval = if interval.is_empty() { interval } else { format!(" ({interval})") };
        Some(format!("{what}: {mean}{interval}"))
    };
    let correlation =
        pair.log_perplexity_correlation.map(|r| format!("correlation of log-probabilities: {}", number(r)));
    let ratio = estimate("perplexity of Q / of P", pair.perplexity_ratio);
    let less = estimate("perplexity of Q - of P", pair.perplexity_difference);
    let rms = estimate("root mean square of q - p", pair.rms_delta_p);
    [ratio, less, correlation, rms].into_iter().flatten().collect()
}

fn difference(difference: &Difference) -> String {
    let Difference { p, q, minus, task, generation_model, samples, .. } = difference;
    let title = format!("`{q}` - `{minus}`, P = `{p}`, on `{task}` by `{generation_model}`: {samples} samples");
    let mut text = visible(&title) + "\n\n";
    let of = |m: &Means| row(&named(&m.name, &difference.kl_estimate), &m.unit, m.token_mean, m.sample_mean);
    let rows: Vec<_> = iter::once(head()).chain(difference.measures.iter().map(of)).collect();
    text.extend(aligned_where(&rows, is_left).into_iter().chain(note(&difference.kl_estimate)).map(|line| line + "\n"));
    text
}

fn note(estimate: &KlEstimate) -> Option<String> {
    estimate.note().map(|note| visible(&format!("note: {note}")))
}

fn overall(overall: &Overall) -> String {
    let Overall { p, q, tasks, generation_model, .. } = overall;
    let count = tasks.len();
    let title = format!("P = `{p}`, Q = `{q}` over {count} tasks by `{generation_model}`");
    let lines = iter::once(title).chain(overall.incomplete()).chain([String::new()]);
    let mut text: String = lines.map(|line| visible(&line) + "\n").collect();
    let mut rows = vec![head()];
    for m in &overall.measures {
        rows.push(row(&named(&m.name, &overall.kl_estimate), &m.unit, m.token_mean, m.sample_mean));
        rows.push(row("  mean of tasks", &m.unit, m.mean_of_token_means, m.mean_of_sample_means));
    }
    text.extend(aligned_where(&rows, is_left).into_iter().chain(note(&overall.kl_estimate)).map(|line| line + "\n"));
    text
}

/// Some of the quantiles, and an empty line; nothing if there are none.
fn quantiles(all: &[Quantiles], estimate: &KlEstimate) -> Vec<String> {
    const OTHERS: [&str; 6] = ["q0.001", "q0.01", "q0.05", "q0.95", "q0.99", "q0.999"];
    let mut rows = vec![["measure", "unit", "median ± s.e.", "95% interval"].map(str::to_owned).to_vec()];
    rows[0].extend(OTHERS.map(str::to_owned));
    for of in all {
        let quantile = |name: &str| of.quantiles.iter().find(|q| q.name == name).map(|q| q.estimate);
        let unit = if of.exact { of.unit.clone() } else { format!("{} (within 0.5%)", of.unit) };
        let mut row = vec![named(&of.measure, estimate), unit];
        row.extend(cells(quantile("median")));
        row.extend(OTHERS.map(|name| quantile(name).map_or_else(String::new, |q| short(q.value))));
        rows.push(row);
    }
    if all.is_empty() { Vec::new() } else { aligned(&rows, 2).into_iter().chain([String::new()]).collect() }
}

/// Columns of a table of means.
const HEAD: [&str; 5] = ["measure", "token mean ± s.e.", "95% interval", "sample mean ± s.e.", "unit"];

fn head() -> Row {
    HEAD.map(str::to_owned).to_vec()
}

/// Names and units stand to the left.
fn is_left(column: usize) -> bool {
    [0, HEAD.len() - 1].contains(&column)
}

fn rows(pair: &Pair) -> Vec<Row> {
    let cut = pair.cut.map_or_else(String::new, |cut| format!(" ({:.1}% cut)", 100.0 * cut.share.value));
    let of_response = format!("nats/response{cut}");
    let mut rows = vec![head()];
    for measure in &pair.measures {
        let name = named(&measure.name, &pair.kl_estimate);
        rows.push(row(&name, &measure.unit, measure.token_mean, measure.sample_mean));
        if measure.response_mean.is_some() {
            rows.push(row(&name, &of_response, None, measure.response_mean));
        }
    }
    rows
}

fn row(name: &str, unit: &str, tokens: Option<Estimate>, samples: Option<Estimate>) -> Row {
    let [token_mean, token_interval] = cells(tokens);
    let [sample_mean, _] = cells(samples);
    vec![name.to_owned(), token_mean, token_interval, sample_mean, unit.to_owned()]
}
