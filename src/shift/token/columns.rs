//! The columns of the joined tokens.
//!
//! Owns their names: the prefix of each model, and which columns of each table are read. Not here: formulas over them.

use polars::prelude::{Expr, col};

use crate::schema::{Divergence, pair, token};

/// Prefixes of the two models' columns after the join.
pub const P: &str = "p.";
pub const Q: &str = "q.";

/// First position of a sample that the study counts; joined to the tokens from the samples tables.
pub const STUDY_FROM: &str = "study_from";

/// Prefix of the columns of a pairs table after the join.
pub const EXACT: &str = "x.";

/// The name that [`top_id`](super::expressions::top_id) has on each side.
pub const TOP_ID: &str = "top_id";

/// A column of the pairs table.
pub fn x(column: &str) -> Expr {
    col(format!("{EXACT}{column}"))
}

pub fn p(column: &str) -> Expr {
    col(format!("{P}{column}"))
}

pub fn q(column: &str) -> Expr {
    col(format!("{Q}{column}"))
}

/// The columns of a pairs table that are joined.
pub fn of_pairs() -> impl Iterator<Item = &'static str> {
    Divergence::ALL.into_iter().map(Divergence::column).chain([pair::RANK_OF_TOP_P])
}

/// The columns that the measures and checks read of each model, other than those of `lists`.
pub const COLUMNS: [&str; 5] = [token::TOKEN_ID, token::IS_END, token::LOGPROB, token::RANK, token::ENTROPY];

/// A token's place in the text.
pub const DESCRIPTION: [&str; 3] = [token::TOKEN, token::START, token::END];
