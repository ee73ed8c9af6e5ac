//! Which characters of a JSON text belong to its strings.
//!
//! Owns quotes and backslashes. Not here: values, which serde reads.

/// Follows a JSON text character by character. Bytes serve as characters: no byte of a character beyond ASCII is a quote
/// or a backslash.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonStrings {
    inside: bool,
    escaped: bool,
}

impl JsonStrings {
    /// Whether the text so far ends inside a string.
    pub fn is_inside(self) -> bool {
        self.inside
    }

    /// Takes the next character. Whether it belongs to a string, whose quotes do.
    pub fn step(&mut self, c: char) -> bool {
        let was = self.inside;
        self.inside ^= c == '"' && !self.escaped;
        self.escaped = was && c == '\\' && !self.escaped;
        was || self.inside
    }
}

#[cfg(test)]
mod tests {
    use super::JsonStrings;

    #[test]
    fn quotes_and_backslashes_decide() {
        let text = r#"{"a\"b": "\\", "é": ["x"]}"#;
        let mut strings = JsonStrings::default();
        let outside: String = text.chars().filter(|&c| !strings.step(c)).collect();
        assert_eq!(outside, "{: , : []}");
        assert!(!strings.is_inside());
        let mut bytes = JsonStrings::default();
        assert_eq!(text.bytes().filter(|&byte| !bytes.step(char::from(byte))).count(), outside.len());
    }
}
