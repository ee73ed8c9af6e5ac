//! The columns of a part's tokens table that a pair needs: its ids and its top-k lists.

use std::fs::File;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::UInt32Type;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::error::{Error, Result};
use crate::schema::token;
use crate::table::{self, Origin};

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
pub fn read(path: &Path) -> Result<Tokens> {
    let broken = |what: String| Error::file(path, format!("not a tokens table: {what}"));
    let file = File::open(path).map_err(Error::io("read", path))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| broken(e.to_string()))?;
    let entries = builder.metadata().file_metadata().key_value_metadata();
    let (origin, hash) = (Origin::read(entries), table::recorded(entries));
    let columns = ProjectionMask::columns(builder.parquet_schema(), COLUMNS);
    let mut tokens = Vec::new();
    for batch in builder.with_projection(columns).build().map_err(|e| broken(e.to_string()))? {
        add(&batch.map_err(|e| broken(e.to_string()))?, &mut tokens)
            .map_err(|name| broken(format!("column `{name}`")))?;
    }
    if !tokens.is_sorted_by(|a, b| a.key < b.key) {
        return Err(broken("its rows are not in order".to_owned()));
    }
    Ok(Tokens { origin, hash, rows: tokens })
}

fn add(batch: &RecordBatch, tokens: &mut Vec<Token>) -> Result<(), &'static str> {
    let column = |name: &'static str| batch.column_by_name(name).ok_or(name);
    let u32s = |name| column(name)?.as_primitive_opt::<UInt32Type>().ok_or(name);
    let [samples, positions, ids] = [u32s(COLUMNS[0])?, u32s(COLUMNS[1])?, u32s(COLUMNS[2])?];
    let lists = column(COLUMNS[3])?.as_list_opt::<i32>().ok_or(COLUMNS[3])?;
    let items = lists.values().as_primitive_opt::<UInt32Type>().ok_or(COLUMNS[3])?.values();
    let offsets = lists.value_offsets();
    for row in 0..batch.num_rows() {
        tokens.push(Token {
            key: (samples.value(row), positions.value(row)),
            id: ids.is_valid(row).then(|| ids.value(row)),
            top: items[offsets[row] as usize..offsets[row + 1] as usize].to_vec(),
        });
    }
    Ok(())
}
