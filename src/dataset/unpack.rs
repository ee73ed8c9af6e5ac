//! A dataset's file as text, compressed or not.
//!
//! Owns the compression formats, recognised by a file's first bytes, and the limit on their output: a small file that
//! decompresses without end is an error. Not here: rows (`records`).

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use flate2::bufread::MultiGzDecoder;

use crate::dataset::table::TableText;
use crate::error::{Error, Result};

/// Bytes read at once: few system calls, and BLAKE3's wide kernels are fed.
const READ_BYTES: usize = 1 << 20;
/// First bytes that identify a compression format.
const HEAD_BYTES: u64 = 4;

/// A compressed file may contain this much text...
const FREE_BYTES: u64 = 64 << 20;
/// ...and this many times its own size, some ten times what rows of text come to.
const RATIO: u64 = 1000;

/// Text as it is read.
pub type Text = Box<dyn BufRead + Send>;

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    Plain,
    Gzip,
    Zstd,
    /// A table of rows; its text is that of its rows as JSON lines.
    Parquet,
}

impl Packing {
    /// By the file's first bytes, whatever it is called.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn of(path: &Path) -> Result<Self> {
        let mut head = Vec::new();
        let file = File::open(path).map_err(Error::io("read the dataset", path))?;
        file.take(HEAD_BYTES).read_to_end(&mut head).map_err(Error::io("read the dataset", path))?;
        Ok(match head[..] {
            [0x1F, 0x8B, ..] => Self::Gzip,
            [0x28, 0xB5, 0x2F, 0xFD, ..] => Self::Zstd,
            [b'P', b'A', b'R', b'1', ..] => Self::Parquet,
            _ => Self::Plain,
        })
    }

    /// The text from `offset` on. What is packed is unpacked from its beginning; of a table the `wanted` columns alone.
    ///
    /// # Errors
    /// A file that cannot be read or is not so packed.
    pub fn open(self, path: &Path, offset: u64, tally: Option<&Tally>, wanted: &[&str]) -> Result<Text> {
        let io = |e| Error::io("read the dataset", path)(e);
        let mut file = File::open(path).map_err(io)?;
        let size = file.metadata().map_err(io)?.len();
        let counted = |file| buffered(Counted { file, tally: tally.cloned() });
        let unpacked: Box<dyn Read + Send> = match self {
            Self::Plain => {
                file.seek(SeekFrom::Start(offset)).map_err(io)?;
                return Ok(Box::new(counted(file)));
            }
            Self::Gzip => Box::new(MultiGzDecoder::new(counted(file))),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(counted(file)).map_err(io)?),
            Self::Parquet => Box::new(TableText::open(&file, path, wanted)?),
        };
        let left = FREE_BYTES.saturating_add(size.saturating_mul(RATIO));
        let mut text = buffered(Bounded { unpacked, left });
        io::copy(&mut text.by_ref().take(offset), &mut io::sink()).map_err(io)?;
        Ok(Box::new(text))
    }
}

fn buffered<R: Read>(reader: R) -> BufReader<R> {
    BufReader::with_capacity(READ_BYTES, reader)
}

/// The hash of a file that grows while the file is read.
#[derive(Clone, Default)]
pub struct Tally(Arc<Mutex<(blake3::Hasher, u64)>>);

impl Tally {
    fn add(&self, bytes: &[u8]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0.update(bytes);
        state.1 += bytes.len() as u64;
    }

    /// BLAKE3 of the whole file, 64 hex digits: what was not read yet is read for it.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn finish(self, path: &Path) -> Result<String> {
        let io = |e| Error::io("read the dataset", path)(e);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = File::open(path).map_err(io)?;
        file.seek(SeekFrom::Start(state.1)).map_err(io)?;
        let mut rest = buffered(file);
        loop {
            let bytes = rest.fill_buf().map_err(io)?;
            if bytes.is_empty() {
                return Ok(state.0.finalize().to_hex().to_string());
            }
            let read = bytes.len();
            state.0.update(bytes);
            rest.consume(read);
        }
    }
}

/// A file whose bytes are added to a tally as they are read.
struct Counted {
    file: File,
    tally: Option<Tally>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        if let Some(tally) = &self.tally {
            tally.add(&buffer[..read]);
        }
        Ok(read)
    }
}

/// Text that may not go on for ever.
struct Bounded {
    unpacked: Box<dyn Read + Send>,
    left: u64,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.unpacked.read(buffer)?;
        let over = || io::Error::other(format!("it decompresses to more than {RATIO} times its size"));
        self.left = self.left.checked_sub(read as u64).ok_or_else(over)?;
        Ok(read)
    }
}
