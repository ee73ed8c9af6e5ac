//! A figure: its drawing, and its values as CSV.
//!
//! Owns the style of a file of its own, and what rows are called. Not here: what each figure shows.

use crate::report::html;
use crate::shift::{Comparison, Pair};

use super::svg::Svg;

/// A drawing and its values.
pub struct Figure {
    /// Title above the drawing.
    pub title: String,
    pub(super) svg: Svg,
    /// Lines of comma-separated values, the head first.
    pub csv: String,
}

/// What a file needs that no page styles: real colours, because drawing programs and LaTeX know no variables.
const STYLE: &str = "text{font:12px 'DejaVu Sans',Helvetica,Arial,sans-serif;fill:#1a1a1a}.f-head{font-weight:bold}\
.f-minor{fill:#555}.f-axis{stroke:#1a1a1a}.f-grid{stroke:#ddd}.f-line{stroke:#1a1a1a;stroke-width:1.5}\
.f-bound{fill:#d0d0d0}.f-point{fill:#0767b0}.f-hollow{fill:#fff;stroke:#1a1a1a;stroke-width:1.5}\
.f-floor{fill:#f0deff}.f-k1{fill:#f0deff}.f-k2{fill:#e3c5fb}.f-k3{fill:#d5abf5}.f-k4{fill:#c792ee}.f-k5{fill:#8a4fb0}\
.f-a{fill:#8cc5ff}.f-b{fill:#f4ae75}.f-c{fill:#b04a00}\
.f-s0{stroke:#0767b0;fill:#0767b0}.f-s1{stroke:#df7d03;fill:#df7d03}.f-s2{stroke:#7d499f;fill:#7d499f}\
.f-curve{fill:none;stroke-width:2}.f-band{fill-opacity:.18;stroke:none}";

impl Figure {
    /// An element for a page, whose style colours it; on a narrow screen it moves sideways by itself.
    pub fn in_page(self) -> String {
        let title = html::text(&self.title);
        let svg = self.svg.finish(&self.title, None);
        format!("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{title}\">{svg}</div>\n")
    }

    /// A file.
    pub fn file(self) -> String {
        self.svg.finish(&self.title, Some(STYLE))
    }
}

/// What a row of a figure is called: the response set and the pair.
pub fn label(pair: &Pair) -> String {
    format!("{} by {}: {} → {}", pair.task, pair.generation_model, pair.p, pair.q)
}

/// The longest that a label may be, in units of the drawing.
pub const LABELS: f64 = 330.0;

/// A field of CSV.
pub fn csv(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// The fields of CSV that name a pair.
pub fn csv_pair(pair: &Pair) -> String {
    [&pair.generation_model, &pair.task, &pair.p, &pair.q].map(|name| csv(name)).join(",")
}

/// The head of [`csv_pair`].
pub const CSV_PAIR: &str = "generation_model,task,p,q";

/// A number of CSV; empty if it is unknown.
pub fn csv_number(number: Option<f64>) -> String {
    number.filter(|number| number.is_finite()).map(|number| number.to_string()).unwrap_or_default()
}

/// The mean over tokens of a measure of a pair.
pub fn mean(pair: &Pair, measure: &str) -> Option<crate::shift::Estimate> {
    pair.measures.iter().find(|found| found.name == measure)?.token_mean
}

/// The pairs of a comparison, those on one response set together.
pub fn pairs(comparison: &Comparison) -> impl Iterator<Item = &Pair> {
    comparison.pairs.iter()
}
