//! Rust source as words: what a reader of imports needs of it, and no more.
//!
//! Owns taking away comments, strings and code that only tests see. Not here: what the words mean (`modules.rs`).

/// An identifier, `::`, or any other character by itself; with the line where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    pub text: String,
    pub line: usize,
}

impl Token {
    pub fn is_name(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// The words of a source, and the modules that are declared for tests alone (`#[cfg(test)] mod tests;`).
pub fn code(source: &str) -> (Vec<Token>, Vec<String>) {
    let tokens = words(source);
    let (mut kept, mut of_tests) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        if starts_with(&tokens[at..], &["#", "[", "cfg", "(", "test", ")", "]"]) {
            let end = end_of_item(&tokens, at + 7);
            if let Some(place) = tokens[at..end].iter().position(|token| token.text == "mod") {
                of_tests.push(tokens[at + place + 1].text.clone());
            }
            at = end;
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    (kept, of_tests)
}

pub fn starts_with(tokens: &[Token], texts: &[&str]) -> bool {
    tokens.len() >= texts.len() && tokens.iter().zip(texts).all(|(token, text)| token.text == *text)
}

/// Behind the item, field or statement that begins at `from`, other attributes included.
fn end_of_item(tokens: &[Token], mut from: usize) -> usize {
    while starts_with(&tokens[from..], &["#", "["]) {
        from = closed(tokens, from + 1);
    }
    let of_item = |text: &str| {
        ["pub", "mod", "use", "fn", "impl", "struct", "enum", "trait", "const", "static", "type", "unsafe"]
            .contains(&text)
    };
    let item = tokens.get(from).is_some_and(|token| of_item(&token.text));
    let mut at = from;
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            ";" => return at + 1,
            "," if !item => return at + 1,
            "{" if tokens[from..at].iter().any(|token| token.text == "use") => at = closed(tokens, at),
            "{" => return closed(tokens, at),
            "(" | "[" => at = closed(tokens, at),
            "}" | ")" | "]" => return at,
            _ => at += 1,
        }
    }
    at
}

/// Behind the bracket that closes the one at `open`.
fn closed(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

fn words(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    while at < chars.len() {
        let start = at;
        at = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => find(&chars, at, |c| c == '\n'),
            '/' if chars.get(at + 1) == Some(&'*') => behind_comment(&chars, at),
            '"' => behind_string(&chars, at),
            'r' | 'b' | 'c' if raw_hashes(&chars, at).is_some() => behind_raw(&chars, at),
            '\'' => behind_quote(&chars, at),
            c if c.is_alphabetic() || c == '_' => {
                let end = find(&chars, at, |c| !c.is_alphanumeric() && c != '_');
                tokens.push(Token { text: chars[at..end].iter().collect(), line });
                end
            }
            c if c.is_ascii_digit() => find(&chars, at, |c| !c.is_alphanumeric() && c != '_'),
            ':' if chars.get(at + 1) == Some(&':') => {
                tokens.push(Token { text: "::".to_owned(), line });
                at + 2
            }
            c => {
                if !c.is_whitespace() {
                    tokens.push(Token { text: c.to_string(), line });
                }
                at + 1
            }
        };
        line += chars[start..at].iter().filter(|c| **c == '\n').count();
    }
    tokens
}

fn find(chars: &[char], from: usize, what: impl Fn(char) -> bool) -> usize {
    (from..chars.len()).find(|at| what(chars[*at])).unwrap_or(chars.len())
}

/// Comments in `/* */` nest.
fn behind_comment(chars: &[char], from: usize) -> usize {
    let (mut depth, mut at) = (0, from);
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn behind_string(chars: &[char], from: usize) -> usize {
    let mut at = from + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// How many `#` a raw string that begins at `from` has; what is not a raw string has none to tell.
fn raw_hashes(chars: &[char], from: usize) -> Option<usize> {
    let r = from + usize::from(chars[from] != 'r');
    let quote = find(chars, r + 1, |c| c != '#');
    let begins = from == 0 || !(chars[from - 1].is_alphanumeric() || chars[from - 1] == '_');
    (begins && chars.get(r) == Some(&'r') && chars.get(quote) == Some(&'"')).then(|| quote - r - 1)
}

fn behind_raw(chars: &[char], from: usize) -> usize {
    let hashes = raw_hashes(chars, from).unwrap_or_default();
    let mut at = find(chars, from, |c| c == '"') + 1;
    while at < chars.len() && !(chars[at] == '"' && chars[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes)
    {
        at += 1;
    }
    (at + 1 + hashes).min(chars.len())
}

/// Behind a character; of a lifetime only the quote is passed over.
fn behind_quote(chars: &[char], from: usize) -> usize {
    match (chars.get(from + 1), chars.get(from + 2)) {
        (Some('\\'), _) => find(chars, from + 3, |c| c == '\'') + 1,
        (Some(_), Some('\'')) => from + 3,
        _ => from + 1,
    }
}
