//! Importance weights in the overview of a report.
//!
//! Owns this section. Not here: computing them (`shift`).

use std::fmt::Write;

use super::html::{table, text};
use crate::shift::{Alarm, Estimate, Pair, WeightFigures, WeightLevel, estimate_text, number_text};

/// The weights of pairs of which P was recorded: of tokens and of sequences, and the limits that they do not keep.
pub fn html(pairs: &[Pair], names: fn(&Pair) -> [String; 3]) -> String {
    let all = || pairs.iter().filter_map(|pair| Some((pair, pair.weights.as_ref()?)));
    let row = |pair: &Pair, figures: &WeightFigures, (kind, level): (&str, &WeightLevel)| {
        let mark = if level.is_reliable { "" } else { " ‡" };
        let cell = |of: Estimate| text(&(estimate_text(Some(of))[0].clone() + mark));
        let share = |of: Estimate| format!("{:.1}%", 100.0 * of.value);
        let mut row = names(pair).to_vec();
        row.extend([kind.to_owned(), cell(level.mean), number_text(level.min), number_text(level.max)]);
        row.extend([share(level.share_outside), cell(level.ess), cell(level.ess_capped), cell(level.chi2)]);
        let alarms = figures.alarms.iter().filter(|alarm| alarm.statistic.starts_with(kind));
        row.push(text(&alarms.map(described).collect::<Vec<_>>().join("; ")));
        row
    };
    let rows = all().flat_map(|(pair, weights)| {
        let figures = &weights.all;
        let levels = [("token", Some(&figures.token)), ("sequence", figures.sequence.as_ref())];
        levels.into_iter().filter_map(move |(kind, level)| Some(row(pair, figures, (kind, level?))))
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return String::new();
    }
    let head =
        ["responses", "P", "Q", "weights", "mean", "min", "max", "outside 0.5–2", "ESS", "ESS cut", "χ²", "alarms"];
    let mut out = table("Importance weights q/p of Q on the text that P recorded", &head, 4, rows);
    let others = all().flat_map(|(pair, weights)| {
        let is_other = |alarm: &&Alarm| !["token", "sequence"].iter().any(|kind| alarm.statistic.starts_with(kind));
        let alarms = weights.all.alarms.iter().filter(is_other);
        alarms.map(move |alarm| format!("<li>{}</li>", text(&format!("{}: {}", pair.title(), described(alarm)))))
    });
    let others: String = others.collect();
    if !others.is_empty() {
        let _ = writeln!(out, "<ul class=\"note\">{others}</ul>");
    }
    out + LEGEND
}

const LEGEND: &str = "<p class=\"note\">ESS: effective sample size as a share of the number of weights. ‡ one cluster has \
more than 5% of Σw², so that the standard error is unreliable. Alarms are at the thresholds that verl and NeMo-RL state.</p>\n";

fn described(alarm: &Alarm) -> String {
    format!("{} {}, {} ({})", alarm.statistic, number_text(alarm.value), alarm.limit, alarm.framework)
}
