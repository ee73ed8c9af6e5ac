//! Reads back what a later run must know of existing tables.
//!
//! Owns the footer and the columns of a table of any kind, and the statuses of samples in both formats. Not here: rows (`reader`), queries
//! (`shift`).

use std::io::{BufRead, BufReader};

use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::ParquetMetaDataReader;
use serde::Deserialize;

use super::columns::SampleColumns;
use super::reader::TableReader;
use super::{Format, Origin, recorded};
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
pub fn statuses(file: StoredFile, format: Format) -> Result<Vec<String>> {
    match format {
        Format::Parquet => parquet(file),
        Format::Jsonl => jsonl(&file),
    }
}

fn parquet(file: StoredFile) -> Result<Vec<String>> {
    let mut statuses = Vec::new();
    for batch in TableReader::<SampleColumns>::open(file)?.columns(&[sample::STATUS])? {
        let SampleColumns { rows, status, .. } = batch?;
        statuses.extend((0..rows).map(|row| status.get(row).unwrap_or_default().to_owned()));
    }
    Ok(statuses)
}

fn jsonl(file: &StoredFile) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Row {
        status: String,
    }
    let broken = |what: String| Error::file(file.path(), format!("not a samples table: {what}"));
    let row = |line: std::io::Result<String>| {
        let line = line.map_err(|e| broken(e.to_string()))?;
        Ok(serde_json::from_str::<Row>(&line).map_err(|e| broken(e.to_string()))?.status)
    };
    BufReader::new(file.tail(0)).lines().map(row).collect()
}
