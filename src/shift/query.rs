//! The one lazy query of a pair: join, measures, sums by sample.
//!
//! Owns the plan's shape: both scans are ordered, so the join is a merge, the groups are runs, and nothing larger
//! than a row group and the answer is in memory. Refuses to run it or to judge what comes out. The sums by sample are the
//! plain form of what `pass` and `sums` do; `--explain` shows it.

use polars::prelude::{
    DataFrame, DataType, Expr, IntoLazy, JoinArgs, JoinType, LazyFrame, MaintainOrderJoin, col, len, lit, when,
};

use super::expressions::{self, EXACT, P, Q, STUDY_FROM, TOP_ID};
use super::lists;
use super::measures::{self, COLUMNS, LOGPROBS, Measure, SQUARES, STUDY};
use super::pairs_table::Exact;
use super::scan::{hint_sorted, scan};
use super::tables::{PairTables, Table};
use crate::error::Result;
use crate::schema::{pair, token};

/// What identifies a token, and the order of every table.
const KEYS: [&str; 2] = [token::SAMPLE_ID, token::POSITION];

/// Columns of the answer beside a sum and a count (suffix [`COUNT`]) of every measure.
pub(super) const ROWS: &str = "rows";
pub(super) const NOT_FINITE: &str = "not_finite";
/// The first position at which the tokens differ, null if none does.
pub(super) const DIFFERS_AT: &str = "differs_at";
/// The largest difference of log-probability and where it is ([`expressions::farthest`]).
pub(super) const FARTHEST: &str = "farthest";
pub(super) const COUNT: &str = ".n";

/// What a token is, beside its numbers and whether it ends the turn.
pub(super) const DESCRIPTION: [&str; 3] = [token::TOKEN, token::START, token::END];

/// Logarithm of each model's probability to end a response.
pub(super) const STOPS: [&str; 2] = [pair::STOP_P, pair::STOP_Q];

/// One row a sample that both tables have rows of, in `sample_id` order: rows, sums and counts.
/// `facts` holds `sample_id` (ascending, flagged so) and [`STUDY_FROM`].
pub(super) fn sums_by_sample(pair: &PairTables, facts: DataFrame, lacks_ids: bool) -> Result<LazyFrame> {
    let have_lists = pair.p.top_k.max(pair.q.top_k) > 0;
    let tokens = joined(pair, facts, lacks_ids)?.with_column(lists::all(have_lists, pair.is_bounded()));
    let mut values = vec![col(token::SAMPLE_ID), col(token::POSITION)];
    values.extend(measures::ALL.iter().map(|m| (m.value)().alias(m.name)));
    values.push(expressions::study().alias(STUDY));
    values.extend([expressions::a(), expressions::b()].into_iter().zip(LOGPROBS).map(|(side, name)| side.alias(name)));
    values.extend(SQUARES.into_iter().zip(expressions::squares()).map(|(name, square)| square.alias(name)));
    values.push(expressions::not_finite().alias(NOT_FINITE));
    values.push(expressions::farthest().alias(FARTHEST));
    let differs = when(expressions::differs(lacks_ids)).then(col(token::POSITION));
    values.push(differs.otherwise(lit(polars::prelude::NULL)).alias(DIFFERS_AT));

    let mut sums = vec![len().cast(DataType::UInt64).alias(ROWS)];
    sums.extend(measures::ALL.iter().flat_map(|m| sum_and_count(m.name)));
    sums.extend([STUDY].into_iter().chain(LOGPROBS).chain(SQUARES).flat_map(sum_and_count));
    sums.push(col(NOT_FINITE).sum().cast(DataType::UInt64));
    sums.push(col(DIFFERS_AT).min());
    sums.push(col(FARTHEST).max());
    Ok(tokens.select(values).group_by_stable([col(token::SAMPLE_ID)]).agg(sums))
}

/// Every joined token in order: `sample_id`, `position`, what it is ([`DESCRIPTION`], P's), and `measures` by name.
pub(super) fn described(pair: &PairTables, measures: &[&Measure]) -> Result<LazyFrame> {
    let tokens = hint_sorted(both(pair, [&DESCRIPTION, &[]])?, &KEYS)?;
    let tokens = tokens.with_column(lists::all(pair.p.top_k.max(pair.q.top_k) > 0, pair.is_bounded()));
    let mut columns = KEYS.map(col).to_vec();
    columns.extend(DESCRIPTION.map(|name| expressions::p(name).alias(name)));
    columns.push(expressions::p(token::IS_END).alias(token::IS_END));
    columns.extend(measures.iter().map(|m| (m.value)().alias(m.name)));
    Ok(tokens.select(columns))
}

/// The joined tokens that `chosen` picks by their keys: what each is, P's id, and both log-probabilities ([`LOGPROBS`]).
pub(super) fn some(pair: &PairTables, chosen: &Expr) -> Result<LazyFrame> {
    let mut columns = KEYS.map(col).to_vec();
    columns.extend(DESCRIPTION.into_iter().chain([token::TOKEN_ID]).map(|name| expressions::p(name).alias(name)));
    columns.extend([expressions::a(), expressions::b()].into_iter().zip(LOGPROBS).map(|(side, name)| side.alias(name)));
    Ok(both(pair, [&DESCRIPTION, &[]])?.filter(chosen.clone()).select(columns))
}

