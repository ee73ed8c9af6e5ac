//! Numbers and strings as templates write them.
//!
//! Owns their forms and Python's escapes. Half of a surrogate pair is an error, because Rust's strings cannot contain
//! it.

use super::error::{Result, raise, reject};
use super::token::Token;

/// A number that stands first in `rest`, and its bytes. After a dot it is a whole number: an index.
pub fn number(rest: &str, after_dot: bool) -> Result<(Token, usize)> {
    let bytes = rest.as_bytes();
    let whole = digits(bytes, 0, u8::is_ascii_digit);
    if !after_dot && let Some(end) = float_end(bytes, whole) {
        let text = rest[..end].replace('_', "");
        let x = text.parse().map_err(|_| raise(format!("{text} is no number")))?;
        return Ok((Token::Float(x), end));
    }
    for (mark, radix) in [(b'b', 2), (b'o', 8), (b'x', 16)] {
        if bytes[0] == b'0' && bytes.get(1).is_some_and(|byte| byte.eq_ignore_ascii_case(&mark)) {
            let end = digits(bytes, 2, |byte| char::from(*byte).is_digit(radix));
            if end > 2 {
                return Ok((Token::Int(integer(&rest[2..end], radix)?), end));
            }
        }
    }
    let end = if bytes[0] == b'0' { digits(bytes, 0, |&byte| byte == b'0') } else { whole };
    Ok((Token::Int(integer(&rest[..end], 10)?), end))
}

fn integer(text: &str, radix: u32) -> Result<i128> {
    i128::from_str_radix(&text.replace('_', ""), radix).map_err(|_| reject("an integer of more than 127 bits"))
}

/// Where a float ends whose whole part ends at `whole`: after a fraction, an exponent or both.
fn float_end(bytes: &[u8], whole: usize) -> Option<usize> {
    let fraction = match bytes.get(whole) {
        Some(b'.') => Some(digits(bytes, whole + 1, u8::is_ascii_digit)).filter(|&end| end > whole + 1),
        _ => None,
    };
    let after = fraction.unwrap_or(whole);
    let exponent = bytes.get(after).filter(|byte| byte.eq_ignore_ascii_case(&b'e')).and_then(|_| {
        let sign = usize::from(matches!(bytes.get(after + 1), Some(b'+' | b'-')));
        let begin = after + 1 + sign;
        Some(digits(bytes, begin, u8::is_ascii_digit)).filter(|&end| end > begin)
    });
    exponent.or(fraction)
}

/// Where digits that begin at `from` end; single underscores may stand between them.
fn digits(bytes: &[u8], from: usize, is_digit: impl Fn(&u8) -> bool) -> usize {
    let mut end = from;
    loop {
        match bytes.get(end) {
            Some(byte) if is_digit(byte) => end += 1,
            Some(b'_') if bytes.get(end + 1).is_some_and(&is_digit) => end += 2,
            _ => return end,
        }
    }
}

/// What stands between quotes, and the bytes of all.
pub fn quoted(rest: &str, quote: char) -> Option<(&str, usize)> {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if c == quote => return Some((&rest[1..at], at + 1)),
            _ => {}
        }
    }
    None
}

/// Python's escapes resolved; those it does not know stay.
pub fn unescape(text: &str) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let Some(c) = rest[at + 1..].chars().next() else { return Err(raise("a text that ends with a backslash")) };
        rest = &rest[at + 1 + c.len_utf8()..];
        match c {
            '\n' => {}
            '\\' | '\'' | '"' => out.push(c),
            'a' => out.push('\u{7}'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'v' => out.push('\u{b}'),
            'x' => rest = code(rest, 2, &mut out)?,
            'u' => rest = code(rest, 4, &mut out)?,
            'U' => rest = code(rest, 8, &mut out)?,
            '0'..='7' => {
                let more = rest.bytes().take(2).take_while(|byte| (b'0'..b'8').contains(byte)).count();
                let octal = format!("{c}{}", &rest[..more]);
                out.extend(u32::from_str_radix(&octal, 8).ok().and_then(char::from_u32));
                rest = &rest[more..];
            }
            'N' => return Err(reject("a character by its name (\\N{...})")),
            c if !c.is_ascii() => return Err(reject("a backslash before a character that is not ASCII")),
            c => out.extend(['\\', c]),
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// Writes the character of so many hexadecimal digits, and returns what comes after them.
fn code<'a>(rest: &'a str, length: usize, out: &mut String) -> Result<&'a str> {
    let hex = rest.get(..length).filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let hex = hex.ok_or_else(|| raise("a text with a broken escape"))?;
    let code = u32::from_str_radix(hex, 16).map_err(|_| raise("a text with a broken escape"))?;
    match char::from_u32(code) {
        Some(c) => out.push(c),
        None if code < 0x11_0000 => return Err(reject("half of a surrogate pair in a text")),
        None => return Err(raise("a text with a broken escape")),
    }
    Ok(&rest[length..])
}
