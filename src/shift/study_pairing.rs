//! The study's own pairing of two models' rows, where it is another than by row.
//!
//! Owns that pairing: null rows are removed from each side's list, and what is left is paired by its place. Refuses to
//! run where both sides have the same null rows: it is then the pairing by row.

use polars::prelude::{
    Column, DataFrame, DataType, Engine, IntoLazy, JoinArgs, JoinType, LazyFrame, NamedFrom, Series,
    SortMultipleOptions, col, len, lit,
};

use super::measures::{STUDY_FROM, study_side};
use super::samples::{SampleFacts, Samples};
use super::scan::scan;
use super::select::{PairTables, Table};
use super::study::{NullsRemoved, absolute_mean};
use crate::error::Result;
use crate::sample::Status;
use crate::schema::token;

/// Place of a row among those that are not null.
const PLACE: &str = "place";
const TERM: &str = "term";
const TOKENS: &str = "tokens";

/// The figure of that pairing; `None` if it pairs no rows otherwise, or none that have a token.
pub(super) fn figure(tables: &PairTables, samples: &Samples) -> Result<Option<NullsRemoved>> {
    let (of_p, of_q) = (|s: &SampleFacts| is_null(&tables.p, s.p), |s: &SampleFacts| is_null(&tables.q, s.q));
    if samples.rows.iter().all(|s| of_p(s) == of_q(s)) {
        return Ok(None);
    }
    let p = terms(&tables.p, &places(samples, of_p)?)?;
    let q = terms(&tables.q, &places(samples, of_q)?)?;
    let keys = [col(PLACE), col(token::POSITION)];
    let other = format!("{TERM}_right");
    let sums = p
        .join(q, keys.clone(), keys, JoinArgs::new(JoinType::Inner))
        .group_by([col(PLACE)])
        .agg([(col(TERM) - col(other)).sum(), len().cast(DataType::UInt64).alias(TOKENS)])
        .sort([PLACE], SortMultipleOptions::default());
    let frame = sums.collect_with_engine(Engine::Streaming)?.unwrap_single();
    let (sums, tokens) = (frame.column(TERM)?.f64()?, frame.column(TOKENS)?.u64()?);
    let by_row = sums.iter().zip(tokens.iter()).filter_map(|(sum, n)| Some((sum?, n?)));
    let figure = absolute_mean(by_row);
    Ok(figure.map(|(kl_divergence, num_data_points, total_tokens)| NullsRemoved {
        kl_divergence,
        num_data_points,
        total_tokens,
    }))
}

/// Whether the study's file has, or would have, a null here. Its failed rows are objects without tokens, which keep
/// their place; our own unscored rows are written as null.
fn is_null(table: &Table, status: Status) -> bool {
    if table.imported { status == Status::Empty } else { !status.is_scored() }
}

/// `sample_id`, [`PLACE`] and [`STUDY_FROM`] of the rows that are not null.
fn places(samples: &Samples, is_null: impl Fn(&SampleFacts) -> bool) -> Result<DataFrame> {
    let kept = samples.rows.iter().zip(samples.study_from.column(STUDY_FROM)?.u32()?.iter());
    let kept: Vec<_> = kept.filter(|(s, _)| !is_null(s)).collect();
    let ids: Vec<u32> = kept.iter().map(|(s, _)| s.id).collect();
    let from: Vec<u32> = kept.iter().map(|(_, from)| from.unwrap_or_default()).collect();
    let places: Vec<u32> = (0..kept.len() as u32).collect();
    let column = |name: &str, values: Vec<u32>| Column::from(Series::new(name.into(), values));
    let columns = vec![column(token::SAMPLE_ID, ids), column(PLACE, places), column(STUDY_FROM, from)];
    Ok(DataFrame::new(kept.len(), columns)?)
}

/// [`PLACE`], position and ln(e^logprob + 1e-10) of every token that the study counts.
fn terms(table: &Table, places: &DataFrame) -> Result<LazyFrame> {
    let columns = [token::SAMPLE_ID, token::POSITION, token::LOGPROB, token::IS_END].map(col);
    let tokens = scan(&table.tokens)?.select(columns);
    let id = [col(token::SAMPLE_ID)];
    let tokens = tokens.join(places.clone().lazy(), id.clone(), id, JoinArgs::new(JoinType::Inner));
    let counted = col(token::POSITION).gt_eq(col(STUDY_FROM)).and(col(token::IS_END).fill_null(lit(false)).not());
    let term = study_side(col(token::LOGPROB).cast(DataType::Float64)).alias(TERM);
    Ok(tokens.filter(counted).select([col(PLACE), col(token::POSITION), term]))
}
