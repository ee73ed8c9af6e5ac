//! Values as Python's `json.dumps` writes them, with the arguments that transformers passes on. Unlike Jinja2's own
//! filter it escapes no HTML.
//!
//! Owns separators, indents and escapes. The output counts against the limit, because a value may contain another many
//! times.

use std::cmp::Ordering;
use std::fmt::Write;

use super::arguments::{Args, need};
use super::compare;
use super::error::{Result, raise, reject};
use super::numbers;
use super::show;
use super::value::{Items, Value};

/// Widest indent.
const MAX_INDENT: usize = 64;

/// The filter `tojson`.
pub fn tojson(args: &Args) -> Result<Value> {
    let names = ["x", "ensure_ascii", "indent", "separators", "sort_keys"];
    let [value, ascii, indent, separators, sorted] = args.bind("tojson", names)?;
    let indent = match indent.unwrap_or(Value::None) {
        Value::None => None,
        Value::Str(text) if text.len() <= MAX_INDENT => Some(text.to_string()),
        other => match other.as_int() {
            Some(width) if width <= MAX_INDENT as i128 => Some(" ".repeat(width.max(0) as usize)),
            _ => return Err(reject("such an `indent` of tojson")),
        },
    };
    let between = if indent.is_some() { "," } else { ", " };
    let [item, key] = match separators.unwrap_or(Value::None) {
        Value::None => [between.to_owned(), ": ".to_owned()],
        Value::List(two) | Value::Tuple(two) => match &two.items[..] {
            [Value::Str(item), Value::Str(key)] => [item.to_string(), key.to_string()],
            _ => return Err(raise("tojson: separators are two texts")),
        },
        _ => return Err(reject("such `separators` of tojson")),
    };
    let is = |value: Option<Value>| value.is_some_and(|value| value.is_true());
    let style = Style { indent, item, key, ascii: is(ascii), sorted: is(sorted) };
    let mut writer = Writer { out: String::new(), style: &style };
    writer.value(&need(value, "tojson")?, 0)?;
    Ok(Value::str(writer.out))
}

/// The arguments of `json.dumps`.
struct Style {
    /// Indentation per level of nesting; with `None` everything is on one line.
    indent: Option<String>,
    /// Separator between items.
    item: String,
    /// Separator between a key and its value.
    key: String,
    /// Whether characters outside ASCII are escaped.
    ascii: bool,
    sorted: bool,
}

struct Writer<'a> {
    out: String,
    style: &'a Style,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<()> {
        if self.out.len() > show::MAX_BYTES {
            return Err(show::too_long());
        }
        match value {
            Value::None => self.out.push_str("null"),
            Value::Bool(is) => self.out.push_str(if *is { "true" } else { "false" }),
            Value::Int(n) => self.out.push_str(&n.to_string()),
            Value::Float(x) => self.out.push_str(&number(*x)),
            Value::Str(text) | Value::Markup(text) => self.string(text),
            Value::List(items) | Value::Tuple(items) => {
                let Items { items, .. } = &**items;
                self.container(['[', ']'], items.iter().map(|item| Ok((None, item))), depth)?;
            }
            Value::Dict(dict) if self.style.sorted => {
                let mut pairs: Vec<&(Value, Value)> = dict.pairs.iter().collect();
                super::sorting::sort(&mut pairs, |a, b| Ok(compare::order(&a.0, &b.0, "<")? == Some(Ordering::Less)))?;
                self.container(['{', '}'], pairs.into_iter().map(|(key, value)| Ok((Some(name(key)?), value))), depth)?;
            }
            Value::Dict(dict) => {
                self.container(['{', '}'], dict.pairs.iter().map(|(key, value)| Ok((Some(name(key)?), value))), depth)?;
            }
            other => return Err(raise(format!("Object of type {} is not JSON serializable", other.kind()))),
        }
        Ok(())
    }

    fn container<'v>(
        &mut self,
        [open, close]: [char; 2],
        items: impl Iterator<Item = Result<(Option<String>, &'v Value)>>,
        depth: usize,
    ) -> Result<()> {
        self.out.push(open);
        let mut is_empty = true;
        for pair in items {
            let (key, item) = pair?;
            if !is_empty {
                self.out.push_str(&self.style.item);
            }
            self.line(depth + 1);
            if let Some(key) = key {
                self.string(&key);
                self.out.push_str(&self.style.key);
            }
            self.value(item, depth + 1)?;
            is_empty = false;
        }
        if !is_empty {
            self.line(depth);
        }
        self.out.push(close);
        Ok(())
    }

    fn line(&mut self, depth: usize) {
        if let Some(indent) = &self.style.indent {
            self.out.push('\n');
            self.out.push_str(&indent.repeat(depth));
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                c if c < ' ' || (self.style.ascii && c > '~') => self.escape(c),
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }

    fn escape(&mut self, c: char) {
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(self.out, "\\u{unit:04x}");
        }
    }
}

/// A dictionary's key as the string that Python makes of it.
fn name(key: &Value) -> Result<String> {
    Ok(match key {
        Value::Str(text) | Value::Markup(text) => text.to_string(),
        Value::None => "null".to_owned(),
        Value::Bool(is) => if *is { "true" } else { "false" }.to_owned(),
        Value::Int(n) => n.to_string(),
        Value::Float(x) => number(*x),
        other => return Err(raise(format!("keys must be str, int, float, bool or None, not {}", other.kind()))),
    })
}

fn number(x: f64) -> String {
    match x {
        _ if x.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        _ => numbers::float(x),
    }
}
