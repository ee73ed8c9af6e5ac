//! A field of a formatted text: its width, and how a number is written in it.
//!
//! Owns widths, signs, commas and zeros. A field wider than the limit on texts is an error.

use super::super::error::{Result, reject};
use super::super::width::pad;

/// Most characters that a field is padded to, and digits that are written.
const MAX_WIDTH: usize = 10_000;

/// How a field is written.
#[derive(Debug, Default)]
pub struct Spec {
    pub fill: Option<char>,
    pub align: Option<char>,
    pub sign: Option<char>,
    pub has_zeros: bool,
    pub width: usize,
    pub has_commas: bool,
    pub precision: Option<usize>,
    pub kind: Option<char>,
}

pub fn digits(text: &str) -> Result<(Option<usize>, &str)> {
    let after = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = &text[..text.len() - after.len()];
    if digits.is_empty() {
        return Ok((None, after));
    }
    match digits.parse() {
        Ok(n) if n <= MAX_WIDTH => Ok((Some(n), after)),
        _ => Err(reject("a field so wide")),
    }
}

pub fn whole(n: i128, kind: char) -> String {
    let n = n.unsigned_abs();
    match kind {
        'x' => format!("{n:x}"),
        'X' => format!("{n:X}"),
        'o' => format!("{n:o}"),
        'b' => format!("{n:b}"),
        _ => n.to_string(),
    }
}

pub fn float(x: f64, spec: &Spec) -> Result<String> {
    if !x.is_finite() {
        return Err(reject("what is no finite number in a format"));
    }
    let text = format!("{:.*}", spec.precision.unwrap_or(6), x.abs());
    Ok(number(x.is_sign_negative(), text, spec))
}

/// A number's digits with its sign, commas and zeros.
pub fn number(is_negative: bool, digits: String, spec: &Spec) -> String {
    let sign = if is_negative {
        "-".to_owned()
    } else {
        spec.sign.filter(|sign| *sign != '-').map(String::from).unwrap_or_default()
    };
    let digits = if spec.has_commas { with_commas(&digits) } else { digits };
    let zeros = if spec.has_zeros { spec.width.saturating_sub(sign.len()) } else { 0 };
    aligned(&format!("{sign}{}", pad(&digits, "rjust", zeros, '0')), spec, '>')
}

pub fn with_commas(digits: &str) -> String {
    let whole = digits.find('.').unwrap_or(digits.len());
    let mut out = String::new();
    for (index, c) in digits[..whole].chars().enumerate() {
        if index > 0 && (whole - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out + &digits[whole..]
}

pub fn aligned(text: &str, spec: &Spec, default: char) -> String {
    let name = match spec.align.unwrap_or(default) {
        '<' => "ljust",
        '^' => {
            // Unlike `center`, the smaller half comes first.
            let missing = spec.width.saturating_sub(text.chars().count());
            let half = pad(text, "rjust", text.chars().count() + missing / 2, spec.fill.unwrap_or(' '));
            return pad(&half, "ljust", spec.width, spec.fill.unwrap_or(' '));
        }
        _ => "rjust",
    };
    pad(text, name, spec.width, spec.fill.unwrap_or(' '))
}
