//! `text % values`.
//!
//! Owns the conversions of Python's older formatting. Rare forms are errors that name them.

use super::super::error::{Result, raise, reject};
use super::super::numbers;
use super::super::show;
use super::super::value::Value;
use super::field::{Spec, aligned, digits, float, number, whole};

/// `own % values`; `values` is a tuple, an object or one value.
pub fn percent(own: &str, values: &Value) -> Result<String> {
    let list = match values {
        Value::Tuple(items) => items.items.clone(),
        other => vec![other.clone()],
    };
    let mut left = list.iter();
    let mut is_named = false;
    let mut out = String::new();
    let mut rest = own;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let name = match rest.strip_prefix('(') {
            Some(inside) => {
                let (name, after) = inside.split_once(')').ok_or_else(|| raise("incomplete format key"))?;
                rest = after;
                Some(name)
            }
            None => None,
        };
        let (spec, after) = percent_spec(rest)?;
        rest = after;
        if spec.kind == Some('%') {
            out.push('%');
            continue;
        }
        let value = match (name, values) {
            (Some(name), Value::Dict(dict)) => {
                is_named = true;
                dict.text(name).ok_or_else(|| raise(format!("KeyError: '{name}'")))?
            }
            (Some(_), _) => return Err(raise("format requires a mapping")),
            (None, _) => left.next().ok_or_else(|| raise("not enough arguments for format string"))?,
        };
        out.push_str(&field(value, &spec)?);
        if out.len() > show::MAX_BYTES {
            return Err(show::too_long());
        }
    }
    out.push_str(rest);
    let may_be_left =
        is_named || matches!(values, Value::Dict(_) | Value::List(_) | Value::Range(_) | Value::Undefined(_));
    if left.next().is_some() && !may_be_left {
        return Err(raise("not all arguments converted during string formatting"));
    }
    Ok(out)
}

fn percent_spec(text: &str) -> Result<(Spec, &str)> {
    let mut spec = Spec::default();
    let after = text.trim_start_matches(|c| {
        match c {
            '-' => spec.align = Some('<'),
            '0' => spec.has_zeros = true,
            '+' => spec.sign = Some('+'),
            ' ' => spec.sign = spec.sign.or(Some(' ')),
            _ => return false,
        }
        true
    });
    let (width, after) = digits(after)?;
    let (precision, after) = match after.strip_prefix('.') {
        Some(after) => digits(after).map(|(digits, after)| (Some(digits.unwrap_or(0)), after))?,
        None => (None, after),
    };
    let after = after.strip_prefix(['l', 'h', 'L']).unwrap_or(after);
    let kind = after.chars().next().ok_or_else(|| raise("incomplete format"))?;
    spec.width = width.unwrap_or(0);
    spec.precision = precision;
    spec.kind = Some(kind);
    // Texts go to the right, too, and zeros are for numbers alone.
    if matches!(kind, 's' | 'r') {
        spec.align = spec.align.or(Some('>'));
        spec.has_zeros = false;
    } else if spec.align.is_some() {
        spec.has_zeros = false;
    }
    Ok((spec, &after[kind.len_utf8()..]))
}

/// A value in a field of `%`.
fn field(value: &Value, spec: &Spec) -> Result<String> {
    let kind = spec.kind.unwrap_or('s');
    let cut = |text: String| match spec.precision {
        Some(most) => text.chars().take(most).collect(),
        None => text,
    };
    Ok(match kind {
        's' => aligned(&cut(show::text(value)?), spec, '>'),
        'r' => {
            let mut text = String::new();
            show::repr(value, &mut text)?;
            aligned(&cut(text), spec, '>')
        }
        'd' | 'i' | 'u' | 'x' | 'X' | 'o' if spec.precision.is_none() => {
            let n = match value {
                Value::Float(x) if matches!(kind, 'd' | 'i' | 'u') => numbers::truncate(*x)?,
                _ => value.as_int().ok_or_else(|| raise(format!("%{kind} format: a real number is required")))?,
            };
            let kind = if matches!(kind, 'i' | 'u') { 'd' } else { kind };
            number(n < 0, whole(n, kind), spec)
        }
        'f' | 'F' => {
            let x = numbers::as_float(value).ok_or_else(|| raise("must be real number"))?;
            float(x, spec)?
        }
        _ => return Err(reject(&format!("the conversion `%{kind}`"))),
    })
}
