//! A table's file as batches of its columns.
//!
//! Owns what a file that `score` wrote must be beyond a table of tokshift: its bytes, its columns to the letter, its part.
//! Values are not checked here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use arrow::datatypes::{DataType, Field, FieldRef, Schema};

use super::report::{Findings, Kind};
use crate::error::Error;
use crate::store::ResultFile;
use crate::table::{self, Columns, Origin, TableReader};

/// Why a file is not read on.
pub(super) type Broken = (Kind, String);

/// An open table.
pub(super) struct Source<C> {
    pub batches: Box<dyn Iterator<Item = Result<C, Broken>>>,
    /// The file's hash of itself, which its bytes have.
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

/// Opens a file, which must have the columns of its table, those of `kept` last, and be the part of a cell that it says.
pub(super) fn open<C: Columns + 'static>(
    file: &ResultFile,
    kept: &[String],
    origin: Option<&Origin>,
) -> Result<Source<C>, Broken> {
    let file = file.open().map_err(unreadable)?;
    // Checked before anything is decoded, because changed bytes may decode to anything.
    let sealed = table::is_sealed(&file).map_err(|e| (Kind::Unreadable, e.to_string()))?;
    if sealed == Some(false) {
        return Err((Kind::Checksum, "its bytes have changed since it was written".to_owned()));
    }
    let reader = TableReader::<C>::parse(file).map_err(|what| (Kind::Unreadable, what))?;
    reader.check().and_then(|()| as_written(&C::TABLE.schema(), kept, reader.schema())).map_err(schema)?;
    if sealed.is_none() {
        return Err((
            Kind::Checksum,
            "contains no hash of itself: tokshift did not write it, or it is damaged".to_owned(),
        ));
    }
    let (found, hash) = (reader.origin(), reader.hash());
    if let Some(what) = origin.and_then(|origin| origin.denied_by(found.as_ref())) {
        return Err((Kind::Moved, what));
    }
    let rows = reader.rows().map_err(unreadable)?;
    Ok(Source { batches: Box::new(rows.map(|batch| batch.map_err(unreadable))), hash, origin: found })
}

/// A finding has the file's name already.
fn unreadable(error: Error) -> Broken {
    let what = match error {
        Error::File { what, .. } => what,
        Error::Io { source, .. } => source.to_string(),
        other => other.to_string(),
    };
    (Kind::Unreadable, what)
}

fn schema(what: String) -> Broken {
    (Kind::Schema, what)
}

/// Beyond [`TableReader::check`]: the columns are those that some version writes, in its order, and kept fields have the
/// requested names and one of their three types.
fn as_written(expected: &Schema, kept: &[String], found: &Schema) -> Result<(), String> {
    let mut others = found.fields().iter().enumerate().peekable();
    for field in expected.fields() {
        // An older version did not write all of them.
        let Some((index, other)) = others.next_if(|(_, other)| other.name() == field.name()) else { continue };
        if (other.data_type(), other.is_nullable()) != (field.data_type(), field.is_nullable()) {
            return Err(format!("column {index} is {}, expected {}", described(other), described(field)));
        }
    }
    let others: Vec<&FieldRef> = others.map(|(_, other)| other).collect();
    let is_kept = |(field, name): (&&FieldRef, &String)| {
        let types = [DataType::Boolean, DataType::Float64, DataType::Utf8];
        field.name() == name && field.is_nullable() && types.contains(field.data_type())
    };
    if others.len() != kept.len() || !others.iter().zip(kept).all(is_kept) {
        let names: Vec<&str> = others.iter().map(|field| field.name().as_str()).collect();
        return Err(format!("further columns {names:?}, expected the kept fields {kept:?}"));
    }
    Ok(())
}

fn described(field: &Field) -> String {
    let null = if field.is_nullable() { "" } else { ", never null" };
    format!("`{}` ({}{null})", field.name(), field.data_type())
}
