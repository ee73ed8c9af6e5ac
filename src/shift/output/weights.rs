//! Importance weights as text for a terminal, and as one JSON line per step for dashboards.
//!
//! Owns which of them are shown. Not here: formulas (`weights`).

use serde_json::{Map, Value, json};

use super::cells::{Row, aligned, cells, mean, number, share};
use super::layout::wrapped;
use super::notes;
use crate::error::{Error, Result};
use crate::escape::visible;
use crate::shift::numbers::stats::Estimate;
use crate::shift::result::comparison::Comparison;
use crate::shift::result::pair::Pair;
use crate::shift::result::weights::{Alarm, StepWeights, WeightFigures, WeightLevel, Weights};

/// Steps that are shown: the last ones, which a run is watched by.
const STEPS: usize = 10;

/// The mark of an error that few weights decide.
const UNRELIABLE: &str = "?";

/// The block of one pair, and an empty line.
pub fn weights(weights: &Weights, width: usize) -> Vec<String> {
    let Weights { cap, expectation, all, by_step, .. } = weights;
    let mut lines = vec!["importance weights w = q/p of Q on P's text:".to_owned()];
    lines.extend(aligned(&levels(all, *cap), 1));
    lines.extend(legend(all));
    lines.extend(wrapped(expectation, width, 2));
    let left_out = (all.tokens_left_out > 0).then(|| {
        let (tokens, samples) = (all.tokens_left_out, all.samples_left_out);
        format!("left out: {tokens} tokens to which a model gives no probability, and the sequence weights of their {samples} samples")
    });
    lines.extend(left_out);
    lines.extend(of_tokens(all));
    lines.extend(all.alarms.iter().map(described));
    lines.extend(steps(by_step));
    lines.push(String::new());
    lines
}

/// Tokens, sequences and their geometric means, one row each.
fn levels(figures: &WeightFigures, cap: f64) -> Vec<Row> {
    let above = format!("above {cap}");
    let cut = format!("ESS cut at {cap}");
    let head = ["weights", "mean ± s.e.", "95% interval", "min", "max", "outside 0.5-2", &above, "ESS", &cut, "χ²"];
    let row = |(name, level): (&str, &WeightLevel)| {
        let [value, interval] = cells(Some(level.mean));
        let mark = if level.is_reliable { "" } else { UNRELIABLE };
        vec![
            name.to_owned(),
            value + mark,
            interval,
            number(level.min),
            number(level.max),
            share(level.share_outside.value),
            share(level.share_above_cap.value),
            mean(level.ess) + mark,
            mean(level.ess_capped),
            mean(level.chi2) + mark,
        ]
    };
    let kinds = [
        ("of tokens", Some(&figures.token)),
        ("of sequences", figures.sequence.as_ref()),
        ("geometric mean", figures.sequence_mean.as_ref()),
    ];
    let rows = kinds.into_iter().filter_map(|(name, level)| Some(row((name, level?))));
    std::iter::once(head.map(str::to_owned).to_vec()).chain(rows).collect()
}

fn legend(figures: &WeightFigures) -> Option<String> {
    let levels = [Some(&figures.token), figures.sequence.as_ref(), figures.sequence_mean.as_ref()];
    let is_marked = levels.into_iter().flatten().any(|level| !level.is_reliable);
    let what = "one cluster has more than 5% of the sum of w²: the standard error is unreliable, mostly too small";
    is_marked.then(|| format!("{UNRELIABLE} {what}"))
}

/// Statistics of tokens that are no distribution of weights.
fn of_tokens(figures: &WeightFigures) -> [String; 2] {
    let WeightFigures { kl_k1, kl_k2, kl_k3, abs_delta_logprob, exp_abs_delta_logprob, .. } = figures;
    let [k1, k2, k3] = [kl_k1, kl_k2, kl_k3].map(|of| mean(*of));
    let [abs, exp] = [abs_delta_logprob, exp_abs_delta_logprob].map(|of| mean(*of));
    let correlation = figures.probability_correlation.map_or_else(|| "-".to_owned(), number);
    [
        format!("k1 {k1}, k2 {k2}, k3 {k3} nats/token"),
        format!("mean |ln q - ln p| {abs}, mean e^|ln q - ln p| {exp}, correlation of p and q {correlation}"),
    ]
}

