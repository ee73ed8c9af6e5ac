//! KL(P‖Q) by task, with 95% intervals.
//!
//! Owns which value stands for a pair: the exact KL, else k3 where it estimates KL; on any other text only the bounds.

use std::fmt::Write;

use super::drawing::{CSV_PAIR, Figure, LABELS, csv_number, csv_pair, label, mean, pairs};
use super::svg::{self, Svg, tick_label, ticks};
use crate::shift::{Comparison, Estimate, KlEstimate, Pair, bounds_text, estimate_text};

const ROW: f64 = 24.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 44.0;

/// What is drawn of a pair.
struct Row<'a> {
    pair: &'a Pair,
    /// Exact, or an estimate of it, and which of the two.
    kl: Option<(Estimate, &'static str)>,
    bounds: [Option<f64>; 2],
    floor: Option<f64>,
    published: Option<f64>,
}

impl<'a> Row<'a> {
    fn of(pair: &'a Pair) -> Self {
        let k3 = || mean(pair, "kl_k3").filter(|_| pair.kl_estimate == KlEstimate::Yes).map(|mean| (mean, "k3"));
        let finite = |name| mean(pair, name).map(|mean| mean.value).filter(|value| value.is_finite());
        let floor = pair.noise_floor.as_ref().map(|floor| floor.p.value.max(floor.q.value));
        Self {
            pair,
            kl: mean(pair, "kl").map(|mean| (mean, "exact")).or_else(k3).filter(|(mean, _)| mean.value.is_finite()),
            bounds: [finite("kl_lower"), finite("kl_upper")],
            floor,
            published: pair.study.as_ref().map(|study| study.kl_divergence).filter(|value| value.is_finite()),
        }
    }

    fn largest(&self) -> f64 {
        let kl = self.kl.map(|(mean, _)| mean.high.unwrap_or(mean.value));
        let all = [kl, self.bounds[0], self.bounds[1], self.floor, self.published];
        all.into_iter().flatten().fold(0.0, f64::max)
    }
}

/// One row per pair: the bounds as a bar, the exact KL (or k3, where it estimates KL) as a point with its 95% interval, the
/// noise floor as a band, and the published study's value, which is no KL, as a hollow mark.
pub fn kl_by_task(comparison: &Comparison) -> Figure {
    let rows: Vec<Row> = pairs(comparison).map(Row::of).collect();
    let labels: Vec<String> = rows.iter().map(|row| label(row.pair)).collect();
    let left = svg::room(labels.iter().map(String::as_str), LABELS);
    let (width, height) = (left + 420.0, TOP + ROW * rows.len() as f64 + BOTTOM);
    let largest = rows.iter().map(Row::largest).fold(0.0, f64::max).max(1e-6);
    let x = |value: f64| left + 10.0 + value.clamp(0.0, largest) / largest * 390.0;
    let mut drawing = Svg::new(width, height);
    let floor_y = height - BOTTOM;
    for tick in ticks(0.0, largest) {
        drawing.line("f-grid", [x(tick), TOP], [x(tick), floor_y]);
        drawing.text("f-minor", [x(tick), floor_y + 16.0], "middle", &tick_label(tick));
    }
    for (i, (row, label)) in rows.iter().zip(&labels).enumerate() {
        draw(&mut drawing, row, label, (left, TOP + ROW * (i as f64 + 0.5)), &x);
    }
    drawing.line("f-axis", [x(0.0), floor_y], [x(largest), floor_y]);
    drawing.text("", [x(largest / 2.0), floor_y + 34.0], "middle", "KL(P‖Q), nats per token");
    let title = "KL(P‖Q) by task, with 95% intervals".to_owned();
    Figure { title, svg: drawing, csv: values(&rows) }
}

fn draw(drawing: &mut Svg, row: &Row, label: &str, (left, y): (f64, f64), x: &impl Fn(f64) -> f64) {
    drawing.text("", [left, y + 4.0], "end", &svg::shortened(label, left));
    if let Some(floor) = row.floor {
        let title = format!("noise floor {floor:.3e}");
        drawing.rectangle("f-floor", [x(0.0), y - 10.0], [x(floor) - x(0.0), 20.0], &title);
    }
    if let [Some(low), Some(high)] = row.bounds {
        let title = format!("{label}: guaranteed bounds {}", bounds_text(low, Some(high)));
        drawing.rectangle("f-bound", [x(low), y - 5.0], [(x(high) - x(low)).max(1.0), 10.0], &title);
    }
    if let Some(published) = row.published {
        let title = format!("{label}: the published study's value {published:.4}, a difference of log-probabilities");
        drawing.point("f-hollow", [x(published), y], &title);
    }
    if let Some((mean, by)) = row.kl {
        if let (Some(low), Some(high)) = (mean.low, mean.high) {
            drawing.line("f-line", [x(low), y], [x(high), y]);
            drawing.line("f-line", [x(low), y - 4.0], [x(low), y + 4.0]);
            drawing.line("f-line", [x(high), y - 4.0], [x(high), y + 4.0]);
        }
        drawing.point("f-point", [x(mean.value), y], &format!("{label}: {} ({by})", estimate_text(Some(mean))[0]));
    }
}

fn values(rows: &[Row]) -> String {
    let mut csv = format!("{CSV_PAIR},kl,by,low,high,lower_bound,upper_bound,noise_floor,published\n");
    for row in rows {
        let (mean, by) = row.kl.map_or((None, ""), |(mean, by)| (Some(mean), by));
        let numbers = [mean.map(|mean| mean.value), mean.and_then(|mean| mean.low), mean.and_then(|mean| mean.high)];
        let [value, low, high] = numbers.map(csv_number);
        let rest = [row.bounds[0], row.bounds[1], row.floor, row.published].map(csv_number).join(",");
        let _ = writeln!(csv, "{},{value},{by},{low},{high},{rest}", csv_pair(row.pair));
    }
    csv
}
