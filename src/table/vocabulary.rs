//! The texts of a tokenizer's ids, as a table.
//!
//! Owns its rows. Not here: where it is (`store`), and tokens that were written in responses (the tokens table).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::UInt32Type;

use super::decode;
use crate::error::{Error, Result};
use crate::schema::{self, vocabulary};
use crate::stored::StoredFile;

/// One row per id, in their order.
///
/// # Errors
/// None but a bug's.
pub fn vocabulary_batch(texts: &[(u32, String)]) -> Result<RecordBatch> {
    let ids: UInt32Array = texts.iter().map(|(id, _)| Some(*id)).collect();
    let texts: StringArray = texts.iter().map(|(_, text)| Some(text)).collect();
    Ok(RecordBatch::try_new(schema::vocabulary(), vec![Arc::new(ids), Arc::new(texts)])?)
}

/// The texts of some ids.
///
/// # Errors
/// A file that cannot be read, or is no table of texts.
pub fn vocabulary_texts(file: StoredFile, wanted: &BTreeSet<u32>) -> Result<BTreeMap<u32, String>> {
    let path = file.path().to_owned();
    let batch = decode::samples(file)?;
    let column = |name: &str| batch.column_by_name(name);
    let ids = column(vocabulary::TOKEN_ID).and_then(|ids| ids.as_primitive_opt::<UInt32Type>());
    let texts = column(vocabulary::TOKEN).and_then(|texts| texts.as_string_opt::<i32>());
    let (Some(ids), Some(texts)) = (ids, texts) else {
        return Err(Error::file(path, "not a vocabulary of tokshift: delete it, and `score` writes it again"));
    };
    let known = (0..batch.num_rows()).filter(|&row| ids.is_valid(row) && texts.is_valid(row));
    let known = known.map(|row| (ids.value(row), texts.value(row)));
    Ok(known.filter(|(id, _)| wanted.contains(id)).map(|(id, text)| (id, text.to_owned())).collect())
}
