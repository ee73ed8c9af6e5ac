//! Methods that find, strip, pad or replace parts of a text.
//!
//! Owns positions in characters, as Python counts them. Stripping so many characters that each position would take long
//! is an error.

use super::super::arguments::{Args, int, need, text};
use super::super::error::{Result, raise, reject};
use super::super::lexer::is_space;
use super::super::show;
use super::super::value::Value;

/// Bytes of the characters that are stripped at most: each of them is looked for at each place.
const MOST_STRIPPED: usize = 1 << 12;

/// Python's strips: of white space, or of any of `chars`.
pub fn strip<'a>(own: &'a str, name: &str, chars: Option<&Value>) -> Result<&'a str> {
    let chars = match chars {
        None | Some(Value::None) => None,
        Some(chars) => Some(text(chars, name)?),
    };
    if chars.as_ref().is_some_and(|chars| chars.len() > MOST_STRIPPED) {
        return Err(reject("so many characters to strip"));
    }
    let is_off = |c: char| chars.as_ref().map_or(is_space(c), |chars| chars.contains(c));
    Ok(match name {
        "lstrip" => own.trim_start_matches(is_off),
        "rstrip" => own.trim_end_matches(is_off),
        _ => own.trim_matches(is_off),
    })
}

/// The part of a text that `start` and `end` leave, in characters; `None` if it begins after its end.
fn part<'a>(own: &'a str, start: Option<&Value>, end: Option<&Value>, what: &str) -> Result<Option<(usize, &'a str)>> {
    let is_given = |value: Option<&Value>| value.is_some_and(|value| !matches!(value, Value::None));
    if !is_given(start) && !is_given(end) {
        return Ok(Some((0, own)));
    }
    let length = own.chars().count() as i128;
    let fix = |value: Option<&Value>, default: i128| {
        let n = int(value.filter(|value| !matches!(value, Value::None)), default, what)?;
        Ok((if n < 0 { n + length } else { n }).max(0))
    };
    let (start, end) = (fix(start, 0)?, fix(end, length)?.min(length));
    if start > end {
        return Ok(None);
    }
    let byte = |n: i128| own.char_indices().nth(n as usize).map_or(own.len(), |(at, _)| at);
    Ok(Some((start as usize, &own[byte(start)..byte(end)])))
}

pub fn begins_or_ends(own: &str, name: &str, args: &Args) -> Result<Value> {
    let [what, start, end] = args.bind(name, ["_", "_", "_"])?;
    let what = need(what, name)?;
    let options = match &what {
        Value::Tuple(items) => items.items.iter().map(|item| text(item, name)).collect::<Result<Vec<_>>>()?,
        other => vec![text(other, name)?],
    };
    let Some((_, own)) = part(own, start.as_ref(), end.as_ref(), name)? else { return Ok(Value::Bool(false)) };
    let fits = |option: &str| if name == "startswith" { own.starts_with(option) } else { own.ends_with(option) };
    Ok(Value::Bool(options.iter().any(|option| fits(option))))
}

pub fn search(own: &str, name: &str, args: &Args) -> Result<Value> {
    let [what, start, end] = args.bind(name, ["_", "_", "_"])?;
    let what = text(&need(what, name)?, name)?;
    let found = part(own, start.as_ref(), end.as_ref(), name)?;
    if name == "count" {
        let count = found
            .map_or(0, |(_, own)| if what.is_empty() { own.chars().count() + 1 } else { own.matches(&*what).count() });
        return Ok(Value::Int(count as i128));
    }
    let at = found.and_then(|(start, own)| {
        let byte = if name.starts_with('r') { own.rfind(&*what) } else { own.find(&*what) }?;
        Some(start + own[..byte].chars().count())
    });
    match at {
        Some(at) => Ok(Value::Int(at as i128)),
        None if name.ends_with("find") => Ok(Value::Int(-1)),
        None => Err(raise("substring not found")),
    }
}

/// `own` with up to so many `old` as `new`, all if it is negative.
pub fn replace(own: &str, old: &str, new: &str, most: i128) -> Result<String> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let count = if old.is_empty() { own.chars().count() + 1 } else { own.matches(old).count() }.min(most);
    if count.saturating_mul(new.len()) > show::MAX_BYTES {
        return Err(show::too_long());
    }
    Ok(own.replacen(old, new, most))
}
