//! What the footers of a table's files say.
//!
//! Owns the check behind the sorted hint: footers are read before polars is told that the rows ascend, because a wrong
//! hint loses rows silently. Not here: the rows (`scan`).

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::datatypes::{DataType, Schema};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use super::files::{ModelTable, PairTables};
use super::pair_files::PairFiles;
use crate::error::{Error, Result};
use crate::schema::{self, pair, sample, token};
use crate::table::{self, Origin};

/// What every version's tables have. Any other column that a file lacks is null.
const OF_TOKENS: [&str; 4] = [token::SAMPLE_ID, token::POSITION, token::TOKEN_ID, token::LOGPROB];
const OF_SAMPLES: [&str; 5] = [sample::SAMPLE_ID, sample::ROW_ID, sample::ROW, sample::CLUSTER_ID, sample::STATUS];
const OF_PAIRS: [&str; 3] = [pair::SAMPLE_ID, pair::POSITION, pair::KL];

/// What the footers of a tokens table say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footers {
    pub rows: u64,
    /// First and last `sample_id` of each file; `None` if it has no rows.
    pub samples: Vec<Option<(u32, u32)>>,
    /// Each file's hash of itself, if it has one.
    pub hashes: Vec<Option<String>>,
    /// Some row has no token id (an import), or may have none: the tokens' texts must agree instead.
    pub lacks_ids: bool,
}

/// Reads the footers of a tokens table and checks that `sample_id` ascends over its files as they are listed: a sample
/// may go on in the next row group, never in the next file.
///
/// # Errors
/// [`Error::File`] naming the file that breaks the order, has no statistics to prove it by, or is of another part or cell.
pub fn footers(table: &ModelTable) -> Result<Footers> {
    ordered(&table.tokens, &table.origins, (&schema::tokens(), &OF_TOKENS))
}

/// Another process may rescore a part while it is read, file by file and in several passes.
///
/// # Errors
/// [`Error::File`] naming a tokens table that is no longer the one whose footers were read `before`.
pub fn must_be_as_before(table: &ModelTable, before: &Footers) -> Result<()> {
    let now = footers(table)?;
    let mut files = table.tokens.iter().zip(now.hashes.iter().zip(&before.hashes));
    match files.find(|(_, (now, before))| now != before) {
        Some((path, _)) => Err(Error::file(path, "was scored again while it was compared: run the same command again")),
        None => must_be_samples(table),
    }
}

/// The same for a pairs table, whose rows polars is told to be sorted too, and which must have been computed from the
/// existing tokens tables of P and Q.
///
/// # Errors
/// Those of [`footers`].
fn must_be_pairs(exact: &PairFiles, of: [&ModelTable; 2]) -> Result<()> {
    for (index, (path, origin)) in exact.files.iter().zip(&exact.origins).enumerate() {
        let refuse = |what| Error::file(path, format!("{what}; delete it, and `kl --exact` makes it again"));
        let (found, _) = table::footer(path)?;
        let denied = origin.denied_by(found.as_ref());
        let found = found.filter(|_| denied.is_none()).ok_or_else(|| refuse(denied.unwrap_or_default()))?;
        for (table, named) in of.iter().zip(&found.tokens) {
            let Some(tokens) = table.tokens.get(index) else { continue };
            let (_, hash) = table::footer(tokens)?;
            if let Some(what) = table::parted_from(named.as_deref(), tokens, hash.as_deref()) {
                return Err(refuse(what));
            }
        }
    }
    ordered(&exact.files, &exact.origins, (&schema::pairs(), &OF_PAIRS)).map(drop)
}

/// [`must_be_pairs`] of the pairs table, if there is one.
pub fn must_fit(pair: &PairTables) -> Result<()> {
    pair.exact.as_ref().map_or(Ok(()), |exact| must_be_pairs(exact, [&pair.p, &pair.q]))
}

