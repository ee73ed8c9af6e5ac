//! Comma-separated lists of values, of which paths may contain commas.
//!
//! Owns where such a list is split: never within an existing path. Not here: what a value means.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::hub;

/// The values of one occurrence of an option.
#[derive(Clone, Debug)]
pub struct Listed<T>(Vec<T>);

impl<T: Clone> Listed<T> {
    /// The values of all occurrences.
    pub fn all(listed: &[Self]) -> Vec<T> {
        listed.iter().flat_map(|listed| listed.0.iter().cloned()).collect()
    }
}

/// Models, `NAME=SOURCE` or `SOURCE`.
#[allow(clippy::unnecessary_wraps, reason = "clap asks for it")]
pub fn models(text: &str) -> Result<Listed<String>, String> {
    let pieces = cut(text.as_bytes(), |value| std::str::from_utf8(value).is_ok_and(is_model));
    Ok(Listed(pieces.into_iter().map(|piece| String::from_utf8_lossy(piece).into_owned()).collect()))
}

/// Files.
#[allow(clippy::unnecessary_wraps, reason = "clap asks for it")]
pub fn files(text: OsString) -> Result<Listed<PathBuf>, String> {
    let bytes = text.into_vec();
    let pieces = cut(&bytes, |value| Path::new(OsStr::from_bytes(value)).exists());
    Ok(Listed(pieces.into_iter().map(|piece| OsStr::from_bytes(piece).into()).collect()))
}

/// Whether base and adapter of a model, whose name may stand before it, are there.
fn is_model(value: &str) -> bool {
    let is_there = |source: &str| {
        let (base, adapter) = hub::parts(source);
        Path::new(base).exists() && adapter.is_none_or(|adapter| Path::new(adapter).exists())
    };
    // A name has no comma: `a,b=c` is two models.
    let named = value.split_once('=').filter(|(name, _)| !name.contains(','));
    is_there(value) || named.is_some_and(|(_, source)| is_there(source))
}

/// `text` cut at commas, but for those within the longest stretches that `exists`.
fn cut(text: &[u8], exists: impl Fn(&[u8]) -> bool) -> Vec<&[u8]> {
    let commas = text.iter().enumerate().filter(|(_, byte)| **byte == b',').map(|(at, _)| at);
    let ends: Vec<usize> = commas.chain([text.len()]).collect();
    let (mut pieces, mut begin) = (Vec::new(), 0);
    while begin <= text.len() {
        let mut own = ends.iter().filter(|&&end| end >= begin);
        let first = own.next().copied().unwrap_or(text.len());
        let end = own.rev().find(|&&end| exists(&text[begin..end])).copied().unwrap_or(first);
        pieces.push(&text[begin..end]);
        begin = end + 1;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn a_comma_within_what_exists_is_part_of_it() {
        let there = ["g=c,d", "e", "x,y,z"];
        let cut = |text: &str| {
            let pieces = cut(text.as_bytes(), |value| there.iter().any(|there| there.as_bytes() == value));
            pieces.into_iter().map(|piece| String::from_utf8_lossy(piece).into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(cut("g=c,d"), ["g=c,d"]);
        assert_eq!(cut("a,g=c,d,e"), ["a", "g=c,d", "e"]);
        assert_eq!(cut("x,y"), ["x", "y"]);
        assert_eq!(cut("x,y,z,x"), ["x,y,z", "x"]);
        assert_eq!(cut("a,,b,"), ["a", "", "b", ""]);
    }
}
