//! A table's file as record batches of the columns in `schema`.
//!
//! Owns the comparison of schemas, and JSON lines. Values are not checked here.

use std::fs::File;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::report::{Findings, Kind};
use crate::schema;
use crate::table::{self, Format, Origin, Table};

/// Why a file is not read on.
pub(super) type Broken = (Kind, String);

/// An open table.
pub(super) struct Source {
    pub batches: Box<dyn Iterator<Item = Result<RecordBatch, String>>>,
    /// The file's hash of itself, which its bytes have; `None` if its format has no place for one.
    pub hash: Option<String>,
    /// What it says of itself.
    pub origin: Option<Origin>,
}

/// Reads a file; what ends the reading is a finding, panics of decoders on broken bytes included.
pub(super) fn guarded<T>(
    path: &Path,
    findings: &mut Findings,
    read: impl FnOnce(&mut Findings) -> Result<T, Broken>,
) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(|| read(findings))) {
        Ok(Ok(value)) => Some(value),
        Ok(Err((kind, what))) => {
            findings.of_file(kind, path, what);
            None
        }
        Err(_) => {
            findings.of_file(Kind::Unreadable, path, "its bytes make the decoder panic");
            None
        }
    }
}

/// Opens `path`, which must have the columns of `table`, those of `kept` last, and be the part of a cell that it says.
pub(super) fn open(
    path: &Path,
    format: Format,
    table: Table,
    kept: &[String],
    origin: Option<&Origin>,
) -> Result<Source, Broken> {
    let expected = match table {
        Table::Tokens => schema::tokens(),
        Table::Samples => schema::samples(&[]),
        Table::Pairs => schema::pairs(),
    };
    match format {
        Format::Parquet => open_parquet(path, &expected, kept, origin),
        Format::Jsonl => open_jsonl(path, &expected),
    }
}

fn unreadable(error: &impl ToString) -> Broken {
    (Kind::Unreadable, error.to_string())
}

fn open_parquet(path: &Path, expected: &Schema, kept: &[String], origin: Option<&Origin>) -> Result<Source, Broken> {
    let file = File::open(path).map_err(|e| unreadable(&e))?;
    // Checked before anything is decoded, because changed bytes may decode to anything.
    let sealed = table::is_sealed(&file).map_err(|e| unreadable(&e))?;
    if sealed == Some(false) {
        return Err((Kind::Checksum, "its bytes have changed since it was written".to_owned()));
    }
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| unreadable(&e))?;
    check_schema(expected, kept, builder.schema())?;
    if sealed.is_none() {
        return Err((
            Kind::Checksum,
            "contains no hash of itself: tokshift did not write it, or it is damaged".to_owned(),
        ));
    }
    let entries = builder.metadata().file_metadata().key_value_metadata();
    let (found, hash) = (Origin::read(entries), table::recorded(entries));
    if let Some(what) = origin.and_then(|origin| origin.denied_by(found.as_ref())) {
        return Err((Kind::Moved, what));
    }
    let reader = builder.build().map_err(|e| unreadable(&e))?;
    Ok(Source { batches: Box::new(reader.map(|batch| batch.map_err(|e| e.to_string()))), hash, origin: found })
}

/// The fixed columns must be those of the schema; kept fields must have the requested names and one of their three
/// types.
fn check_schema(expected: &Schema, kept: &[String], found: &Schema) -> Result<(), Broken> {
    let wrong = |what: String| Err((Kind::Schema, what));
    for (index, field) in expected.fields().iter().enumerate() {
        match found.fields().get(index) {
            None => return wrong(format!("no column `{}`", field.name())),
            Some(other) if !same(field, other) => {
                return wrong(format!("column {index} is {}, expected {}", described(other), described(field)));
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

fn described(field: &Field) -> String {
    let null = if field.is_nullable() { "" } else { ", never null" };
    format!("`{}` ({}{null})", field.name(), field.data_type())
}

/// JSON lines as batches. What a line leaves out is null, and so is −∞; kept fields have no column.
fn open_jsonl(path: &Path, expected: &Schema) -> Result<Source, Broken> {
    let file = BufReader::new(File::open(path).map_err(|e| unreadable(&e))?);
    let reader = arrow::json::ReaderBuilder::new(nullable(expected)).build(file).map_err(|e| unreadable(&e))?;
    Ok(Source { batches: Box::new(reader.map(|batch| batch.map_err(|e| e.to_string()))), hash: None, origin: None })
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
