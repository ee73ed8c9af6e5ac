//! `text.format(values)`.
//!
//! Owns fields between braces. Rare forms are errors that name them.

use std::sync::Arc;

use super::super::arguments::Args;
use super::super::error::{Result, raise, reject};
use super::super::numbers;
use super::super::show;
use super::super::value::Value;
use super::field::{Spec, aligned, digits, float, number, whole};

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
            return Err(reject("a field inside of a field"));
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
        return Err(reject("an attribute of a field"));
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
        Some(_) => return Err(reject("such a conversion of a field")),
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
            return Err(reject("such a form of a field"));
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
        return Err(reject("such a form of a field"));
    }
    Ok(spec)
}

fn specified(value: &Value, spec: &Spec) -> Result<String> {
    let wrong = || reject(&format!("such a form of a {} in a field", value.kind()));
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
