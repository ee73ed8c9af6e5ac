//! From a template's source to tokens, as Jinja2 with `trim_blocks` and `lstrip_blocks` splits it.
//!
//! Owns white space around tags, line ends, raw blocks, comments and literals. Not here: the grammar (`parser`).

use super::error::{Result, raise};
use super::literals;
use super::token::Token;

/// The longer ones first.
const OPERATORS: [&str; 26] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".",
    ":", "|", ",", ";",
];

/// Python's white space.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// The tokens of a source, each with its line; the last is [`Token::End`].
pub fn tokens(source: &str) -> Result<Vec<(Token, u32)>> {
    let unix = source.replace("\r\n", "\n").replace('\r', "\n");
    let source = unix.strip_suffix('\n').unwrap_or(&unix);
    let mut lexer = Lexer { source, at: 0, counted: 0, line: 1, tokens: Vec::new(), starts_line: true };
    while lexer.at < source.len() {
        lexer.text()?;
    }
    lexer.push(Token::End);
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    /// Up to where lines are counted, and their number.
    counted: usize,
    line: u32,
    tokens: Vec<(Token, u32)>,
    /// Whether what comes next stands first in a line.
    starts_line: bool,
}

impl<'a> Lexer<'a> {
    fn push(&mut self, token: Token) {
        let passed = &self.source[self.counted..self.at];
        self.line += passed.bytes().filter(|&byte| byte == b'\n').count() as u32;
        self.counted = self.at;
        self.tokens.push((token, self.line));
    }

    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn fail<T>(&mut self, what: &str) -> Result<T> {
        self.push(Token::End);
        Err(raise(what).at(self.line))
    }

    /// Data up to the next tag, and that tag.
    fn text(&mut self) -> Result<()> {
        let rest = self.rest();
        let opens = |(at, _): &(usize, &str)| matches!(rest.as_bytes().get(at + 1), Some(b'{' | b'%' | b'#'));
        let Some((length, _)) = rest.match_indices('{').find(opens) else {
            self.push(Token::Data(rest.to_owned()));
            self.at = self.source.len();
            return Ok(());
        };
        let (text, tag) = rest.split_at(length);
        let kind = tag.as_bytes()[1];
        let sign = tag[2..].chars().next().filter(|c| matches!(c, '-' | '+'));
        self.data(text, sign, kind != b'{');
        self.at += length;
        if kind == b'%'
            && let Some((end, _)) = whole_tag(tag, "raw", false)
        {
            self.at += end;
            self.starts_line = tag[..end].ends_with('\n');
            return self.raw();
        }
        self.at += 2 + usize::from(sign.is_some());
        match kind {
            b'#' => self.comment(),
            b'%' => self.tag(Token::BlockBegin),
            _ => self.tag(Token::PrintBegin),
        }
    }

    /// Text before a tag with this sign; one that is no print statement takes the indent before it along.
    fn data(&mut self, text: &str, sign: Option<char>, is_block: bool) {
        let kept = match sign {
            Some('-') => text.trim_end_matches(is_space),
            None if is_block => {
                let line = text.rfind('\n').map_or(0, |at| at + 1);
                let is_blank = text[line..].chars().all(is_space) && (line > 0 || self.starts_line);
                if is_blank { &text[..line] } else { text }
            }
            _ => text,
        };
        if !kept.is_empty() {
            self.push(Token::Data(kept.to_owned()));
        }
    }

    fn comment(&mut self) -> Result<()> {
        let rest = self.rest();
        let Some(end) = rest.find("#}") else { return self.fail("Missing end of comment tag") };
        self.at += end;
        let sign = rest[..end].chars().next_back();
        self.end(sign, 2);
        Ok(())
    }

    fn raw(&mut self) -> Result<()> {
        let rest = self.rest();
        for (at, _) in rest.match_indices("{%") {
            let tag = &rest[at..];
            let Some((end, last)) = whole_tag(tag, "endraw", true) else { continue };
            let sign = tag[2..].chars().next().filter(|c| matches!(c, '-' | '+'));
            self.data(&rest[..at], sign, true);
            self.at += at + end - 2;
            self.end(last, 2);
            return Ok(());
        }
        self.fail("Missing end of raw directive")
    }

