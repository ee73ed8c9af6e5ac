//! Reads the tokens of one table, sample by sample.
//!
//! Owns reading them in order, a batch at a time. Not here: comparing (`pair`).

use std::path::Path;

use crate::error::{Error, Result};
use crate::schema::token;
use crate::shift::numbers::spans::Piece;
use crate::shift::tables::cursor::Cursor;
use crate::store::ResultFile;
use crate::table::TokenColumns;

const COLUMNS: [&str; 7] =
    [token::SAMPLE_ID, token::POSITION, token::START, token::END, token::STRADDLES, token::IS_END, token::LOGPROB];

/// A table that is read once, from front to back.
pub struct Texts<'a> {
    files: &'a [ResultFile],
    cursor: Cursor<'a, TokenColumns>,
    pieces: Vec<Piece>,
}

impl<'a> Texts<'a> {
    pub fn new(files: &'a [ResultFile]) -> Self {
        Self { files, cursor: Cursor::new(files, &COLUMNS), pieces: Vec::new() }
    }

    /// The tokens of a sample, in order, without the one that ends a turn; none if the table has no such sample.
    /// Samples must be requested in ascending order.
    ///
    /// # Errors
    /// A file that cannot be read or is out of order; tokens whose place in the text is unknown.
    pub fn of_sample(&mut self, sample: u32) -> Result<&[Piece]> {
        self.pieces.clear();
        while let Some((columns, row)) = self.cursor.peek()? {
            let of_row = columns.sample_id.value(row);
            if of_row > sample {
                break;
            }
            if of_row == sample && !columns.seen(row).is_end {
                let Some(piece) = columns.piece(row) else {
                    let file = self.files.first().map_or(Path::new(""), ResultFile::path);
                    let what = "some tokens have no place in the text, so that it cannot be aligned";
                    return Err(Error::file(file, format!("sample_id {sample}: {what}")));
                };
                self.pieces.push(piece);
            }
            self.cursor.advance(1);
        }
        Ok(&self.pieces)
    }
}
