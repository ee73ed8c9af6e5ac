//! `text % values` and `text.format(values)`.
//!
//! Owns the forms of Python's two ways to fill in a text. Refuses those that are rare by name.

use std::sync::Arc;

use super::arguments::Args;
use super::error::{Result, raise, refuse};
use super::methods::pad;
use super::numbers;
use super::show;
use super::value::Value;

/// Most characters that a field is padded to, and digits that are written.
const MAX_WIDTH: usize = 10_000;

/// How a field is written.
#[derive(Debug, Default)]
struct Spec {
    fill: Option<char>,
    align: Option<char>,
    sign: Option<char>,
    has_zeros: bool,
    width: usize,
    has_commas: bool,
    precision: Option<usize>,
    kind: Option<char>,
}

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

fn digits(text: &str) -> Result<(Option<usize>, &str)> {
    let after = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = &text[..text.len() - after.len()];
    if digits.is_empty() {
        return Ok((None, after));
    }
    match digits.parse() {
        Ok(n) if n <= MAX_WIDTH => Ok((Some(n), after)),
        _ => Err(refuse("a field so wide")),
    }
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
        _ => return Err(refuse(&format!("the conversion `%{kind}`"))),
    })
}

fn whole(n: i128, kind: char) -> String {
    let n = n.unsigned_abs();
    match kind {
        'x' => format!("{n:x}"),
        'X' => format!("{n:X}"),
        'o' => format!("{n:o}"),
        'b' => format!("{n:b}"),
        _ => n.to_string(),
    }
}

fn float(x: f64, spec: &Spec) -> Result<String> {
    if !x.is_finite() {
        return Err(refuse("what is no finite number in a format"));
    }
    let text = format!("{:.*}", spec.precision.unwrap_or(6), x.abs());
    Ok(number(x.is_sign_negative(), text, spec))
}

/// A number's digits with its sign, commas and zeros.
fn number(is_negative: bool, digits: String, spec: &Spec) -> String {
    let sign = if is_negative {
        "-".to_owned()
    } else {
        spec.sign.filter(|sign| *sign != '-').map(String::from).unwrap_or_default()
    };
    let digits = if spec.has_commas { with_commas(&digits) } else { digits };
    let zeros = if spec.has_zeros { spec.width.saturating_sub(sign.len()) } else { 0 };
    aligned(&format!("{sign}{}", pad(&digits, "rjust", zeros, '0')), spec, '>')
}

fn with_commas(digits: &str) -> String {
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

fn aligned(text: &str, spec: &Spec, default: char) -> String {
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

/// `own.format(args)`
pub fn braces(own: &str, args: &Args) -> Result<String> {
    let mut out = String::new();
    let mut next = Some(0);
    let mut rest = own;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            out.push_str(brace);
            rest = after;
            continue;
        }
        let Some((inside, after)) = rest.split_once('}').filter(|_| brace == "{") else {
            return Err(raise("Single brace encountered in format string"));
        };
        if inside.contains('{') {
            return Err(refuse("a field inside of a field"));
        }
        rest = after;
        out.push_str(&braced(inside, args, &mut next)?);
        if out.len() > show::MAX_BYTES {
            return Err(show::too_long());
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// A field between braces; `next` is the number of the next one without a name, `None` once fields have numbers.
fn braced(inside: &str, args: &Args, next: &mut Option<usize>) -> Result<String> {
    let (name, spec) = inside.split_once(':').unwrap_or((inside, ""));
    let (name, conversion) = name.split_once('!').map_or((name, None), |(name, conversion)| (name, Some(conversion)));
    if name.contains(['.', '[']) {
        return Err(refuse("an attribute of a field"));
    }
    let value = if name.is_empty() || name.bytes().all(|byte| byte.is_ascii_digit()) {
        let index = match (name.parse(), *next) {
            (Ok(index), None | Some(0)) => {
                *next = None;
                index
            }
            (Err(_), Some(index)) => {
                *next = Some(index + 1);
                index
            }
            _ => return Err(raise("cannot switch between automatic and manual field numbering")),
        };
        args.list
            .get(index)
            .cloned()
            .ok_or_else(|| raise("Replacement index out of range for positional args tuple"))?
    } else {
        let named = args.named.iter().find(|(own, _): &&(Arc<str>, Value)| **own == *name);
        named.map(|(_, value)| value.clone()).ok_or_else(|| raise(format!("KeyError: '{name}'")))?
    };
    let value = match conversion {
        None => value,
        Some("s") => Value::str(show::text(&value)?),
        Some("r") => {
            let mut text = String::new();
            show::repr(&value, &mut text)?;
            Value::str(text)
        }
        Some(_) => return Err(refuse("such a conversion of a field")),
    };
    if spec.is_empty() { show::text(&value) } else { specified(&value, &brace_spec(spec)?) }
}

fn brace_spec(text: &str) -> Result<Spec> {
    let mut spec = Spec::default();
    let is_align = |c: &char| matches!(c, '<' | '>' | '^');
    let mut chars = text.chars();
    let (first, second) = (chars.next(), chars.next());
    let mut rest = text;
    if let (Some(fill), Some(align)) = (first, second.filter(is_align)) {
        (spec.fill, spec.align) = (Some(fill), Some(align));
        rest = &text[fill.len_utf8() + 1..];
    } else if let Some(align) = first.filter(is_align) {
        spec.align = Some(align);
        rest = &text[1..];
    }
    if let Some(sign) = rest.chars().next().filter(|c| matches!(c, '+' | '-' | ' ')) {
        spec.sign = Some(sign);
        rest = &rest[1..];
    }
    if rest.starts_with('0') {
        spec.has_zeros = spec.align.is_none();
        rest = &rest[1..];
        if !spec.has_zeros {
            return Err(refuse("such a form of a field"));
        }
    }
    let (width, after) = digits(rest)?;
    spec.width = width.unwrap_or(0);
    rest = after;
    if let Some(after) = rest.strip_prefix(',') {
        spec.has_commas = true;
        rest = after;
    }
    if let Some(after) = rest.strip_prefix('.') {
        let (precision, after) = digits(after)?;
        spec.precision = Some(precision.ok_or_else(|| raise("Format specifier missing precision"))?);
        rest = after;
    }
    spec.kind = rest.chars().next();
    if rest.chars().count() > 1 || (spec.has_commas && spec.has_zeros) {
        return Err(refuse("such a form of a field"));
    }
    Ok(spec)
}

fn specified(value: &Value, spec: &Spec) -> Result<String> {
    let wrong = || refuse(&format!("such a form of a {} in a field", value.kind()));
    match (value, spec.kind) {
        (Value::Str(text), None | Some('s')) if spec.sign.is_none() && !spec.has_zeros && !spec.has_commas => {
            let text: String = text.chars().take(spec.precision.unwrap_or(usize::MAX)).collect();
            Ok(aligned(&text, spec, '<'))
        }
        (Value::Int(n), None | Some('d' | 'x' | 'X' | 'o' | 'b')) if spec.precision.is_none() => {
            let kind = spec.kind.unwrap_or('d');
            if spec.has_commas && kind != 'd' { Err(wrong()) } else { Ok(number(*n < 0, whole(*n, kind), spec)) }
        }
        (Value::Int(_) | Value::Float(_), Some('f')) => float(numbers::as_float(value).unwrap_or_default(), spec),
        (Value::Float(x), Some('%')) if x.is_finite() => {
            let text = format!("{:.*}%", spec.precision.unwrap_or(6), (x * 100.0).abs());
            Ok(number(x.is_sign_negative(), text, spec))
        }
        _ => Err(wrong()),
    }
}
