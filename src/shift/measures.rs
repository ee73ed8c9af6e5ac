//! What is computed of one joined token, as polars expressions.
//!
//! Owns the list of measures and their formulas (docs/measures.md). Refuses sums and means: `query` adds up,
//! `stats` averages.

use polars::prelude::{
    ChunkApply, Column, DataType, Expr, Field, Float64Chunked, IntoColumn, NULL, NewChunkedArray, PolarsResult,
    UInt64Chunked, col, lit, when,
};

use super::lists;
use super::math::{log2_of_rank, phi, study_log, study_log_of};
use super::token::Token;
use crate::schema::{pair, token};

/// Prefixes of the two models' columns after the join.
pub(super) const P: &str = "p.";
pub(super) const Q: &str = "q.";

/// First position of a sample that the study counts; joined to the tokens from the samples tables.
pub(super) const STUDY_FROM: &str = "study_from";

/// A number of each joined token, null where a side lacks what it needs.
pub(super) struct Measure {
    pub name: &'static str,
    /// Of both means; a sum over a response is in nats/response.
    pub unit: &'static str,
    /// Of the joined columns: the plain form.
    pub value: fn() -> Expr,
    /// Of a token's values: the same, bit by bit, where a pass goes over whole tables.
    pub of: fn(&Token) -> Option<f64>,
    /// Its sum over a response means something (nats a response).
    pub per_response: bool,
}

/// Every measure, in the order in which summaries list them. a = ln p(t), b = ln q(t), d = b − a.
pub(super) const ALL: [Measure; 24] = [
    Measure { name: "kl", unit: "nats/token", value: || x(pair::KL), of: |t| t.exact[0], per_response: true },
    Measure {
        name: "kl_reverse",
        unit: "nats/token",
        value: || x(pair::KL_REVERSE),
        of: |t| t.exact[1],
        per_response: true,
    },
    Measure { name: "js", unit: "nats/token", value: || x(pair::JS), of: |t| t.exact[2], per_response: false },
    Measure { name: "tv", unit: "probability", value: || x(pair::TV), of: |t| t.exact[3], per_response: false },
    Measure {
        name: "kl_k1",
        unit: "nats/token",
        value: || a() - b(),
        of: |t| Some(t.a()? - t.b()?),
        per_response: true,
    },
    Measure {
        name: "kl_k3",
        unit: "nats/token",
        value: || map(d(), "phi", phi),
        of: |t| t.d().map(phi),
        per_response: false,
    },
    Measure {
        name: "kl_lower",
        unit: "nats/token",
        value: || lists::number(lists::KL_LOWER),
        of: |t| t.list(lists::KL_LOWER),
        per_response: false,
    },
    Measure {
        name: "kl_upper",
        unit: "nats/token",
        value: || lists::number(lists::KL_UPPER),
        of: |t| t.list(lists::KL_UPPER),
        per_response: false,
    },
    Measure {
        name: "ratio",
        unit: "q/p",
        value: || map(d(), "exp", f64::exp),
        of: |t| t.d().map(f64::exp),
        per_response: false,
    },
    Measure { name: "delta_logprob", unit: "nats/token", value: d, of: |t| t.d(), per_response: false },
    Measure {
        name: "delta_entropy",
        unit: "nats/token",
        value: || change(token::ENTROPY),
        of: |t| Some(t.q.entropy? - t.p.entropy?),
        per_response: false,
    },
    Measure { name: "delta_p", unit: "probability", value: delta_p, of: |t| t.delta_p(), per_response: false },
    Measure {
        name: "rank_shift",
        unit: "ranks",
        value: || change(token::RANK),
        of: |t| Some(f64::from(t.q.rank?) - f64::from(t.p.rank?)),
        per_response: false,
    },
    Measure {
        name: "log2_rank_ratio",
        unit: "doublings",
        value: log2_rank_ratio,
        of: |t| Some(log2_of_rank(t.q.rank?) - log2_of_rank(t.p.rank?)),
        per_response: false,
    },
    Measure {
        name: "same_top",
        unit: "share",
        value: same_top,
        of: |t| Some(share(t.p.top_id? == t.q.top_id?)),
        per_response: false,
    },
    Measure {
        name: "overlap",
        unit: "share",
        value: || lists::number(lists::OVERLAP),
        of: |t| t.list(lists::OVERLAP),
        per_response: false,
    },
    Measure {
        name: "shift_class.unshifted",
        unit: "share",
        value: || unshifted(place()),
        of: |t| t.list(lists::PLACE).map(|place| share(place == 1.0)),
        per_response: false,
    },
    Measure {
        name: "shift_class.marginal",
        unit: "share",
        value: || marginal(place()),
        of: |t| t.list(lists::PLACE).map(|place| share(place > 1.0 && place <= 3.0)),
        per_response: false,
    },
    Measure {
        name: "shift_class.shifted",
        unit: "share",
        value: || shifted(place()),
        of: |t| t.list(lists::PLACE).map(|place| share(place > 3.0)),
        per_response: false,
    },
    Measure {
        name: "shift_class_token.unshifted",
        unit: "share",
        value: || unshifted(followed()),
        of: |t| t.followed().map(|rank| share(rank == 1.0)),
        per_response: false,
    },
    Measure {
        name: "shift_class_token.marginal",
        unit: "share",
        value: || marginal(followed()),
        of: |t| t.followed().map(|rank| share(rank > 1.0 && rank <= 3.0)),
        per_response: false,
    },
    Measure {
        name: "shift_class_token.shifted",
        unit: "share",
        value: || shifted(followed()),
        of: |t| t.followed().map(|rank| share(rank > 3.0)),
        per_response: false,
    },
    Measure {
        name: "shift_class_token.unclassed",
        unit: "share",
        value: unclassed,
        of: |t| t.p.rank.map(|rank| share(rank != 1)),
        per_response: false,
    },
    Measure {
        name: OWN_TEXT,
        unit: "nats/token",
        value: own_text,
        of: |t| Some(t.a()? + t.p.entropy?),
        per_response: false,
    },
];

