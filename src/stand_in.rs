//! Files in place of the expected file: the pointer of a Git LFS clone without its files, the page of a failed
//! download.
//!
//! Owns how such files are recognised by their first bytes, so that every reader names them alike. Not here: what an
//! expected file looks like, which its reader knows.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

/// First bytes that identify a file; a web page may begin with a comment or blank lines.
const HEAD_BYTES: u64 = 1 << 10;
/// What every pointer begins with, by Git LFS's specification.
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";
/// What pages begin with, in small letters.
const PAGES: [&str; 5] = ["<!doctype html", "<html", "<head", "<?xml", "<error>"];

/// What the file is whose first bytes are `head`, if it is a pointer: where a web page may be meant.
pub fn pointer(head: &[u8]) -> Option<&'static str> {
    let what = "is a Git LFS pointer, not the file that it points to: `git lfs pull` fetches that";
    head.starts_with(POINTER).then_some(what)
}

/// What the file is whose first bytes are `head`, if it is not what its name says.
pub fn named(head: &[u8]) -> Option<&'static str> {
    if let Some(what) = pointer(head) {
        return Some(what);
    }
    let text = String::from_utf8_lossy(&head[..head.len().min(HEAD_BYTES as usize)]).to_ascii_lowercase();
    let mut text = text.trim_start_matches('\u{feff}').trim_start();
    while let Some((_, rest)) = text.strip_prefix("<!--").and_then(|comment| comment.split_once("-->")) {
        text = rest.trim_start();
    }
    let is_page = PAGES.iter().any(|page| text.starts_with(page));
    is_page.then_some("is a web page (HTML or XML), not the file: the download went wrong, fetch it again")
}

/// An error if another kind of file is at `path`, whose first bytes are `head`.
///
/// # Errors
/// It is a pointer or a page.
pub fn reject(path: &Path, head: &[u8]) -> Result<()> {
    named(head).map_or(Ok(()), |what| Err(Error::file(path, what)))
}

/// The error of a file that could not be parsed: `what` is wrong with it, unless `head` identifies another kind of
/// file.
pub fn explain(path: &Path, head: &[u8], what: impl Into<String>) -> Error {
    Error::file(path, named(head).map_or_else(|| what.into(), str::to_owned))
}

/// As [`explain`], of a file whose first bytes are not at hand.
pub fn explain_file(path: &Path, what: impl Into<String>) -> Error {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
    explain(path, if read.is_ok() { &head } else { &[] }, what)
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn pointers_and_pages_are_told_from_files() {
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n";
        assert!(named(pointer).unwrap().contains("Git LFS pointer"));
        for page in [
            "<!DOCTYPE html><html>",
            "\n  <HTML lang=en>",
            "\u{feff}<html>",
            "<!-- a --> <!-- b --><!doctype HTML>",
            "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>",
        ] {
            assert!(named(page.as_bytes()).unwrap().contains("web page"), "{page}");
        }
        for file in ["{\"a\": 1}", "GGUF", "<s>", "version 2", "", "<!-- {{ bos_token }}"] {
            assert_eq!(named(file.as_bytes()), None, "{file}");
        }
    }
}
