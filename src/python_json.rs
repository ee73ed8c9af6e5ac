//! JSON as Python writes it: with `NaN`, `Infinity` and `-Infinity`, which are not JSON.
//!
//! Owns that one difference. Refuses to parse: serde does, once the words are replaced.

use std::borrow::Cow;

/// Longest first, so that a sign belongs to its word.
const WORDS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// `text` with every bare `NaN`, `Infinity` and `-Infinity` replaced; words inside strings stay.
pub fn replace_words(text: &str, replacement: impl Fn(&str) -> String) -> Cow<'_, str> {
    if !WORDS.iter().any(|word| text.contains(word)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if !in_string && let Some(word) = WORDS.iter().find(|word| rest.starts_with(**word)) {
            out.push_str(&replacement(word));
            rest = &rest[word.len()..];
            continue;
        }
        in_string ^= c == '"' && !escaped;
        escaped = in_string && c == '\\' && !escaped;
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::replace_words;

    #[test]
    fn only_bare_words_are_replaced() {
        let text = r#"{"a": NaN, "NaN": "Infinity \" NaN", "b": [-Infinity, Infinity, 1]}"#;
        let got = replace_words(text, |word| format!("<{word}>"));
        assert_eq!(got, r#"{"a": <NaN>, "NaN": "Infinity \" NaN", "b": [<-Infinity>, <Infinity>, 1]}"#);
        assert_eq!(replace_words("[1]", |_| unreachable!()), "[1]");
    }
}
