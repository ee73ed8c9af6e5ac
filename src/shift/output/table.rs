//! A comparison as text for a terminal.
//!
//! Owns columns and the order of the notes. It returns a string and prints nothing.

use std::iter;

use super::between::between;
use super::cells::{Row, cells, number, short};
use super::detail::{exact, noise_floor, read_first, slices};
use super::layout::{Column, Give, Grid, wrapped};
use super::marks::named;
use super::overview::overview;
use super::relations::relations;
use super::warnings::incomplete;
use super::weights::weights;
use crate::escape::visible;
use crate::shift::numbers::stats::Estimate;
use crate::shift::result::comparison::Comparison;
use crate::shift::result::kl_estimate::KlEstimate;
use crate::shift::result::means::{Difference, Means, Overall, Quantiles, Sides};
use crate::shift::result::pair::{LeftOut, Pair};

/// Every pair, one below the other: the models, the amount of text, the means, the notes. Several pairs end in an
/// overview. No line is wider than `width` columns of a terminal where that is possible at all.
pub fn table(comparison: &Comparison, width: usize) -> String {
    let pairs = comparison.pairs.iter().map(|of| pair(of, width));
    let overview = (comparison.pairs.len() > 1).then(|| overview(comparison, width));
    let differences = comparison.differences.iter().map(|of| difference(of, width));
    let others = differences.chain(comparison.overall.iter().map(|of| overall(of, width)));
    let between = comparison.between.iter().map(|_| between(comparison, width));
    pairs.chain(others).chain(overview).chain(between).collect::<Vec<_>>().join("\n")
}

