//! Drawing in SVG.
//!
//! Owns elements, axes and text. Colours are classes that the page's style or a file's own style fills, so that one
//! drawing follows light, dark and print. Not here: what is drawn.

use std::fmt::Write;

use crate::report::html;

/// Width of a character of a label, about.
const CHARACTER: f64 = 6.4;

/// A drawing.
pub struct Svg {
    /// Width, pixels.
    pub width: f64,
    /// Height, pixels.
    pub height: f64,
    body: String,
}

impl Svg {
    /// An empty drawing.
    pub fn new(width: f64, height: f64) -> Self {
        Self { width, height, body: String::new() }
    }

    fn add(&mut self, element: std::fmt::Arguments) {
        // Writing to a String does not fail.
        let _ = self.body.write_fmt(element);
    }

    /// A line between two points.
    pub fn line(&mut self, class: &str, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2]) {
        self.add(format_args!("<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"));
    }

    /// A rectangle, with what it says when it is pointed at.
    pub fn rectangle(&mut self, class: &str, [x, y]: [f64; 2], [width, height]: [f64; 2], title: &str) {
        let (width, title) = (width.max(0.0), html::text(title));
        self.add(format_args!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"><title>{title}</title></rect>"
        ));
    }

    /// A point, with what it says when it is pointed at.
    pub fn point(&mut self, class: &str, [x, y]: [f64; 2], title: &str) {
        let title = html::text(title);
        self.add(format_args!(
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"><title>{title}</title></circle>"
        ));
    }

    /// A line through points, or an area around them.
    pub fn path(&mut self, class: &str, points: impl IntoIterator<Item = [f64; 2]>, is_closed: bool) {
        let points: Vec<String> = points.into_iter().map(|[x, y]| format!("{x:.1} {y:.1}")).collect();
        let close = if is_closed { "Z" } else { "" };
        self.add(format_args!("<path class=\"{class}\" d=\"M{}{close}\"/>", points.join("L")));
    }

    /// A label: its `anchor` is `start`, `middle` or `end`.
    pub fn text(&mut self, class: &str, [x, y]: [f64; 2], anchor: &str, text: &str) {
        let text = html::text(text);
        self.add(format_args!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    /// The element, with `style` in it if the drawing is a file of its own.
    pub fn finish(self, title: &str, style: Option<&str>) -> String {
        let Self { width, height, body } = self;
        let style = style.map(|style| format!("<style>{style}</style>")).unwrap_or_default();
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"figure\" role=\"img\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\" aria-label=\"{0}\"><title>{0}</title>{style}{body}</svg>\n",
            html::text(title)
        )
    }
}

/// Room for the longest of some labels, up to `most`.
pub fn room<'a>(labels: impl IntoIterator<Item = &'a str>, most: f64) -> f64 {
    let longest = labels.into_iter().map(|label| label.chars().count()).max().unwrap_or_default();
    (longest as f64 * CHARACTER + 8.0).min(most)
}

/// A label that fits into `width`.
pub fn shortened(label: &str, width: f64) -> String {
    let most = ((width / CHARACTER) as usize).max(2);
    if label.chars().count() <= most {
        return label.to_owned();
    }
    label.chars().take(most - 1).chain(['…']).collect()
}

/// Some three to eight round values that cover the range between two.
pub fn ticks(low: f64, high: f64) -> Vec<f64> {
    let span = high - low;
    if !span.is_finite() || span <= 0.0 {
        return vec![low];
    }
    let magnitude = 10_f64.powf((span / 5.0).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * magnitude).into_iter().find(|step| span / step <= 7.0);
    let step = step.unwrap_or(10.0 * magnitude);
    let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
    (first..=last).map(|i| i as f64 * step).collect()
}

/// A tick's label: no more digits than its neighbours need.
pub fn tick_label(tick: f64) -> String {
    let rounded = format!("{tick:.6}");
    let trimmed = rounded.trim_end_matches('0').trim_end_matches('.');
    if trimmed.is_empty() || trimmed == "-0" { "0".to_owned() } else { trimmed.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{tick_label, ticks};

    #[test]
    fn ticks_are_round() {
        let labels = |low, high| ticks(low, high).into_iter().map(tick_label).collect::<Vec<_>>().join(" ");
        assert_eq!(labels(0.0, 0.47), "0 0.1 0.2 0.3 0.4");
        assert_eq!(labels(-0.3, 1.0), "-0.2 0 0.2 0.4 0.6 0.8 1");
        assert_eq!(labels(0.0, 0.0), "0");
    }
}