/// What is added up of every token beside the measures.
#[derive(Clone, Copy)]
pub(super) struct Term {
    pub name: &'static str,
    pub of: fn(&Token) -> Option<f64>,
}

/// The study's term; each side's log-probability; a², b², a·b and (e^b − e^a)², which correlations and root mean squares
/// add up.
pub(super) const TERMS: [Term; 7] = [
    Term { name: STUDY, of: study_of },
    Term { name: LOGPROBS[0], of: |t| t.a() },
    Term { name: LOGPROBS[1], of: |t| t.b() },
    Term { name: SQUARES[0], of: |t| t.a().map(|a| a * a) },
    Term { name: SQUARES[1], of: |t| t.b().map(|b| b * b) },
    Term { name: SQUARES[2], of: |t| Some(t.a()? * t.b()?) },
    Term { name: SQUARES[3], of: |t| t.delta_p().map(|d| d * d) },
];

/// Names of [`TERMS`].
pub(super) const STUDY: &str = "study";
pub(super) const LOGPROBS: [&str; 2] = ["p_logprob", "q_logprob"];
pub(super) const SQUARES: [&str; 4] = ["p_logprob_squared", "q_logprob_squared", "logprob_product", "delta_p_squared"];

/// [`study`] of a token.
fn study_of(token: &Token) -> Option<f64> {
    if token.position < token.study_from || token.p.is_end {
        return None;
    }
    Some(study_log_of(token.p.probability?) - study_log_of(token.q.probability?))
}

fn share(is: bool) -> f64 {
    f64::from(u8::from(is))
}

/// Those that come from full distributions: where there is no pairs table, no token has them.
pub(super) const OF_PAIRS: [&str; 4] = [pair::KL, pair::KL_REVERSE, pair::JS, pair::TV];

/// Whether no pairs table means that nobody asked for the measure, not that it has no value.
pub(super) fn is_of_pairs(name: &str) -> bool {
    OF_PAIRS.contains(&name)
}

/// Prefix of the columns of a pairs table after the join, and those that are read there.
pub(super) const EXACT: &str = "x.";
pub(super) const EXACT_COLUMNS: [&str; 5] = [pair::KL, pair::KL_REVERSE, pair::JS, pair::TV, pair::RANK_OF_TOP_P];

/// A column of the pairs table.
pub(super) fn x(column: &str) -> Expr {
    col(format!("{EXACT}{column}"))
}

/// a², b², a·b, (e^b − e^a)²: what correlations and root mean squares add up.
pub(super) fn squares() -> [Expr; 4] {
    [a() * a(), b() * b(), a() * b(), delta_p() * delta_p()]
}

/// ln p(t) + H(P), whose expectation is 0 at every position of a text that P sampled at temperature 1.
pub(super) const OWN_TEXT: &str = "logprob_plus_entropy_p";

/// Measures that estimate KL(P‖Q) on such a text alone.
pub(super) const NEED_OWN_TEXT: [&str; 2] = ["kl_k1", "kl_k3"];

/// The columns that the measures and checks read of each side (beside those of `lists`), and the name that [`top_id`] has there.
pub(super) const COLUMNS: [&str; 5] = [token::TOKEN_ID, token::IS_END, token::LOGPROB, token::RANK, token::ENTROPY];
pub(super) const TOP_ID: &str = "top_id";

