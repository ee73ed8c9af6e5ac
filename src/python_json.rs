//! JSON as Python writes it: with `NaN`, `Infinity` and `-Infinity`, which are not JSON.
//!
//! Owns that one difference, and files of settings that Python wrote. Not here: parsing, which serde does once the
//! words are replaced.

use std::borrow::Cow;
use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::json_strings::JsonStrings;
use crate::stand_in;

/// Longest first, so that a sign belongs to its word.
const WORDS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// `text` with every bare `NaN`, `Infinity` and `-Infinity` replaced; words inside strings stay.
pub fn replace_words(text: &str, replacement: impl Fn(&str) -> String) -> Cow<'_, str> {
    if !WORDS.iter().any(|word| text.contains(word)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut strings = JsonStrings::default();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if !strings.is_inside()
            && let Some(word) = WORDS.iter().find(|word| rest.starts_with(**word))
        {
            out.push_str(&replacement(word));
            rest = &rest[word.len()..];
            continue;
        }
        strings.step(c);
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    Cow::Owned(out)
}

/// The object in a file of settings, such as a `config.json`. A number that JSON lacks becomes its word as a text:
/// code that needs a number there reports the field, and other code ignores it.
///
/// # Errors
/// No such file, or what is in it is no object.
pub fn object(path: &Path) -> Result<Map<String, Value>> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    parse(path, &bytes)
}

/// As [`object`], of the bytes of the file at `path`.
///
/// # Errors
/// It is no object.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Map<String, Value>> {
    let wrong = |what: String| stand_in::explain(path, bytes, format!("not a JSON object: {what}"));
    let text = std::str::from_utf8(bytes).map_err(|e| wrong(e.to_string()))?;
    let quoted = replace_words(text, |word| format!("\"{word}\""));
    serde_json::from_str(&quoted).map_err(|e| wrong(e.to_string()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{parse, replace_words};

    #[test]
    fn numbers_that_json_lacks_stay_apart_from_the_rest() {
        let parsed = parse(Path::new("c.json"), br#"{"limit": [0.0, Infinity], "low": -Infinity, "n": 2}"#).unwrap();
        assert_eq!(
            serde_json::Value::from(parsed),
            serde_json::json!({"limit": [0.0, "Infinity"], "low": "-Infinity", "n": 2})
        );
        let described = |bytes: &[u8]| parse(Path::new("c.json"), bytes).unwrap_err().to_string();
        assert!(described(b"[NaN]").starts_with("`c.json`: not a JSON object: "));
        assert!(described(b"<!doctype html>").contains("web page"));
        assert!(described(b"\xff").contains("not a JSON object: invalid utf-8"));
    }

    #[test]
    fn only_bare_words_are_replaced() {
        let text = r#"{"a": NaN, "NaN": "Infinity \" NaN", "b": [-Infinity, Infinity, 1]}"#;
        let got = replace_words(text, |word| format!("<{word}>"));
        assert_eq!(got, r#"{"a": <NaN>, "NaN": "Infinity \" NaN", "b": [<-Infinity>, <Infinity>, 1]}"#);
        assert_eq!(replace_words("[1]", |_| unreachable!()), "[1]");
    }
}
