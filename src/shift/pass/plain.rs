//! The sums of a pair's samples by the lazy query that defines them.
//!
//! Owns the step from the query's answer to [`Sums`]. It is slow. The pass gives the same sums, except for the order
//! in which a sample's values are added.

use polars::prelude::{Column, DataFrame, Engine};

use super::sums::{Found, Sample, Sums};
use crate::error::Result;
use crate::schema::token;
use crate::shift::query::by_sample::{COUNT, DIFFERS_AT, FARTHEST, NOT_FINITE, ROWS, UNCHECKED, sums_by_sample};
use crate::shift::query::joined::KEYS;
use crate::shift::tables::columns::Keyed;
use crate::shift::tables::cursor::Cursor;
use crate::shift::tables::files::PairTables;
use crate::shift::tables::footers::Footers;
use crate::shift::tables::samples::Samples;
use crate::shift::token::measures::{self, Term};
use crate::store::ResultFile;
use crate::table::{PairColumns, TokenColumns};

/// Runs the query and looks the samples up.
///
/// # Errors
/// [`crate::Error::Incomparable`] if a sample is in no samples table; [`crate::Error::File`] naming a file whose rows
/// are out of order; [`crate::Error::Polars`].
pub fn collect(pair: &PairTables, footers: [&Footers; 2], samples: &Samples) -> Result<Sums> {
    let pairs = pair.exact.as_ref().map_or(&[][..], |exact| &exact.files);
    [&pair.p.tokens, &pair.q.tokens].into_iter().try_for_each(|files| must_ascend::<TokenColumns>(files))?;
    must_ascend::<PairColumns>(pairs)?;
    let query = sums_by_sample(pair, samples.study_from.clone())?;
    let frame = query.collect_with_engine(Engine::Streaming)?.unwrap_single();
    let terms = measures::terms(pair.exact.is_some());
    let found = found(&frame, &terms)?;
    let is_known = |sample: &&Sample| samples.rows.binary_search_by_key(&sample.id, |facts| facts.id).is_ok();
    if let Some(Sample { id, .. }) = found.samples.iter().find(|sample| !is_known(sample)) {
        return Err(pair.incomparable(format!("sample {id} is not in the samples tables")));
    }
    let mut sums = Sums::new(terms, vec![found], samples, footers);
    sums.plain = true;
    Ok(sums)
}

/// Polars gets the hint that rows ascend, which footers prove of row groups alone.
fn must_ascend<C: Keyed>(files: &[ResultFile]) -> Result<()> {
    let mut cursor = Cursor::<C>::new(files, &KEYS);
    while let Some((columns, row)) = cursor.peek()? {
        let rows = columns.len() - row;
        cursor.advance(rows);
    }
    Ok(())
}

fn found(frame: &DataFrame, terms: &[Term]) -> Result<Found> {
    let u32s = |name: &str| -> Result<Vec<Option<u32>>> { Ok(frame.column(name)?.u32()?.iter().collect()) };
    let u64s = |name: &str| -> Result<Vec<Option<u64>>> { Ok(frame.column(name)?.u64()?.iter().collect()) };
    let (ids, differs_at) = (u32s(token::SAMPLE_ID)?, u32s(DIFFERS_AT)?);
    let (rows, not_finite, unchecked, farthest) = (u64s(ROWS)?, u64s(NOT_FINITE)?, u64s(UNCHECKED)?, u64s(FARTHEST)?);
    let sample = |row: usize| Sample {
        id: ids[row].unwrap_or_default(),
        rows: rows[row].unwrap_or_default(),
        not_finite: not_finite[row].unwrap_or_default(),
        differs_at: differs_at[row],
        unchecked: unchecked[row].unwrap_or_default(),
        farthest: farthest[row],
    };
    let (n, width) = (frame.height(), terms.len());
    let mut found = Found { sums: vec![0.0; n * width], counts: vec![0; n * width], ..Found::default() };
    found.samples = (0..n).map(sample).collect();
    for (place, term) in terms.iter().enumerate() {
        let (sums, counts) = (frame.column(term.name)?, u64s(&format!("{}{COUNT}", term.name))?);
        for (row, (sum, count)) in floats(sums)?.into_iter().zip(counts).enumerate() {
            found.sums[row * width + place] = sum;
            found.counts[row * width + place] = count.unwrap_or_default() as u32;
        }
    }
    Ok(found)
}

fn floats(column: &Column) -> Result<Vec<f64>> {
    Ok(column.f64()?.iter().map(Option::unwrap_or_default).collect())
}
