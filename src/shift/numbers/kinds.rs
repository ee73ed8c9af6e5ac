//! The kind of a token's text, by Unicode.
//!
//! Owns the five kinds. Not here: tokenizers. The token's own text decides.

/// In the order of the numbers that [`kind`] gives.
pub const KINDS: [&str; 5] = ["word", "number", "punctuation", "whitespace", "special"];

const WORD: usize = 0;
const NUMBER: usize = 1;
const PUNCTUATION: usize = 2;
const WHITESPACE: usize = 3;
/// Of the end of a turn, and of what looks like a control token.
pub const SPECIAL: usize = 4;

/// Place in [`KINDS`] of a token's text: `word` with any letter, else `number` with any digit, else `punctuation`
/// (symbols too), or nothing but `whitespace`. A part of a character, shown as U+FFFD, is mostly one of a letter.
pub fn kind(text: &str) -> usize {
    let text = text.trim();
    let any = |of: fn(char) -> bool| text.chars().any(of);
    if text.is_empty() {
        WHITESPACE
    } else if is_control(text) {
        SPECIAL
    } else if any(|c| c.is_alphabetic() || c == char::REPLACEMENT_CHARACTER) {
        WORD
    } else if any(char::is_numeric) {
        NUMBER
    } else {
        PUNCTUATION
    }
}

/// `<|…|>`, as chat formats write their control tokens, and the three that older vocabularies have.
fn is_control(text: &str) -> bool {
    let bars = text.strip_prefix("<|").and_then(|rest| rest.strip_suffix("|>"));
    bars.is_some_and(|name| !name.is_empty()) || matches!(text, "<s>" | "</s>" | "<unk>" | "<eos>" | "<bos>" | "<pad>")
}

#[cfg(test)]
mod tests {
    use super::{KINDS, kind};

    #[test]
    fn kinds_follow_unicode() {
        for (text, expected) in [
            (" the", "word"),
            ("Größe", "word"),
            ("é", "word"),
            ("漢", "word"),
            ("\u{fffd}", "word"),
            ("3rd", "word"),
            (" 42", "number"),
            ("½", "number"),
            ("٣", "number"),
            ("1,000", "number"),
            (".", "punctuation"),
            (" +=", "punctuation"),
            ("😀", "punctuation"),
            ("<|", "punctuation"),
            ("<||>", "punctuation"),
            ("\n\n", "whitespace"),
            ("\u{3000}", "whitespace"),
            ("<|im_end|>", "special"),
            ("</s>", "special"),
            ("</think>", "word"),
        ] {
            assert_eq!(KINDS[kind(text)], expected, "{text:?}");
        }
    }
}
