//! A row's JSON object, as Python writes it.
//!
//! Owns which field has which type of value. Fields that were not requested are skipped without checking their
//! numbers, escapes or depth.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::json_strings::JsonStrings;
use crate::python_json;
use crate::sample::Kept;

/// Fields that a message about a missing one lists at most.
pub const FIELDS_LISTED: usize = 8;

/// Replaces Python's `NaN`. No double represents it, so no code that reads numbers accepts it.
pub const NAN: &str = "-7e7777777";
/// Begins the object that stands for a value that could not be read, with the reason.
const REJECTED: &str = r#"{"\u0000":"#;

/// The wanted values of an object as they are written, and the names of its first fields.
#[derive(Debug, Default)]
pub struct Fields<'a> {
    values: HashMap<String, Option<&'a str>>,
    names: Vec<String>,
}

impl<'a> Fields<'a> {
    /// Reads an object's fields, of which only `wanted` are kept.
    ///
    /// # Errors
    /// What is wrong: no JSON, no object, or a field that stands twice (readers differ in which one they take).
    pub fn parse(text: &'a str, wanted: &[&str]) -> Result<Self, String> {
        if text.starts_with('\u{FEFF}') {
            return Err("begins with a byte order mark, which stands at the beginning of a file alone".to_owned());
        }
        if !text.starts_with('{') {
            return Err(match serde_json::from_str::<IgnoredAny>(text) {
                Ok(_) => format!("the row is {}, expected an object with `input` and `output`", kind(text)),
                Err(e) => format!("broken JSON: {}", reason(&e)),
            });
        }
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let fields = Wanted(wanted).deserialize(&mut deserializer);
        fields.and_then(|fields| deserializer.end().map(|()| fields)).map_err(|e| match e.classify() {
            serde_json::error::Category::Data => reason(&e),
            _ => format!("broken JSON: {}", reason(&e)),
        })
    }

    /// A wanted field's value as it is written; `None` if it is missing or null, or `NaN`, which pandas writes for what is
    /// missing.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.values.get(name).copied().flatten().filter(|raw| !["null", NAN].contains(raw))
    }

    /// Whether a wanted field is there, be it null.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// As `get`, of a value that is read.
    ///
    /// # Errors
    /// It could not be read from its file.
    pub fn value(&self, name: &str) -> Result<Option<&'a str>, String> {
        match self.get(name) {
            Some(raw) if raw.starts_with(REJECTED) => Err(format!("`{name}` {}", reason_of(raw))),
            value => Ok(value),
        }
    }

    /// A field that must be a string.
    pub fn text(&self, name: &str) -> Result<String, String> {
        self.optional_text(name)?.ok_or_else(|| self.missing(name))
    }

    /// A field that is a string if it is there.
    pub fn optional_text(&self, name: &str) -> Result<Option<String>, String> {
        let Some(raw) = self.value(name)? else { return Ok(None) };
        if !raw.starts_with('"') {
            return Err(format!("`{name}` is {}, expected a string", kind(raw)));
        }
        string(name, raw).map(Some)
    }

    /// A field that must be a list, whose items are called `what`.
    pub fn list<T: Deserialize<'a>>(&self, name: &str, what: &str) -> Result<Vec<T>, String> {
        let raw = self.value(name)?.ok_or_else(|| self.missing(name))?;
        if !raw.starts_with('[') {
            return Err(format!("`{name}` is {}, expected a list of {what}", kind(raw)));
        }
        serde_json::from_str(raw).map_err(|e| format!("`{name}` holds no {what}: {}", reason(&e)))
    }

    /// A field that names something: a string as it is, anything else as compact JSON.
    pub fn label(&self, name: &str) -> Result<Option<String>, String> {
        let label = |raw: &str| if raw.starts_with('"') { string(name, raw) } else { Ok(compact(raw)) };
        self.value(name)?.map(label).transpose()
    }

    /// The value of a field to keep; `as_text` where the whole dataset's field is text.
    pub fn kept(&self, name: &str, as_text: bool) -> Result<Kept, String> {
        let is_nan = self.values.get(name).copied().flatten() == Some(NAN);
        let raw = if is_nan { Some(NAN) } else { self.value(name)? };
        raw.map_or(Ok(Kept::Null), |raw| kept(name, raw, as_text))
    }

    /// The values of a field to keep that is a list of this many items; `None` if it is anything else.
    pub fn kept_list(&self, name: &str, items: usize, as_text: bool) -> Result<Option<Vec<Kept>>, String> {
        let Some(raw) = self.value(name)?.filter(|raw| raw.starts_with('[')) else { return Ok(None) };
        let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(raw) else { return Ok(None) };
        if list.len() != items {
            return Ok(None);
        }
        list.into_iter().map(|item| kept(name, item.get(), as_text)).collect::<Result<_, _>>().map(Some)
    }

    /// The error for a required field that is missing or null.
    pub fn missing(&self, name: &str) -> String {
        if self.values.contains_key(name) {
            let is_nan = self.values.get(name).copied().flatten() == Some(NAN);
            return format!("`{name}` is {}", if is_nan { "NaN" } else { "null" });
        }
        let more = if self.values.len() > self.names.len() { ", …" } else { "" };
        let found = if self.names.is_empty() { "none".to_owned() } else { self.names.join(", ") };
        format!("no `{name}` field (fields found: {found}{more})")
    }
}

