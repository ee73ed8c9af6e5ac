//! A batch of one table's rows, as the passes over tokens take it.
//!
//! Owns the step from columns to what is compared of a token. Not here: decoding (`table`), joining (`merge`).

use arrow::array::{Array, UInt32Array};
use arrow::datatypes::UInt32Type;

use crate::schema::{Divergence, token};
use crate::shift::numbers::spans::Piece;
use crate::shift::token::seen::{Divergences, Seen};
use crate::table::{Columns, Numbers, PairColumns, TokenColumns};

/// A table whose rows are identified by sample and position.
pub trait Keyed: Columns {
    /// The columns `sample_id` and `position`.
    fn keys(&self) -> [&Numbers<UInt32Type>; 2];
}

impl Keyed for TokenColumns {
    fn keys(&self) -> [&Numbers<UInt32Type>; 2] {
        [&self.sample_id, &self.position]
    }
}

impl Keyed for PairColumns {
    fn keys(&self) -> [&Numbers<UInt32Type>; 2] {
        [&self.sample_id, &self.position]
    }
}

/// Columns whose keys are known in every row.
#[derive(Debug)]
pub struct Batch<C> {
    pub sample_id: UInt32Array,
    pub position: UInt32Array,
    columns: C,
}

impl<C: Keyed> Batch<C> {
    /// # Errors
    /// A key that is null.
    pub fn new(columns: C) -> Result<Self, String> {
        let known = |name, keys: &Numbers<_>| {
            let complete = keys.array().filter(|keys| keys.null_count() == 0).cloned();
            complete.ok_or_else(|| format!("rows without a `{name}`"))
        };
        let [sample_id, position] = columns.keys();
        let (sample_id, position) = (known(token::SAMPLE_ID, sample_id)?, known(token::POSITION, position)?);
        Ok(Self { sample_id, position, columns })
    }
}

impl<C> Batch<C> {
    pub fn len(&self) -> usize {
        self.sample_id.len()
    }

    /// What identifies a row, and the order of every table.
    pub fn key(&self, row: usize) -> (u32, u32) {
        (self.sample_id.value(row), self.position.value(row))
    }
}

impl Batch<TokenColumns> {
    #[inline]
    pub fn seen(&self, row: usize) -> Seen {
        let of = &self.columns;
        let logprob = of.logprob.get(row).map(f64::from);
        Seen {
            token_id: of.token_id.get(row),
            is_end: of.is_end.is_set(row),
            logprob,
            probability: logprob.map(f64::exp),
            rank: of.rank.get(row),
            entropy: of.entropy.get(row).map(f64::from),
            top_id: of.top_ids.get(row).first().copied(),
        }
    }

    /// The token's place in its text; `None` if it is unknown.
    pub fn piece(&self, row: usize) -> Option<Piece> {
        let of = &self.columns;
        let logprob = of.logprob.get(row).map(f64::from);
        Some(Piece { start: of.start.get(row)?, end: of.end.get(row)?, logprob, straddles: of.straddles.is_set(row) })
    }

    pub fn text(&self, row: usize) -> Option<&str> {
        self.columns.token.get(row)
    }

    pub fn top_ids(&self, row: usize) -> &[u32] {
        self.columns.top_ids.get(row)
    }

    pub fn top_logprobs(&self, row: usize) -> &[f32] {
        self.columns.top_logprobs.get(row)
    }

    /// Logarithm of the mass outside the list and the token; NaN if unknown.
    pub fn rest(&self, row: usize) -> f64 {
        self.columns.rest_logprob.get(row).map_or(f64::NAN, f64::from)
    }

    /// Logarithm of the smallest probability; NaN if unknown.
    pub fn min(&self, row: usize) -> f64 {
        self.columns.min_logprob.get(row).map_or(f64::NAN, f64::from)
    }
}

impl Batch<PairColumns> {
    /// A row's divergences; `of_table` says which of the table's is meant by each.
    pub fn divergences(&self, row: usize, of_table: impl Fn(Divergence) -> Divergence) -> Divergences {
        Divergences::new(|divergence| self.columns.divergences[of_table(divergence) as usize].get(row))
    }
}
