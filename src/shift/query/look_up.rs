//! Look-ups of single tokens, as lazy queries over the joined tables.
//!
//! Owns the columns of their answers. Not here: what is computed from them (`figures`).

use polars::prelude::{Expr, JoinType, LazyFrame, col, lit};

use super::joined::{KEYS, joined, ordered};
use crate::error::Result;
use crate::schema::{Divergence, pair, token};
use crate::shift::tables::files::{ModelTable, PairTables};
use crate::shift::tables::pair_files::PairFiles;
use crate::shift::tables::scan::{hint_sorted, scan};
use crate::shift::token::columns::{self, DESCRIPTION};
use crate::shift::token::expressions;
use crate::shift::token::measures::{LOGPROBS, Measure};
use crate::table::Table;

/// Logarithm of each model's probability to end a response.
pub const STOPS: [&str; 2] = [pair::STOP_P, pair::STOP_Q];

/// Every joined token in order: its keys, what it is of the text ([`DESCRIPTION`], P's), and `measures` by name.
pub fn described(pair: &PairTables, measures: &[&Measure]) -> Result<LazyFrame> {
    let mut columns = KEYS.map(col).to_vec();
    columns.extend(DESCRIPTION.into_iter().chain([token::IS_END]).map(|name| columns::p(name).alias(name)));
    columns.extend(measures.iter().map(|measure| col(measure.name)));
    Ok(joined(pair)?.select(columns))
}

/// The joined tokens that `chosen` picks by their keys: what each is, P's id, and both log-probabilities ([`LOGPROBS`]).
pub fn some(pair: &PairTables, chosen: &Expr) -> Result<LazyFrame> {
    let mut columns = KEYS.map(col).to_vec();
    columns.extend(DESCRIPTION.into_iter().chain([token::TOKEN_ID]).map(|name| columns::p(name).alias(name)));
    columns.extend([expressions::a(), expressions::b()].into_iter().zip(LOGPROBS).map(|(side, name)| side.alias(name)));
    Ok(joined(pair)?.filter(chosen.clone()).select(columns))
}

/// Where responses may end, in order: keys, the token if there is one, and both models' ln of the probability to end
/// ([`STOPS`]), before each end token and after each response.
pub fn ends(p: &ModelTable, exact: &PairFiles) -> Result<LazyFrame> {
    let keys = KEYS.map(col);
    let tokens = hint_sorted(scan(&p.tokens, Table::Tokens)?, &KEYS)?
        .select([KEYS.map(col).to_vec(), vec![col(token::IS_END)]].concat());
    let rows = hint_sorted(scan(&exact.files, Table::Pairs)?, &KEYS)?;
    let mut columns = KEYS.map(col).to_vec();
    columns.push(col(pair::TOKEN_ID));
    columns.extend(exact.sides(STOPS).into_iter().zip(STOPS).map(|(of, name)| col(of).alias(name)));
    let rows = rows.select(columns).join(tokens, keys.clone(), keys, ordered(JoinType::Left));
    let is_end = col(pair::TOKEN_ID).is_null().or(col(token::IS_END).fill_null(lit(false)));
    let is_end =
        exact.stop.iter().fold(is_end, |is_end, id| is_end.or(col(pair::TOKEN_ID).eq(lit(*id)).fill_null(lit(false))));
    let columns = [KEYS.map(col).to_vec(), vec![col(pair::TOKEN_ID)], STOPS.map(col).to_vec()];
    Ok(rows.filter(is_end).select(columns.concat()))
}

/// Every joined token in order, with what makes one a shifted one: P's id and text, the exact KL, Q's rank of P's choice.
pub fn shifted(pair: &PairTables) -> Result<LazyFrame> {
    Ok(joined(pair)?.select([
        columns::p(token::TOKEN_ID).alias(token::TOKEN_ID),
        columns::p(token::TOKEN).alias(token::TOKEN),
        columns::x(pair::KL).alias(pair::KL),
        columns::x(pair::RANK_OF_TOP_P).alias(pair::RANK_OF_TOP_P),
    ]))
}

/// Every scored token of the pairs table, in order: its keys, the KL, and the top token of each model.
pub fn tops(exact: &PairFiles) -> Result<LazyFrame> {
    const TOPS: [&str; 2] = [pair::TOP_P, pair::TOP_Q];
    let mut columns = KEYS.map(col).to_vec();
    columns.push(col(exact.column_of(Divergence::Kl)).alias(pair::KL));
    columns.extend(exact.sides(TOPS).into_iter().zip(TOPS).map(|(of, name)| col(of).alias(name)));
    let rows = hint_sorted(scan(&exact.files, Table::Pairs)?, &KEYS)?;
    Ok(rows.filter(col(pair::TOKEN_ID).is_not_null()).select(columns))
}

/// Ids and texts of the written tokens that `chosen` picks by their ids.
pub fn texts(p: &ModelTable, chosen: &Expr) -> Result<LazyFrame> {
    let rows = scan(&p.tokens, Table::Tokens)?.filter(chosen.clone().and(col(token::TOKEN).is_not_null()));
    Ok(rows.select([col(token::TOKEN_ID), col(token::TOKEN)]))
}
