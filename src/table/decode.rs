//! Reads back what a later run must know of existing tables.
//!
//! Owns the footer and the columns of a table of any kind, and the statuses of samples. Not here: rows (`reader`), queries
//! (`shift`).

use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::ParquetMetaDataReader;

use super::columns::SampleColumns;
use super::reader::TableReader;
use super::{Origin, recorded};
use crate::error::{Error, Result};
use crate::schema::sample;
use crate::stored::StoredFile;

/// A Parquet file's origin and its hash of itself, from the footer; neither for a file that another program wrote.
///
/// # Errors
/// A file that cannot be read, or is no Parquet.
pub fn footer(file: &StoredFile) -> Result<(Option<Origin>, Option<String>)> {
    let metadata = ParquetMetaDataReader::new().parse_and_finish(file);
    let metadata = metadata.map_err(|e| Error::file(file.path(), e.to_string()))?;
    let entries = metadata.file_metadata().key_value_metadata();
    Ok((Origin::read(entries), recorded(entries)))
}

/// The columns of a Parquet file.
///
/// # Errors
/// As [`footer`].
pub fn schema(file: &StoredFile) -> Result<SchemaRef> {
    let metadata = ArrowReaderMetadata::load(file, ArrowReaderOptions::default());
    Ok(metadata.map_err(|e| Error::file(file.path(), e.to_string()))?.schema().clone())
}

/// The status of each sample of a samples table, in its order; empty where it is null. A part has 256 rows at most, so
/// the whole column is read.
///
/// # Errors
/// A file that cannot be read, or is no samples table.
pub fn statuses(file: StoredFile) -> Result<Vec<String>> {
    let mut statuses = Vec::new();
    for batch in TableReader::<SampleColumns>::open(file)?.columns(&[sample::STATUS])? {
        let SampleColumns { rows, status, .. } = batch?;
        statuses.extend((0..rows).map(|row| status.get(row).unwrap_or_default().to_owned()));
    }
    Ok(statuses)
}
