//! Numbers and columns of text for a terminal.
//!
//! Owns digits and widths. Not here: what is shown.

use unicode_width::UnicodeWidthStr;

use crate::escape::visible;
use crate::shift::numbers::stats::Estimate;

pub type Row = Vec<String>;

/// A mean with its error, and its 95% interval; `-` without a value.
pub fn cells(estimate: Option<Estimate>) -> [String; 2] {
    let Some(estimate) = estimate else { return ["-".to_owned(), String::new()] };
    let interval = estimate.low.zip(estimate.high);
    let interval =
        interval.map_or_else(String::new, |(low, high)| format!("{} to {}", digits(low, 3), digits(high, 3)));
    [mean(estimate), interval]
}

/// A mean with its standard error; with three significant digits if it has none.
pub fn mean(estimate: Estimate) -> String {
    estimate.stderr.map_or_else(|| digits(estimate.value, 3), |error| with_error(estimate.value, error))
}

/// A share in percent; what would round to none or all of it is written differently from none and all.
pub fn share(share: f64) -> String {
    match 100.0 * share {
        percent if percent > 0.0 && percent < 0.05 => "<0.1%".to_owned(),
        percent if (99.95..100.0).contains(&percent) => ">99.9%".to_owned(),
        percent => format!("{percent:.1}%"),
    }
}

/// A value to the decimal place of the second significant digit of its standard error.
fn with_error(value: f64, error: f64) -> String {
    let exponent_of = |scientific: &str| -> i32 {
        scientific.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or_default()
    };
    let scientific = format!("{error:.1e}");
    let exponent = exponent_of(&scientific);
    match value.abs().max(error) {
        size if !size.is_finite() || error == 0.0 => format!("{} ± {}", number(value), number(error)),
        size if size < 1e-4 && value == 0.0 => format!("0 ± {scientific}"),
        size if size < 1e-4 => {
            let places = (exponent_of(&format!("{value:.1e}")) - exponent + 1).max(1) as usize;
            format!("{value:.places$e} ± {scientific}")
        }
        _ if exponent < -7 => format!("{} ± {scientific}", number(value)),
        _ => {
            let places = (1 - exponent).max(0) as usize;
            format!("{value:.places$} ± {error:.places$}")
        }
    }
}

/// Three significant digits.
pub fn short(x: f64) -> String {
    digits(x, 3)
}

/// Five significant digits.
pub fn number(x: f64) -> String {
    digits(x, 5)
}

/// Bounds with three significant digits, the lower rounded down and the upper up, so that they stay bounds; the lower
/// alone if nothing bounds the value from above.
pub fn bounds(low: f64, high: Option<f64>) -> String {
    let round = |x: f64, round: fn(f64) -> f64| {
        if x == 0.0 || !x.is_finite() {
            return x;
        }
        let scale = 10_f64.powi(2 - x.abs().log10().floor() as i32);
        if scale.is_finite() { round(x * scale) / scale } else { x }
    };
    let low = digits(round(low, f64::floor), 3);
    let high = high.filter(|high| high.is_finite()).map(|high| digits(round(high, f64::ceil), 3));
    high.map_or_else(|| format!("at least {low}"), |high| format!("{low} to {high}"))
}

/// So many significant digits: fixed where that is short, else scientific.
fn digits(x: f64, count: i32) -> String {
    match x.abs() {
        0.0 => "0".to_owned(),
        size if !size.is_finite() => x.to_string(),
        size if (1e-3..1e5).contains(&size) => {
            let places = count - 1 - size.log10().floor() as i32;
            format!("{x:.*}", places.max(0) as usize)
        }
        _ => format!("{x:.*e}", (count - 1) as usize),
    }
}

/// A token in brackets: its text, or its id if the text is empty or unknown, as for end-of-turn tokens. Nothing if
/// neither is known.
pub fn token(text: Option<&str>, id: Option<u32>) -> Option<String> {
    let text = text.filter(|text| !text.is_empty()).map(visible);
    text.or_else(|| Some(format!("#{}", id?))).map(|name| format!("[{name}]"))
}

/// Columns padded to their widest cell as a terminal shows it: the first `names` of them to the left, the others to the right. Cells may hold
/// anybody's text.
pub fn aligned(rows: &[Row], names: usize) -> Vec<String> {
    let rows: Vec<Row> = rows.iter().map(|row| row.iter().map(|cell| visible(cell)).collect()).collect();
    let width = |column: usize| rows.iter().map(|r| r[column].width()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let pad = |(i, cell): (usize, &String)| {
        // Not by format!, which counts characters: some take two columns, some none.
        let spaces = " ".repeat(widths[i] - cell.width());
        if i < names { format!("{cell}{spaces}") } else { format!("{spaces}{cell}") }
    };
    rows.iter()
        .map(|row| row.iter().enumerate().map(pad).collect::<Vec<_>>().join("  ").trim_end().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{bounds, share, with_error};

    #[test]
    fn a_value_has_the_digits_of_its_standard_error() {
        for (value, error, shown) in [
            (0.060_425, 0.002_572_6, "0.0604 ± 0.0026"),
            (0.426_89, 0.039_590, "0.427 ± 0.040"),
            (0.5, 0.0996, "0.50 ± 0.10"),
            (-5.1, 3735.6, "-5 ± 3736"),
            (3.9e-5, 5.6e-5, "3.9e-5 ± 5.6e-5"),
            (3.9123e-5, 1.2e-7, "3.912e-5 ± 1.2e-7"),
            (0.0, 1.2e-7, "0 ± 1.2e-7"),
            (0.25, 3e-12, "0.25000 ± 3.0e-12"),
            (0.25, 0.0, "0.25000 ± 0"),
            (f64::INFINITY, f64::NAN, "inf ± NaN"),
        ] {
            assert_eq!(with_error(value, error), shown);
        }
    }

    /// A lower bound that is printed must not lie above the one that was computed.
    #[test]
    fn printed_bounds_are_bounds() {
        assert_eq!(bounds(0.060_197, Some(0.064_463)), "0.0601 to 0.0645");
        assert_eq!(bounds(0.0, Some(f64::INFINITY)), "at least 0");
        assert_eq!(bounds(0.25, None), "at least 0.250");
        assert_eq!(bounds(1.239e-7, Some(12_345.6)), "1.23e-7 to 12400");
    }

    #[test]
    fn a_share_that_rounds_to_nothing_is_not_nothing() {
        let shown = [0.0, 0.0004, 0.0005, 0.964, 0.9996, 1.0].map(share);
        assert_eq!(shown, ["0.0%", "<0.1%", "0.1%", "96.4%", ">99.9%", "100.0%"]);
    }
}
