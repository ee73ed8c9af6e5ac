//! A table's file as record batches of the columns that `schema` promises.
//!
//! Owns the recorded hash, the comparison of schemas, and JSON lines. Refuses to look at values.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::ParquetMetaData;

use super::report::Kind;
use crate::schema;
use crate::table::{Format, PAGES_BLAKE3, Table};

/// Bytes that open every Parquet file.
const MAGIC_BYTES: i64 = 4;

/// Why a file is not read on.
pub(super) type Broken = (Kind, String);

/// An open table.
pub(super) struct Source {
    pub batches: Box<dyn Iterator<Item = Result<RecordBatch, String>>>,
    /// The pages are what was written, by their recorded hash.
    pub is_hashed: bool,
}

/// Opens `path`, which must have the columns of `table`, those of `kept` last.
pub(super) fn open(path: &Path, format: Format, table: Table, kept: &[String]) -> Result<Source, Broken> {
    let expected = match table {
        Table::Tokens => schema::tokens(),
        Table::Samples => schema::samples(&[]),
    };
    match format {
        Format::Parquet => open_parquet(path, &expected, kept),
        Format::Jsonl => open_jsonl(path, &expected),
    }
}

fn unreadable(error: impl ToString) -> Broken {
    (Kind::Unreadable, error.to_string())
}

fn open_parquet(path: &Path, expected: &Schema, kept: &[String]) -> Result<Source, Broken> {
    let file = File::open(path).map_err(unreadable)?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(unreadable)?;
    // Before the schema: other bytes may spell another schema.
    let is_hashed = check_hash(path, builder.metadata())?;
    check_schema(expected, kept, builder.schema())?;
    let reader = builder.build().map_err(unreadable)?;
    Ok(Source { batches: Box::new(reader.map(|batch| batch.map_err(|e| e.to_string()))), is_hashed })
}

/// Compares the pages with the hash in the footer; `false` if there is none.
fn check_hash(path: &Path, metadata: &ParquetMetaData) -> Result<bool, Broken> {
    let entries = metadata.file_metadata().key_value_metadata().into_iter().flatten();
    let Some(recorded) = entries.filter(|entry| entry.key == PAGES_BLAKE3).find_map(|entry| entry.value.as_ref())
    else {
        return Ok(false);
    };
    let chunks = metadata.row_groups().iter().flat_map(|group| group.columns());
    let end = |chunk: &parquet::file::metadata::ColumnChunkMetaData| {
        let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
        start.saturating_add(chunk.compressed_size())
    };
    let end = chunks.map(end).max().unwrap_or(MAGIC_BYTES);
    let mut hasher = blake3::Hasher::new();
    let pages = File::open(path).map_err(unreadable)?.take(u64::try_from(end).unwrap_or_default());
    hasher.update_reader(pages).map_err(unreadable)?;
    if hasher.finalize().to_hex().as_str() != recorded {
        return Err((Kind::Checksum, "its pages are not the bytes that were written".to_owned()));
    }
    Ok(true)
}

/// The fixed columns must be as promised; kept fields have the names asked for and one of their three types.
fn check_schema(expected: &Schema, kept: &[String], found: &Schema) -> Result<(), Broken> {
    let wrong = |what: String| Err((Kind::Schema, what));
    for (index, field) in expected.fields().iter().enumerate() {
        match found.fields().get(index) {
            None => return wrong(format!("no column `{}`", field.name())),
            Some(other) if !same(field, other) => {
                return wrong(format!("column {index} is {}, expected {}", told(other), told(field)));
            }
            Some(_) => {}
        }
    }
    let others = &found.fields()[expected.fields().len()..];
    let is_kept = |(field, name): (&FieldRef, &String)| {
        let types = [DataType::Boolean, DataType::Float64, DataType::Utf8];
        field.name() == name && field.is_nullable() && types.contains(field.data_type())
    };
    if others.len() != kept.len() || !others.iter().zip(kept).all(is_kept) {
        let names: Vec<&str> = others.iter().map(|field| field.name().as_str()).collect();
        return wrong(format!("further columns {names:?}, expected the kept fields {kept:?}"));
    }
    Ok(())
}

fn same(a: &Field, b: &Field) -> bool {
    a.name() == b.name() && a.data_type() == b.data_type() && a.is_nullable() == b.is_nullable()
}

fn told(field: &Field) -> String {
    let null = if field.is_nullable() { "" } else { ", never null" };
    format!("`{}` ({}{null})", field.name(), field.data_type())
}

/// JSON lines as batches. What a line leaves out is null, and so is −∞; kept fields have no column.
fn open_jsonl(path: &Path, expected: &Schema) -> Result<Source, Broken> {
    let file = BufReader::new(File::open(path).map_err(unreadable)?);
    let reader = arrow::json::ReaderBuilder::new(nullable(expected)).build(file).map_err(unreadable)?;
    Ok(Source { batches: Box::new(reader.map(|batch| batch.map_err(|e| e.to_string()))), is_hashed: false })
}

/// The schema with everything nullable, items of lists included.
fn nullable(schema: &Schema) -> SchemaRef {
    let field = |field: &FieldRef| match field.data_type() {
        DataType::List(item) => {
            Field::new_list(field.name(), Field::new(item.name(), item.data_type().clone(), true), true)
        }
        other => Field::new(field.name(), other.clone(), true),
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}
