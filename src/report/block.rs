//! The kinds of blocks, and what carries a block into a page.
//!
//! Owns compression and base64. The level is fixed and nothing depends on time, so that the same tables give the same
//! bytes. Not here: the content of a block.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;

use crate::error::{Error, Result};

/// What a block contains, as its second byte says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Texts of token ids.
    Vocabulary = 0,
    /// One row per sample of a response set.
    Index = 1,
    /// Prompts and responses of some samples.
    Texts = 2,
    /// Every number of every token of some samples.
    Tokens = 3,
}

/// One level more gains 0.3% and costs four times the time.
const LEVEL: u32 = 6;

/// A block's columns as raw deflate, which browsers decompress without a library.
pub fn deflated(columns: &[u8]) -> Result<Vec<u8>> {
    let failed = |source| Error::Io { action: "compress", path: "a block of the report".into(), source };
    let mut encoder = DeflateEncoder::new(Vec::with_capacity(columns.len() / 4), Compression::new(LEVEL));
    encoder.write_all(columns).and_then(|()| encoder.finish()).map_err(failed)
}

/// A deflated block as text that no HTML parser reads anything into.
pub fn base64(deflated: &[u8]) -> String {
    STANDARD.encode(deflated)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::deflated;

    #[test]
    fn a_block_is_inflated_to_itself() {
        let columns: Vec<u8> = (0..10_000_u32).map(|i| ((i * i) >> 7) as u8).collect();
        let mut inflated = Vec::new();
        let block = deflated(&columns).unwrap();
        flate2::read::DeflateDecoder::new(&block[..]).read_to_end(&mut inflated).unwrap();
        assert_eq!(inflated, columns);
    }
}