    /// Passes over a tag's end of so many bytes, and what it trims.
    fn end(&mut self, sign: Option<char>, length: usize) {
        let begin = self.at;
        self.at += length;
        let rest = self.rest();
        let trimmed = match sign {
            Some('-') => rest.trim_start_matches(is_space),
            Some('+') => rest,
            _ => rest.strip_prefix('\n').unwrap_or(rest),
        };
        self.at += rest.len() - trimmed.len();
        self.starts_line = self.source[begin..self.at].ends_with('\n');
    }

    /// The tokens of a block or print statement.
    fn tag(&mut self, begin: Token) -> Result<()> {
        let is_block = begin == Token::BlockBegin;
        self.push(begin);
        let mut open: Vec<&str> = Vec::new();
        loop {
            let rest = self.rest();
            if open.is_empty()
                && let Some((sign, length)) = tag_end(rest, is_block)
            {
                self.push(if is_block { Token::BlockEnd } else { Token::PrintEnd });
                // A print statement keeps the line end after it.
                self.end(sign.or_else(|| (!is_block).then_some('+')), length);
                return Ok(());
            }
            let Some(c) = rest.chars().next() else { return self.fail("Unexpected end of template") };
            if is_space(c) {
                self.at += c.len_utf8();
            } else if c.is_ascii_digit() {
                let dotted = self.source[..self.at].ends_with('.');
                let (token, length) = literals::number(rest, dotted).map_err(|e| e.at(self.line))?;
                self.push(token);
                self.at += length;
            } else if c == '_' || c.is_alphanumeric() {
                let length = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
                self.push(Token::Name(rest[..length].to_owned()));
                self.at += length;
            } else if c == '\'' || c == '"' {
                let Some((inside, length)) = literals::quoted(rest, c) else {
                    return self.fail("a text without its closing quote");
                };
                let text = literals::unescape(inside).map_err(|e| e.at(self.line))?;
                self.push(Token::Str(text));
                self.at += length;
            } else {
                self.operator(&mut open)?;
            }
        }
    }

    fn operator(&mut self, open: &mut Vec<&str>) -> Result<()> {
        let rest = self.rest();
        let Some(&op) = OPERATORS.iter().find(|op| rest.starts_with(**op)) else {
            let c = rest.chars().next().unwrap_or_default();
            return self.fail(&format!("unexpected char {c:?}"));
        };
        match op {
            "{" => open.push("}"),
            "(" => open.push(")"),
            "[" => open.push("]"),
            "}" | ")" | "]" if open.pop() != Some(op) => return self.fail(&format!("unexpected '{op}'")),
            _ => {}
        }
        self.push(Token::Op(op));
        self.at += op.len();
        Ok(())
    }
}

/// The sign of an end that stands first, and the bytes of both.
fn tag_end(rest: &str, is_block: bool) -> Option<(Option<char>, usize)> {
    let end = if is_block { "%}" } else { "}}" };
    if rest.starts_with(end) {
        return Some((None, 2));
    }
    let sign = rest.chars().next().filter(|&c| c == '-' || (c == '+' && is_block))?;
    rest[1..].starts_with(end).then_some((Some(sign), 3))
}

/// A tag that is one word: the bytes it takes with the white space that its end trims of itself, and the sign of its end.
fn whole_tag(tag: &str, word: &str, may_plus: bool) -> Option<(usize, Option<char>)> {
    let inside = tag.strip_prefix("{%")?;
    let inside = inside.strip_prefix(['-', '+']).unwrap_or(inside).trim_start_matches(is_space);
    let rest = inside.strip_prefix(word)?.trim_start_matches(is_space);
    let sign = rest.chars().next().filter(|&c| c == '-' || (c == '+' && may_plus));
    let rest = rest[sign.map_or(0, char::len_utf8)..].strip_prefix("%}")?;
    // The first tag of a raw block trims no line end, and only with a sign the white space.
    let rest = if sign == Some('-') && !may_plus { rest.trim_start_matches(is_space) } else { rest };
    Some((tag.len() - rest.len(), sign))
}
