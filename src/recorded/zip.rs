//! Files inside a ZIP archive.
//!
//! Owns the archive's directory (APPNOTE 6.3.10, with ZIP64) and the three ways in which Python's zipfile packs: stored,
//! deflated, Zstandard. Nothing that an archive claims is trusted: a file may unpack to 64 MiB and a thousand times its
//! size. Not here: what the files contain.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};
use crate::stored::StoredFile;

/// What an archive begins with.
pub const MAGIC: [u8; 4] = *b"PK\x03\x04";
/// A file may unpack to this much,
const FREE_BYTES: u64 = 64 << 20;
/// and to this many times its own size.
const RATIO: u64 = 1000;
/// The end of an archive has at most so long a comment.
const LONGEST_COMMENT: u64 = 1 << 16;

/// An archive whose directory was read.
pub struct Archive {
    file: StoredFile,
    entries: Vec<Entry>,
}

/// A file of an archive.
struct Entry {
    name: String,
    method: u16,
    /// CRC-32 of the unpacked file.
    crc: u32,
    /// Bytes in the archive.
    packed: u64,
    /// Where its own header begins.
    at: u64,
}

impl Archive {
    /// Reads the directory of the archive at `path`.
    ///
    /// # Errors
    /// A file that cannot be read, or has no directory at its end: it may have been cut off.
    pub fn open(path: &Path) -> Result<Self> {
        let file = StoredFile::new(File::open(path).map_err(Error::io("read", path))?, path)?;
        let (at, bytes) = directory(&file).map_err(|what| Error::file(path, what))?;
        let directory = read(&file, at, bytes)?;
        let entries =
            entries(&directory).ok_or_else(|| Error::file(path, format!("its directory at byte {at} is damaged")))?;
        Ok(Self { file, entries })
    }

    /// The names of its files, in the directory's order. Of several files with one name, readers take the last: it is named
    /// once.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let mut seen = HashSet::new();
        let last = self.entries.iter().rev().map(|entry| &*entry.name).filter(|name| seen.insert(*name));
        let mut names: Vec<&str> = last.collect();
        names.reverse();
        names.into_iter()
    }

    /// What the file of that name contains.
    ///
    /// # Errors
    /// What is wrong with it, after its name.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        let entry = self.entries.iter().rev().find(|entry| entry.name == name).ok_or("is not there")?;
        let described = |e: &dyn std::fmt::Display| format!("cannot be unpacked: {e}");
        let header = read(&self.file, entry.at, 30).map_err(|e| described(&e))?;
        if header[..4] != MAGIC {
            return Err(format!("no file of the archive begins at byte {}", entry.at));
        }
        let begin = entry.at + 30 + u64::from(u16_at(&header, 26)) + u64::from(u16_at(&header, 28));
        let packed = read(&self.file, begin, entry.packed).map_err(|e| described(&e))?;
        let limit = FREE_BYTES + RATIO * entry.packed;
        let mut contents = Vec::new();
        let unpacked = match entry.method {
            0 => packed.as_slice().take(limit).read_to_end(&mut contents),
            8 => flate2::read::DeflateDecoder::new(&packed[..]).take(limit).read_to_end(&mut contents),
            93 => zstd::stream::read::Decoder::new(&packed[..])
                .and_then(|text| text.take(limit).read_to_end(&mut contents)),
            method => {
                return Err(format!("is packed by method {method}: only stored, deflate and Zstandard are read"));
            }
        };
        unpacked.map_err(|e| described(&e))?;
        if contents.len() as u64 == limit {
            return Err(format!("unpacks to more than {limit} bytes"));
        }
        let mut crc = flate2::Crc::new();
        crc.update(&contents);
        if crc.sum() != entry.crc {
            return Err("is damaged: its checksum (CRC-32) is another".to_owned());
        }
        Ok(contents)
    }
}

fn read(file: &StoredFile, at: u64, bytes: u64) -> Result<Vec<u8>> {
    if at.checked_add(bytes).is_none_or(|end| end > file.length()) {
        return Err(Error::file(
            file.path(),
            format!("ends before byte {} of {bytes} from byte {at} on", file.length()),
        ));
    }
    let mut found = vec![0; bytes as usize];
    file.read_exact_at(&mut found, at).map_err(Error::io("read", file.path()))?;
    Ok(found)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|two| two.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|eight| eight.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// Where the directory is, and how long.
fn directory(file: &StoredFile) -> Result<(u64, u64), String> {
    let tail_at = file.length().saturating_sub(22 + LONGEST_COMMENT);
    let tail = read(file, tail_at, file.length() - tail_at).map_err(|e| e.to_string())?;
    let is_end = |four: &[u8]| *four == *b"PK\x05\x06";
    let at = tail.windows(4).rposition(is_end).ok_or("has no directory at its end: was it cut off?")?;
    let (bytes, begin) = (u32_at(&tail, at + 12), u32_at(&tail, at + 16));
    if bytes != u32::MAX && begin != u32::MAX {
        return Ok((u64::from(begin), u64::from(bytes)));
    }
    // ZIP64: a record before this one says where.
    let locator = at.checked_sub(20).filter(|&locator| tail[locator..locator + 4] == *b"PK\x06\x07");
    let record = locator.map(|locator| u64_at(&tail, locator + 8)).ok_or("has no ZIP64 directory")?;
    let record = read(file, record, 56).map_err(|e| e.to_string())?;
    Ok((u64_at(&record, 48), u64_at(&record, 40)))
}

/// The entries of a directory, if it is whole.
fn entries(mut directory: &[u8]) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    while directory.len() >= 46 {
        if directory[..4] != *b"PK\x01\x02" {
            return None;
        }
        let lengths = [28, 30, 32].map(|at| usize::from(u16_at(directory, at)));
        let end = 46 + lengths.iter().sum::<usize>();
        let name = String::from_utf8_lossy(directory.get(46..46 + lengths[0])?).into_owned();
        let extra = directory.get(46 + lengths[0]..46 + lengths[0] + lengths[1])?;
        let [_, packed, at] = sizes(directory, extra)?;
        entries.push(Entry { name, method: u16_at(directory, 10), crc: u32_at(directory, 16), packed, at });
        directory = directory.get(end..)?;
    }
    Some(entries)
}

/// Unpacked and packed size and place of an entry: those that 32 bits do not hold are in its ZIP64 field, in this order.
fn sizes(entry: &[u8], mut extra: &[u8]) -> Option<[u64; 3]> {
    let mut found = [24, 20, 42].map(|at| u64::from(u32_at(entry, at)));
    while extra.len() >= 4 {
        let (kind, length) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let mut field = extra.get(4..4 + length)?;
        if kind == 1 {
            for size in found.iter_mut().filter(|size| **size == u64::from(u32::MAX)) {
                *size = field.get(..8).map(|eight| u64_at(eight, 0))?;
                field = &field[8..];
            }
        }
        extra = &extra[4 + length..];
    }
    Some(found)
}
