//! Which tokens of a part have a log-probability by a model.
//!
//! Owns reading the few columns that say so. Not here: checking the table (`tokens`).

use std::collections::BTreeMap;
use std::fs::File;
use std::panic::catch_unwind;
use std::path::Path;

use arrow::array::{Array, AsArray};
use arrow::datatypes::UInt32Type;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::schema::token;

const COLUMNS: [&str; 4] = [token::SAMPLE_ID, token::POSITION, token::TOKEN_ID, token::LOGPROB];

/// By sample and position, a token's id.
pub(super) type Ids = BTreeMap<(u32, u32), Option<u32>>;

/// `None` of a table that cannot be read.
pub(super) fn read(path: &Path) -> Option<Ids> {
    // Decoders panic on some broken bytes.
    catch_unwind(|| decode(path)).ok().flatten()
}

fn decode(path: &Path) -> Option<Ids> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).ok()?).ok()?;
    let columns = ProjectionMask::columns(builder.parquet_schema(), COLUMNS);
    let mut found = BTreeMap::new();
    for batch in builder.with_projection(columns).build().ok()? {
        let batch = batch.ok()?;
        let ids = |name| batch.column_by_name(name)?.as_primitive_opt::<UInt32Type>();
        let (samples, positions, tokens) = (ids(COLUMNS[0])?, ids(COLUMNS[1])?, ids(COLUMNS[2])?);
        let logprobs = batch.column_by_name(token::LOGPROB)?;
        for row in (0..batch.num_rows()).filter(|&row| logprobs.is_valid(row)) {
            let id = tokens.is_valid(row).then(|| tokens.value(row));
            found.insert((samples.value(row), positions.value(row)), id);
        }
    }
    Some(found)
}
