//! The sums of each sample as a lazy query.
//!
//! Owns what is added up of the joined tokens. `pass` computes it fast, `kl --plain` computes it by this query, and
//! `--explain` shows it. Not here: checks of the result.

use polars::prelude::{DataFrame, DataType, Engine, Expr, IntoLazy, JoinType, LazyFrame, NULL, col, len, lit, when};

use super::joined::{KEYS, joined, ordered};
use crate::error::Result;
use crate::schema::token;
use crate::shift::tables::files::{ModelTable, PairTables};
use crate::shift::tables::scan::{hint_sorted, scan};
use crate::shift::token::columns::STUDY_FROM;
use crate::shift::token::expressions;
use crate::shift::token::measures::{self, LOGPROBS, SQUARES, STUDY};
use crate::table::Table;

/// Columns of the answer besides a sum and a count (suffix [`COUNT`]) of every measure and term.
pub const ROWS: &str = "rows";
pub const NOT_FINITE: &str = "not_finite";
/// The first position at which the tokens differ, null if none does.
pub const DIFFERS_AT: &str = "differs_at";
/// Tokens of which no side's id or text says whether they are the same.
pub const UNCHECKED: &str = "unchecked";
/// The largest difference of log-probability and where it is ([`expressions::farthest`]).
pub const FARTHEST: &str = "farthest";
pub const COUNT: &str = ".n";

/// One row per sample that is in both tables, in `sample_id` order: rows, sums and counts. `facts` contains
/// `sample_id` (ascending, flagged so) and `study_from`.
pub fn sums_by_sample(pair: &PairTables, facts: DataFrame) -> Result<LazyFrame> {
    let id = [col(token::SAMPLE_ID)];
    let facts = facts.lazy().select([col(token::SAMPLE_ID), col(STUDY_FROM)]);
    let tokens = hint_sorted(joined(pair)?.join(facts, id.clone(), id, ordered(JoinType::Left)), &KEYS)?;
    let mut values = KEYS.map(col).to_vec();
    values.extend(measures::ALL.iter().map(|measure| col(measure.name)));
    values.push(expressions::study().alias(STUDY));
    values.extend([expressions::a(), expressions::b()].into_iter().zip(LOGPROBS).map(|(side, name)| side.alias(name)));
    values.extend(SQUARES.into_iter().zip(expressions::squares()).map(|(name, square)| square.alias(name)));
    values.push(expressions::not_finite().alias(NOT_FINITE));
    values.push(expressions::farthest().alias(FARTHEST));
    values.push(when(expressions::differs()).then(col(token::POSITION)).otherwise(lit(NULL)).alias(DIFFERS_AT));
    values.push(expressions::unchecked().alias(UNCHECKED));

    let mut sums = vec![len().cast(DataType::UInt64).alias(ROWS)];
    sums.extend(measures::ALL.iter().flat_map(|measure| sum_and_count(measure.name)));
    sums.extend([STUDY].into_iter().chain(LOGPROBS).chain(SQUARES).flat_map(sum_and_count));
    sums.extend([NOT_FINITE, UNCHECKED].map(|name| col(name).sum().cast(DataType::UInt64)));
    sums.push(col(DIFFERS_AT).min());
    sums.push(col(FARTHEST).max());
    Ok(tokens.select(values).group_by_stable([col(token::SAMPLE_ID)]).agg(sums))
}

/// Rows of each sample of one table, in `sample_id` order.
pub fn rows_by_sample(table: &ModelTable) -> Result<LazyFrame> {
    let rows = hint_sorted(scan(&table.tokens, Table::Tokens)?, &KEYS)?.select([col(token::SAMPLE_ID)]);
    Ok(rows.group_by_stable([col(token::SAMPLE_ID)]).agg([len().cast(DataType::UInt64).alias(ROWS)]))
}

fn sum_and_count(name: &str) -> [Expr; 2] {
    [col(name).sum(), col(name).count().cast(DataType::UInt64).alias(format!("{name}{COUNT}"))]
}

/// Rows of each sample by `sample_id`, from the counting query of one table.
pub fn row_counts(query: LazyFrame) -> Result<Vec<(u32, u64)>> {
    let frame = query.collect_with_engine(Engine::Streaming)?.unwrap_single();
    let ids = frame.column(token::SAMPLE_ID)?.u32()?.iter().flatten();
    let rows = frame.column(ROWS)?.u64()?.iter().map(Option::unwrap_or_default);
    Ok(ids.zip(rows).collect())
}
