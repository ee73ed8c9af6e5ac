//! The lazy query of a pair: the tokens that both models scored, with a column for every measure.
//!
//! Owns that query, which defines every statistic over tokens, and the plan's shape: both scans are ordered, so the
//! join is a merge, and nothing larger than a row group is in memory. Not here: what is computed from the tokens, and
//! the check that the scans are ordered (`footers`).

use polars::prelude::{DataType, Expr, JoinArgs, JoinType, LazyFrame, MaintainOrderJoin, NULL, col, lit, when};

use crate::error::Result;
use crate::schema::{Divergence, pair, token};
use crate::shift::tables::files::{ModelTable, PairTables};
use crate::shift::tables::pair_files::PairFiles;
use crate::shift::tables::scan::{hint_sorted, scan};
use crate::shift::token::columns::{COLUMNS, DESCRIPTION, EXACT, P, Q, TOP_ID, of_pairs};
use crate::shift::token::{expressions, lists, measures};
use crate::table::Table;

/// What identifies a token, and the order of every table.
pub const KEYS: [&str; 2] = [token::SAMPLE_ID, token::POSITION];

/// Every token that both models scored, in order: its keys, each side's columns under its prefix ([`P`], [`Q`]), what the
/// pairs table says of it ([`EXACT`]), and every measure under its name. The footers of all files must have been checked.
pub fn joined(pair: &PairTables) -> Result<LazyFrame> {
    let with_lists = pair.p.top_k.max(pair.q.top_k) > 0;
    let of_sides = [P, Q].map(|prefix| names(with_lists).chain([TOP_ID]).map(move |name| format!("{prefix}{name}")));
    let of_pairs = of_pairs().map(|name| format!("{EXACT}{name}"));
    let mut columns = KEYS.map(col).to_vec();
    columns.extend(of_sides.into_iter().flatten().chain(of_pairs).map(col));
    columns.extend(measures::ALL.iter().map(|measure| col(measure.name)));
    let tokens = both(pair, with_lists)?.with_column(lists::all(with_lists, pair.is_bounded()));
    let values: Vec<Expr> = measures::ALL.iter().map(|measure| (measure.value)().alias(measure.name)).collect();
    Ok(tokens.with_columns(values).select(columns))
}

/// The joined tokens, each with what the pairs table says of it; null without one.
fn both(pair: &PairTables, with_lists: bool) -> Result<LazyFrame> {
    let keys = KEYS.map(col);
    let [p, q] = [side(&pair.p, P, with_lists)?, side(&pair.q, Q, with_lists)?];
    let tokens = p.join(q, keys.clone(), keys.clone(), ordered(JoinType::Inner));
    let Some(exact) = &pair.exact else {
        let unknown = |name| lit(NULL).cast(DataType::Float64).alias(format!("{EXACT}{name}"));
        return hint_sorted(tokens.with_columns(of_pairs().map(unknown).collect::<Vec<_>>()), &KEYS);
    };
    let mut columns = KEYS.map(col).to_vec();
    columns.extend(Divergence::ALL.map(|of| col(exact.column_of(of)).alias(format!("{EXACT}{}", of.column()))));
    columns.push(rank_of_top_p(exact).cast(DataType::Float64).alias(format!("{EXACT}{}", pair::RANK_OF_TOP_P)));
    let exact = hint_sorted(scan(&exact.files, Table::Pairs)?, &KEYS)?.select(columns);
    // A join forgets the order it keeps.
    let tokens = hint_sorted(tokens, &KEYS)?.join(exact, keys.clone(), keys, ordered(JoinType::Left));
    hint_sorted(tokens, &KEYS)
}

/// Q's rank of P's top token. A table of Q and P says it only where both have the same.
fn rank_of_top_p(exact: &PairFiles) -> Expr {
    let rank = col(pair::RANK_OF_TOP_P);
    if exact.is_turned {
        return when(col(pair::TOP_P).eq(col(pair::TOP_Q))).then(lit(1)).otherwise(lit(NULL));
    }
    rank
}

/// A join that keeps the order of its left side.
pub fn ordered(how: JoinType) -> JoinArgs {
    JoinArgs { maintain_order: MaintainOrderJoin::Left, ..JoinArgs::new(how) }
}

fn side(table: &ModelTable, prefix: &str, with_lists: bool) -> Result<LazyFrame> {
    let mut columns = KEYS.map(col).to_vec();
    columns.extend(names(with_lists).map(|name| col(name).alias(format!("{prefix}{name}"))));
    columns.push(expressions::top_id().alias(format!("{prefix}{TOP_ID}")));
    Ok(hint_sorted(scan(&table.tokens, Table::Tokens)?, &KEYS)?.select(columns))
}

/// The columns of a tokens table. Lists are most of its bytes: empty ones do not travel through the join.
fn names(with_lists: bool) -> impl Iterator<Item = &'static str> {
    let lists = lists::COLUMNS.into_iter().filter(move |_| with_lists);
    COLUMNS.into_iter().chain(lists::NUMBERS).chain(lists).chain(DESCRIPTION)
}
