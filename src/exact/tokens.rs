//! The columns of a part's tokens table that a pair needs: its ids and its top-k lists.

use crate::error::{Error, Result};
use crate::schema::token;
use crate::store::ResultFile;
use crate::table::{Origin, TableReader, TokenColumns};

const COLUMNS: [&str; 4] = [token::SAMPLE_ID, token::POSITION, token::TOKEN_ID, token::TOP_IDS];

/// A token of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Sample and position.
    pub key: (u32, u32),
    pub id: Option<u32>,
    /// The most likely ids, best first.
    pub top: Vec<u32>,
}

/// A tokens table, as far as a pair needs it.
#[derive(Debug)]
pub struct Tokens {
    /// What the file says it is of.
    pub origin: Option<Origin>,
    /// Its hash of itself.
    pub hash: Option<String>,
    /// Every token of the part, in order.
    pub rows: Vec<Token>,
}

/// Reads a part.
///
/// # Errors
/// A file that is no tokens table.
pub fn read(file: &ResultFile) -> Result<Tokens> {
    let reader = TableReader::<TokenColumns>::open(file.open()?)?;
    let (origin, hash) = (reader.origin(), reader.hash());
    let mut tokens = Vec::new();
    for batch in reader.columns(&COLUMNS)? {
        let batch = batch?;
        for row in 0..batch.rows {
            let key = batch.sample_id.get(row).zip(batch.position.get(row));
            let key = key.ok_or_else(|| Error::file(file, "rows without a `sample_id` or a `position`"))?;
            tokens.push(Token { key, id: batch.token_id.get(row), top: batch.top_ids.get(row).to_vec() });
        }
    }
    if !tokens.is_sorted_by(|a, b| a.key < b.key) {
        return Err(Error::file(file, "not a tokens table: its rows are not in order"));
    }
    Ok(Tokens { origin, hash, rows: tokens })
}
