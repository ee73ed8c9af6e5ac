//! Tables as files of other formats.
//!
//! Owns JSON lines of the tokens and samples tables. Not here: rows for distillation (`teacher`), the published study's
//! files (`study`).

mod teacher;

use std::io::{BufWriter, Write};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use arrow::json::LineDelimitedWriter;

pub use teacher::{Trainer, Written, teacher_rows};

use crate::error::{Error, Result};
use crate::schema::key;
use crate::store::{Cell, FoundCell, ResponseSetKey, ResultFile};
use crate::table::{Columns, TableReader};

/// Writes the rows of a cell's `tables` (its tokens or its samples tables, in part order, which have the columns `C`) to `out`, one JSON object a
/// row, after the names of the cell. An unknown value is left out. A number that JSON lacks, such as the logarithm −∞
/// of a probability of 0, is `null`: a string would make the whole column text in polars and DuckDB. Memory: one batch.
///
/// # Errors
/// A table that cannot be read, or what `out` gives.
pub fn json_lines<C: Columns>(found: &FoundCell, tables: &[ResultFile], out: &mut dyn Write) -> Result<()> {
    let mut out = BufWriter::new(out);
    for table in tables {
        for batch in TableReader::<C>::open(table.open()?)?.batches()? {
            let batch = named(&found.cell, &batch?)?;
            let mut writer = LineDelimitedWriter::new(&mut out);
            writer.write(&batch)?;
            writer.finish()?;
        }
    }
    out.flush().map_err(Error::io("write", "the JSON lines"))
}

/// The batch after columns with the cell's names, which folders have on disk.
fn named(cell: &Cell, batch: &RecordBatch) -> Result<RecordBatch> {
    let Cell { set: ResponseSetKey { generation_model, task }, model } = cell;
    let names = [(key::GENERATION_MODEL, generation_model), (key::TASK, task), (key::MODEL, model)];
    let field = |&(name, _): &(&str, &String)| Arc::new(Field::new(name, DataType::Utf8, false));
    let fields: Vec<FieldRef> = names.iter().map(field).chain(batch.schema().fields().iter().cloned()).collect();
    let column = |&(_, name): &(&str, &String)| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(name, batch.num_rows())))
    };
    let columns = names.iter().map(column).chain(batch.columns().iter().cloned()).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}
