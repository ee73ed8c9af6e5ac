//! A table's files as one lazy, ordered scan.
//!
//! Owns how polars is told to read them, and the hint that their rows ascend. Not here: the check that makes the hint true,
//! which `footers` has: a wrong hint loses rows silently.

use std::path::PathBuf;
use std::sync::Arc;

use polars::io::HiveOptions;
use polars::prelude::{LazyFrame, PlRefPath, ScanArgsParquet};
use polars_plan::plans::{HintIR, Sorted};

use crate::error::Result;

/// The rows of `files`, in that order. Names of folders are not parsed into columns.
pub fn scan(files: &[PathBuf]) -> Result<LazyFrame> {
    let paths = files.iter().map(|p| PlRefPath::try_from_path(p)).collect::<Result<_, _>>()?;
    let hive_options = HiveOptions { enabled: Some(false), ..HiveOptions::default() };
    let args = ScanArgsParquet { hive_options, glob: false, ..ScanArgsParquet::default() };
    Ok(LazyFrame::scan_parquet_files(paths, args)?)
}

/// Tells polars that `frame` ascends by `columns`, which it believes: merge joins and ordered groups follow.
pub fn hint_sorted(frame: LazyFrame, columns: &[&str]) -> Result<LazyFrame> {
    let sorted = |name: &&str| Sorted { column: (*name).into(), descending: Some(false), nulls_last: Some(false) };
    let columns: Arc<[Sorted]> = columns.iter().map(sorted).collect();
    Ok(frame.hint(HintIR::Sorted(columns))?)
}
