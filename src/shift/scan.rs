//! One side of a comparison: its files as one lazy, ordered scan.
//!
//! Owns the promise behind the sorted hint: footers are read before polars is told that the rows ascend, because a
//! wrong hint loses rows silently. Refuses to know what is computed from the rows.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::statistics::Statistics;
use polars::io::HiveOptions;
use polars::prelude::{LazyFrame, PlRefPath, ScanArgsParquet};
use polars_plan::plans::{HintIR, Sorted};

use crate::error::{Error, Result};
use crate::schema::token;

/// What the footers of a tokens table say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Footers {
    pub rows: u64,
    /// Some row has no token id (an import): the tokens' texts must agree instead.
    pub lacks_ids: bool,
}

/// Reads the footers of a tokens table and checks that `sample_id` ascends over `files` as they are listed: a sample
/// may go on in the next row group, never in the next file.
///
/// # Errors
/// [`Error::File`] naming the file that breaks the order or has no statistics to prove it by.
pub(super) fn footers(files: &[PathBuf]) -> Result<Footers> {
    let mut found = Footers::default();
    let mut last = None;
    for path in files {
        let metadata = metadata(path)?;
        let before = last;
        for group in metadata.row_groups() {
            let Some((low, high)) = sample_range(path, group)? else { continue };
            if before.is_some_and(|b| low <= b) || last.is_some_and(|l| low < l) {
                return Err(Error::file(path, format!("its samples begin at {low}, before those that precede end")));
            }
            last = Some(high);
            found.rows += group.num_rows().cast_unsigned();
            found.lacks_ids |= nulls(group, token::TOKEN_ID) > 0;
        }
    }
    Ok(found)
}

fn metadata(path: &Path) -> Result<ParquetMetaData> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    ParquetMetaDataReader::new().parse_and_finish(&file).map_err(|e| Error::file(path, e.to_string()))
}

/// Lowest and highest `sample_id` of a row group; `None` if it has no rows.
fn sample_range(path: &Path, group: &RowGroupMetaData) -> Result<Option<(u32, u32)>> {
    if group.num_rows() == 0 {
        return Ok(None);
    }
    // Unsigned numbers are stored as signed ones of the same bits.
    if let Some(Statistics::Int32(ids)) = statistics(group, token::SAMPLE_ID)
        && let (Some(low), Some(high)) = (ids.min_opt(), ids.max_opt())
    {
        return Ok(Some((low.cast_unsigned(), high.cast_unsigned())));
    }
    Err(Error::file(path, format!("the footer has no range of `{}`: its order cannot be checked", token::SAMPLE_ID)))
}

fn nulls(group: &RowGroupMetaData, column: &str) -> u64 {
    statistics(group, column).and_then(Statistics::null_count_opt).unwrap_or_default()
}

fn statistics<'a>(group: &'a RowGroupMetaData, column: &str) -> Option<&'a Statistics> {
    group.columns().iter().find(|c| c.column_path().string() == column)?.statistics()
}

/// The rows of `files`, in that order. Names of folders are not parsed into columns.
pub(super) fn scan(files: &[PathBuf]) -> Result<LazyFrame> {
    let paths = files.iter().map(|p| PlRefPath::try_from_path(p)).collect::<Result<_, _>>()?;
    let hive_options = HiveOptions { enabled: Some(false), ..HiveOptions::default() };
    let args = ScanArgsParquet { hive_options, glob: false, ..ScanArgsParquet::default() };
    Ok(LazyFrame::scan_parquet_files(paths, args)?)
}

/// Tells polars that `frame` ascends by `columns`, which it believes: merge joins and ordered groups follow.
pub(super) fn hint_sorted(frame: LazyFrame, columns: &[&str]) -> Result<LazyFrame> {
    let sorted = |name: &&str| Sorted { column: (*name).into(), descending: Some(false), nulls_last: Some(false) };
    let columns: Arc<[Sorted]> = columns.iter().map(sorted).collect();
    Ok(frame.hint(HintIR::Sorted(columns))?)
}
