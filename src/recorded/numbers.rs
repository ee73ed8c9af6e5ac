//! Numbers as other programs write them.
//!
//! Owns lists of numbers, ids and flags in a row's JSON, and what a recorded log-probability may be. Not here: which
//! fields have them (`formats`).

use std::str::FromStr;

use crate::dataset::json::NAN;

/// Stand for −∞, which JSON lacks: vLLM writes the one, tinker the other.
const MINUS_INFINITY: [f64; 2] = [-9999.0, -99999.0];
/// Rounding may put a logarithm of a probability this far above 0.
const ROUNDING: f64 = 1e-3;

/// How many log-probabilities were not taken as they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// Above 0 by rounding: they became 0.
    pub rounded: u64,
    /// −∞, or a stand-in for it: they are −∞.
    pub impossible: u64,
    /// Lists of most likely tokens without ids: they are left out.
    pub lost_lists: u64,
}

impl Noted {
    /// Adds what was noted elsewhere.
    pub fn add(&mut self, other: Self) {
        self.rounded += other.rounded;
        self.impossible += other.impossible;
        self.lost_lists += other.lost_lists;
    }
}

/// The nearest f32 of a log-probability (nats). A value in (0, 1e-3] is rounding and becomes 0; −9999 and −99999 are −∞.
///
/// # Errors
/// How it continues "the log-probability": it is NaN, or too far above 0.
pub fn logprob(value: f64, noted: &mut Noted) -> Result<f32, String> {
    if value.is_nan() {
        return Err("is NaN".to_owned());
    }
    if value > ROUNDING {
        return Err(format!("is {value}, above 0: are these probabilities, losses or logits?"));
    }
    if value > 0.0 {
        noted.rounded += 1;
        return Ok(0.0);
    }
    if value == f64::NEG_INFINITY || MINUS_INFINITY.contains(&value) {
        noted.impossible += 1;
        return Ok(f32::NEG_INFINITY);
    }
    Ok(value as f32)
}

/// The numbers of a JSON list in the field `name`; null is `None`, and Python's words are the numbers that they name.
///
/// # Errors
/// What is wrong, with the field's name.
pub fn numbers(name: &str, raw: &str) -> Result<Vec<Option<f64>>, String> {
    items(name, raw, "numbers", |item| if item == "null" { Some(None) } else { number(item).map(Some) })
}

/// A number as JSON, or as Python writes one; `None` for anything else, null included.
pub fn number(raw: &str) -> Option<f64> {
    match raw {
        NAN | "\"NaN\"" => Some(f64::NAN),
        "\"Infinity\"" => Some(f64::INFINITY),
        "\"-Infinity\"" => Some(f64::NEG_INFINITY),
        _ => raw.parse().ok(),
    }
}

/// The token ids of a JSON list in the field `name`.
///
/// # Errors
/// What is wrong, with the field's name: an id that is negative, not whole or beyond 32 bits.
pub fn ids(name: &str, raw: &str) -> Result<Vec<u32>, String> {
    items(name, raw, "token ids", |item| u32::from_str(item).ok())
}

/// The flags of a JSON list in the field `name`: `true` and `false`, or 1 and 0.
///
/// # Errors
/// What is wrong, with the field's name.
pub fn flags(name: &str, raw: &str) -> Result<Vec<bool>, String> {
    items(name, raw, "flags (true and false, or 1 and 0)", |item| match item {
        "true" => Some(true),
        "false" => Some(false),
        _ => match item.parse() {
            Ok(1.0) => Some(true),
            Ok(0.0) => Some(false),
            _ => None,
        },
    })
}

/// The items of a list of plain values, each of which `read` must take. The text is JSON, so no plain value that is no
/// string has a comma.
fn items<T>(name: &str, raw: &str, what: &str, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    let inside = raw.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let inside = inside.ok_or_else(|| format!("`{name}` is no list of {what}"))?.trim();
    if inside.is_empty() {
        return Ok(Vec::new());
    }
    let item = |(place, item): (usize, &str)| {
        let item = item.trim();
        let shown: String = item.chars().take(40).collect();
        read(item).ok_or_else(|| format!("`{name}` is no list of {what}: item {place} is {shown}"))
    };
    inside.split(',').enumerate().map(item).collect()
}

/// A list in a list of one item, as programs write that log a batch row by row; any other list as it is.
pub fn unwrapped(raw: &str) -> &str {
    let inside = raw.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(str::trim);
    match inside {
        Some(inside) if inside.starts_with('[') && inside.ends_with(']') && inside.matches('[').count() == 1 => inside,
        _ => raw,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_probabilities_are_the_nearest_f32_or_rejected() {
        let mut noted = Noted::default();
        let mut read = |value| logprob(value, &mut noted);
        assert_eq!(read(-0.1), Ok(-0.1_f32));
        assert_eq!(read(-11.932_209_014_892_578).map(f32::to_bits), Ok((-11.932_209_f32).to_bits()));
        assert_eq!((read(0.0), read(1e-3), read(5e-8)), (Ok(0.0), Ok(0.0), Ok(0.0)));
        assert_eq!((read(-9999.0), read(-99999.0)), (Ok(f32::NEG_INFINITY), Ok(f32::NEG_INFINITY)));
        assert_eq!(read(f64::NEG_INFINITY), Ok(f32::NEG_INFINITY));
        assert!(read(1.001e-3).unwrap_err().starts_with("is 0.001001, above 0"));
        assert_eq!(read(f64::NAN).unwrap_err(), "is NaN");
        assert_eq!(noted, Noted { rounded: 2, impossible: 3, lost_lists: 0 });
    }

    #[test]
    fn lists_of_plain_values() {
        let known = numbers("x", &format!("[ -1.5 , null,{NAN}, -1e999,\"-Infinity\" ]")).unwrap();
        assert_eq!((known[0], known[1], known[3], known[4]), (Some(-1.5), None, Some(f64::NEG_INFINITY), known[3]));
        assert!(known[2].is_some_and(f64::is_nan));
        assert_eq!(numbers("x", "[]"), Ok(Vec::new()));
        assert_eq!(ids("x", "[0,4294967295]"), Ok(vec![0, u32::MAX]));
        for wrong in ["[1,-1]", "[1,4294967296]", "[1,1.0]", "[1,\"1\"]", "[1,[2]]"] {
            assert!(
                ids("token_ids", wrong).unwrap_err().starts_with("`token_ids` is no list of token ids: item 1 is ")
            );
        }
        assert_eq!(flags("m", "[true,0,1,false,1.0]"), Ok(vec![true, false, true, false, true]));
        assert!(flags("m", "[2]").is_err() && flags("m", "3").is_err());
        assert_eq!((unwrapped("[[1, 2]]"), unwrapped("[1]"), unwrapped("[[1],[2]]")), ("[1, 2]", "[1]", "[[1],[2]]"));
    }
}
