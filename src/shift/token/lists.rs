//! The measures that need both models' top-k lists, as one function over the joined columns.
//!
//! Owns the step from columns to the slices of a row and back: one pass, nothing exploded. Not here: formulas
//! (`bounds`).

use polars::prelude::{
    Column, DataType, Expr, Field, Float64Type, IntoColumn, ListBuilderTrait, ListPrimitiveChunkedBuilder, NULL,
    PolarsResult, Series, col, lit, when,
};

use super::columns::{p, q};
use crate::schema::token;
use crate::scores::overlap;
use crate::shift::numbers::bounds::{self, Side};

/// The column that [`all`] makes: a list of numbers, each null where a side lacks what it needs. Its places follow.
pub const LISTS: &str = "lists";
pub const KL_LOWER: i64 = 0;
pub const KL_UPPER: i64 = 1;
pub const OVERLAP: i64 = 2;
pub const PLACE: i64 = 3;
pub const PLACES: usize = 4;

/// The columns that are read here of each side: numbers always, lists only if a side has any (k ≥ 1).
pub const NUMBERS: [&str; 2] = [token::REST_LOGPROB, token::MIN_LOGPROB];
pub const COLUMNS: [&str; 2] = [token::TOP_IDS, token::TOP_LOGPROBS];

/// One of the numbers of [`all`].
pub fn number(place: i64) -> Expr {
    let value = || col(LISTS).list().get(lit(place), true);
    when(value().is_not_nan()).then(value()).otherwise(lit(NULL))
}

/// Everything that needs the lists, computed once per token.
pub fn all(have_lists: bool, is_bounded: bool) -> Expr {
    let mut input = vec![p(token::LOGPROB), q(token::LOGPROB), p(token::REST_LOGPROB), q(token::REST_LOGPROB)];
    // Without it there is no upper bound.
    let min = q(token::MIN_LOGPROB);
    input.extend([p(token::ENTROPY), if is_bounded { min } else { min * lit(f32::NAN) }]);
    if have_lists {
        input.extend(COLUMNS.map(p).into_iter().chain(COLUMNS.map(q)));
    }
    let list = DataType::List(Box::new(DataType::Float64));
    p(token::TOKEN_ID).map_many(rows, &input, move |_, _| Ok(Field::new(LISTS.into(), list.clone()))).alias(LISTS)
}

/// [`all`] over the columns in its order.
fn rows(input: &mut [Column]) -> PolarsResult<Column> {
    let tokens: Vec<Option<u32>> = input[0].u32()?.iter().collect();
    let numbers = input[1..7].iter().map(floats).collect::<PolarsResult<Vec<_>>>()?;
    let lists = input[7..].iter().map(Lists::new).collect::<PolarsResult<Vec<_>>>()?;
    let (p, q) = (Model::new(&lists, 0)?, Model::new(&lists, 2)?);
    let (n, f64s) = (tokens.len(), DataType::Float64);
    let mut out = ListPrimitiveChunkedBuilder::<Float64Type>::new(LISTS.into(), n, PLACES * n, f64s);
    for (row, token) in tokens.into_iter().enumerate() {
        let at = |column: usize| numbers[column][row];
        out.append_slice(&values(token, p.side(row, at(0), at(2)), q.side(row, at(1), at(3)), at(4), at(5)));
    }
    Ok(out.finish().into_column())
}

/// The numbers of one token, in the order of their places.
pub fn values(token: Option<u32>, p: Side, q: Side, entropy_p: f64, min_q: f64) -> [f64; PLACES] {
    // Without its id it is unknown whether a list contains the token; without lists it does not matter.
    let known = token.or((p.ids.is_empty() && q.ids.is_empty()).then_some(0));
    let (lower, upper) = known.map_or((f64::NAN, f64::NAN), |t| bounds::kl(t, &p, &q, entropy_p, min_q));
    [lower, upper, overlap(p.ids, q.ids).unwrap_or(f64::NAN), bounds::place(p.ids, q.ids)]
}

/// A column in f64, NaN for null.
fn floats(column: &Column) -> PolarsResult<Vec<f64>> {
    let column = column.cast(&DataType::Float64)?;
    Ok(column.f64()?.iter().map(|x| x.unwrap_or(f64::NAN)).collect())
}

/// A list column as one run of values and the place at which each row begins.
struct Lists {
    starts: Vec<i64>,
    values: Series,
}

impl Lists {
    fn new(column: &Column) -> PolarsResult<Self> {
        let lists = column.list()?.rechunk();
        let starts = lists.downcast_iter().flat_map(|chunk| chunk.offsets().iter().copied()).collect();
        Ok(Self { starts, values: lists.get_inner() })
    }
}

/// A list column's rows as slices.
struct Rows<'a, T> {
    starts: &'a [i64],
    values: &'a [T],
}

impl<'a, T> Rows<'a, T> {
    fn at(&self, row: usize) -> &'a [T] {
        &self.values[self.starts[row] as usize..self.starts[row + 1] as usize]
    }
}

/// One model's two list columns; nothing if they were left on disk.
struct Model<'a>(Option<(Rows<'a, u32>, Rows<'a, f32>)>);

impl<'a> Model<'a> {
    fn new(lists: &'a [Lists], first: usize) -> PolarsResult<Self> {
        let Some([ids, logprobs]) = lists.get(first..first + 2) else { return Ok(Self(None)) };
        let ids = Rows { starts: &ids.starts, values: ids.values.u32()?.cont_slice()? };
        let logprobs = Rows { starts: &logprobs.starts, values: logprobs.values.f32()?.cont_slice()? };
        Ok(Self(Some((ids, logprobs))))
    }

    fn side(&self, row: usize, logprob: f64, rest: f64) -> Side<'a> {
        let lists = self.0.as_ref().map(|(ids, logprobs)| (ids.at(row), logprobs.at(row)));
        let (ids, logprobs) = lists.unwrap_or_default();
        Side { ids, logprobs, logprob, mass: logprob.exp(), rest }
    }
}
