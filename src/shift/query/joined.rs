//! The lazy query of a pair: the tokens that both models scored, joined.
//!
//! Owns the plan's shape: both scans are ordered, so the join is a merge, and nothing larger than a row group is in memory.
//! Not here: what is asked of the joined tokens.

use polars::prelude::{DataFrame, DataType, IntoLazy, JoinArgs, JoinType, LazyFrame, MaintainOrderJoin, col, lit};

use crate::error::Result;
use crate::schema::{pair, token};
use crate::shift::tables::files::{ModelTable, PairTables};
use crate::shift::tables::scan::{hint_sorted, scan};
use crate::shift::token::columns::{self, COLUMNS, EXACT, P, Q, STUDY_FROM, TOP_ID};
use crate::shift::token::{expressions, lists};

/// What identifies a token, and the order of every table.
pub const KEYS: [&str; 2] = [token::SAMPLE_ID, token::POSITION];

/// The tokens that both tables have, each side's columns under its prefix, with the facts of their sample.
pub fn joined(pair: &PairTables, facts: DataFrame, lacks_ids: bool) -> Result<LazyFrame> {
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
pub fn both(pair: &PairTables, more: [&[&'static str]; 2]) -> Result<LazyFrame> {
    let keys = KEYS.map(col);
    let lists = pair.p.top_k.max(pair.q.top_k) > 0;
    let [p, q] = [side(&pair.p, P, more[0], lists)?, side(&pair.q, Q, more[1], lists)?];
    let tokens = p.join(q, keys.clone(), keys.clone(), ordered(JoinType::Inner));
    let Some(exact) = &pair.exact else {
        let unknown = |name| lit(polars::prelude::NULL).cast(DataType::Float64).alias(format!("{EXACT}{name}"));
        return Ok(tokens.with_columns(columns::EXACT_COLUMNS.map(unknown)));
    };
    let named = columns::EXACT_COLUMNS.map(|name| col(name).cast(DataType::Float64).alias(format!("{EXACT}{name}")));
    let exact = hint_sorted(scan(&exact.files)?, &KEYS)?.select([KEYS.map(col).to_vec(), named.to_vec()].concat());
    Ok(hint_sorted(tokens, &KEYS)?.join(exact, keys.clone(), keys, ordered(JoinType::Left)))
}

pub fn ordered(how: JoinType) -> JoinArgs {
    JoinArgs { maintain_order: MaintainOrderJoin::Left, ..JoinArgs::new(how) }
}

fn side(table: &ModelTable, prefix: &str, more: &[&'static str], with_lists: bool) -> Result<LazyFrame> {
    let mut columns = KEYS.map(col).to_vec();
    // Lists are most of a table's bytes: empty ones do not travel through the join.
    let lists = lists::COLUMNS.into_iter().filter(|_| with_lists);
    let of_side = COLUMNS.into_iter().chain(lists::NUMBERS).chain(lists).chain(more.iter().copied());
    columns.extend(of_side.map(|name| col(name).alias(format!("{prefix}{name}"))));
    columns.push(expressions::top_id().alias(format!("{prefix}{TOP_ID}")));
    Ok(hint_sorted(scan(&table.tokens)?, &KEYS)?.select(columns))
}
