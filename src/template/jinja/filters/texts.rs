//! Filters of texts.
//!
//! Owns what each filter does to a text and to other values: most take a value as `str` writes it. A safe string that
//! would be escaped is an error.

use std::fmt::Write;
use std::sync::Arc;

use super::super::arguments::{Args, int, need, size, text};
use super::super::error::{Result, raise, reject};
use super::super::lexer::is_space;
use super::super::methods::{cases, search, split};
use super::super::value::Value;
use super::super::width::pad;
use super::super::{format, show};

pub fn call(name: &str, args: &Args) -> Result<Value> {
    match name {
        "indent" => indent(args),
        "truncate" => truncate(args),
        "replace" => {
            let [value, old, new, most] = args.bind(name, ["s", "old", "new", "count"])?;
            let [value, old, new] = [value, old, new].map(|part| need(part, name).and_then(|part| show::text(&part)));
            let most = most.filter(|most| !matches!(most, Value::None));
            Ok(Value::str(search::replace(&value?, &old?, &new?, int(most.as_ref(), -1, name)?)?))
        }
        "format" => {
            let Some((value, rest)) = args.list.split_first() else { return Err(raise("format misses a text")) };
            if !args.named.is_empty() && !rest.is_empty() {
                return Err(raise("can't handle positional and keyword arguments at the same time"));
            }
            let values = if args.named.is_empty() {
                Value::tuple(rest.to_vec())?
            } else {
                Value::dict(args.named.iter().map(|(key, value)| (Value::Str(key.clone()), value.clone())).collect())?
            };
            Ok(Value::str(format::percent(&plain(value, name)?, &values)?))
        }
        "trim" => {
            let [value, chars] = args.bind(name, ["value", "chars"])?;
            let value = need(value, name)?;
            let own = show::text(&value)?;
            Ok(like(&value, search::strip(&own, "strip", chars.as_ref())?))
        }
        "center" => {
            let [value, width] = args.bind(name, ["value", "width"])?;
            let own = plain(&need(value, name)?, name)?;
            Ok(Value::str(pad(&own, "center", size(width.as_ref(), 80, name)?, ' ')))
        }
        _ => simple(name, args),
    }
}

/// Filters without arguments.
fn simple(name: &str, args: &Args) -> Result<Value> {
    let parameter =
        if matches!(name, "capitalize" | "lower" | "title" | "upper" | "wordcount") { "s" } else { "value" };
    let [value] = args.bind(name, [parameter])?;
    let value = need(value, name)?;
    match name {
        "upper" | "lower" | "capitalize" => Ok(like(&value, &cases::cased(&show::text(&value)?, name)?)),
        "title" => Ok(Value::str(title(&plain(&value, name)?))),
        "e" | "escape" if matches!(value, Value::Markup(_)) => Ok(value),
        "e" | "escape" | "forceescape" => Ok(Value::Markup(show::escaped(&show::text(&value)?).into())),
        "wordcount" => {
            let own = plain(&value, name)?;
            if !own.is_ascii() {
                return Err(reject("the number of words in a text that is not ASCII"));
            }
            let words = own.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty());
            Ok(Value::Int(words.count() as i128))
        }
        _ => match &value {
            Value::Str(own) => Ok(Value::str(percent_encoded(own))),
            _ => Err(reject("urlencode of what is no text")),
        },
    }
}

/// What `str` makes of a value that is no safe string.
fn plain(value: &Value, name: &str) -> Result<Arc<str>> {
    match value {
        Value::Str(text) => Ok(text.clone()),
        Value::Markup(_) => Err(reject(&format!("a safe string in {name}"))),
        other => Ok(show::text(other)?.into()),
    }
}

/// A text that is safe if `value` is.
fn like(value: &Value, text: &str) -> Value {
    if matches!(value, Value::Markup(_)) { Value::Markup(text.into()) } else { Value::str(text) }
}

fn percent_encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"_.-~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The first letters of words, which white space and opening signs part, as upper case.
fn title(text: &str) -> String {
    let is_between = |c: char| is_space(c) || matches!(c, '-' | '(' | '{' | '[' | '<');
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_between(c) != is_between(first)).unwrap_or(rest.len());
        out.extend(first.to_uppercase());
        out.push_str(&rest[first.len_utf8()..end].to_lowercase());
        rest = &rest[end..];
    }
    out
}

fn indent(args: &Args) -> Result<Value> {
    let [value, width, first, blank] = args.bind("indent", ["s", "width", "first", "blank"])?;
    let value = need(value, "indent")?;
    let Some(own) = value.as_str() else { return Err(raise(format!("indent of a {}", value.kind()))) };
    let by = match width {
        Some(Value::Str(text)) => text.to_string(),
        other => " ".repeat(size(other.as_ref(), 4, "indent")?),
    };
    let is = |value: Option<Value>| value.is_some_and(|value| value.is_true());
    let (first, blank) = (is(first), is(blank));
    let ended = format!("{own}\n");
    if split::lines(&ended, false).count().saturating_mul(by.len()) + own.len() > show::MAX_BYTES {
        return Err(show::too_long());
    }
    let mut out = String::new();
    for (index, line) in split::lines(&ended, false).enumerate() {
        if index > 0 {
            out.push('\n');
        }
        if if index == 0 { first } else { blank || !line.is_empty() } {
            out.push_str(&by);
        }
        out.push_str(line);
    }
    Ok(like(&value, &out))
}

fn truncate(args: &Args) -> Result<Value> {
    let names = ["s", "length", "killwords", "end", "leeway"];
    let [value, length, kill, end, leeway] = args.bind("truncate", names)?;
    let own = text(&need(value, "truncate")?, "truncate")?;
    let end = end.map_or(Ok("...".into()), |end| text(&end, "truncate"))?;
    let length = int(length.as_ref(), 255, "truncate")?;
    let leeway = int(leeway.filter(|leeway| !matches!(leeway, Value::None)).as_ref(), 5, "truncate")?;
    let ends = end.chars().count() as i128;
    if length < ends || leeway < 0 {
        return Err(raise("truncate: expected a length of the end at least, and no negative leeway"));
    }
    if own.chars().count() as i128 <= length + leeway {
        return Ok(Value::Str(own));
    }
    let cut: String = own.chars().take((length - ends) as usize).collect();
    let kept = if kill.is_some_and(|kill| kill.is_true()) {
        &cut
    } else {
        cut.rsplit_once(' ').map_or(&*cut, |(kept, _)| kept)
    };
    Ok(Value::str(format!("{kept}{end}")))
}
