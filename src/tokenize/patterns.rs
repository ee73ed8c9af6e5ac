//! Regular expressions of pre-tokenizers and normalisers, with the meaning that they have in Python.
//!
//! Python's tokenizers match them with Oniguruma, and this program with fancy-regex. Owns the list of constructs that
//! the two read differently. Such a construct is rewritten where that is possible; otherwise it is an error that names
//! it.

use serde_json::Value;

/// A pattern that matches here as `pattern` does in Oniguruma, or `None` if `pattern` itself does.
///
/// # Errors
/// The construct that Oniguruma reads differently and that cannot be rewritten.
pub fn translated(pattern: &str) -> Result<Option<String>, String> {
    let mut out = Output::default();
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '\\' => escape(rest)?,
            '[' => class(rest)?,
            _ => c.len_utf8(),
        };
        let (atom, after) = rest.split_at(length);
        rest = match c {
            '(' => out.open(atom, after)?,
            ')' => {
                out.close();
                after
            }
            '{' => out.repeat(rest)?,
            // In Oniguruma these match at the beginning and end of every line, not only of the text.
            '^' | '$' => {
                out.atom(&format!("(?m:{c})"));
                after
            }
            '*' | '+' | '?' | '|' => {
                out.text.push(c);
                after
            }
            _ => {
                out.atom(atom);
                after
            }
        };
    }
    Ok((out.text != pattern).then_some(out.text))
}

/// The translated pattern so far.
#[derive(Default)]
struct Output {
    text: String,
    /// Where the last atom begins, to which a following quantifier applies.
    last: usize,
    /// Where each open group begins, the innermost last.
    open: Vec<usize>,
}

impl Output {
    fn atom(&mut self, atom: &str) {
        self.last = self.text.len();
        self.text.push_str(atom);
    }

    /// Adds `(` and the characters that say which kind of group it opens, such as `?:`. Returns the rest of the
    /// pattern.
    fn open<'a>(&mut self, paren: &str, after: &'a str) -> Result<&'a str, String> {
        let is_first = self.text.is_empty();
        self.open.push(self.text.len());
        self.text.push_str(paren);
        let Some(kind) = after.strip_prefix('?') else { return Ok(after) };
        let plain = ["?:", "?=", "?!", "?<=", "?<!", "?>", "?i:", "?i)", "?-i:", "?-i)"];
        match plain.into_iter().find(|plain| after.starts_with(plain)) {
            // A flag for the rest is read only at the beginning: further on, the two matchers combine it differently
            // with `|`.
            Some(plain) if plain.ends_with(')') && is_first => {
                self.text.push_str(&plain[..plain.len() - 1]);
                Ok(&after[plain.len() - 1..])
            }
            Some(plain) if !plain.ends_with(')') => {
                self.text.push_str(plain);
                Ok(&after[plain.len()..])
            }
            _ => Err(format!("(?{}", kind.chars().take_while(|c| !matches!(c, ':' | ')')).take(8).collect::<String>())),
        }
    }

    fn close(&mut self) {
        self.last = self.open.pop().unwrap_or_default();
        self.text.push(')');
    }

    /// Adds `{n,m}` and returns the rest of the pattern. In Oniguruma a `+` after it repeats the repetition and does
    /// not make it possessive, and `{n}?` means that the n repetitions are optional, not lazy.
    fn repeat<'a>(&mut self, rest: &'a str) -> Result<&'a str, String> {
        let end = rest.find('}').ok_or("{")? + 1;
        let (interval, after) = rest.split_at(end);
        let numbers = &interval[1..interval.len() - 1];
        if !numbers.starts_with(|c: char| c.is_ascii_digit())
            || !numbers.chars().all(|c| c.is_ascii_digit() || c == ',')
        {
            return Err(interval.to_owned());
        }
        let again = after.chars().next().filter(|&c| c == '+' || c == '?' && !numbers.contains(','));
        if let Some(again) = again {
            self.text.insert_str(self.last, "(?:");
            self.text.push_str(interval);
            self.text.extend([')', again]);
        } else {
            self.text.push_str(interval);
        }
        Ok(&after[again.map_or(0, char::len_utf8)..])
    }
}

