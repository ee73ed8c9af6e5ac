//! Values as Python's `json.dumps` writes them.
//!
//! Owns separators, indents, escapes and the form of numbers. Refuses to write without end: a value may hold itself
//! many times over.

use std::fmt::Write;

use minijinja::Value;
use minijinja::value::ValueKind;

/// Deepest nesting; JSON that was read is no deeper.
const MAX_DEPTH: usize = 128;
/// Longest text.
const MAX_BYTES: usize = 16 << 20;

/// The arguments of `json.dumps`.
#[derive(Debug)]
pub struct Style {
    /// What a level of nesting is indented by; with none all is on one line.
    pub indent: Option<String>,
    /// Between items, and between a key and its value.
    pub item: String,
    pub key: String,
    /// Whether all that is not ASCII is escaped.
    pub ascii: bool,
    pub sorted: bool,
}

/// `value` as JSON.
///
/// # Errors
/// A value that JSON has no form for, and one that is too deep or too long.
pub fn dumps(value: &Value, style: &Style) -> Result<String, String> {
    let mut writer = Writer { out: String::new(), style };
    writer.value(value, 0)?;
    Ok(writer.out)
}

struct Writer<'a> {
    out: String,
    style: &'a Style,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH || self.out.len() > MAX_BYTES {
            return Err("the value is too large for JSON".to_owned());
        }
        match value.kind() {
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self.out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.out.push_str(&number(value)),
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => {
                let items = value.try_iter().map_err(|e| e.to_string())?;
                self.container(['[', ']'], items.map(|item| (None, item)), depth)?;
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter().map_err(|e| e.to_string())?.collect();
                if self.style.sorted {
                    keys.sort();
                }
                let pairs = keys.into_iter().map(|key| (Some(name(&key)), value.get_item(&key).unwrap_or_default()));
                self.container(['{', '}'], pairs, depth)?;
            }
            kind => return Err(format!("JSON has no form for what is {kind}")),
        }
        Ok(())
    }

    fn container(
        &mut self,
        [open, close]: [char; 2],
        items: impl Iterator<Item = (Option<String>, Value)>,
        depth: usize,
    ) -> Result<(), String> {
        self.out.push(open);
        let mut is_empty = true;
        for (key, item) in items {
            if !is_empty {
                self.out.push_str(&self.style.item);
            }
            self.line(depth + 1);
            if let Some(key) = key {
                self.string(&key);
                self.out.push_str(&self.style.key);
            }
            self.value(&item, depth + 1)?;
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
                c if c < ' ' || (self.style.ascii && !c.is_ascii()) => self.escape(c),
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

/// A key, which Python makes a text of.
fn name(key: &Value) -> String {
    match key.kind() {
        ValueKind::None => "null".to_owned(),
        ValueKind::Bool => if key.is_true() { "true" } else { "false" }.to_owned(),
        ValueKind::Number => number(key),
        _ => key.to_string(),
    }
}

fn number(value: &Value) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    f64::try_from(value.clone()).map_or_else(|_| value.to_string(), float)
}

/// The shortest digits that read back, with an exponent where Python writes one: below 1e-4, from 1e16.
fn float(x: f64) -> String {
    if x.is_nan() {
        return "NaN".to_owned();
    }
    if x.is_infinite() {
        return if x > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    if x == 0.0 || (1e-4..1e16).contains(&x.abs()) {
        return format!("{x:?}");
    }
    let text = format!("{x:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, size) = exponent.strip_prefix('-').map_or(('+', exponent), |size| ('-', size));
    format!("{digits}e{sign}{size:0>2}")
}

#[cfg(test)]
mod tests {
    use super::float;

    #[test]
    fn numbers_have_the_form_that_python_gives_them() {
        let cases = [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1e-4, "0.0001"),
            (1.5e-5, "1.5e-05"),
            (123_456_789_012_345.6, "123456789012345.6"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (-2.5e300, "-2.5e+300"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (x, text) in cases {
            assert_eq!(float(x), text);
        }
    }
}
