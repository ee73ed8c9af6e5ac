//! A measure by the place in the response: means over positions that double, with 95% bands.
//!
//! Owns this figure. Not here: the slices (`shift`).

use std::fmt::Write;

use super::drawing::{CSV_PAIR, Figure, csv, csv_number, csv_pair, label, mean, pairs};
use super::svg::{Svg, shortened, tick_label, ticks};
use crate::shift::{Comparison, Estimate, Pair, Slice};

const WIDTH: f64 = 620.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 56.0;
const TOP: f64 = 10.0;

/// Curves of one drawing: more cannot be distinguished.
const CURVES: usize = 3;

/// Means of `measure` by position.
struct Curve<'a> {
    pair: &'a Pair,
    points: Vec<(&'a str, Estimate)>,
}

impl<'a> Curve<'a> {
    fn of(pair: &'a Pair, measure: &str) -> Option<Self> {
        let of_slice = |slice: &'a Slice| {
            let mean = slice.measures.iter().find(|means| means.name == measure)?.token_mean?;
            Some((slice.value.as_str(), mean)).filter(|(_, mean)| mean.value.is_finite())
        };
        let slices = pair.slices.iter().filter(|slice| slice.by == "position");
        let points: Vec<_> = slices.filter_map(of_slice).collect();
        (!points.is_empty()).then_some(Self { pair, points })
    }
}

/// `measure` by position, of the three pairs with the largest mean of it, if slices were taken; CSV has all pairs.
pub fn position(comparison: &Comparison, measure: &str, unit: &str) -> Option<Figure> {
    let mut all: Vec<Curve> = pairs(comparison).filter_map(|pair| Curve::of(pair, measure)).collect();
    let csv = values(&all, measure);
    let size = |curve: &Curve| mean(curve.pair, measure).map_or(0.0, |mean| mean.value.abs());
    all.sort_by(|a, b| size(b).total_cmp(&size(a)));
    let curves = &all[..all.len().min(CURVES)];
    let longest = curves.iter().max_by_key(|curve| curve.points.len())?;
    let ends = || {
        curves
            .iter()
            .flat_map(|curve| &curve.points)
            .flat_map(|(_, m)| [m.value, m.low.unwrap_or(m.value), m.high.unwrap_or(m.value)])
    };
    let (low, high) = ends().fold((0.0_f64, 1e-9_f64), |(low, high), end| (low.min(end), high.max(end)));
    let step = (WIDTH - LEFT - 20.0) / longest.points.len() as f64;
    let x = |place: usize| LEFT + step * (place as f64 + 0.5);
    let y = |value: f64| TOP + (high - value) / (high - low) * HEIGHT;
    let mut drawing = Svg::new(WIDTH, TOP + HEIGHT + 44.0 + 18.0 * curves.len() as f64);
    for tick in ticks(low, high) {
        drawing.line("f-grid", [LEFT, y(tick)], [WIDTH - 20.0, y(tick)]);
        drawing.text("f-minor", [LEFT - 6.0, y(tick) + 4.0], "end", &tick_label(tick));
    }
    for (place, (value, _)) in longest.points.iter().enumerate() {
        drawing.text("f-minor", [x(place), TOP + HEIGHT + 16.0], "middle", value);
    }
    for (i, curve) in curves.iter().enumerate() {
        draw(&mut drawing, curve, i, (&x, &y));
        let at = TOP + HEIGHT + 54.0 + 18.0 * i as f64;
        drawing.rectangle(&format!("f-s{i}"), [LEFT, at - 9.0], [12.0, 10.0], "");
        drawing.text("f-minor", [LEFT + 18.0, at], "start", &shortened(&label(curve.pair), WIDTH - 100.0));
    }
    drawing.line("f-axis", [LEFT, y(0.0)], [WIDTH - 20.0, y(0.0)]);
    drawing.text(
        "",
        [f64::midpoint(LEFT, WIDTH), TOP + HEIGHT + 34.0],
        "middle",
        &format!("position in the response; {unit}"),
    );
    Some(Figure { title: format!("{unit} by position"), svg: drawing, csv })
}

type Scale<'a> = (&'a dyn Fn(usize) -> f64, &'a dyn Fn(f64) -> f64);

fn draw(drawing: &mut Svg, curve: &Curve, number: usize, (x, y): Scale) {
    let end = |of: fn(&Estimate) -> Option<f64>| {
        move |(i, (_, mean)): (usize, &(&str, Estimate))| [x(i), y(of(mean).unwrap_or(mean.value))]
    };
    let points = || curve.points.iter().enumerate();
    let upper = points().map(end(|mean| mean.high));
    let lower: Vec<_> = points().map(end(|mean| mean.low)).collect();
    drawing.path(&format!("f-band f-s{number}"), upper.chain(lower.into_iter().rev()), true);
    drawing.path(&format!("f-curve f-s{number}"), points().map(end(|_| None)), false);
}

fn values(curves: &[Curve], measure: &str) -> String {
    let mut lines = format!("{CSV_PAIR},position,measure,mean,low,high\n");
    for curve in curves {
        for (position, mean) in &curve.points {
            let numbers = [Some(mean.value), mean.low, mean.high].map(csv_number).join(",");
            let _ = writeln!(lines, "{},{},{measure},{numbers}", csv_pair(curve.pair), csv(position));
        }
    }
    lines
}
