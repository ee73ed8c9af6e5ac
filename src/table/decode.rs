//! Reads back what a later run must know of existing tables.
//!
//! Owns reading one column. Not here: queries (`shift`, `study`).

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use arrow::array::AsArray;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::ParquetMetaDataReader;
use serde::Deserialize;

use super::{Format, Origin, recorded};
use crate::error::{Error, Result};
use crate::sample::Status;
use crate::schema::sample;

/// A Parquet file's origin and its hash of itself, from the footer; neither for a file that another program wrote.
///
/// # Errors
/// A file that cannot be read, or is no Parquet.
pub fn footer(path: &Path) -> Result<(Option<Origin>, Option<String>)> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&file);
    let metadata = metadata.map_err(|e| Error::file(path, e.to_string()))?;
    let entries = metadata.file_metadata().key_value_metadata();
    Ok((Origin::read(entries), recorded(entries)))
}

/// Whether a samples table contains a sample with this status.
///
/// # Errors
/// A file that cannot be read, or is no samples table.
pub fn holds(path: &Path, format: Format, status: Status) -> Result<bool> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    let statuses = statuses(file, format);
    let statuses = statuses.map_err(|what| Error::file(path, format!("not a samples table: {what}")))?;
    Ok(statuses.iter().any(|found| found == status.as_str()))
}

/// The status of each sample of a samples table, in its order; empty where it is null. A part has 256 rows at most, so
/// the whole column is read.
///
/// # Errors
/// What is wrong with the file, without its name.
pub fn statuses(file: File, format: Format) -> Result<Vec<String>, String> {
    match format {
        Format::Parquet => parquet(file),
        Format::Jsonl => jsonl(file),
    }
}

fn parquet(file: File) -> Result<Vec<String>, String> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| e.to_string())?;
    let column = ProjectionMask::columns(builder.parquet_schema(), [sample::STATUS]);
    let mut statuses = Vec::new();
    for batch in builder.with_projection(column).build().map_err(|e| e.to_string())? {
        let batch = batch.map_err(|e| e.to_string())?;
        let column = batch.column_by_name(sample::STATUS).and_then(|column| column.as_string_opt::<i32>());
        let column = column.ok_or_else(|| format!("it has no texts in a column `{}`", sample::STATUS))?;
        statuses.extend(column.iter().map(|status| status.unwrap_or_default().to_owned()));
    }
    Ok(statuses)
}

fn jsonl(file: File) -> Result<Vec<String>, String> {
    #[derive(Deserialize)]
    struct Row {
        status: String,
    }
    let row = |line: std::io::Result<String>| {
        let row: Row = serde_json::from_str(&line.map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
        Ok(row.status)
    };
    BufReader::new(file).lines().map(row).collect()
}
