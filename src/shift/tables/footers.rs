//! What the footers of a table's files say.
//!
//! Owns the check behind the sorted hint: footers are read before polars gets the hint that the rows ascend, because a
//! wrong hint loses rows silently. Not here: the rows (`scan`).

use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;

use super::files::{ModelTable, PairTables};
use super::pair_files::PairFiles;
use crate::error::{Error, Result};
use crate::schema::token;
use crate::store::ResultFile;
use crate::table::{self, Columns, Origin, PairColumns, SampleColumns, TableReader, TokenColumns};

/// What the footers of a tokens table say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footers {
    pub rows: u64,
    /// First and last `sample_id` of each file; `None` if it has no rows.
    pub samples: Vec<Option<(u32, u32)>>,
    /// The hash that each file contains of itself, if it does.
    pub hashes: Vec<Option<String>>,
    /// Whether some row has no token id, or may have none (an import): then the tokens' texts are compared instead.
    pub lacks_ids: bool,
}

/// Reads the footers of a tokens table and checks that `sample_id` ascends over its files as they are listed: a sample
/// may continue in the next row group, but not in the next file.
///
/// # Errors
/// [`Error::File`] naming the file that breaks the order, has no statistics to prove it by, or is of another part or
/// cell.
pub fn footers(table: &ModelTable) -> Result<Footers> {
    ordered::<TokenColumns>(&table.tokens, &table.origins)
}

/// Checks that the files are still those whose footers were read `before`. A comparison reads them file by file and in
/// several passes, and another process may rescore a part meanwhile.
///
/// # Errors
/// [`Error::File`] naming a tokens table that is no longer the one whose footers were read `before`.
pub fn must_be_as_before(table: &ModelTable, before: &Footers) -> Result<()> {
    let now = footers(table)?;
    let mut files = table.tokens.iter().zip(now.hashes.iter().zip(&before.hashes));
    match files.find(|(_, (now, before))| now != before) {
        Some((file, _)) => Err(Error::file(file, "was scored again while it was compared: run the same command again")),
        None => must_be_samples(table),
    }
}

/// Checks a pairs table as [`footers`] checks a tokens table, and that it was computed from the tokens tables of P and Q
/// that exist.
///
/// # Errors
/// Those of [`footers`].
fn must_be_pairs(exact: &PairFiles, of: [&ModelTable; 2]) -> Result<()> {
    for (index, (file, origin)) in exact.files.iter().zip(&exact.origins).enumerate() {
        let reject = |what| Error::file(file, format!("{what}; delete it, and `kl --exact` recomputes it"));
        let (found, _) = file.footer()?;
        let denied = origin.denied_by(found.as_ref());
        let found = found.filter(|_| denied.is_none()).ok_or_else(|| reject(denied.unwrap_or_default()))?;
        for (table, named) in of.iter().zip(&found.tokens) {
            let Some(tokens) = table.tokens.get(index) else { continue };
            let (_, hash) = tokens.footer()?;
            if let Some(what) = table::parted_from(named.as_deref(), tokens.path(), hash.as_deref()) {
                return Err(reject(what));
            }
        }
    }
    ordered::<PairColumns>(&exact.files, &exact.origins).map(drop)
}

/// [`must_be_pairs`] of the pairs table, if there is one.
pub fn must_fit(pair: &PairTables) -> Result<()> {
    pair.exact.as_ref().map_or(Ok(()), |exact| {
        must_be_pairs(exact, if exact.is_turned { [&pair.q, &pair.p] } else { [&pair.p, &pair.q] })
    })
}

fn ordered<C: Columns>(files: &[ResultFile], origins: &[Origin]) -> Result<Footers> {
    let mut found = Footers::default();
    let mut last = None;
    for (file, origin) in files.iter().zip(origins) {
        let reader = TableReader::<C>::open(file.open()?)?;
        must_be(file, reader.origin(), origin)?;
        let before = last;
        let mut of_file: Option<(u32, u32)> = None;
        for group in reader.metadata().row_groups() {
            let Some((low, high)) = sample_range(file, group)? else { continue };
            if before.is_some_and(|b| low <= b) || last.is_some_and(|l| low < l) {
                return Err(Error::file(
                    file,
                    format!("not sorted: sample_id {low} comes after a higher or equal one"),
                ));
            }
            last = Some(high);
            of_file = Some((of_file.map_or(low, |(first, _)| first), high));
            found.rows += group.num_rows().cast_unsigned();
            // If the footer does not count nulls, there may be some.
            found.lacks_ids |= nulls(group, token::TOKEN_ID).is_none_or(|nulls| nulls > 0);
        }
        found.samples.push(of_file);
        found.hashes.push(reader.hash());
    }
    Ok(found)
}

/// The files must be samples tables, before polars reads them, and those that were written with the tokens.
///
/// # Errors
/// [`Error::File`] naming the file and the column that is missing or of another type, or that it is of another part or
/// cell.
pub fn must_be_samples(table: &ModelTable) -> Result<()> {
    table.samples.iter().zip(&table.origins).zip(&table.tokens).try_for_each(|((file, origin), tokens)| {
        let reader = TableReader::<SampleColumns>::open(file.open()?)?;
        must_be(file, reader.origin(), origin)?;
        // Other programs that rewrite a table leave out tokshift's entry in the footer.
        let Some(named) = tokens.footer()?.0 else { return Ok(()) };
        match table::parted_from(
            named.samples.as_deref(),
            file.path(),
            table::as_scored(reader.origin().as_ref(), reader.hash()).as_deref(),
        ) {
            Some(what) => Err(Error::file(tokens, format!("{what}; run `tokshift verify` to see what to delete"))),
            None => Ok(()),
        }
    })
}

/// A file that was moved to another model's folder would flip signs silently. A file without an origin was not written
/// by `score`.
fn must_be(file: &ResultFile, found: Option<Origin>, origin: &Origin) -> Result<()> {
    match found.and_then(|found| origin.contradicted_by(&found)) {
        Some(what) => Err(Error::file(file, format!("{what}; run `tokshift verify` to see what to delete"))),
        None => Ok(()),
    }
}

/// Lowest and highest `sample_id` of a row group; `None` if it has no rows.
fn sample_range(file: &ResultFile, group: &RowGroupMetaData) -> Result<Option<(u32, u32)>> {
    if group.num_rows() == 0 {
        return Ok(None);
    }
    // Unsigned numbers are stored as signed ones of the same bits.
    if let Some(Statistics::Int32(ids)) = statistics(group, token::SAMPLE_ID)
        && let (Some(low), Some(high)) = (ids.min_opt(), ids.max_opt())
    {
        return Ok(Some((low.cast_unsigned(), high.cast_unsigned())));
    }
    Err(Error::file(file, format!("the footer has no range of `{}`: its order cannot be checked", token::SAMPLE_ID)))
}

/// Rows without a value, if the footer counts them.
fn nulls(group: &RowGroupMetaData, column: &str) -> Option<u64> {
    statistics(group, column).and_then(Statistics::null_count_opt)
}

fn statistics<'a>(group: &'a RowGroupMetaData, column: &str) -> Option<&'a Statistics> {
    group.columns().iter().find(|c| c.column_path().string() == column)?.statistics()
}