fn pair(pair: &Pair, width: usize) -> String {
    let wrap = |lines: Vec<String>| lines.into_iter().flat_map(|line| wrapped(&line, width, 2)).collect::<Vec<_>>();
    let mut head = vec![pair.title()];
    head.extend(pair.partial.as_ref().map(incomplete));
    head.push(format!("{} samples, {} tokens, {} clusters", pair.samples, pair.tokens, pair.clusters));
    let mut facts = vec![
        of_sides("perplexity over tokens", pair.perplexity),
        of_sides("mean of sample perplexities", pair.mean_sample_perplexity),
    ];
    facts.extend(joint(pair));
    facts.extend(pair.exact.iter().flat_map(exact));
    facts.extend(pair.noise_floor.iter().flat_map(noise_floor));
    let notes = pair.left_out.iter().map(left_out).chain(pair.notes.iter().map(|note| format!("note: {note}")));
    let blocks = [
        wrap(head),
        vec![String::new()],
        grid(rows(pair)).fitted(width).with_left_out(width),
        vec![String::new()],
        wrap(facts),
        quantiles(&pair.quantiles, &pair.kl_estimate, width),
        slices(&pair.slices, width),
        relations(&pair.fields, width),
        pair.weights.iter().flat_map(|of| weights(of, width)).collect(),
        wrap(read_first(&pair.read_first)),
        wrap(notes.collect()),
    ];
    blocks.concat().into_iter().map(|line| line + "\n").collect()
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

fn difference(difference: &Difference, width: usize) -> String {
    let Difference { p, q, minus, task, generation_model, samples, .. } = difference;
    let title = format!("`{q}` - `{minus}`, P = `{p}`, on `{task}` by `{generation_model}`: {samples} samples");
    let of = |m: &Means| row(&named(&m.name, &difference.kl_estimate), &m.unit, m.token_mean, m.sample_mean);
    block(&[title], difference.measures.iter().map(of).collect(), &difference.kl_estimate, width)
}

fn overall(overall: &Overall, width: usize) -> String {
    let Overall { p, q, tasks, generation_model, .. } = overall;
    let title = format!("P = `{p}`, Q = `{q}` over {} tasks by `{generation_model}`", tasks.len());
    let head: Vec<String> = iter::once(title).chain(overall.incomplete()).collect();
    let rows = overall.measures.iter().flat_map(|m| {
        let name = named(&m.name, &overall.kl_estimate);
        [
            row(&name, &m.unit, m.token_mean, m.sample_mean),
            row("  mean of tasks", &m.unit, m.mean_of_token_means, m.mean_of_sample_means),
        ]
    });
    block(&head, rows.collect(), &overall.kl_estimate, width)
}

/// Some lines, a table of means, and what k1 and k3 are in it.
fn block(head: &[String], rows: Vec<Row>, estimate: &KlEstimate, width: usize) -> String {
    let wrap = |line: &String| wrapped(&visible(line), width, 2);
    let note = estimate.note().map(|note| format!("note: {note}"));
    let lines = head.iter().flat_map(wrap).chain([String::new()]).chain(grid(rows).fitted(width).with_left_out(width));
    lines.chain(note.iter().flat_map(wrap)).map(|line| line + "\n").collect()
}

/// Some of the quantiles, and an empty line; nothing if there are none.
fn quantiles(all: &[Quantiles], estimate: &KlEstimate, width: usize) -> Vec<String> {
    const LOW: [&str; 3] = ["q0.001", "q0.01", "q0.05"];
    const HIGH: [&str; 3] = ["q0.95", "q0.99", "q0.999"];
    if all.is_empty() {
        return Vec::new();
    }
    let heads = [
        ("measure", Give::Name),
        ("unit", Give::Name),
        ("median ± s.e.", Give::Never),
        ("95% interval", Give::Drop(1)),
    ];
    let others = LOW.map(|name| (name, Give::Drop(2))).into_iter().chain(HIGH.map(|name| (name, Give::Never)));
    let rows = all.iter().map(|of| {
        let quantile = |name: &str| of.quantiles.iter().find(|q| q.name == name).map(|q| q.estimate);
        let unit = if of.exact { of.unit.clone() } else { format!("{} (within 0.5%)", of.unit) };
        let mut row = vec![named(&of.measure, estimate), unit];
        row.extend(cells(quantile("median")));
        row.extend([LOW, HIGH].concat().iter().map(|name| quantile(name).map_or_else(String::new, |q| short(q.value))));
        row
    });
    let rows = rows.collect();
    let columns = heads.into_iter().chain(others).map(|(head, give)| Column::new(head, give)).collect();
    let lines = Grid { columns, rows }.fitted(width).with_left_out(width);
    lines.into_iter().chain([String::new()]).collect()
}

/// A table of means.
fn grid(rows: Vec<Row>) -> Grid {
    let columns = [
        ("measure", Give::Name),
        ("unit", Give::Name),
        ("mean ± s.e.", Give::Never),
        ("95% interval", Give::Drop(1)),
        ("sample mean ± s.e.", Give::Drop(2)),
    ];
    Grid { columns: columns.map(|(head, give)| Column::new(head, give)).to_vec(), rows }
}

fn rows(pair: &Pair) -> Vec<Row> {
    let cut = pair
        .cut
        .filter(|cut| cut.samples > 0)
        .map_or_else(String::new, |cut| format!(" ({:.1}% cut)", 100.0 * cut.share.value));
    let of_response = format!("nats/response{cut}");
    let mut rows = Vec::new();
    for measure in &pair.measures {
        let name = named(&measure.name, &pair.kl_estimate);
        rows.push(row(&name, &measure.unit, measure.token_mean, measure.sample_mean));
        if measure.response_mean.is_some() {
            rows.push(row(&name, &of_response, measure.response_mean, None));
        }
    }
    rows
}

fn row(name: &str, unit: &str, tokens: Option<Estimate>, samples: Option<Estimate>) -> Row {
    let [token_mean, token_interval] = cells(tokens);
    let [sample_mean, _] = cells(samples);
    vec![name.to_owned(), unit.to_owned(), token_mean, token_interval, sample_mean]
}
