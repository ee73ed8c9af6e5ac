//! Content hashes (BLAKE3) of files, texts and token ids.
//!
//! Owns how tokshift identifies its inputs. The hashes detect accidental changes; they do not protect against
//! tampering.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use crate::error::{Error, Result};

/// Bytes read at once from a file that is hashed: large enough that BLAKE3's wide kernels are fed.
const READ_BYTES: usize = 1 << 20;

/// 64 hex digits: the BLAKE3 hash of a file's bytes, the same that `b3sum` prints.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read.
pub fn file(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match file.read(&mut buffer).map_err(Error::io("read", path))? {
            0 => return Ok(hasher.finalize().to_hex().to_string()),
            n => hasher.update(&buffer[..n]),
        };
    }
}

/// As [`file`], of the first `bytes` of a file; of all of it, if it is shorter.
///
/// # Errors
/// As [`file`].
pub fn beginning(path: &Path, bytes: u64) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    let file = File::open(path).map_err(Error::io("read", path))?;
    hasher.update_reader(file.take(bytes)).map_err(Error::io("read", path))?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// Identifies, without reading it, whether a path still leads to the same file with the same content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: Option<SystemTime>,
    /// Seconds and nanoseconds of the last change of content or name, which no program sets at will.
    changed: (i64, i64),
}

impl Fingerprint {
    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Of what `path` leads to now.
    ///
    /// # Errors
    /// [`Error::Io`] if nothing is there.
    pub fn of(path: &Path) -> Result<Self> {
        let found = path.metadata().map_err(Error::io("read", path))?;
        Ok(Self {
            device: found.dev(),
            inode: found.ino(),
            bytes: found.len(),
            modified: found.modified().ok(),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

/// As [`file`], of bytes in memory.
pub fn bytes(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// 16 hex digits: the start of the BLAKE3 hash of `ids` as little-endian u32.
pub fn ids(ids: &[u32]) -> String {
    let mut hasher = blake3::Hasher::new();
    for id in ids {
        hasher.update(&id.to_le_bytes());
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

/// 64 hex digits: the BLAKE3 hash of `texts`, each preceded by its length.
pub fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = blake3::Hasher::new();
    for text in texts {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}
