//! The table of all statistics as a file, in the format that the file's name says.
//!
//! Owns the formats. Not here: the table's content (`statistics`), and writing to disk (`store`).

use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, UInt64Type};
use arrow::json::writer::{JsonArray, LineDelimited, WriterBuilder};
use parquet::arrow::ArrowWriter;

use super::statistics::statistics;
use crate::error::{Error, Result};
use crate::escape::visible;
use crate::shift::result::comparison::Comparison;

/// A format of a file of statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// `.parquet`
    Parquet,
    /// `.csv` (RFC 4180)
    Csv,
    /// One array of objects.
    Json,
    /// One object per line.
    JsonLines,
}

/// Endings of files, and what they stand for.
const ENDINGS: [(&str, FileFormat); 4] = [
    ("parquet", FileFormat::Parquet),
    ("csv", FileFormat::Csv),
    ("json", FileFormat::Json),
    ("jsonl", FileFormat::JsonLines),
];

impl FileFormat {
    /// The format of a file of this name.
    ///
    /// # Errors
    /// [`Error::Usage`] if its ending is none of those there are.
    pub fn of_path(path: &Path) -> Result<Self> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        let known = ENDINGS.iter().find(|(known, _)| ending.as_deref() == Some(known));
        let what = || format!("`{}` has to end in .parquet, .csv, .json or .jsonl", path.display());
        known.map(|(_, format)| *format).ok_or_else(|| Error::Usage(what()))
    }
}

/// Every mean and quantile, one row per statistic, as the bytes of a file. In CSV and JSON nothing stands for null, and
/// in JSON for numbers that are not finite.
///
/// # Errors
/// [`Error::Arrow`], [`Error::Parquet`]: the table cannot be encoded.
pub fn statistics_file(comparison: &Comparison, format: FileFormat) -> Result<Vec<u8>> {
    let batch = statistics(comparison)?;
    let mut bytes = Vec::new();
    match format {
        FileFormat::Parquet => {
            let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None)?;
            writer.write(&batch)?;
            writer.close()?;
        }
        FileFormat::Csv => bytes = csv(&batch).into_bytes(),
        FileFormat::Json => {
            let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(&mut bytes);
            writer.write(&batch)?;
            writer.finish()?;
        }
        FileFormat::JsonLines => {
            let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut bytes);
            writer.write(&batch)?;
            writer.finish()?;
        }
    }
    Ok(bytes)
}

/// A line of column names, then one line per row (RFC 4180).
fn csv(batch: &RecordBatch) -> String {
    let schema = batch.schema();
    let head = schema.fields().iter().map(|field| quoted(field.name())).collect::<Vec<_>>().join(",");
    let row = |row| {
        let cells: Vec<String> = batch.columns().iter().map(|column| cell(column.as_ref(), row)).collect();
        cells.join(",")
    };
    std::iter::once(head).chain((0..batch.num_rows()).map(row)).map(|line| line + "\n").collect()
}

fn cell(column: &dyn Array, row: usize) -> String {
    if column.is_null(row) {
        return String::new();
    }
    match column.data_type() {
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::UInt64 => column.as_primitive::<UInt64Type>().value(row).to_string(),
        DataType::Boolean => column.as_boolean().value(row).to_string(),
        // All other columns are texts.
        _ => text_cell(column.as_string::<i32>().value(row)),
    }
}

/// Somebody's text as a cell of CSV. Control characters are escaped, and an apostrophe stands before a text that a
/// spreadsheet would compute as a formula.
pub fn text_cell(text: &str) -> String {
    let text = visible(text);
    if text.starts_with(['=', '+', '-', '@']) { quoted(&format!("'{text}")) } else { quoted(&text) }
}

/// A number, or a text of our own, as a cell of CSV.
pub fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
