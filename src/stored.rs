//! A file of a result that is open for reading.
//!
//! Owns reading ranges of its bytes, which several threads may do at once. Decoders of tables and of hidden states read
//! through it alone, so they do not know where results are stored. Not here: opening a file by its name (`store`).

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::error::{Error, Result};

/// An open file. Clones read the same file.
#[derive(Clone, Debug)]
pub struct StoredFile {
    path: PathBuf,
    file: Arc<File>,
    length: u64,
}

impl StoredFile {
    /// What `file` contains; `path` is its name for messages.
    ///
    /// # Errors
    /// [`Error::Io`] if its length cannot be read.
    pub fn new(file: File, path: &Path) -> Result<Self> {
        let length = file.metadata().map_err(Error::io("read", path))?.len();
        Ok(Self { path: path.to_owned(), file: Arc::new(file), length })
    }

    /// Its name, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length when it was opened, in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Fills `bytes` with those from `at` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if there are fewer; what the storage gives.
    pub fn read_exact_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, at)
    }

    /// Reads from `at` to the end.
    pub fn tail(&self, at: u64) -> Tail {
        Tail { file: self.file.clone(), at }
    }
}

/// The bytes of a file from some place on.
#[derive(Debug)]
pub struct Tail {
    file: Arc<File>,
    at: u64,
}

impl Read for Tail {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(bytes, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Length for StoredFile {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for StoredFile {
    type T = BufReader<Tail>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(BufReader::new(self.tail(start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        // A damaged footer may name any length: no room is taken for bytes that the file does not have.
        let mut bytes = Vec::with_capacity(length.min(self.length.saturating_sub(start) as usize));
        let read = self.tail(start).take(length as u64).read_to_end(&mut bytes)?;
        if read != length {
            return Err(ParquetError::EOF(format!("Expected to read {length} bytes, read only {read}")));
        }
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn ranges_are_read_and_none_beyond_the_end() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let file = StoredFile::new(file, Path::new("file")).unwrap();
        assert_eq!((file.length(), &file.get_bytes(3, 4).unwrap()[..]), (10, &b"3456"[..]));
        let (mut rest, mut two) = (String::new(), [0; 2]);
        file.get_read(7).unwrap().read_to_string(&mut rest).unwrap();
        file.read_exact_at(&mut two, 1).unwrap();
        assert_eq!((&*rest, &two), ("789", b"12"));
        for (start, length) in [(8, 3), (10, 1), (99, usize::MAX)] {
            let error = file.get_bytes(start, length).unwrap_err().to_string();
            assert!(error.starts_with(&format!("EOF: Expected to read {length} bytes")), "{error}");
        }
    }
}