/// A value to keep as it is written in the field `name`, not missing.
fn kept(name: &str, raw: &str, as_text: bool) -> Result<Kept, String> {
    if raw.starts_with(REJECTED) {
        return Err(format!("`{name}` {}", reason_of(raw)));
    }
    if raw == NAN {
        return Ok(if as_text { Kept::Text("NaN".to_owned()) } else { Kept::Number(f64::NAN) });
    }
    Ok(match raw.as_bytes()[0] {
        b'"' => Kept::Text(string(name, raw)?),
        b'[' | b'{' => Kept::Text(compact(raw)),
        b'n' => Kept::Null,
        _ if as_text => Kept::Text(match raw.parse::<f64>() {
            Ok(number) if number.is_infinite() => number.to_string(),
            _ => raw.to_owned(),
        }),
        b't' => Kept::Bool(true),
        b'f' => Kept::Bool(false),
        _ => number(raw).map_or_else(|| Kept::Text(raw.to_owned()), Kept::Number),
    })
}

/// Reads an object and keeps these fields of it.
struct Wanted<'w>(&'w [&'w str]);

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = Fields<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields::default();
        while let Some(name) = access.next_key::<String>()? {
            let value = if self.0.contains(&name.as_str()) {
                Some(access.next_value::<&RawValue>()?.get())
            } else {
                access.next_value::<IgnoredAny>()?;
                None
            };
            if fields.names.len() < FIELDS_LISTED {
                fields.names.push(name.clone());
            }
            match fields.values.entry(name) {
                Entry::Vacant(entry) => entry.insert(value),
                Entry::Occupied(entry) => {
                    return Err(A::Error::custom(format!("field `{}` stands twice", entry.key())));
                }
            };
        }
        Ok(fields)
    }
}

fn string(name: &str, raw: &str) -> Result<String, String> {
    serde_json::from_str(raw).map_err(|e| format!("`{name}` is a string that cannot be read: {}", reason(&e)))
}

/// A number that 64-bit floats represent; `None` for an integer beyond them (a hash, a snowflake id), which is kept as
/// text.
fn number(raw: &str) -> Option<f64> {
    let value: f64 = raw.parse().ok()?;
    let is_integer = raw.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let exact = |integer: i128| (value as i128 == integer).then_some(value);
    if is_integer { raw.parse().ok().and_then(exact) } else { Some(value) }
}

/// What kind of value a piece of JSON is, by its first character.
fn kind(raw: &str) -> &'static str {
    match raw.as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'[') => "a list",
        Some(b'{') => "an object",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// The parser's words, with the column alone: its line is always the first.
fn reason(error: &serde_json::Error) -> String {
    let words = error.to_string();
    match words.rsplit_once(" at line ") {
        Some((what, place)) => format!("{what} at {}", place.split_once(' ').map_or(place, |(_, column)| column)),
        None => words,
    }
}

/// A number of `raw` that no double represents, as it was written: one of Python's words, or one that is too large.
pub fn not_finite(raw: &str) -> Option<&str> {
    let mut inside = JsonStrings::default();
    let mut start = None;
    for (at, c) in raw.char_indices().chain([(raw.len(), ' ')]) {
        let is_of_token = !inside.step(c) && is_of_token(c);
        match start {
            None if is_of_token => start = Some(at),
            Some(begin) if !is_of_token => {
                let token = &raw[begin..at];
                if token.parse().is_ok_and(f64::is_infinite) {
                    return Some(as_written(token));
                }
                start = None;
            }
            _ => {}
        }
    }
    None
}

/// Whether `c` may stand in a number or a word.
fn is_of_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+-.".contains(c)
}

/// JSON without white space between its tokens; they stay as they were written.
fn compact(raw: &str) -> String {
    let (mut inside, mut out, mut token) = (JsonStrings::default(), String::with_capacity(raw.len()), String::new());
    for c in raw.chars() {
        let is_inside = inside.step(c);
        if !is_inside && is_of_token(c) {
            token.push(c);
            continue;
        }
        out.push_str(as_written(&token));
        token.clear();
        if is_inside || !c.is_ascii_whitespace() {
            out.push(c);
        }
    }
    out + as_written(&token)
}

/// Python writes `NaN` and `Infinity`, which are not JSON: they become numbers too large for a double, of which the latter
/// are infinite again when they are read as one. Only bare words outside strings are touched, and never made part of a number.
pub fn standard(text: &str) -> Cow<'_, str> {
    let standard = |word: &str| WORDS.iter().find(|(python, _)| *python == word).map_or(NAN, |(_, number)| number);
    python_json::replace_words(text, |word| format!(" {} ", standard(word)))
}

const WORDS: [(&str, &str); 3] = [("NaN", NAN), ("Infinity", "1e999"), ("-Infinity", "-1e999")];

fn as_written(token: &str) -> &str {
    WORDS.iter().find(|(_, number)| *number == token).map_or(token, |(python, _)| python)
}

/// Replaces a value that could not be read; `reason` continues after its name.
pub fn rejected(reason: &str) -> String {
    format!("{REJECTED}{}}}", Value::from(reason))
}

fn reason_of(raw: &str) -> String {
    let reason = raw.strip_prefix(REJECTED).and_then(|rest| rest.strip_suffix('}'));
    reason.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}
