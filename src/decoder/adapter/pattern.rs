//! Patterns of Python's `re`, by which PEFT selects modules.
//!
//! Owns the syntax that Python and the matcher here read alike. A pattern without look-around takes linear time; the
//! number of backtracking steps of the others is limited. Syntax that only Python reads, or that the two read
//! differently, is an error that names it.

use fancy_regex::{Regex, RegexBuilder};

use crate::decoder::config::fields::Parsed;

/// Bytes that a compiled pattern may take.
const MAX_BYTES: usize = 1 << 20;
/// Steps back that a match may take: thousands of times what a module's name of some parts needs.
const MAX_STEPS: usize = 100_000;
/// Letters and digits that mean the same after a backslash.
const ESCAPES: &str = "AbBdDsSwWfnrtvxuZ123456789";
/// Set operations, which Python reads as characters.
const OPERATIONS: [&str; 4] = ["[", "&&", "--", "~~"];

/// A pattern that matches the whole of a name.
#[derive(Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// `pattern` for the whole, as `re.fullmatch` takes it.
    pub fn whole(pattern: &str) -> Parsed<Self> {
        check(pattern)?;
        compile(&format!("^(?:{pattern})$")).map(Self)
    }

    /// `pattern` for the end of a name, from a dot on.
    pub fn end(pattern: &str) -> Parsed<Self> {
        check(pattern)?;
        compile(&format!("^(.*\\.)?({pattern})$")).map(Self)
    }

    /// A layer's number, the group `idx`: the first that stands after `pattern`, or after any part of a name but its
    /// first.
    pub fn layers(pattern: Option<&str>) -> Parsed<Self> {
        let Some(pattern) = pattern else { return compile(r"^.*?\.[^.]*\.(?P<idx>\d+)\.").map(Self) };
        check(pattern)?;
        compile(&format!(r"^(?:(?:^|.*?\.){pattern}\.(?P<idx>\d+)\.)")).map(Self)
    }

    /// Whether `name` matches.
    ///
    /// # Errors
    /// It takes too many steps.
    pub fn is_match(&self, name: &str) -> Parsed<bool> {
        self.0.is_match(name).map_err(|e| self.endless(name, &e))
    }

    /// The text of the group `idx` in the match, if there is a match; empty if it leaves the group out.
    ///
    /// # Errors
    /// As [`Pattern::is_match`].
    pub fn index<'n>(&self, name: &'n str) -> Parsed<Option<&'n str>> {
        let captures = self.0.captures(name).map_err(|e| self.endless(name, &e))?;
        Ok(captures.map(|captures| captures.name("idx").map_or("", |index| index.as_str())))
    }

    fn endless(&self, name: &str, e: &fancy_regex::Error) -> String {
        format!("the pattern `{}` does not come to an end on `{name}`: {e}", self.0.as_str())
    }
}

fn compile(pattern: &str) -> Parsed<Regex> {
    let mut builder = RegexBuilder::new(pattern);
    builder.backtrack_limit(MAX_STEPS).delegate_size_limit(MAX_BYTES).delegate_dfa_size_limit(MAX_BYTES);
    builder.build().map_err(|e| format!("not a pattern: {e}"))
}

/// An error for syntax that Python and the matcher read differently.
fn check(pattern: &str) -> Parsed<()> {
    let reject = |what: String| Err(format!("the pattern `{pattern}` has {what}"));
    let mut chars = pattern.char_indices();
    let mut in_set = false;
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some((_, next)) if next.is_ascii_alphanumeric() && !ESCAPES.contains(next) => {
                    return reject(format!("`\\{next}`, which is not read"));
                }
                Some((_, 'b')) if in_set => return reject("`\\b` in a set, which is not read".to_owned()),
                _ => {}
            },
            '[' if !in_set => {
                in_set = true;
                // A bracket that comes first is a member.
                let rest = &pattern[at + 1..];
                let first = if rest.starts_with("^]") { 2 } else { usize::from(rest.starts_with(['^', ']'])) };
                chars.by_ref().take(first).for_each(drop);
            }
            ']' if in_set => in_set = false,
            _ if in_set => {
                if let Some(operation) = OPERATIONS.iter().find(|operation| pattern[at..].starts_with(**operation)) {
                    return reject(format!("`{operation}` in a set, which Python takes for characters"));
                }
            }
            '(' if pattern[at..].starts_with("(?U")
                || pattern[at..].starts_with("(?<") && !is_look_behind(&pattern[at..]) =>
            {
                return reject("a group that Python does not know".to_owned());
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_look_behind(rest: &str) -> bool {
    rest.starts_with("(?<=") || rest.starts_with("(?<!")
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    const Q: &str = "model.layers.11.self_attn.q_proj";

    #[test]
    fn patterns_match_as_in_python() {
        // By `re.fullmatch` of Python 3.11.
        for (pattern, name, matches) in [
            (r"^(model(?=\.).*\.(q_proj|v_proj))$", Q, true),
            (r"^(?!.*visual).*(?:q_proj|down_proj)$", Q, true),
            (r"^(?!.*visual).*(?:q_proj|down_proj)$", "model.visual.layers.0.q_proj", false),
            (r".*(?<!shared)\.q_proj", "model.shared.q_proj", false),
            (r".*(?<=self_attn)\.q_proj", Q, true),
            (r"(?P<a>model)\..*(?P=a)?q_proj", Q, true),
            (r"(model)\.\1.*", Q, false),
            (r"q_proj", Q, false),
            (r"model.layers.(1|11).*", Q, true),
            (r"(?i)MODEL.*Q_PROJ", Q, true),
            (r"model\.layers\.\d{2}\.[^.]+\.[]q]_proj", Q, true),
            (r"(?>model)\..*\Z", Q, true),
            (r"", Q, false),
        ] {
            assert_eq!(Pattern::whole(pattern).unwrap().is_match(name), Ok(matches), "{pattern}");
        }
    }

    #[test]
    fn what_python_reads_otherwise_is_rejected() {
        for (pattern, what) in [
            (r"\p{L}+", r"`\p`"),
            (r"\Kq", r"`\K`"),
            ("[[:alpha:]]+", "`[` in a set"),
            ("[a&&b]", "`&&` in a set"),
            ("[a--b]", "`--` in a set"),
            (r"[\b]", "`\\b` in a set"),
            ("(?<name>q)", "a group that Python does not know"),
            ("(?U)q+", "a group that Python does not know"),
            ("(", "not a pattern"),
            ("*", "not a pattern"),
            (r"\101", "not a pattern"),
            ("(a{1000}){1000}", "not a pattern"),
        ] {
            let error = Pattern::whole(pattern).expect_err(pattern);
            assert!(error.contains(what), "{pattern}: {error}");
        }
    }

    #[test]
    fn a_match_comes_to_an_end() {
        let hostile = Pattern::whole(r"(?=a)(?:(?=a)a|a)*b").unwrap();
        assert!(hostile.is_match(&"a".repeat(60)).unwrap_err().contains("does not come to an end"));
        let plain = Pattern::whole("(.*a)*(.*a)*(.*a)*b").unwrap();
        assert_eq!(plain.is_match(&"a".repeat(1000)), Ok(false));
    }
}
