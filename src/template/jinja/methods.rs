//! The methods of Python's texts.
//!
//! Owns what each of them does. Refuses those that no template uses, by name, and rules of letters that are not ASCII
//! where Rust's tables do not say what Python's do.

use super::arguments::{Args, int, need, size, text};
use super::error::{Result, raise, refuse};
use super::format;
use super::lexer::is_space;
use super::show;
use super::value::Value;

/// Every method there is in Python.
const ALL: &str = " capitalize casefold center count encode endswith expandtabs find format format_map index isalnum \
    isalpha isascii isdecimal isdigit isidentifier islower isnumeric isprintable isspace istitle isupper join ljust lower \
    lstrip maketrans partition removeprefix removesuffix replace rfind rindex rjust rpartition rsplit rstrip split \
    splitlines startswith strip swapcase title translate upper zfill ";

pub fn exists(name: &str) -> bool {
    ALL.split(' ').any(|method| method == name && !name.is_empty())
}

/// `own.name(args)`
pub fn call(own: &str, name: &str, args: &Args) -> Result<Value> {
    let string = |text: String| Ok(Value::str(text));
    match name {
        "upper" | "lower" | "capitalize" | "title" | "swapcase" => {
            args.none(name)?;
            string(cased(own, name)?)
        }
        "strip" | "lstrip" | "rstrip" => {
            let [chars] = args.bind(name, ["_"])?;
            string(strip(own, name, chars.as_ref())?.to_owned())
        }
        "split" | "rsplit" => {
            let [separator, most] = args.bind(name, ["sep", "maxsplit"])?;
            split(own, separator.as_ref(), int(most.as_ref(), -1, name)?, name == "rsplit")
        }
        "splitlines" => {
            let [keep] = args.bind(name, ["keepends"])?;
            let lines = lines(own, keep.is_some_and(|keep| keep.is_true()));
            Value::list(lines.into_iter().map(Value::str).collect())
        }
        "startswith" | "endswith" => begins_or_ends(own, name, args),
        "replace" => {
            let [old, new, most] = args.bind(name, ["_", "_", "count"])?;
            let (old, new) = (text(&need(old, name)?, name)?, text(&need(new, name)?, name)?);
            string(replace(own, &old, &new, int(most.as_ref(), -1, name)?)?)
        }
        "find" | "rfind" | "index" | "rindex" | "count" => search(own, name, args),
        "join" => {
            let [items] = args.bind(name, ["_"])?;
            join(own, &need(items, name)?)
        }
        "format" => string(format::braces(own, args)?),
        "removeprefix" | "removesuffix" => {
            let [part] = args.bind(name, ["_"])?;
            let part = text(&need(part, name)?, name)?;
            let rest = if name == "removeprefix" { own.strip_prefix(&*part) } else { own.strip_suffix(&*part) };
            string(rest.unwrap_or(own).to_owned())
        }
        "partition" | "rpartition" => partition(own, name, args),
        "center" | "ljust" | "rjust" => {
            let [width, fill] = args.bind(name, ["_", "_"])?;
            let fill = fill.map_or(Ok(" ".into()), |fill| text(&fill, name))?;
            let mut chars = fill.chars();
            let (Some(fill), None) = (chars.next(), chars.next()) else {
                return Err(raise("The fill character must be exactly one character long"));
            };
            string(pad(own, name, size(Some(&need(width, name)?), 0, name)?, fill))
        }
        "zfill" => {
            let [width] = args.bind(name, ["_"])?;
            let (sign, digits) = own.split_at(usize::from(own.starts_with(['-', '+'])));
            let width = size(Some(&need(width, name)?), 0, name)?.saturating_sub(sign.len());
            string(format!("{sign}{}", pad(digits, "rjust", width, '0')))
        }
        "isascii" => {
            args.none(name)?;
            Ok(Value::Bool(own.is_ascii()))
        }
        _ if name.starts_with("is") => {
            args.none(name)?;
            is(own, name).map(Value::Bool)
        }
        _ => Err(refuse(&format!("the method `{name}` of texts"))),
    }
}

