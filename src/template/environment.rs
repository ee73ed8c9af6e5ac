//! The Jinja that transformers gives a chat template: syntax, functions, filters, and a bound on its work.
//!
//! Owns every difference between minijinja and that environment. Refuses files and messages: it knows values alone.
//! Two differences are left, which no template that we know comes upon: a float that Python prints with an exponent is
//! printed without (`tojson` has it), and `text % values` is an error.

use std::fmt::Write;

use chrono::format::{Item, StrftimeItems};
use chrono::{NaiveDate, NaiveTime};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Value};
use minijinja_contrib::pycompat::unknown_method_callback;
use serde_json::Value as Json;

use crate::template::json::{self, Style};

/// Widest indent that `tojson` is asked for.
const MAX_INDENT: usize = 64;

/// An environment without templates; a rendering ends after `fuel` units of work.
pub fn new(fuel: u64) -> Environment<'static> {
    let mut environment = Environment::new();
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    environment.set_fuel(Some(fuel));
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_unknown_method_callback(unknown_method_callback);
    environment.add_filter("tojson", tojson);
    environment.add_test("sequence", is_sequence);
    environment.add_function("raise_exception", raise_exception);
    environment
}

/// `strftime_now` tells `date`, at midnight.
pub fn set_date(environment: &mut Environment<'static>, date: NaiveDate) {
    environment.add_function("strftime_now", move |format: &str| strftime(date, format));
}

/// A JSON value as templates see it.
pub fn value(json: &Json) -> Value {
    Value::from(Serde(json))
}

/// `{% generation %}` marks what transformers trains on and writes nothing: here it is a scope of its own.
pub fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at);
        out.push_str(before);
        let end = tag.find("%}").unwrap_or(tag.len());
        let inner = tag[..end].trim_start_matches("{%").trim_start_matches(['-', '+']);
        match inner.trim_end_matches(['-', '+']).trim() {
            "generation" => out.push_str(&tag[..end].replacen("generation", "with", 1)),
            "endgeneration" => out.push_str(&tag[..end].replacen("endgeneration", "endwith", 1)),
            _ => out.push_str(&tag[..end]),
        }
        rest = &tag[end..];
    }
    out + rest
}

/// What Python can index and measure: texts and objects too.
fn is_sequence(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String)
}

fn raise_exception(message: &str) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message.to_owned()))
}

fn strftime(date: NaiveDate, format: &str) -> Result<String, Error> {
    let wrong = || Error::new(ErrorKind::InvalidOperation, "strftime_now: a format that no date has");
    let items: Vec<Item> = StrftimeItems::new(format).collect();
    if items.contains(&Item::Error) {
        return Err(wrong());
    }
    let mut out = String::new();
    write!(out, "{}", date.and_time(NaiveTime::MIN).format_with_items(items.iter())).map_err(|_| wrong())?;
    Ok(out)
}

/// Python's `json.dumps` with the arguments that transformers passes on. Unlike Jinja's own it escapes no HTML.
#[expect(clippy::needless_pass_by_value, reason = "a filter's arguments are its own")]
fn tojson(value: &Value, ensure_ascii: Option<bool>, options: Kwargs) -> Result<String, Error> {
    let wrong = |what: &str| Error::new(ErrorKind::InvalidOperation, format!("tojson: {what}"));
    let indent = match options.get::<Option<Value>>("indent")?.filter(|indent| !indent.is_none()) {
        Some(indent) => match (indent.as_str(), indent.as_usize()) {
            (Some(text), _) if text.len() <= MAX_INDENT => Some(text.to_owned()),
            (None, Some(width)) if width <= MAX_INDENT => Some(" ".repeat(width)),
            _ => return Err(wrong("an indent that is neither small nor text")),
        },
        None => None,
    };
    let separators = options.get::<Option<Vec<String>>>("separators")?;
    let between = if indent.is_some() { "," } else { ", " };
    let [item, key] = match separators {
        None => [between.to_owned(), ": ".to_owned()],
        Some(two) => two.try_into().map_err(|_| wrong("separators are two"))?,
    };
    let ascii = ensure_ascii.or(options.get("ensure_ascii")?).unwrap_or(false);
    let sorted = options.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    options.assert_all_used()?;
    json::dumps(value, &Style { indent, item, key, ascii, sorted }).map_err(|e| wrong(&e))
}
