//! Reads back what a later run must know of existing tables.
//!
//! Owns the footer and the columns of a table of any kind, and the statuses of samples. Not here: rows (`reader`), queries
//! (`shift`).

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::ParquetMetaDataReader;

use super::columns::SampleColumns;
use super::reader::TableReader;
use super::{Origin, recorded};
use crate::error::{Error, Result};
use crate::schema::{self, KeptField, sample};
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

/// A Parquet samples table of one part, whole.
///
/// # Errors
/// A file that cannot be read, or is no Parquet.
pub fn samples(file: StoredFile) -> Result<RecordBatch> {
    let path = file.path().to_owned();
    let broken = |e: &dyn std::fmt::Display| Error::file(&path, e.to_string());
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| broken(&e))?;
    let schema = builder.schema().clone();
    let batches = builder.build().map_err(|e| broken(&e))?.collect::<std::result::Result<Vec<_>, _>>();
    concat_batches(&schema, &batches.map_err(|e| broken(&e))?).map_err(|e| broken(&e))
}

/// Whether a Parquet samples table has columns for these kept fields, and no others.
///
/// # Errors
/// As [`footer`].
pub fn has_kept(file: &StoredFile, kept: &[KeptField]) -> Result<bool> {
    let columns = |schema: &Schema| -> Vec<(String, DataType)> {
        schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
    };
    Ok(columns(&*schema(file)?) == columns(&schema::samples(kept)))
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
