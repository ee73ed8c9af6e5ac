//! Folder names of generation models, tasks and models.
//!
//! Owns the one pair of functions between such a name and its hive folder. Hive readers undo percent-encoding (polars
//! 0.55 and 2.1, DuckDB 2.0), so users see the original names. Two names that differ only in case share a folder where
//! the file system ignores case: separating them would cost the readable `Qwen3-14B`. A name that no folder can have
//! is an error.

use crate::error::{Error, Result};

/// Longest encoded name in bytes: file systems stop at 255, and the hive key stands before it.
const MAX_BYTES: usize = 200;

/// `name` as a part of a path: letters, digits, `-`, `_`, `+` and inner dots stay, every other byte becomes `%XX`. So
/// neither `..` nor a hidden folder can come of it, nor a last dot, which Windows drops.
///
/// # Errors
/// An empty name, or one whose encoding is longer than 200 bytes.
pub fn encode(name: &str) -> Result<String> {
    let mut encoded = String::with_capacity(name.len());
    for (i, &byte) in name.as_bytes().iter().enumerate() {
        let inner = i > 0 && i + 1 < name.len();
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+') || (byte == b'.' && inner);
        if plain {
            encoded.push(char::from(byte));
        } else {
            encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    if encoded.is_empty() {
        return Err(Error::Usage("a generation model, task or model has an empty name".to_owned()));
    }
    if encoded.len() > MAX_BYTES {
        let start: String = name.chars().take(40).collect();
        let bytes = encoded.len();
        let what = format!("the name `{start}…` is too long: a folder for it takes {bytes} bytes, at most {MAX_BYTES}");
        return Err(Error::Usage(what));
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
        for name in [
            "..",
            ".",
            "../x",
            "/etc/passwd",
            "a/b",
            "a\\b",
            "x\0y",
            "%41",
            "a=b",
            "é",
            "e\u{301}",
            "\n",
            " ",
            "CON",
            "x.",
            "аpple",
            "a\u{202e}b",
            "~",
            "*?",
            "__HIVE_DEFAULT_PARTITION__",
        ] {
            let encoded = encode(name).unwrap();
            let components: Vec<_> = Path::new(&encoded).components().collect();
            assert_eq!(components, [Component::Normal(encoded.as_ref())], "{name:?}");
            assert!(encoded.is_ascii() && !encoded.contains(['/', '\\', '\0', '=', ' ', '*', ':']));
            assert!(!encoded.starts_with('.') && !encoded.ends_with('.') && !encoded.contains(char::is_control));
            assert_eq!(decode(&encoded).as_deref(), Some(name));
        }
    }

    #[test]
    fn names_that_no_folder_can_hold_are_rejected() {
        let error = |name: &str| encode(name).unwrap_err().to_string();
        assert!(error("").contains("empty name"));
        assert!(encode(&"x".repeat(200)).is_ok());
        let long =
            "the name `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` is too long: a folder for it takes 300 bytes, ";
        assert!(error(&"x".repeat(300)).starts_with(long), "{}", error(&"x".repeat(300)));
        assert!(error(&"é".repeat(40)).contains("takes 240 bytes"));
    }

    #[test]
    fn what_encode_cannot_have_made_is_no_name() {
        for junk in ["", "%4", "%", "%zz", "%+4", "..", "a/b", "a b", "%41", ".x", "x.", "%ff", "%FF", "%2e", "é"] {
            assert_eq!(decode(junk), None, "{junk}");
        }
    }

    proptest! {
        /// Decoding gives the name back, so no two names share a folder.
        #[test]
        fn every_name_comes_back(name in any::<String>()) {
            match encode(&name) {
                Ok(encoded) => {
                    prop_assert_eq!(decode(&encoded), Some(name));
                    prop_assert_eq!(Path::new(&encoded).components().count(), 1);
                }
                Err(_) => prop_assert!(name.is_empty() || name.len() * 3 > MAX_BYTES),
            }
        }

        #[test]
        fn what_decodes_is_the_only_spelling(encoded in "[a-zA-Z0-9%._=/-]{0,12}") {
            if let Some(name) = decode(&encoded) {
                prop_assert_eq!(encode(&name).unwrap(), encoded);
            }
        }
    }
}