fn ordered(files: &[PathBuf], origins: &[Origin], columns: (&Schema, &[&str])) -> Result<Footers> {
    let mut found = Footers::default();
    let mut last = None;
    for (path, origin) in files.iter().zip(origins) {
        let metadata = metadata(path)?;
        must_have(path, &metadata, columns)?;
        must_be(path, &metadata, origin)?;
        let before = last;
        let mut of_file: Option<(u32, u32)> = None;
        for group in metadata.row_groups() {
            let Some((low, high)) = sample_range(path, group)? else { continue };
            if before.is_some_and(|b| low <= b) || last.is_some_and(|l| low < l) {
                return Err(Error::file(
                    path,
                    format!("not sorted: sample_id {low} comes after a higher or equal one"),
                ));
            }
            last = Some(high);
            of_file = Some((of_file.map_or(low, |(first, _)| first), high));
            found.rows += group.num_rows().cast_unsigned();
            // A footer that does not count them hides whether there are any.
            found.lacks_ids |= nulls(group, token::TOKEN_ID).is_none_or(|nulls| nulls > 0);
        }
        found.samples.push(of_file);
        found.hashes.push(table::recorded(metadata.file_metadata().key_value_metadata()));
    }
    Ok(found)
}

/// The files must be samples tables, before polars is told to read them, and those that were written with the tokens.
///
/// # Errors
/// [`Error::File`] naming the file and the column that is missing or of another type, or that it is of another part or cell.
pub fn must_be_samples(table: &ModelTable) -> Result<()> {
    table.samples.iter().zip(&table.origins).zip(&table.tokens).try_for_each(|((path, origin), tokens)| {
        let metadata = metadata(path)?;
        must_have(path, &metadata, (&schema::samples(&[]), &OF_SAMPLES))?;
        must_be(path, &metadata, origin)?;
        let hash = table::recorded(metadata.file_metadata().key_value_metadata());
        // Programs that write a table again leave it out.
        let Some(named) = table::footer(tokens)?.0 else { return Ok(()) };
        match table::parted_from(named.samples.as_deref(), path, hash.as_deref()) {
            Some(what) => Err(Error::file(tokens, format!("{what}; run `tokshift verify` to see what to delete"))),
            None => Ok(()),
        }
    })
}

/// Files that were moved would turn signs without a trace. One that says nothing was not written by `score`.
fn must_be(path: &Path, metadata: &ParquetMetaData, origin: &Origin) -> Result<()> {
    let found = Origin::read(metadata.file_metadata().key_value_metadata());
    match found.and_then(|found| origin.contradicted_by(&found)) {
        Some(what) => Err(Error::file(path, format!("{what}; run `tokshift verify` to see what to delete"))),
        None => Ok(()),
    }
}

/// Every column of `expected` that the file has is of its type, and it has those that are `required`.
fn must_have(path: &Path, metadata: &ParquetMetaData, (expected, required): (&Schema, &[&str])) -> Result<()> {
    let found = schema_of(path, metadata)?;
    for field in expected.fields() {
        let (name, wanted) = (field.name(), field.data_type());
        let what = match found.field_with_name(name) {
            Err(_) if required.contains(&name.as_str()) => "is missing".to_owned(),
            Ok(found) if !same_kind(wanted, found.data_type()) => {
                format!("is {} where {wanted} is expected", found.data_type())
            }
            _ => continue,
        };
        return Err(Error::file(path, format!("not a table of tokshift: column `{name}` {what}")));
    }
    Ok(())
}

/// Whether polars reads both types alike: programs that write a table again choose among the types of texts and lists.
fn same_kind(wanted: &DataType, found: &DataType) -> bool {
    match (wanted, found) {
        (DataType::Utf8, DataType::LargeUtf8 | DataType::Utf8View) => true,
        (DataType::List(wanted), DataType::List(found) | DataType::LargeList(found)) => {
            same_kind(wanted.data_type(), found.data_type())
        }
        _ => wanted == found,
    }
}

/// The columns of a table.
pub fn columns(path: &Path) -> Result<Schema> {
    schema_of(path, &metadata(path)?)
}

fn schema_of(path: &Path, metadata: &ParquetMetaData) -> Result<Schema> {
    let file = metadata.file_metadata();
    parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata())
        .map_err(|e| Error::file(path, format!("not a table of tokshift: {e}")))
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

/// Rows without a value, if the footer counts them.
fn nulls(group: &RowGroupMetaData, column: &str) -> Option<u64> {
    statistics(group, column).and_then(Statistics::null_count_opt)
}

fn statistics<'a>(group: &'a RowGroupMetaData, column: &str) -> Option<&'a Statistics> {
    group.columns().iter().find(|c| c.column_path().string() == column)?.statistics()
}
