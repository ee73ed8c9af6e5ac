//! Numbers: written as text, read from text, and combined by operators.
//!
//! Owns Python's arithmetic. Integers of more than 127 bits are errors, and so are results that floats would round
//! differently.

use super::ast::Math;
use super::error::{Result, raise, reject};
use super::lexer::is_space;
use super::value::Value;

/// Whole numbers up to here are floats, too.
const EXACT: i128 = 1 << 53;

/// Python's `repr` of a float: the shortest digits that read back, with an exponent below 1e-4 and from 1e16.
pub fn float(x: f64) -> String {
    if x.is_nan() {
        return "nan".to_owned();
    }
    if x.is_infinite() {
        return if x > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    if x == 0.0 || (1e-4..1e16).contains(&x.abs()) {
        return format!("{x:?}");
    }
    let text = format!("{x:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, size) = exponent.strip_prefix('-').map_or(('+', exponent), |size| ('-', size));
    format!("{digits}e{sign}{size:0>2}")
}

/// Digits with single underscores between them.
fn plain_digits(text: &str) -> Option<String> {
    let is_plain = !text.starts_with('_') && !text.ends_with('_') && !text.contains("__");
    is_plain.then(|| text.replace('_', ""))
}

/// Python's `int` of a text; `None` if it is none.
pub fn parse_int(text: &str, base: u32) -> Result<Option<i128>> {
    let text = text.trim_matches(is_space);
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (if text.starts_with('-') { "-" } else { "" }, digits),
        None => ("", text),
    };
    if !digits.is_ascii() {
        return Err(reject("digits that are not ASCII"));
    }
    let is_digit = |byte: u8| char::from(byte).is_digit(base) || byte == b'_';
    let Some(plain) = plain_digits(digits).filter(|plain| !plain.is_empty() && digits.bytes().all(is_digit)) else {
        // Where a base has a mark of its own, it may stand before the digits.
        let is_marked = base != 10 && digits.len() > 2 && digits.starts_with('0');
        return if is_marked { Err(reject("digits with a mark of their base")) } else { Ok(None) };
    };
    let parsed = i128::from_str_radix(&format!("{sign}{plain}"), base);
    parsed.map(Some).map_err(|_| reject("an integer of more than 127 bits"))
}

/// Python's `float` of a text; `None` if it is none.
pub fn parse_float(text: &str) -> Result<Option<f64>> {
    let text = text.trim_matches(is_space);
    if !text.is_ascii() {
        return if text.chars().any(char::is_numeric) { Err(reject("digits that are not ASCII")) } else { Ok(None) };
    }
    let lower = text.to_ascii_lowercase();
    let (negative, word) = match lower.strip_prefix(['-', '+']) {
        Some(word) => (lower.starts_with('-'), word),
        None => (false, lower.as_str()),
    };
    let x = match word {
        "inf" | "infinity" => f64::INFINITY,
        "nan" => f64::NAN,
        _ => {
            let is_number = word.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'+' | b'-' | b'_'));
            let between = |at: usize| {
                let is_digit =
                    |at: Option<usize>| at.and_then(|at| word.as_bytes().get(at)).is_some_and(u8::is_ascii_digit);
                is_digit(at.checked_sub(1)) && is_digit(Some(at + 1))
            };
            let is_spaced = word.match_indices('_').all(|(at, _)| between(at));
            let plain = word.replace('_', "");
            match plain.parse::<f64>() {
                Ok(x) if is_number && is_spaced && !plain.starts_with(['+', '-']) => x,
                _ => return Ok(None),
            }
        }
    };
    Ok(Some(if negative { -x } else { x }))
}

/// A float's whole part.
pub fn truncate(x: f64) -> Result<i128> {
    if x.is_nan() {
        return Err(raise("cannot convert float NaN to integer"));
    }
    if x.is_infinite() {
        return Err(raise("cannot convert float infinity to integer"));
    }
    if x.abs() >= 1e38 {
        return Err(reject("an integer of more than 127 bits"));
    }
    Ok(x as i128)
}

