//! A comparison on one screen: one line per task and pair, and what qualifies it.
//!
//! Owns the choice of the few statistics that matter most, and the legend. Not here: all others (`table`), and how a
//! table fits a screen (`layout`).

use unicode_width::UnicodeWidthStr;

use super::cells::{self, Row};
use super::detail::moved_top;
use super::layout::{Column, Give, Grid, wrapped};
use super::marks;
use super::notes;
use super::summary::{Kl, Of, rows};
use super::warnings::incomplete;
use super::weights;
use crate::escape::visible;
use crate::schema::pair::KL;
use crate::shift::result::comparison::Comparison;
use crate::shift::result::kl_estimate::KlEstimate;
use crate::shift::result::pair::Pair;

/// Number of the pairs of top tokens that are shown of two models, and of pairs of models of which they are.
const TOKENS: usize = 4;
const PAIRS: usize = 5;
/// Reasons why k1 is no estimate that are shown.
const REASONS: usize = 3;

/// Heads of columns that may be left out.
const SAME_TOP: &str = "same top";
const SHIFTED: &str = "shifted";

/// The mark of fewer clusters than standard errors need.
const FEW: &str = "!";

/// One line per pair, and one per two models over all tasks: how far Q is from P, in nats per token with its standard
/// error (exact if known, else by k1 with guaranteed bounds), and how often both have the same top token. Then the legend,
/// what is incomplete, and the notes. No line of the table is wider than `width` columns of a terminal where that is
/// possible at all.
pub fn overview(comparison: &Comparison, width: usize) -> String {
    let rows = rows(comparison);
    let shown = Shown::of(&rows);
    let fitted = shown.grid(&rows).fitted(width);
    let mut lines = fitted.lines;
    lines.push(String::new());
    let wrap = |line: String| wrapped(&visible(&line), width, 2);
    if !fitted.left_out.is_empty() {
        let left_out = fitted.left_out.join(", ");
        lines.extend(wrap(format!("left out to fit {width} columns: {left_out}")));
    }
    lines.extend(shown.legend(&rows, &fitted.left_out).into_iter().flat_map(wrap));
    lines.extend(incomplete_pairs(comparison).into_iter().flat_map(wrap));
    let tokens = moved_tokens(comparison, width);
    if !tokens.is_empty() {
        lines.push(String::new());
        lines.extend(tokens);
    }
    let fields = related_fields(comparison);
    if !fields.is_empty() {
        lines.push(String::new());
        lines.extend(fields.into_iter().flat_map(wrap));
    }
    let weights = weights::of_all(comparison, width);
    if !weights.is_empty() {
        lines.push(String::new());
        lines.extend(weights);
    }
    let notes = notes::of_all(comparison);
    if !notes.is_empty() {
        lines.push(String::new());
        lines.extend(notes.into_iter().flat_map(wrap));
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

/// Which columns say something.
struct Shown {
    by: bool,
    exact: bool,
    k1: bool,
    parts: bool,
}

impl Shown {
    fn of(rows: &[Of]) -> Self {
        Self {
            by: rows.iter().any(|of| of.models()[0] != of.generation_model()),
            exact: rows.iter().any(|of| matches!(of.kl(), Kl::Exact(_))),
            k1: rows.iter().any(|of| !matches!(of.kl(), Kl::Exact(_))),
            parts: rows.iter().any(|of| of.parts().is_some()),
        }
    }

    fn grid(&self, rows: &[Of]) -> Grid {
        let kl = match (self.exact, self.k1) {
            (true, false) => "KL(P‖Q), nats/token",
            (false, true) => "KL(P‖Q) by k1",
            _ => "KL(P‖Q)",
        };
        let columns = [
            (true, "task", Give::Name),
            (self.by, "by", Give::Name),
            (true, "P", Give::Name),
            (true, "Q", Give::Name),
            (true, kl, Give::Never),
            (self.exact && self.k1, "from", Give::Never),
            (self.k1, "bounds on KL", Give::Never),
            (true, SAME_TOP, Give::Drop(2)),
            (true, SHIFTED, Give::Drop(1)),
            (true, "clusters", Give::Never),
            (self.parts, "parts", Give::Never),
        ];
        let cells = rows.iter().map(|of| {
            let cells = Self::cells(*of).into_iter().zip(&columns);
            cells.filter(|(_, (is_shown, ..))| *is_shown).map(|(cell, _)| cell).collect()
        });
        Grid {
            rows: cells.collect(),
            columns: columns
                .iter()
                .filter(|column| column.0)
                .map(|(_, head, give)| Column::new(*head, *give))
                .collect(),
        }
    }

    /// A cell for every column, shown or not.
    fn cells(of: Of) -> Row {
        let (kl, from) = match of.kl() {
            Kl::Exact(mean) => (cells::mean(mean), "exact"),
            Kl::K1(mean) => (cells::mean(mean) + marks::mark(of.kl_estimate()), "k1"),
            Kl::Unknown => ("-".to_owned(), "-"),
        };
        let share = |name| of.mean(name).map_or_else(|| "-".to_owned(), |mean| cells::share(mean.value));
        let bounds = of.bounds().map_or_else(|| "-".to_owned(), |(lower, upper)| cells::bounds(lower, upper));
        let few = if of.has_few_clusters() { FEW } else { "" };
        let [p, q] = of.models().map(str::to_owned);
        vec![
            of.task(),
            of.generation_model().to_owned(),
            p,
            q,
            kl,
            from.to_owned(),
            bounds,
            share("same_top"),
            share("shift_class.shifted"),
            format!("{}{few}", of.clusters()),
            of.parts().unwrap_or_default(),
        ]
    }

    /// What the columns and marks mean, but for columns that are left out.
    fn legend(&self, rows: &[Of], left_out: &[String]) -> Vec<String> {
        let estimate = match (self.exact, self.k1) {
            (true, false) => "exact mean over tokens",
            (false, true) => "mean of k1 (ln p - ln q) over tokens, in nats",
            _ => "mean over tokens in nats, exact or by k1 (ln p - ln q)",
        };
        let bounds = if self.k1 { "The bounds hold for any responses. " } else { "" };
        let mut lines = vec![format!("KL(P‖Q): {estimate} ± one standard error, clustered by prompt. {bounds}")];
        let columns = [
            (SAME_TOP, "both have the same most likely token."),
            (SHIFTED, "P's most likely token is not in Q's top 3."),
        ];
        let columns = columns.into_iter().filter(|(head, _)| !left_out.iter().any(|left_out| left_out == head));
        lines.push(columns.map(|(head, what)| [head, ": ", what, " "].concat()).collect());
        lines.retain(|line| !line.is_empty());
        let temperatures: Vec<f64> = rows.iter().filter_map(|of| of.temperature()).collect();
        if let Some(temperature) = temperatures.first() {
            let of = if temperatures.len() == rows.len() { "KL" } else { "exact KL of some rows" };
            lines.push(format!("{of}: at temperature {temperature}; everything else at 1"));
        }
        if rows.iter().any(|of| of.has_few_clusters()) {
            lines.push(format!("{FEW} fewer than 30 clusters: standard errors and intervals are rough"));
        }
        lines.extend(caveats(rows));
        lines.extend(rows.iter().any(|of| is_wide(*of)).then(|| WIDE.to_owned()));
        lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
    }
}

const WIDE: &str = "bounds that say little are narrowed by a larger `score --top-k`; `score --exact`, or `kl --exact` after \
                    `score --keep-hidden`, gives the KL itself";

/// Whether nothing but bounds says what the KL is, and they leave a factor of three open.
fn is_wide(of: Of) -> bool {
    let is_exact = matches!(of.kl(), Kl::Exact(_));
    let is_far = |(low, high): (f64, Option<f64>)| high.is_none_or(|high| high > 3.0 * low && high - low > 1e-3);
    !is_exact && of.bounds().is_some_and(is_far)
}

/// Why k1 is left out, or marked, in the rows that have nothing better. Reasons that differ in numbers alone are one, and
/// those of what is pooled are those of its pairs.
fn caveats(rows: &[Of]) -> Vec<String> {
    let mut found: Vec<(&'static str, String)> = Vec::new();
    let without_numbers = |text: &str| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    let pairs = rows.iter().filter(|of| matches!(of, Of::Pair(_)) && !matches!(of.kl(), Kl::Exact(_)));
    for of in pairs {
        let Some(caveat) = of.kl_estimate().caveat() else { continue };
        let mark = if matches!(of.kl_estimate(), KlEstimate::No { .. }) { "-" } else { marks::mark(of.kl_estimate()) };
        if !found.iter().any(|(_, known)| without_numbers(known) == without_numbers(&caveat)) {
            found.push((mark, caveat));
        }
    }
    let has_more = found.len() > REASONS;
    let reasons = found.into_iter().take(REASONS).map(|(mark, caveat)| format!("{mark} k1 is {caveat}"));
    reasons.chain(has_more.then(|| "  … and for other reasons: --all".to_owned())).collect()
}

/// One line for every pair of which parts are missing, and for what is pooled of such.
fn incomplete_pairs(comparison: &Comparison) -> Vec<String> {
    let of_pair = |pair: &Pair| Some(format!("{}: {}", notes::label(pair), incomplete(pair.partial.as_ref()?)));
    let pooled = comparison.overall.iter().filter_map(|of| {
        Some(format!("all {} tasks, P = {}, Q = {}: {}", of.tasks.len(), of.p, of.q, of.incomplete()?))
    });
    comparison.pairs.iter().filter_map(of_pair).chain(pooled).collect()
}

/// How kept fields go with the KL of responses, a line for each of the first pairs that have one.
fn related_fields(comparison: &Comparison) -> Vec<String> {
    let of_pair = |pair: &Pair| {
        let shown = pair.fields.iter().filter_map(|field| {
            let is_kl = |name: &str| name == KL || field.kl_estimate == KlEstimate::Yes;
            let measure = field.measures.iter().find(|measure| is_kl(&measure.name))?;
            Some(format!("{} {}", field.field, cells::mean(measure.per_token?.correlation?)))
        });
        let shown: Vec<String> = shown.collect();
        (!shown.is_empty()).then(|| format!("  {}: {}", notes::label(pair), shown.join(", ")))
    };
    let found: Vec<String> = comparison.pairs.iter().filter_map(of_pair).collect();
    let more = found.len().saturating_sub(PAIRS);
    let mut lines: Vec<String> = found.into_iter().take(PAIRS).collect();
    if !lines.is_empty() {
        lines.insert(
            0,
            "Correlation of kept fields with the KL of responses (mean over tokens) ± one standard error:".to_owned(),
        );
    }
    if more > 0 {
        lines.push(format!("  … and {more} more pairs: --all"));
    }
    lines
}

/// From which top token to which most KL moved, a line for each of the first pairs of models.
fn moved_tokens(comparison: &Comparison, width: usize) -> Vec<String> {
    let shown: Vec<String> = comparison.pairs.iter().filter_map(|pair| of_pair(pair, width)).collect();
    let more = shown.len().saturating_sub(PAIRS);
    let mut lines: Vec<String> = shown.into_iter().take(PAIRS).collect();
    if lines.is_empty() {
        return lines;
    }
    let what = "Where P's top token is another than Q's: [P's] → [Q's] places (share of KL)";
    let head = wrapped(what, width, 2);
    lines.splice(0..0, head);
    if more > 0 {
        lines.push(format!("  … and {more} more pairs: --all"));
    }
    lines
}

/// As many of them as fit on one line.
fn of_pair(pair: &Pair, width: usize) -> Option<String> {
    let moved = &pair.exact.as_ref()?.most_moved;
    let mut line = visible(&format!("  {}:", notes::label(pair)));
    for (place, moved) in moved.iter().take(TOKENS).map(moved_top).enumerate() {
        let next = format!("{} {moved}", if place > 0 { "," } else { "" });
        if place > 0 && line.width() + next.width() > width {
            break;
        }
        line += &next;
    }
    Some(if moved.is_empty() { line + " nowhere" } else { line })
}
