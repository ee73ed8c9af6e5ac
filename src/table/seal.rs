//! The hash of a Parquet file inside that file.
//!
//! Owns the footer entry that contains it: BLAKE3 over the whole file, with zeros in place of the hash itself. It is
//! needed because no writer here writes Parquet's own page checksums, and a flipped bit of a float decodes without an
//! error. Not here: the rest of the file's content.

use std::io::{self, Read};

use parquet::file::metadata::KeyValue;

use crate::stored::StoredFile;

const KEY: &str = "tokshift.blake3";

/// Hexadecimal digits of a hash.
const DIGITS: usize = 64;

/// The footer's length and the magic word, which end a file.
const TRAILER: u64 = 8;

/// Longest footer that is looked at, far above any of ours.
const MAX_FOOTER: u64 = 1 << 24;

/// The entry of a file that has no hash yet.
pub(super) fn unsealed() -> KeyValue {
    KeyValue::new(KEY.to_owned(), "0".repeat(DIGITS))
}

/// Writes its hash into a whole file that has the entry, and gives it; any other stays as it is.
pub fn seal(file: &mut [u8]) -> Option<String> {
    let at = digits(file)?;
    file[at..at + DIGITS].fill(b'0');
    let hash = blake3::hash(file).to_hex().to_string();
    file[at..at + DIGITS].copy_from_slice(hash.as_bytes());
    Some(hash)
}

/// The hash in a footer with these `entries`, right or not; `None` for a file that another program wrote.
pub fn recorded(entries: Option<&Vec<KeyValue>>) -> Option<String> {
    entries?.iter().find(|entry| entry.key == KEY)?.value.clone()
}

/// Whether the file is as it was sealed; `None` if it never was.
///
/// # Errors
/// A file that cannot be read.
pub fn is_sealed(file: &StoredFile) -> io::Result<Option<bool>> {
    let length = file.length();
    if length < TRAILER {
        return Ok(None);
    }
    let mut trailer = [0; 4];
    file.read_exact_at(&mut trailer, length - TRAILER)?;
    let footer = (u64::from(u32::from_le_bytes(trailer)) + TRAILER).min(length).min(MAX_FOOTER);
    let mut end = Vec::new();
    file.tail(length - footer).take(footer).read_to_end(&mut end)?;
    let Some(at) = digits(&end) else { return Ok(None) };
    let recorded = end[at..at + DIGITS].to_vec();
    end[at..at + DIGITS].fill(b'0');
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file.tail(0).take(length - footer))?.update(&end);
    Ok(Some(hasher.finalize().to_hex().as_bytes() == recorded))
}

/// Where the last entry's digits begin. Thrift writes a short text as its field (one byte), its length (one), itself.
fn digits(bytes: &[u8]) -> Option<usize> {
    let key = bytes.windows(KEY.len()).rposition(|window| window == KEY.as_bytes())?;
    let at = key + KEY.len() + 2;
    (at + DIGITS <= bytes.len()).then_some(at)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;

    use super::*;

    fn written(bytes: &[u8]) -> StoredFile {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        StoredFile::new(file, Path::new("file")).unwrap()
    }

    /// Data, then a footer of `footer`, its length and the magic word.
    fn file(footer: &str) -> Vec<u8> {
        let length = u32::try_from(footer.len()).unwrap().to_le_bytes();
        [b"PAR1 some data ", footer.as_bytes(), &length, b"PAR1"].concat()
    }

    #[test]
    fn every_flipped_bit_of_a_sealed_file_shows() {
        let mut bytes = file(&format!("..{KEY}\u{18}@{}..", "0".repeat(DIGITS)));
        assert_eq!(is_sealed(&written(&bytes)).unwrap(), Some(false));
        seal(&mut bytes);
        assert_eq!(is_sealed(&written(&bytes)).unwrap(), Some(true));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // In the key it hides the hash, which is no seal either.
            assert_ne!(is_sealed(&written(&flipped)).unwrap(), Some(true), "bit {bit}");
        }
    }

    #[test]
    fn a_file_that_was_never_sealed_has_no_hash() {
        for bytes in [&b""[..], b"PAR1", &file("footer"), &file(KEY), &[0xff; 40]] {
            assert_eq!(is_sealed(&written(bytes)).unwrap(), None);
            let mut sealed = bytes.to_vec();
            seal(&mut sealed);
            assert_eq!(sealed, bytes);
        }
    }
}