fn cased(own: &str, name: &str) -> Result<String> {
    let title = |c: char| {
        let upper: String = c.to_uppercase().collect();
        // Some letters have a form of their own for the begin of a word.
        let is_special =
            upper.chars().count() > 1 || matches!(u32::from(c), 0x1c4..=0x1cc | 0x1f1..=0x1f3 | 0x10d0..=0x10ff);
        if is_special { Err(refuse("the title case of such a letter")) } else { Ok(upper) }
    };
    Ok(match name {
        "upper" => own.to_uppercase(),
        "lower" => own.to_lowercase(),
        // What a sigma becomes depends on the letters before it, of which this takes the first away.
        "capitalize" if own.contains('Σ') => return Err(refuse("the capital form of such a text")),
        "capitalize" => match own.chars().next() {
            Some(first) => title(first)? + &own[first.len_utf8()..].to_lowercase(),
            None => String::new(),
        },
        "swapcase" if own.is_ascii() => own
            .chars()
            .map(|c| if c.is_ascii_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() })
            .collect(),
        "title" => {
            let mut out = String::new();
            let mut is_inside = false;
            for c in own.chars() {
                match is_inside {
                    true if c == 'Σ' => return Err(refuse("the title case of such a letter")),
                    true => out.extend(c.to_lowercase()),
                    false => out.push_str(&title(c)?),
                }
                is_inside = is_cased(c);
            }
            out
        }
        _ => return Err(refuse(&format!("the method `{name}` of a text that is not ASCII"))),
    })
}

fn is_cased(c: char) -> bool {
    c.is_lowercase() || c.is_uppercase() || matches!(u32::from(c), 0x1c5 | 0x1c8 | 0x1cb | 0x1f2)
}

/// Bytes of the characters that are stripped at most: each of them is looked for at each place.
const MOST_STRIPPED: usize = 1 << 12;

/// Python's strips: of white space, or of any of `chars`.
pub fn strip<'a>(own: &'a str, name: &str, chars: Option<&Value>) -> Result<&'a str> {
    let chars = match chars {
        None | Some(Value::None) => None,
        Some(chars) => Some(text(chars, name)?),
    };
    if chars.as_ref().is_some_and(|chars| chars.len() > MOST_STRIPPED) {
        return Err(refuse("so many characters to strip"));
    }
    let is_off = |c: char| chars.as_ref().map_or(is_space(c), |chars| chars.contains(c));
    Ok(match name {
        "lstrip" => own.trim_start_matches(is_off),
        "rstrip" => own.trim_end_matches(is_off),
        _ => own.trim_matches(is_off),
    })
}

fn split(own: &str, separator: Option<&Value>, most: i128, is_right: bool) -> Result<Value> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let parts: Vec<&str> = match separator {
        None | Some(Value::None) => words(own, most, is_right),
        Some(separator) => {
            let separator = text(separator, "split")?;
            if separator.is_empty() {
                return Err(raise("empty separator"));
            }
            let most = most.saturating_add(1);
            if is_right {
                let mut parts: Vec<&str> = own.rsplitn(most, &*separator).collect();
                parts.reverse();
                parts
            } else {
                own.splitn(most, &*separator).collect()
            }
        }
    };
    Value::list(parts.into_iter().map(Value::str).collect())
}

/// Words between white space; the last one is what is left after so many splits.
fn words(own: &str, most: usize, is_right: bool) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = own;
    loop {
        rest = if is_right { rest.trim_end_matches(is_space) } else { rest.trim_start_matches(is_space) };
        if rest.is_empty() {
            break;
        }
        let found = if parts.len() == most {
            None
        } else if is_right {
            rest.rfind(is_space)
        } else {
            rest.find(is_space)
        };
        match found {
            None => {
                let whole = if is_right { rest.trim_start_matches(is_space) } else { rest.trim_end_matches(is_space) };
                // What is left after the last split keeps its own end, as Python has it.
                parts.push(if parts.len() == most { rest } else { whole });
                break;
            }
            Some(at) if is_right => {
                let begin = at + rest[at..].chars().next().map_or(1, char::len_utf8);
                parts.push(&rest[begin..]);
                rest = &rest[..at];
            }
            Some(at) => {
                parts.push(&rest[..at]);
                rest = &rest[at..];
            }
        }
    }
    if is_right {
        parts.reverse();
    }
    parts
}