/// The most likely token; null where the list is empty (k = 0).
pub(super) fn top_id() -> Expr {
    col(token::TOP_IDS).list().get(lit(0), true)
}

/// The study's term ln(e^a + 1e-10) − ln(e^b + 1e-10), null at the tokens it leaves out.
pub(super) fn study() -> Expr {
    let counted = col(token::POSITION).gt_eq(col(STUDY_FROM)).and(p(token::IS_END).fill_null(lit(false)).not());
    let term = study_side(a()) - study_side(b());
    when(counted).then(term).otherwise(lit(NULL))
}

/// The study's ln(e^x + 1e-10) of a log-probability.
pub(super) fn study_side(logprob: Expr) -> Expr {
    map(logprob, "study_log", study_log)
}

/// |d| and the position in one number, so that the largest of them names the token with the largest |d|, the first of
/// equal ones; null where d is not a number. [`super::sums`] takes it apart.
pub(super) fn farthest() -> Expr {
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

/// Whether the two sides hold different tokens here. Without ids on a side, texts decide.
pub(super) fn differs(lacks_ids: bool) -> Expr {
    let ids = p(token::TOKEN_ID).neq(q(token::TOKEN_ID));
    if !lacks_ids {
        return ids;
    }
    let unknown = p(token::TOKEN_ID).is_null().or(q(token::TOKEN_ID).is_null());
    when(unknown).then(p(token::TOKEN).neq_missing(q(token::TOKEN))).otherwise(ids)
}

/// Whether k1 is not a number to average: a model gave the token no probability at all, or none that is known.
pub(super) fn not_finite() -> Expr {
    d().is_finite().not()
}

pub(super) fn a() -> Expr {
    p(token::LOGPROB).cast(DataType::Float64)
}

pub(super) fn b() -> Expr {
    q(token::LOGPROB).cast(DataType::Float64)
}

fn d() -> Expr {
    b() - a()
}

fn delta_p() -> Expr {
    map(b(), "exp", f64::exp) - map(a(), "exp", f64::exp)
}

/// Q − P of a column, in f64 before the difference: ranks are unsigned, and f32 sums are f32.
fn change(column: &str) -> Expr {
    q(column).cast(DataType::Float64) - p(column).cast(DataType::Float64)
}

/// Whether the most likely tokens agree; null where one is unknown.
fn same_top() -> Expr {
    indicator(p(TOP_ID).eq(q(TOP_ID)))
}

/// log2 of `rank_Q` / `rank_P`.
fn log2_rank_ratio() -> Expr {
    let rank = |side: Expr| map(side.cast(DataType::Float64), "log2", f64::log2);
    rank(q(token::RANK)) - rank(p(token::RANK))
}

/// Where Q's list has P's most likely token; infinite outside it, null if Q lists fewer than three.
fn place() -> Expr {
    lists::number(lists::PLACE)
}

/// Q's rank of the token, where it is P's first choice; null elsewhere.
fn followed() -> Expr {
    when(p(token::RANK).eq(lit(1u32))).then(q(token::RANK).cast(DataType::Float64)).otherwise(lit(NULL))
}

/// The three classes of a place (Lin et al. 2023, URIAL), as indicators.
fn unshifted(place: Expr) -> Expr {
    indicator(place.eq(lit(1.0)))
}

fn marginal(place: Expr) -> Expr {
    indicator(place.clone().gt(lit(1.0)).and(place.lt_eq(lit(3.0))))
}

fn shifted(place: Expr) -> Expr {
    indicator(place.gt(lit(3.0)))
}

/// Whether the token is not P's first choice, so that no class of it says how Q differs.
fn unclassed() -> Expr {
    indicator(p(token::RANK).neq(lit(1u32)))
}

fn indicator(condition: Expr) -> Expr {
    condition.cast(DataType::Float64)
}

fn own_text() -> Expr {
    a() + p(token::ENTROPY).cast(DataType::Float64)
}

pub(super) fn p(column: &str) -> Expr {
    col(format!("{P}{column}"))
}

pub(super) fn q(column: &str) -> Expr {
    col(format!("{Q}{column}"))
}

/// A scalar function over an f64 column, nulls left alone; `name` is what a plan shows.
fn map(input: Expr, name: &'static str, function: fn(f64) -> f64) -> Expr {
    let apply = move |column: Column| -> PolarsResult<Column> {
        let values: Float64Chunked = column.f64()?.apply_values(function);
        Ok(values.into_column())
    };
    input.map_with_fmt_str(apply, |_, field| Ok(Field::new(field.name().clone(), DataType::Float64)), name)
}
