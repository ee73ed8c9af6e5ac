//! Lines of a file, one held at a time.
//!
//! Owns where a line begins and ends, blank ones included. Refuses their meaning.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Written at the head of files by some editors; no part of the first row.
pub const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Bytes read at once: few system calls, and BLAKE3's wide kernels are fed.
const READ_BYTES: usize = 1 << 20;

/// One line.
pub struct Line<'a> {
    /// From 1.
    pub number: u64,
    /// Where it begins in the file, and where the next one does.
    pub offset: u64,
    pub end: u64,
    /// All of it, with its line end.
    pub raw: &'a [u8],
}

impl<'a> Line<'a> {
    /// The line without its end and the white space around it; empty for a blank line.
    pub fn text(&self) -> &'a [u8] {
        self.raw.trim_ascii()
    }
}

/// Reads lines from some place of a file on. Memory: the longest line.
pub struct Lines {
    path: PathBuf,
    file: BufReader<File>,
    buffer: Vec<u8>,
    number: u64,
    offset: u64,
}

impl Lines {
    /// From `offset` bytes on, where line `number` begins.
    ///
    /// # Errors
    /// A file that cannot be opened.
    pub fn open(path: &Path, offset: u64, number: u64) -> Result<Self> {
        let mut file = File::open(path).map_err(Error::io("read the dataset", path))?;
        file.seek(SeekFrom::Start(offset)).map_err(Error::io("read the dataset", path))?;
        let file = BufReader::with_capacity(READ_BYTES, file);
        Ok(Self { path: path.to_owned(), file, buffer: Vec::new(), number, offset })
    }

    /// Passes over a byte order mark, if the file begins with one; whether it does.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn skip_byte_order_mark(&mut self) -> Result<bool> {
        let head = self.file.fill_buf().map_err(Error::io("read the dataset", &self.path))?;
        let marked = head.starts_with(BYTE_ORDER_MARK);
        if marked {
            self.file.consume(BYTE_ORDER_MARK.len());
            self.offset += BYTE_ORDER_MARK.len() as u64;
        }
        Ok(marked)
    }

    /// The next line, blank or not; the last may lack its line end.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>> {
        self.buffer.clear();
        let read = self.file.read_until(b'\n', &mut self.buffer);
        let read = read.map_err(Error::io("read the dataset", &self.path))? as u64;
        if read == 0 {
            return Ok(None);
        }
        let (number, offset) = (self.number, self.offset);
        self.number += 1;
        self.offset += read;
        Ok(Some(Line { number, offset, end: self.offset, raw: &self.buffer }))
    }

    /// What no line was made of yet.
    pub fn rest(&mut self) -> &mut BufReader<File> {
        &mut self.file
    }
}
