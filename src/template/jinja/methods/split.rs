//! Methods that split texts: `split`, `splitlines`, `partition`.
//!
//! Owns where Python splits a text. The parts count against the limit before they are made, because each takes more
//! memory than its text.

use super::super::arguments::{Args, need, text};
use super::super::error::{Result, raise};
use super::super::interpreter::Interpreter;
use super::super::lexer::is_space;
use super::super::value::Value;

/// `split` and `rsplit`.
pub fn split(
    interpreter: &Interpreter,
    own: &str,
    separator: Option<&Value>,
    most: i128,
    is_right: bool,
) -> Result<Value> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let Some(separator) = separator.filter(|separator| !matches!(separator, Value::None)) else {
        return turned(values(interpreter, Words { rest: own, most, count: 0, is_right })?, is_right);
    };
    let separator = text(separator, "split")?;
    if separator.is_empty() {
        return Err(raise("empty separator"));
    }
    let most = most.saturating_add(1);
    if is_right {
        turned(values(interpreter, own.rsplitn(most, &*separator))?, true)
    } else {
        values(interpreter, own.splitn(most, &*separator))
    }
}

/// The list of these parts, each paid for before it is made.
pub fn values<'a>(interpreter: &Interpreter, parts: impl Iterator<Item = &'a str>) -> Result<Value> {
    let paid = |part: &str| interpreter.charge(1).map(|()| Value::str(part));
    Value::list(parts.map(paid).collect::<Result<_>>()?)
}

/// A list the other way round.
fn turned(list: Value, is_turned: bool) -> Result<Value> {
    match list {
        Value::List(items) if is_turned => Value::list(items.items.iter().rev().cloned().collect()),
        list => Ok(list),
    }
}

/// Words between white space; the last one is what is left after so many splits.
struct Words<'a> {
    rest: &'a str,
    most: usize,
    count: usize,
    is_right: bool,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let Self { is_right, .. } = *self;
        let rest = self.rest;
        let rest = if is_right { rest.trim_end_matches(is_space) } else { rest.trim_start_matches(is_space) };
        if rest.is_empty() {
            return None;
        }
        if self.count == self.most {
            // What is left after the last split keeps its own end, as Python has it.
            self.rest = "";
            return Some(rest);
        }
        self.count += 1;
        let found = if is_right { rest.rfind(is_space) } else { rest.find(is_space) };
        let (word, left) = match found {
            None => (rest, ""),
            Some(at) if is_right => (&rest[at + rest[at..].chars().next().map_or(1, char::len_utf8)..], &rest[..at]),
            Some(at) => (&rest[..at], &rest[at..]),
        };
        self.rest = left;
        Some(word)
    }
}

/// Python's lines: many characters end one.
pub fn lines(own: &str, with_ends: bool) -> impl Iterator<Item = &str> {
    let is_end = |c: char| {
        matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    let mut rest = own;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (text, after) = match rest.find(is_end) {
            Some(at) if rest[at..].starts_with("\r\n") => (at, at + 2),
            Some(at) => (at, at + rest[at..].chars().next().map_or(1, char::len_utf8)),
            None => (rest.len(), rest.len()),
        };
        let line = &rest[..if with_ends { after } else { text }];
        rest = &rest[after..];
        Some(line)
    })
}

/// `partition` and `rpartition`.
pub fn partition(own: &str, name: &str, args: &Args) -> Result<Value> {
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
