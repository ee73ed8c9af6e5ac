//! Files that are often mistaken for rows.
//!
//! Owns how they are recognised by their first bytes, and the advice for each. They are not read.

use crate::stand_in;

/// What begins with these bytes, in words that go on after the file's name.
const KINDS: [(&[u8], &str); 14] = [
    (b"PARE", "is Parquet whose footer is encrypted: decrypt it"),
    (b"ARROW1", "is an Arrow (Feather) file: write it as Parquet"),
    (b"ORC", "is an ORC file: write it as Parquet"),
    (b"PK\x03\x04", "is a zip archive (as .npz, .xlsx, .pt and .eval files are): extract it"),
    (b"BZh", "is compressed with bzip2: use gzip, zstd or no compression"),
    (b"\xFD7zXZ\0", "is compressed with xz: use gzip, zstd or no compression"),
    (b"\x04\x22\x4D\x18", "is compressed with lz4: use gzip, zstd or no compression"),
    (b"SQLite format 3\0", "is a SQLite database: write its rows as JSON lines or Parquet"),
    (b"\x80\x02", PICKLE),
    (b"\x80\x03", PICKLE),
    (b"\x80\x04", PICKLE),
    (b"\x80\x05", PICKLE),
    (b"\xFF\xFE", UTF_16),
    (b"\xFE\xFF", UTF_16),
];

const PICKLE: &str = "is a Python pickle, which is never read: write it as JSON lines or Parquet";
const UTF_16: &str = "is text in UTF-16 or UTF-32: write it in UTF-8";

/// What a file that begins with `head` is, if that is no rows.
pub fn kind(head: &[u8]) -> Option<&'static str> {
    // UTF-16 without a mark: every other byte of ASCII is zero.
    if matches!(head, [0, b'{' | b'[', ..] | [b'{' | b'[', 0, ..]) {
        return Some(UTF_16);
    }
    let of_kind = KINDS.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, what)| *what);
    of_kind.or_else(|| stand_in::named(head))
}