/// Python's lines: many characters end one.
pub fn lines(own: &str, with_ends: bool) -> Vec<&str> {
    let is_end = |c: char| {
        matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    let mut lines = Vec::new();
    let mut rest = own;
    while !rest.is_empty() {
        let (text, after) = match rest.find(is_end) {
            Some(at) if rest[at..].starts_with("\r\n") => (at, at + 2),
            Some(at) => (at, at + rest[at..].chars().next().map_or(1, char::len_utf8)),
            None => (rest.len(), rest.len()),
        };
        lines.push(&rest[..if with_ends { after } else { text }]);
        rest = &rest[after..];
    }
    lines
}

/// The part of a text that `start` and `end` leave, in characters; `None` if it begins after its end.
fn part<'a>(own: &'a str, start: Option<&Value>, end: Option<&Value>, what: &str) -> Result<Option<(usize, &'a str)>> {
    let is_given = |value: Option<&Value>| value.is_some_and(|value| !matches!(value, Value::None));
    if !is_given(start) && !is_given(end) {
        return Ok(Some((0, own)));
    }
    let length = own.chars().count() as i128;
    let settle = |value: Option<&Value>, default: i128| {
        let n = int(value.filter(|value| !matches!(value, Value::None)), default, what)?;
        Ok((if n < 0 { n + length } else { n }).max(0))
    };
    let (start, end) = (settle(start, 0)?, settle(end, length)?.min(length));
    if start > end {
        return Ok(None);
    }
    let byte = |n: i128| own.char_indices().nth(n as usize).map_or(own.len(), |(at, _)| at);
    Ok(Some((start as usize, &own[byte(start)..byte(end)])))
}

fn begins_or_ends(own: &str, name: &str, args: &Args) -> Result<Value> {
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

fn search(own: &str, name: &str, args: &Args) -> Result<Value> {
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

fn join(own: &str, items: &Value) -> Result<Value> {
    let mut out = String::new();
    for (index, item) in items.iterate()?.enumerate() {
        if index > 0 {
            out.push_str(own);
        }
        match item? {
            Value::Str(text) => out.push_str(&text),
            Value::Markup(_) => return Err(refuse("a safe string in join")),
            other => {
                return Err(raise(format!("sequence item {index}: expected str instance, {} found", other.kind())));
            }
        }
        if out.len() > show::MAX_BYTES {
            return Err(show::too_long());
        }
    }
    Ok(Value::str(out))
}

fn partition(own: &str, name: &str, args: &Args) -> Result<Value> {
    let [separator] = args.bind(name, ["_"])?;
    let separator = text(&need(separator, name)?, name)?;
    if separator.is_empty() {
        return Err(raise("empty separator"));
    }
    let parts = match name {
        "partition" => own.split_once(&*separator).map_or([own, "", ""], |(a, b)| [a, &separator, b]),
        _ => own.rsplit_once(&*separator).map_or(["", "", own], |(a, b)| [a, &separator, b]),
    };
    Value::tuple(parts.into_iter().map(Value::str).collect())
}

/// `own` in the middle, left or right of so many characters.
pub fn pad(own: &str, name: &str, width: usize, fill: char) -> String {
    let missing = width.saturating_sub(own.chars().count());
    let left = match name {
        "ljust" => 0,
        "rjust" => missing,
        // Python's own rule for what cannot be halved.
        _ => missing / 2 + (missing & width & 1),
    };
    let of = |count: usize| std::iter::repeat_n(fill, count);
    of(left).chain(own.chars()).chain(of(missing - left)).collect()
}

fn is(own: &str, name: &str) -> Result<bool> {
    let all = |is: fn(char) -> bool| Ok(!own.is_empty() && own.chars().all(is));
    match name {
        "isspace" => all(is_space),
        "islower" => Ok(own.chars().any(char::is_lowercase) && !own.chars().any(|c| is_cased(c) && !c.is_lowercase())),
        "isupper" => Ok(own.chars().any(char::is_uppercase) && !own.chars().any(|c| is_cased(c) && !c.is_uppercase())),
        "isprintable" => Ok(own.chars().all(show::is_printable)),
        _ if !own.is_ascii() => Err(refuse(&format!("the method `{name}` of a text that is not ASCII"))),
        "isdigit" | "isdecimal" | "isnumeric" => all(|c| c.is_ascii_digit()),
        "isalpha" => all(|c| c.is_ascii_alphabetic()),
        "isalnum" => all(|c| c.is_ascii_alphanumeric()),
        "isidentifier" => {
            Ok(!own.starts_with(|c: char| c.is_ascii_digit()) && all(|c| c.is_ascii_alphanumeric() || c == '_')?)
        }
        _ => Err(refuse(&format!("the method `{name}` of texts"))),
    }
}
