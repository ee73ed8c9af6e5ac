//! A table's files as one lazy, ordered scan.
//!
//! Owns how polars reads them, and the hint that their rows ascend. It is the one place that takes results by their paths,
//! because polars opens files itself: of storage that is no file system it would take what polars calls a cloud path. Not here: the check that makes the hint true
//! (`footers`): a wrong hint loses rows silently.

use std::sync::Arc;

use arrow::datatypes::DataType;
use polars::io::HiveOptions;
use polars::prelude::{Expr, LazyFrame, NULL, PlRefPath, ScanArgsParquet, lit};
use polars_plan::plans::{HintIR, Sorted};

use crate::error::Result;
use crate::store::ResultFile;
use crate::table::{self, Table};

/// The rows of `files`, in that order, with every column of its kind, null where an older file lacks it. Names of folders
/// are not parsed into columns.
pub fn scan(files: &[ResultFile], of: Table) -> Result<LazyFrame> {
    let paths = files.iter().map(|file| PlRefPath::try_from_path(file.path())).collect::<Result<_, _>>()?;
    let hive_options = HiveOptions { enabled: Some(false), ..HiveOptions::default() };
    let args = ScanArgsParquet { hive_options, glob: false, allow_missing_columns: true, ..ScanArgsParquet::default() };
    let frame = LazyFrame::scan_parquet_files(paths, args)?;
    // Polars takes the columns of the first file.
    let Some(first) = files.first() else { return Ok(frame) };
    let (found, expected) = (table::schema(&first.open()?)?, of.schema());
    let lacking = expected.fields().iter().filter(|field| found.field_with_name(field.name()).is_err());
    let nulls: Vec<Expr> =
        lacking.map(|field| lit(NULL).cast(polars_type(field.data_type())).alias(field.name())).collect();
    Ok(if nulls.is_empty() { frame } else { frame.with_columns(nulls) })
}

/// What polars reads a column of this type as.
fn polars_type(of: &DataType) -> polars::prelude::DataType {
    use polars::prelude::DataType as Polars;
    match of {
        DataType::UInt32 => Polars::UInt32,
        DataType::Float32 => Polars::Float32,
        DataType::Float64 => Polars::Float64,
        DataType::Boolean => Polars::Boolean,
        DataType::List(item) => Polars::List(Box::new(polars_type(item.data_type()))),
        _ => Polars::String,
    }
}

/// Tells polars that `frame` ascends by `columns`, which it believes: merge joins and ordered groups follow.
pub fn hint_sorted(frame: LazyFrame, columns: &[&str]) -> Result<LazyFrame> {
    let sorted = |name: &&str| Sorted { column: (*name).into(), descending: Some(false), nulls_last: Some(false) };
    let columns: Arc<[Sorted]> = columns.iter().map(sorted).collect();
    Ok(frame.hint(HintIR::Sorted(columns))?)
}
