//! Escapes text from data, models and files for a terminal.
//!
//! Owns which characters a terminal would act on. Not here: HTML and file names, which have other rules.

/// `text` on one line, with control characters and the marks that turn or hide writing made visible.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push('⏎'),
            c if c.is_control() || turns_or_hides(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Unicode's marks of direction (UAX 9), of no width, and its line separators.
fn turns_or_hides(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        assert_eq!(visible("a\nb\u{1b}[31m\u{202e}é\u{200b}"), "a⏎b\\u{1b}[31m\\u{202e}é\\u{200b}");
    }
}
