//! The measures of one joined token, as polars expressions over the joined columns.
//!
//! Owns the formulas over these columns (docs/measures.md). Not here: the list of measures (`measures`), with the same
//! formulas over a token's values.
//!
//! a = ln p(t), b = ln q(t), d = b − a.

use polars::prelude::{
    ChunkApply, Column, DataType, Expr, Field, Float64Chunked, IntoColumn, NULL, NewChunkedArray, PolarsResult,
    UInt64Chunked, col, lit, when,
};

use super::columns::{STUDY_FROM, TOP_ID, p, q};
use super::lists;
use crate::schema::token;
use crate::shift::numbers::math::study_log;

/// The study's term ln(e^a + 1e-10) − ln(e^b + 1e-10), null at the tokens it leaves out.
pub fn study() -> Expr {
    let counted = col(token::POSITION).gt_eq(col(STUDY_FROM)).and(p(token::IS_END).fill_null(lit(false)).not());
    let term = study_side(a()) - study_side(b());
    when(counted).then(term).otherwise(lit(NULL))
}

/// The study's ln(e^x + 1e-10) of a log-probability.
pub fn study_side(logprob: Expr) -> Expr {
    map(logprob, "study_log", study_log)
}

/// |d| and the position in one number, so that the largest of them names the token with the largest |d|, the first of
/// equal ones; null where d is not a number. `pass::sums` takes it apart.
pub fn farthest() -> Expr {
    let key = |columns: &mut [Column]| -> PolarsResult<Column> {
        let (sizes, positions) = (columns[0].f64()?, columns[1].u32()?);
        let keys = sizes.iter().zip(positions.iter()).map(|(d, position)| {
            let size = d.filter(|d| !d.is_nan())?.abs() as f32;
            Some(u64::from(size.to_bits()) << 32 | u64::from(!position?))
        });
        Ok(UInt64Chunked::from_iter_options("".into(), keys).into_column())
    };
    d().map_many(key, &[col(token::POSITION)], |_, _| Ok(Field::new("".into(), DataType::UInt64)))
}

/// Whether the two tables have different tokens here. If one has no ids, texts decide.
pub fn differs() -> Expr {
    when(lacks_an_id())
        .then(p(token::TOKEN).neq(q(token::TOKEN)).fill_null(lit(false)))
        .otherwise(p(token::TOKEN_ID).neq(q(token::TOKEN_ID)))
}

/// Whether neither ids nor texts say that they are the same, of a token that is compared.
pub fn unchecked() -> Expr {
    lacks_an_id().and(p(token::TOKEN).is_null().or(q(token::TOKEN).is_null())).and(d().is_not_null())
}

fn lacks_an_id() -> Expr {
    p(token::TOKEN_ID).is_null().or(q(token::TOKEN_ID).is_null())
}

/// Whether k1 is not a number to average: a model gave the token no probability at all, or none that is known.
pub fn not_finite() -> Expr {
    d().is_finite().not()
}

/// a², b², a·b, (e^b − e^a)²: what correlations and root mean squares add up.
pub fn squares() -> [Expr; 4] {
    [a() * a(), b() * b(), a() * b(), delta_p() * delta_p()]
}

/// The most likely token; null where the list is empty (k = 0).
pub fn top_id() -> Expr {
    col(token::TOP_IDS).list().get(lit(0), true)
}

pub fn d() -> Expr {
    b() - a()
}

pub fn delta_p() -> Expr {
    map(b(), "exp", f64::exp) - map(a(), "exp", f64::exp)
}

/// Q − P of a column, in f64 before the difference: ranks are unsigned, and f32 sums are f32.
pub fn change(column: &str) -> Expr {
    q(column).cast(DataType::Float64) - p(column).cast(DataType::Float64)
}

/// log2 of `rank_Q` / `rank_P`.
pub fn log2_rank_ratio() -> Expr {
    let rank = |side: Expr| map(side.cast(DataType::Float64), "log2", f64::log2);
    rank(q(token::RANK)) - rank(p(token::RANK))
}

/// Whether the most likely tokens agree; null where one is unknown.
pub fn same_top() -> Expr {
    indicator(p(TOP_ID).eq(q(TOP_ID)))
}

/// Where Q's list has P's most likely token; infinite outside it, null if Q lists fewer than three.
pub fn place() -> Expr {
    lists::number(lists::PLACE)
}

/// Q's rank of the token, where it is P's first choice; null elsewhere.
pub fn followed() -> Expr {
    when(p(token::RANK).eq(lit(1u32))).then(q(token::RANK).cast(DataType::Float64)).otherwise(lit(NULL))
}

/// The three classes of a place (Lin et al. 2023, URIAL), as indicators.
pub fn unshifted(place: Expr) -> Expr {
    indicator(place.eq(lit(1.0)))
}

pub fn marginal(place: Expr) -> Expr {
    indicator(place.clone().gt(lit(1.0)).and(place.lt_eq(lit(3.0))))
}

pub fn shifted(place: Expr) -> Expr {
    indicator(place.gt(lit(3.0)))
}

/// Whether the token is not P's first choice, so that no class of it says how Q differs.
pub fn unclassed() -> Expr {
    indicator(p(token::RANK).neq(lit(1u32)))
}

pub fn own_text() -> Expr {
    a() + p(token::ENTROPY).cast(DataType::Float64)
}

pub fn a() -> Expr {
    p(token::LOGPROB).cast(DataType::Float64)
}

pub fn b() -> Expr {
    q(token::LOGPROB).cast(DataType::Float64)
}

fn indicator(condition: Expr) -> Expr {
    condition.cast(DataType::Float64)
}

/// A scalar function over an f64 column, nulls left alone; `name` is what a plan shows.
pub fn map(input: Expr, name: &'static str, function: fn(f64) -> f64) -> Expr {
    let apply = move |column: Column| -> PolarsResult<Column> {
        let values: Float64Chunked = column.f64()?.apply_values(function);
        Ok(values.into_column())
    };
    input.map_with_fmt_str(apply, |_, field| Ok(Field::new(field.name().clone(), DataType::Float64)), name)
}
