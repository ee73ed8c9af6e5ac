//! Letters: upper and lower case, and character classes.
//!
//! Owns Python's meaning of upper, lower, title and digit. Letters outside ASCII are errors where Rust's tables differ
//! from Python's.

use super::super::error::{Result, reject};
use super::super::lexer::is_space;
use super::super::show;

pub fn cased(own: &str, name: &str) -> Result<String> {
    let title = |c: char| {
        let upper: String = c.to_uppercase().collect();
        // Some letters have a form of their own for the begin of a word.
        let is_special =
            upper.chars().count() > 1 || matches!(u32::from(c), 0x1c4..=0x1cc | 0x1f1..=0x1f3 | 0x10d0..=0x10ff);
        if is_special { Err(reject("the title case of such a letter")) } else { Ok(upper) }
    };
    Ok(match name {
        "upper" => own.to_uppercase(),
        "lower" => own.to_lowercase(),
        // What a sigma becomes depends on the letters before it, of which this takes the first away.
        "capitalize" if own.contains('Σ') => return Err(reject("the capital form of such a text")),
        "capitalize" => match own.chars().next() {
            Some(first) => title(first)? + &own[first.len_utf8()..].to_lowercase(),
            None => String::new(),
        },
        "swapcase" if own.is_ascii() => own
            .chars()
            .map(|c| if c.is_ascii_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() })
            .collect(),
        "title" => {
            let mut out = String::new();
            let mut is_inside = false;
            for c in own.chars() {
                match is_inside {
                    true if c == 'Σ' => return Err(reject("the title case of such a letter")),
                    true => out.extend(c.to_lowercase()),
                    false => out.push_str(&title(c)?),
                }
                is_inside = is_cased(c);
            }
            out
        }
        _ => return Err(reject(&format!("the method `{name}` of a text that is not ASCII"))),
    })
}

fn is_cased(c: char) -> bool {
    c.is_lowercase() || c.is_uppercase() || matches!(u32::from(c), 0x1c5 | 0x1c8 | 0x1cb | 0x1f2)
}

pub fn is(own: &str, name: &str) -> Result<bool> {
    let all = |is: fn(char) -> bool| Ok(!own.is_empty() && own.chars().all(is));
    match name {
        "isspace" => all(is_space),
        "islower" => Ok(own.chars().any(char::is_lowercase) && !own.chars().any(|c| is_cased(c) && !c.is_lowercase())),
        "isupper" => Ok(own.chars().any(char::is_uppercase) && !own.chars().any(|c| is_cased(c) && !c.is_uppercase())),
        "isprintable" => Ok(own.chars().all(show::is_printable)),
        _ if !own.is_ascii() => Err(reject(&format!("the method `{name}` of a text that is not ASCII"))),
        "isdigit" | "isdecimal" | "isnumeric" => all(|c| c.is_ascii_digit()),
        "isalpha" => all(|c| c.is_ascii_alphabetic()),
        "isalnum" => all(|c| c.is_ascii_alphanumeric()),
        "isidentifier" => {
            Ok(!own.starts_with(|c: char| c.is_ascii_digit()) && all(|c| c.is_ascii_alphanumeric() || c == '_')?)
        }
        _ => Err(reject(&format!("the method `{name}` of texts"))),
    }
}
