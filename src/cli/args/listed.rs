//! Comma-separated lists of values, of which paths may contain commas.
//!
//! Owns where such a list is split: never within an existing path. Not here: what a value means.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::hub;
use crate::score::DatasetFile;

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

/// Datasets, `FILE` or `NAME=FILE` with the name of the model that wrote the responses.
#[allow(clippy::unnecessary_wraps, reason = "clap asks for it")]
pub fn datasets(text: OsString) -> Result<Listed<DatasetFile>, String> {
    let bytes = text.into_vec();
    let pieces = cut(&bytes, |value| exists(value) || dataset_name(value).is_some_and(|(_, file)| exists(file)));
    Ok(Listed(pieces.into_iter().map(dataset).collect()))
}

/// A file of that whole name is a file, whatever is in its name.
fn dataset(value: &[u8]) -> DatasetFile {
    let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
    match dataset_name(value).filter(|_| !exists(value)) {
        Some((name, file)) => DatasetFile { path: path(file), generation_model: Some(name.to_owned()) },
        None => DatasetFile::from(path(value)),
    }
}

/// The name before a file, and the file.
fn dataset_name(value: &[u8]) -> Option<(&str, &[u8])> {
    let at = value.iter().position(|&byte| byte == b'=')?;
    let name = std::str::from_utf8(&value[..at]).ok()?;
    (!name.is_empty() && !name.contains(['/', ','])).then_some((name, &value[at + 1..]))
}

fn exists(path: &[u8]) -> bool {
    Path::new(OsStr::from_bytes(path)).exists()
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
    use super::{cut, dataset};

    #[test]
    fn a_name_before_a_file_is_that_of_the_writer() {
        let read = |text: &str| {
            let file = dataset(text.as_bytes());
            (file.generation_model, file.path.display().to_string())
        };
        assert_eq!(read("step_20=x/a.jsonl"), (Some("step_20".to_owned()), "x/a.jsonl".to_owned()));
        for plain in ["x/lr=1e-5/a.jsonl", "=a.jsonl", "a.jsonl"] {
            assert_eq!(read(plain), (None, plain.to_owned()));
        }
    }

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