/// Length in bytes of the escape at the beginning of `rest`.
fn escape(rest: &str) -> Result<usize, String> {
    let mut chars = rest.chars().skip(1);
    let Some(kind) = chars.next() else { return Err("\\".to_owned()) };
    let braced = |from: usize| rest[from..].find('}').map(|end| from + end + 1);
    match kind {
        // The word characters of `\w` and `\b` differ: Oniguruma's do not include zero-width joiners.
        'w' | 'W' | 'b' | 'B' | 'X' | 'R' | 'K' | 'G' | 'O' | 'N' | 'y' | 'Y' | 'k' | 'g' | 'u' | 'o' | '0'..='9' => {
            Err(format!("\\{kind}"))
        }
        'p' | 'P' if rest[2..].starts_with('{') => {
            let end = braced(2).ok_or("\\p{")?;
            let name = rest[3..end - 1].trim_start_matches('^').to_ascii_lowercase();
            let posix = ["punct", "word", "graph", "print", "blank", "cntrl", "alnum", "xdigit"];
            if posix.contains(&name.as_str()) || rest[3..].starts_with('^') {
                return Err(rest[..end].to_owned());
            }
            Ok(end)
        }
        'x' if rest[2..].starts_with('{') => braced(2).ok_or_else(|| "\\x{".to_owned()),
        _ => Ok(1 + kind.len_utf8()),
    }
}

/// Length in bytes of the character class at the beginning of `rest`, including nested classes.
fn class(rest: &str) -> Result<usize, String> {
    let mut at = 1 + usize::from(rest[1..].starts_with('^'));
    // A `]` that comes first is a member of the class.
    at += usize::from(rest[at..].starts_with(']'));
    while let Some(c) = rest[at..].chars().next() {
        let here = &rest[at..];
        at += match c {
            ']' => return Ok(at + 1),
            '\\' => escape(here)?,
            '[' if here.starts_with("[:") => return Err(here.chars().take_while(|c| *c != ']').collect()),
            '[' => class(here)?,
            '-' if here.starts_with("--") => return Err("--".to_owned()),
            '~' if here.starts_with("~~") => return Err("~~".to_owned()),
            _ => c.len_utf8(),
        };
    }
    Err("[".to_owned())
}

/// Translates every pattern in `part`, which is part of a tokenizer. Returns whether any of them changed.
///
/// # Errors
/// A pattern that cannot be translated, with the construct that prevents it.
pub fn translate(part: &mut Value) -> Result<bool, String> {
    match part {
        Value::Array(items) => items.iter_mut().try_fold(false, |any, item| Ok(translate(item)? || any)),
        Value::Object(fields) => {
            let mut any = false;
            for (name, value) in fields.iter_mut() {
                let Some(pattern) = value.as_str().filter(|_| name == "Regex") else {
                    any |= translate(value)?;
                    continue;
                };
                let described = |construct| {
                    format!(
                        "its pattern `{pattern}` has `{construct}`, which Python's tokenizers may read as something else: no id would be sure"
                    )
                };
                if let Some(new) = translated(pattern).map_err(described)? {
                    *value = Value::from(new);
                    any = true;
                }
            }
            Ok(any)
        }
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::translated;

    #[test]
    fn what_real_tokenizers_write_stands_as_it_is() {
        let patterns = [
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"##,
            "[一-龥\u{3040}-ゟ゠-ヿ]+",
            r" ?[^(\s|[.,!?…。，、।۔،])]+",
            r"[0-9][0-9][0-9]",
            r"(?<=\p{L})x++|\d{1,3}(?=(?:\d{3})*)",
        ];
        for pattern in patterns {
            assert_eq!(translated(pattern), Ok(None), "{pattern}");
        }
    }

    #[test]
    fn what_oniguruma_reads_otherwise_is_rewritten() {
        for (pattern, expected) in [
            (r"\p{N}{1,3}+|x", r"(?:\p{N}{1,3})+|x"),
            (r"(?:ab){2}+", r"(?:(?:ab){2})+"),
            (r"a[b{]{2,}+c", r"a(?:[b{]{2,})+c"),
            (r"xa{2}?", r"x(?:a{2})?"),
            ("(?i)a$|b", "(?i)a(?m:$)|b"),
            (r"\s++$|^a", r"\s++(?m:$)|(?m:^)a"),
        ] {
            assert_eq!(translated(pattern), Ok(Some(expected.to_owned())), "{pattern}");
        }
    }

    #[test]
    fn the_rest_is_named() {
        for (pattern, construct) in [
            (r"\w+", r"\w"),
            (r"a\b", r"\b"),
            ("[[:alpha:]]+", "[:alpha:"),
            (r"\p{Punct}", r"\p{Punct}"),
            (r"\p{^L}", r"\p{^L}"),
            ("[a-z--b]", "--"),
            ("(?s)a.b", "(?s"),
            ("a(?i)b|c", "(?i"),
            ("(?m:a.b)", "(?m"),
            ("a{,3}", "{,3}"),
            (r"(a)\1", r"\1"),
        ] {
            assert_eq!(translated(pattern), Err(construct.to_owned()), "{pattern}");
        }
    }
}
