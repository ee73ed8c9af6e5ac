//! A batch of one table's rows as typed columns.
//!
//! Owns the step from a file's batches to values, null or not. Not here: joining (`merge`).

use std::path::Path;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, ListArray, PrimitiveArray, RecordBatch, StringArray,
    UInt32Array,
};
use arrow::compute::cast;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, Float32Type, Float64Type, UInt32Type};

use crate::error::{Error, Result};
use crate::schema::{Divergence, LIST_ITEM, token};
use crate::shift::numbers::spans::Piece;
use crate::shift::token::seen::{Divergences, Seen};

/// Columns that were read; all others are `None`, and their content is unknown.
#[derive(Debug)]
pub struct Columns {
    pub sample_id: UInt32Array,
    pub position: UInt32Array,
    token_id: Option<UInt32Array>,
    start: Option<UInt32Array>,
    end: Option<UInt32Array>,
    straddles: Option<BooleanArray>,
    text: Option<StringArray>,
    is_end: Option<BooleanArray>,
    logprob: Option<PrimitiveArray<Float32Type>>,
    rank: Option<UInt32Array>,
    entropy: Option<PrimitiveArray<Float32Type>>,
    rest: Option<PrimitiveArray<Float32Type>>,
    min: Option<PrimitiveArray<Float32Type>>,
    top_ids: Option<ListArray>,
    top_logprobs: Option<ListArray>,
    divergences: [Option<Float64Array>; Divergence::ALL.len()],
}

impl Columns {
    /// # Errors
    /// A column of another type than the schema's, or a key that is null; `path` is named.
    pub fn new(path: &Path, batch: &RecordBatch) -> Result<Self> {
        let key = |name| {
            let column = primitive::<UInt32Type>(path, batch, name)?;
            let complete = column.filter(|column| column.null_count() == 0);
            complete.ok_or_else(|| Error::file(path, format!("rows without a `{name}`")))
        };
        let floats = |name| primitive::<Float32Type>(path, batch, name);
        let text = Ok(batch.column_by_name(token::TOKEN)).and_then(|column| as_type(path, column, &DataType::Utf8));
        let mut divergences = [const { None }; Divergence::ALL.len()];
        for divergence in Divergence::ALL {
            divergences[divergence as usize] = primitive::<Float64Type>(path, batch, divergence.column())?;
        }
        Ok(Self {
            sample_id: key(token::SAMPLE_ID)?,
            position: key(token::POSITION)?,
            token_id: primitive(path, batch, token::TOKEN_ID)?,
            start: primitive(path, batch, token::START)?,
            end: primitive(path, batch, token::END)?,
            straddles: flags(batch, token::STRADDLES),
            text: text?.map(|text| text.as_string::<i32>().clone()),
            is_end: flags(batch, token::IS_END),
            logprob: floats(token::LOGPROB)?,
            rank: primitive(path, batch, token::RANK)?,
            entropy: floats(token::ENTROPY)?,
            rest: floats(token::REST_LOGPROB)?,
            min: floats(token::MIN_LOGPROB)?,
            top_ids: list(path, batch, token::TOP_IDS, DataType::UInt32)?,
            top_logprobs: list(path, batch, token::TOP_LOGPROBS, DataType::Float32)?,
            divergences,
        })
    }

    pub fn len(&self) -> usize {
        self.sample_id.len()
    }

    /// What identifies a row, and the order of every table.
    pub fn key(&self, row: usize) -> (u32, u32) {
        (self.sample_id.value(row), self.position.value(row))
    }

    #[inline]
    pub fn seen(&self, row: usize) -> Seen {
        let logprob = at(self.logprob.as_ref(), row).map(f64::from);
        Seen {
            token_id: at(self.token_id.as_ref(), row),
            is_end: is_set(self.is_end.as_ref(), row),
            logprob,
            probability: logprob.map(f64::exp),
            rank: at(self.rank.as_ref(), row),
            entropy: at(self.entropy.as_ref(), row).map(f64::from),
            top_id: self.top_ids(row).first().copied(),
        }
    }

    /// The token's place in its text; `None` if it is unknown.
    pub fn piece(&self, row: usize) -> Option<Piece> {
        Some(Piece {
            start: at(self.start.as_ref(), row)?,
            end: at(self.end.as_ref(), row)?,
            logprob: at(self.logprob.as_ref(), row).map(f64::from),
            straddles: is_set(self.straddles.as_ref(), row),
        })
    }

    pub fn text(&self, row: usize) -> Option<&str> {
        self.text.as_ref().filter(|texts| texts.is_valid(row)).map(|texts| texts.value(row))
    }

    pub fn top_ids(&self, row: usize) -> &[u32] {
        items::<UInt32Type>(self.top_ids.as_ref(), row)
    }

    pub fn top_logprobs(&self, row: usize) -> &[f32] {
        items::<Float32Type>(self.top_logprobs.as_ref(), row)
    }

    /// Logarithm of the mass outside the list and the token; NaN if unknown.
    pub fn rest(&self, row: usize) -> f64 {
        at(self.rest.as_ref(), row).map_or(f64::NAN, f64::from)
    }

    /// Logarithm of the smallest probability; NaN if unknown.
    pub fn min(&self, row: usize) -> f64 {
        at(self.min.as_ref(), row).map_or(f64::NAN, f64::from)
    }

    /// Of a pairs table.
    pub fn divergences(&self, row: usize) -> Divergences {
        Divergences::new(|divergence| at(self.divergences[divergence as usize].as_ref(), row))
    }
}

fn flags(batch: &RecordBatch, name: &str) -> Option<BooleanArray> {
    batch.column_by_name(name).and_then(|column| column.as_boolean_opt()).cloned()
}

fn is_set(flags: Option<&BooleanArray>, row: usize) -> bool {
    flags.is_some_and(|flags| flags.is_valid(row) && flags.value(row))
}

fn at<T: ArrowPrimitiveType>(column: Option<&PrimitiveArray<T>>, row: usize) -> Option<T::Native> {
    column.filter(|column| column.is_valid(row)).map(|column| column.value(row))
}

/// A row's list; empty if it was not read.
fn items<T: ArrowPrimitiveType>(lists: Option<&ListArray>, row: usize) -> &[T::Native] {
    let Some(lists) = lists else { return &[] };
    let range = lists.value_offsets()[row] as usize..lists.value_offsets()[row + 1] as usize;
    &lists.values().as_primitive::<T>().values()[range]
}

fn primitive<T: ArrowPrimitiveType>(path: &Path, batch: &RecordBatch, name: &str) -> Result<Option<PrimitiveArray<T>>> {
    let column = as_type(path, batch.column_by_name(name), &T::DATA_TYPE)?;
    Ok(column.map(|column| column.as_primitive::<T>().clone()))
}

fn list(path: &Path, batch: &RecordBatch, name: &str, item: DataType) -> Result<Option<ListArray>> {
    // Whatever a program that wrote the table again calls its items.
    let wanted = DataType::List(Field::new(LIST_ITEM, item, true).into());
    let column = as_type(path, batch.column_by_name(name), &wanted)?;
    Ok(column.map(|column| column.as_list::<i32>().clone()))
}

/// Programs that write a table again choose among the types of texts and lists.
fn as_type(path: &Path, column: Option<&ArrayRef>, wanted: &DataType) -> Result<Option<ArrayRef>> {
    let Some(column) = column else { return Ok(None) };
    if column.data_type() == wanted {
        return Ok(Some(column.clone()));
    }
    cast(column, wanted).map(Some).map_err(|e| Error::file(path, e.to_string()))
}