fn described(alarm: &Alarm) -> String {
    let Alarm { framework, statistic, value, limit, is_clear } = alarm;
    let clear = if *is_clear { "" } else { ", its interval reaches the limit" };
    format!("ALARM: {statistic} is {}, {limit} ({framework}'s limit){clear}", number(*value))
}

/// The last steps, one row each.
fn steps(by_step: &[StepWeights]) -> Vec<String> {
    if by_step.is_empty() {
        return Vec::new();
    }
    let head = ["step", "tokens", "mean w", "mean W", "ESS of W", "k3", "mean e^|d|", "alarms"];
    let optional = |of: Option<Estimate>| of.map_or_else(|| "-".to_owned(), mean);
    let row = |StepWeights { step, figures }: &StepWeights| {
        let sequence = figures.sequence.as_ref();
        vec![
            step.to_string(),
            figures.tokens.to_string(),
            mean(figures.token.mean),
            optional(sequence.map(|level| level.mean)),
            optional(sequence.map(|level| level.ess)),
            mean(figures.kl_k3),
            mean(figures.exp_abs_delta_logprob),
            figures.alarms.len().to_string(),
        ]
    };
    let earlier = by_step.len().saturating_sub(STEPS);
    let rows: Vec<Row> =
        std::iter::once(head.map(str::to_owned).to_vec()).chain(by_step.iter().skip(earlier).map(row)).collect();
    let more = (earlier > 0).then(|| format!("  … and {earlier} earlier steps: --json"));
    aligned(&rows, 1).into_iter().chain(more).collect()
}

/// A line for each pair that has weights, and its alarms.
pub fn of_all(comparison: &Comparison, width: usize) -> Vec<String> {
    let of_pair = |pair: &Pair| {
        let figures = &pair.weights.as_ref()?.all;
        let level = |level: &WeightLevel| {
            let mark = if level.is_reliable { "" } else { UNRELIABLE };
            format!("{}{mark} (ESS {:.3})", mean(level.mean), level.ess.value)
        };
        let sequence = figures.sequence.as_ref().map_or_else(|| "-".to_owned(), level);
        let line = format!("  {}: of tokens {}, of sequences {sequence}", notes::label(pair), level(&figures.token));
        let alarms = figures.alarms.iter().map(|alarm| format!("    {}", described(alarm)));
        Some(std::iter::once(line).chain(alarms).collect::<Vec<_>>())
    };
    let mut lines: Vec<String> = comparison.pairs.iter().filter_map(of_pair).flatten().collect();
    if !lines.is_empty() {
        let head = "Importance weights of Q on P's recorded text: mean ± one standard error, and effective sample size";
        lines.insert(0, head.to_owned());
        let all = comparison.pairs.iter().filter_map(|pair| legend(&pair.weights.as_ref()?.all));
        lines.extend(all.take(1));
    }
    lines.into_iter().flat_map(|line| wrapped(&visible(&line), width, 4)).collect()
}

/// One JSON object per line for each step of each pair: the pair's names, `step` where rows carry one, and the scalars
/// under the requested names.
///
/// # Errors
/// [`Error::Usage`] if no pair has weights, with the reason.
pub fn named_scalars(comparison: &Comparison) -> Result<String> {
    let mut text = String::new();
    for (pair, weights) in comparison.pairs.iter().filter_map(|pair| Some((pair, pair.weights.as_ref()?))) {
        for of_step in &weights.named {
            let mut line = Map::new();
            for (key, name) in [("task", &pair.task), ("p", &pair.p), ("q", &pair.q)] {
                line.insert(key.to_owned(), Value::String(name.clone()));
            }
            if let Some(step) = of_step.step {
                // Dashboards want a whole number where it is one.
                let whole = (step.fract() == 0.0 && step.abs() < 1e15).then(|| json!(step as i64));
                line.insert("step".to_owned(), whole.unwrap_or_else(|| json!(step)));
            }
            line.extend(of_step.scalars.iter().map(|(key, value)| (key.clone(), json!(value))));
            text += &Value::Object(line).to_string();
            text.push('\n');
        }
    }
    if text.is_empty() {
        let what = "--names: no pair has importance weights: they need recorded numbers (`import`) of the model that wrote the text";
        return Err(Error::usage(what));
    }
    Ok(text)
}
