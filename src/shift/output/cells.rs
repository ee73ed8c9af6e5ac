//! Numbers and columns of text for a terminal.
//!
//! Owns digits and widths. Not here: what is shown.

use unicode_width::UnicodeWidthStr;

use crate::escape::visible;
use crate::shift::numbers::stats::Estimate;

pub type Row = Vec<String>;

pub fn cells(estimate: Option<Estimate>) -> [String; 2] {
    let Some(estimate) = estimate else { return ["-".to_owned(), String::new()] };
    let value = number(estimate.value);
    let mean = estimate.stderr.map_or_else(|| value.clone(), |error| format!("{value} ± {}", number(error)));
    let interval = estimate.low.zip(estimate.high);
    [mean, interval.map_or_else(String::new, |(low, high)| format!("[{}, {}]", number(low), number(high)))]
}

/// Five significant digits: fixed where that is short, else scientific.
pub fn number(x: f64) -> String {
    match x.abs() {
        0.0 => "0".to_owned(),
        size if !size.is_finite() => x.to_string(),
        size if (1e-3..1e5).contains(&size) => {
            let digits = 4 - size.log10().floor() as i32;
            format!("{x:.*}", digits.max(0) as usize)
        }
        _ => format!("{x:.4e}"),
    }
}

/// A token in brackets: its text, or its id where that is empty or not known, as of tokens that end a turn. Nothing if
/// neither is there.
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
