//! Values as text: Python's `str` and `repr`.
//!
//! Owns how a value appears in a prompt. A value that Python shows with its address is an error.

use std::fmt::Write;

use super::ast::Macro;
use super::error::{Error, Kind, Result, reject};
use super::numbers;
use super::value::{Object, Value, View};

/// Longest text that a template makes.
pub const MAX_BYTES: usize = 32 << 20;

pub fn too_long() -> Error {
    Error::new(Kind::TooLong, format!("it writes more than {} MiB", MAX_BYTES >> 20))
}

/// Writes what Python's `str` makes of a value.
pub fn put(value: &Value, out: &mut String) -> Result<()> {
    match value {
        Value::Undefined(_) => {}
        Value::Str(text) | Value::Markup(text) => out.push_str(text),
        _ => repr(value, out)?,
    }
    if out.len() > MAX_BYTES { Err(too_long()) } else { Ok(()) }
}

/// A text without the signs that HTML has to itself.
pub fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('>', "&gt;").replace('<', "&lt;");
    text.replace('\'', "&#39;").replace('"', "&#34;")
}

/// Python's `str` of a value.
pub fn text(value: &Value) -> Result<String> {
    let mut out = String::new();
    put(value, &mut out)?;
    Ok(out)
}

/// Writes what Python's `repr` makes of a value.
pub fn repr(value: &Value, out: &mut String) -> Result<()> {
    if out.len() > MAX_BYTES {
        return Err(too_long());
    }
    match value {
        Value::Undefined(_) => out.push_str("Undefined"),
        Value::None => out.push_str("None"),
        Value::Bool(is) => out.push_str(if *is { "True" } else { "False" }),
        Value::Int(n) => out.push_str(&n.to_string()),
        Value::Float(x) => out.push_str(&numbers::float(*x)),
        Value::Str(text) => quote(text, out),
        Value::Markup(text) => {
            out.push_str("Markup(");
            quote(text, out);
            out.push(')');
        }
        Value::List(items) => list(&items.items, ["[", "]"], out)?,
        Value::Tuple(items) => {
            list(&items.items, ["(", if items.items.len() == 1 { ",)" } else { ")" }], out)?;
        }
        Value::Dict(dict) => pairs(&dict.pairs, out)?,
        Value::Range(range) => {
            let end = range.start + range.step * range.length as i128;
            if range.length == 0 || range.step != 1 {
                return Err(reject("the text of such a range"));
            }
            let _ = write!(out, "range({}, {end})", range.start);
        }
        Value::View(view, dict) => {
            let parts = dict.pairs.iter().map(|(key, value)| match view {
                View::Keys => Ok(key.clone()),
                View::Values => Ok(value.clone()),
                View::Items => Value::tuple(vec![key.clone(), value.clone()]),
            });
            out.push_str(value.kind());
            list(&parts.collect::<Result<Vec<_>>>()?, ["([", "])"], out)?;
        }
        Value::Namespace(attributes) => {
            out.push_str("<Namespace ");
            let named = attributes
                .borrow()
                .iter()
                .map(|(name, value)| (Value::Str(name.clone()), value.clone()))
                .collect::<Vec<_>>();
            pairs(&named, out)?;
            out.push('>');
        }
        Value::Object(object) if matches!(**object, Object::Macro(..)) => {
            let Object::Macro(inner, _) = &**object else { return Ok(()) };
            out.push_str(&of_macro(inner));
        }
        Value::Iter(_) | Value::Object(_) => {
            return Err(reject(&format!("the text of a {}, which Python shows by its place in memory,", value.kind())));
        }
    }
    Ok(())
}

/// A macro as Jinja2 shows it; what a block calls has no name.
pub fn of_macro(inner: &Macro) -> String {
    let mut name = String::new();
    match &inner.name {
        Some(own) => quote(own, &mut name),
        None => name.push_str("anonymous"),
    }
    format!("<Macro {name}>")
}

fn list(items: &[Value], [open, close]: [&str; 2], out: &mut String) -> Result<()> {
    out.push_str(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        repr(item, out)?;
    }
    out.push_str(close);
    Ok(())
}

fn pairs(pairs: &[(Value, Value)], out: &mut String) -> Result<()> {
    out.push('{');
    for (index, (key, value)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        repr(key, out)?;
        out.push_str(": ");
        repr(value, out)?;
    }
    out.push('}');
    Ok(())
}

/// A text as Python's source has it: in double quotes only if there are single ones alone in it.
pub fn quote(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if is_printable(c) => out.push(c),
            c => {
                let _ = match u32::from(c) {
                    code @ 0..0x100 => write!(out, "\\x{code:02x}"),
                    code @ 0x100..0x1_0000 => write!(out, "\\u{code:04x}"),
                    code => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push(quote);
}

/// Whether Python shows a character as it is: all but controls, formats, what is not assigned, and spaces that are no
/// plain one. Rust's table is the same; only where it stands first does a mark that goes on a letter count as none.
pub fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    let mut after_letter = String::from("a");
    after_letter.push(c);
    after_letter.escape_debug().nth(1) == Some(c)
}