/// Rows of each sample of one table, in `sample_id` order.
pub(super) fn rows_by_sample(table: &Table) -> Result<LazyFrame> {
    let rows = hint_sorted(scan(&table.tokens)?, &KEYS)?.select([col(token::SAMPLE_ID)]);
    Ok(rows.group_by_stable([col(token::SAMPLE_ID)]).agg([len().cast(DataType::UInt64).alias(ROWS)]))
}

fn sum_and_count(name: &str) -> [Expr; 2] {
    [col(name).sum(), col(name).count().cast(DataType::UInt64).alias(format!("{name}{COUNT}"))]
}

/// The tokens that both tables have, each side's columns under its prefix, with the facts of their sample.
fn joined(pair: &PairTables, facts: DataFrame, lacks_ids: bool) -> Result<LazyFrame> {
    let texts: &[&'static str] = if lacks_ids { &[token::TOKEN] } else { &[] };
    let tokens = both(pair, [texts; 2])?;
    let id = [col(token::SAMPLE_ID)];
    let facts = facts.lazy().select([col(token::SAMPLE_ID), col(STUDY_FROM)]);
    // A join forgets the order it keeps.
    let tokens = hint_sorted(tokens, &KEYS)?.join(facts, id.clone(), id, ordered(JoinType::Left));
    hint_sorted(tokens, &KEYS)
}

/// The joined tokens, each with its exact measures if they are known; `more` are columns of each side beside those that
/// every measure may need.
fn both(pair: &PairTables, more: [&[&'static str]; 2]) -> Result<LazyFrame> {
    let keys = KEYS.map(col);
    let lists = pair.p.top_k.max(pair.q.top_k) > 0;
    let [p, q] = [side(&pair.p, P, more[0], lists)?, side(&pair.q, Q, more[1], lists)?];
    let tokens = p.join(q, keys.clone(), keys.clone(), ordered(JoinType::Inner));
    let Some(exact) = &pair.exact else {
        let unknown = |name| lit(polars::prelude::NULL).cast(DataType::Float64).alias(format!("{EXACT}{name}"));
        return Ok(tokens.with_columns(measures::EXACT_COLUMNS.map(unknown)));
    };
    let named = measures::EXACT_COLUMNS.map(|name| col(name).cast(DataType::Float64).alias(format!("{EXACT}{name}")));
    let exact = hint_sorted(scan(&exact.files)?, &KEYS)?.select([KEYS.map(col).to_vec(), named.to_vec()].concat());
    Ok(hint_sorted(tokens, &KEYS)?.join(exact, keys.clone(), keys, ordered(JoinType::Left)))
}

/// Where responses may end, in order: keys, the token if there is one, and both models' ln of the probability to end
/// ([`STOPS`]), before each end token and after each response.
pub(super) fn ends(p: &Table, exact: &Exact) -> Result<LazyFrame> {
    let keys = KEYS.map(col);
    let tokens =
        hint_sorted(scan(&p.tokens)?, &KEYS)?.select([KEYS.map(col).to_vec(), vec![col(token::IS_END)]].concat());
    let rows = hint_sorted(scan(&exact.files)?, &KEYS)?;
    let mut columns = KEYS.map(col).to_vec();
    columns.extend([col(pair::TOKEN_ID)].into_iter().chain(STOPS.map(col)));
    let rows = rows.select(columns).join(tokens, keys.clone(), keys, ordered(JoinType::Left));
    let is_end = col(pair::TOKEN_ID).is_null().or(col(token::IS_END).fill_null(lit(false)));
    let is_end =
        exact.stop.iter().fold(is_end, |is_end, id| is_end.or(col(pair::TOKEN_ID).eq(lit(*id)).fill_null(lit(false))));
    let columns = [KEYS.map(col).to_vec(), vec![col(pair::TOKEN_ID)], STOPS.map(col).to_vec()];
    Ok(rows.filter(is_end).select(columns.concat()))
}

/// Every joined token in order, with what makes one a shifted one: P's id and text, the exact KL, Q's rank of P's choice.
pub(super) fn shifted(tables: &PairTables) -> Result<LazyFrame> {
    let tokens = hint_sorted(both(tables, [&[token::TOKEN], &[]])?, &KEYS)?;
    Ok(tokens.select([
        expressions::p(token::TOKEN_ID).alias(token::TOKEN_ID),
        expressions::p(token::TOKEN).alias(token::TOKEN),
        expressions::x(pair::KL).alias(pair::KL),
        expressions::x(pair::RANK_OF_TOP_P).alias(pair::RANK_OF_TOP_P),
    ]))
}

fn ordered(how: JoinType) -> JoinArgs {
    JoinArgs { maintain_order: MaintainOrderJoin::Left, ..JoinArgs::new(how) }
}

fn side(table: &Table, prefix: &str, more: &[&'static str], with_lists: bool) -> Result<LazyFrame> {
    let mut columns = KEYS.map(col).to_vec();
    // Lists are most of a table's bytes: empty ones do not travel through the join.
    let lists = lists::COLUMNS.into_iter().filter(|_| with_lists);
    let of_side = COLUMNS.into_iter().chain(lists::NUMBERS).chain(lists).chain(more.iter().copied());
    columns.extend(of_side.map(|name| col(name).alias(format!("{prefix}{name}"))));
    columns.push(expressions::top_id().alias(format!("{prefix}{TOP_ID}")));
    Ok(hint_sorted(scan(&table.tokens)?, &KEYS)?.select(columns))
}