/// A number as a float, as Python makes one of it.
pub fn as_float(value: &Value) -> Option<f64> {
    match value {
        Value::Float(x) => Some(*x),
        _ => value.as_int().map(|n| n as f64),
    }
}

/// Two numbers.
pub fn math(op: Math, left: &Value, right: &Value) -> Result<Value> {
    if let (Some(a), Some(b)) = (left.as_int(), right.as_int()) {
        return whole(op, a, b);
    }
    let (Some(a), Some(b)) = (as_float(left), as_float(right)) else { return Err(raise("these are no numbers")) };
    Ok(Value::Float(match op {
        Math::Add => a + b,
        Math::Sub => a - b,
        Math::Mul => a * b,
        Math::Div | Math::FloorDiv | Math::Mod if b == 0.0 => return Err(raise("division by zero")),
        Math::Div => a / b,
        Math::FloorDiv => floor_and_rest(a, b).0,
        Math::Mod => floor_and_rest(a, b).1,
        Math::Pow => return power(a, b),
    }))
}

fn whole(op: Math, a: i128, b: i128) -> Result<Value> {
    let n = match op {
        Math::Add => a.checked_add(b),
        Math::Sub => a.checked_sub(b),
        Math::Mul => a.checked_mul(b),
        Math::Div | Math::FloorDiv | Math::Mod if b == 0 => return Err(raise("division by zero")),
        Math::Div if a.abs() > EXACT || b.abs() > EXACT => return Err(reject("a division of integers beyond 2^53")),
        Math::Div => return Ok(Value::Float(a as f64 / b as f64)),
        Math::FloorDiv => a.checked_div_euclid(b).map(|q| if b < 0 && a.rem_euclid(b) != 0 { q - 1 } else { q }),
        Math::Mod => a.checked_rem_euclid(b).map(|r| if b < 0 && r != 0 { r + b } else { r }),
        Math::Pow if b < 0 => return power(a as f64, b as f64),
        Math::Pow => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
    };
    n.map(Value::Int).ok_or_else(|| reject("an integer of more than 127 bits"))
}

/// `a ** b`.
fn power(a: f64, b: f64) -> Result<Value> {
    if a == 0.0 && b < 0.0 {
        return Err(raise("zero to a negative power"));
    }
    if a < 0.0 && b.is_finite() && b.fract() != 0.0 {
        return Err(reject("a complex number"));
    }
    let x = a.powf(b);
    if x.is_infinite() && a.is_finite() && b.is_finite() {
        return Err(raise("the power is too large"));
    }
    Ok(Value::Float(x))
}

/// Python's `divmod` of floats.
fn floor_and_rest(a: f64, b: f64) -> (f64, f64) {
    let mut rest = a % b;
    let mut quotient = (a - rest) / b;
    if rest == 0.0 {
        rest = 0.0_f64.copysign(b);
    } else if (b < 0.0) != (rest < 0.0) {
        rest += b;
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return (0.0_f64.copysign(a / b), rest);
    }
    let floor = quotient.floor();
    (if quotient - floor > 0.5 { floor + 1.0 } else { floor }, rest)
}

/// Python's `round` of a float to so many digits: the decimal that is nearest, halves to even.
pub fn round(x: f64, digits: i128) -> Result<f64> {
    if !x.is_finite() || digits > 300 {
        return Ok(x);
    }
    if digits < 0 {
        return Err(reject("rounding a float before its point"));
    }
    format!("{x:.*}", digits as usize).parse().map_err(|_| raise("a float that cannot be rounded"))
}

#[cfg(test)]
mod tests {
    use super::float;

    #[test]
    fn numbers_have_the_form_that_python_gives_them() {
        let cases = [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1e-4, "0.0001"),
            (1.5e-5, "1.5e-05"),
            (123_456_789_012_345.6, "123456789012345.6"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (-2.5e300, "-2.5e+300"),
            (f64::NEG_INFINITY, "-inf"),
        ];
        for (x, text) in cases {
            assert_eq!(float(x), text);
        }
    }
}
