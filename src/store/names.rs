//! Names of people's things as names of folders.
//!
//! Owns the one pair of functions between a generation model, task or model and its hive folder. Hive readers
//! (polars, DuckDB, Spark) undo percent-encoding, so users see the original names. Refuses what no folder can hold.

use crate::error::{Error, Result};

/// Longest encoded name in bytes: file systems stop at 255, and the hive key stands before it.
const MAX_BYTES: usize = 200;

/// `name` as a part of a path: letters, digits, `-`, `_`, `.` and `+` stay, every other byte becomes `%XX`, and so
/// does a first dot, which leaves neither `..` nor hidden folders.
///
/// # Errors
/// An empty name, or one whose encoding is longer than 200 bytes.
pub fn encode(name: &str) -> Result<String> {
    let mut encoded = String::with_capacity(name.len());
    for (i, &byte) in name.as_bytes().iter().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+') || (byte == b'.' && i > 0);
        if plain {
            encoded.push(char::from(byte));
        } else {
            encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    if encoded.is_empty() {
        return Err(Error::Usage("a model or task has an empty name".to_owned()));
    }
    if encoded.len() > MAX_BYTES {
        let start: String = name.chars().take(40).collect();
        return Err(Error::Usage(format!("the name `{start}…` is too long: {} of {MAX_BYTES} bytes", encoded.len())));
    }
    Ok(encoded)
}

/// A hexadecimal digit, upper case.
fn digit(value: u8) -> char {
    char::from(b"0123456789ABCDEF"[usize::from(value)])
}

/// The name that [`encode`] made `encoded` of; `None` for anything that it cannot have made.
pub fn decode(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    let name = String::from_utf8(bytes).ok()?;
    (encode(&name).ok()? == encoded).then_some(name)
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_names_stay_readable() {
        for name in ["UniReason-RL", "Qwen3-14B", "hendrycks_math_500", "base.v1.2", "a+b"] {
            assert_eq!(encode(name).unwrap(), name);
        }
    }

    #[test]
    fn hostile_names_stay_one_plain_folder() {
        for name in ["..", ".", "../x", "/etc/passwd", "a/b", "a\\b", "x\0y", "%41", "a=b", "é", "e\u{301}", "\n", " "]
        {
            let encoded = encode(name).unwrap();
            let components: Vec<_> = Path::new(&encoded).components().collect();
            assert_eq!(components, [Component::Normal(encoded.as_ref())], "{name:?}");
            assert!(!encoded.contains(['/', '\\', '\0', '=']) && !encoded.starts_with('.'));
            assert_eq!(decode(&encoded).as_deref(), Some(name));
        }
        assert!(encode("").is_err());
        assert!(encode(&"x".repeat(300)).is_err());
        for junk in ["%4", "%zz", "..", "a/b", "%41", ".x", "%ff"] {
            assert_eq!(decode(junk), None, "{junk}");
        }
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in ".{1,60}") {
            if let Ok(encoded) = encode(&name) {
                prop_assert_eq!(decode(&encoded), Some(name));
            }
        }
    }
}
