//! Record batches as typed columns.
//!
//! Owns the casts, which the schema check makes safe. Not here: checks of values.

use std::borrow::Cow;

use arrow::array::{Array, ArrowPrimitiveType, AsArray, ListArray, PrimitiveArray, RecordBatch, StringArray};
use arrow::datatypes::{Float32Type, Float64Type, UInt32Type};

use super::report::Kind;
use super::source::Broken;
use crate::schema::{sample, token};

/// A column by name. Its type was compared, so that no file can come here with another.
fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a dyn Array, Broken> {
    batch.column_by_name(name).map(AsRef::as_ref).ok_or_else(|| (Kind::Schema, format!("no column `{name}`")))
}

fn other_type(name: &str) -> Broken {
    (Kind::Schema, format!("column `{name}` has another type"))
}

fn primitive<'a, T: ArrowPrimitiveType>(batch: &'a RecordBatch, name: &str) -> Result<&'a PrimitiveArray<T>, Broken> {
    column(batch, name)?.as_primitive_opt().ok_or_else(|| other_type(name))
}

fn texts<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray, Broken> {
    column(batch, name)?.as_string_opt().ok_or_else(|| other_type(name))
}

fn lists<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ListArray, Broken> {
    column(batch, name)?.as_list_opt().ok_or_else(|| other_type(name))
}

fn get<T: ArrowPrimitiveType>(column: &PrimitiveArray<T>, row: usize) -> Option<T::Native> {
    column.is_valid(row).then(|| column.value(row))
}

fn text(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

/// Columns of the tokens table.
pub(super) struct TokenColumns<'a> {
    sample_id: &'a PrimitiveArray<UInt32Type>,
    position: &'a PrimitiveArray<UInt32Type>,
    token_id: &'a PrimitiveArray<UInt32Type>,
    token: &'a StringArray,
    start: &'a PrimitiveArray<UInt32Type>,
    end: &'a PrimitiveArray<UInt32Type>,
    logit: &'a PrimitiveArray<Float32Type>,
    logprob: &'a PrimitiveArray<Float32Type>,
    rank: &'a PrimitiveArray<UInt32Type>,
    ties: &'a PrimitiveArray<UInt32Type>,
    entropy: &'a PrimitiveArray<Float32Type>,
    top_ids: &'a ListArray,
    top_logprobs: &'a ListArray,
    rest_logprob: &'a PrimitiveArray<Float32Type>,
    min_logprob: &'a PrimitiveArray<Float32Type>,
}

/// A row of the tokens table.
pub(super) struct TokenRow<'a> {
    pub sample_id: Option<u32>,
    pub position: Option<u32>,
    pub token_id: Option<u32>,
    pub token: Option<&'a str>,
    pub span: Option<(u32, u32)>,
    pub logit: Option<f32>,
    pub logprob: Option<f32>,
    pub rank: Option<u32>,
    pub ties: Option<u32>,
    pub entropy: Option<f32>,
    pub top_ids: Cow<'a, [u32]>,
    pub top_logprobs: Cow<'a, [f32]>,
    pub rest_logprob: Option<f32>,
    pub min_logprob: Option<f32>,
}

impl<'a> TokenColumns<'a> {
    pub fn of(batch: &'a RecordBatch) -> Result<Self, Broken> {
        Ok(Self {
            sample_id: primitive(batch, token::SAMPLE_ID)?,
            position: primitive(batch, token::POSITION)?,
            token_id: primitive(batch, token::TOKEN_ID)?,
            token: texts(batch, token::TOKEN)?,
            start: primitive(batch, token::START)?,
            end: primitive(batch, token::END)?,
            logit: primitive(batch, token::LOGIT)?,
            logprob: primitive(batch, token::LOGPROB)?,
            rank: primitive(batch, token::RANK)?,
            ties: primitive(batch, token::TIES)?,
            entropy: primitive(batch, token::ENTROPY)?,
            top_ids: lists(batch, token::TOP_IDS)?,
            top_logprobs: lists(batch, token::TOP_LOGPROBS)?,
            rest_logprob: primitive(batch, token::REST_LOGPROB)?,
            min_logprob: primitive(batch, token::MIN_LOGPROB)?,
        })
    }

    pub fn row(&self, row: usize) -> TokenRow<'a> {
        TokenRow {
            sample_id: get(self.sample_id, row),
            position: get(self.position, row),
            token_id: get(self.token_id, row),
            token: text(self.token, row),
            span: get(self.start, row).zip(get(self.end, row)),
            logit: get(self.logit, row),
            logprob: get(self.logprob, row),
            rank: get(self.rank, row),
            ties: get(self.ties, row),
            entropy: get(self.entropy, row),
            top_ids: items::<UInt32Type>(self.top_ids, row, 0),
            // JSON has no −∞: `null` stands for it.
            top_logprobs: items::<Float32Type>(self.top_logprobs, row, f32::NEG_INFINITY),
            rest_logprob: get(self.rest_logprob, row),
            min_logprob: get(self.min_logprob, row),
        }
    }
}

/// The items of a list, `null` items as given; none of a list that is null.
fn items<T: ArrowPrimitiveType>(lists: &ListArray, row: usize, null: T::Native) -> Cow<'_, [T::Native]> {
    let offsets = lists.value_offsets();
    let range = offsets[row] as usize..offsets[row + 1] as usize;
    let Some(values) = lists.values().as_primitive_opt::<T>().filter(|_| lists.is_valid(row)) else {
        return Cow::Borrowed(&[]);
    };
    if values.null_count() == 0 {
        return Cow::Borrowed(&values.values()[range]);
    }
    range.map(|item| get(values, item).unwrap_or(null)).collect()
}

/// Columns of the samples table.
pub(super) struct SampleColumns<'a> {
    sample_id: &'a PrimitiveArray<UInt32Type>,
    row: &'a PrimitiveArray<UInt32Type>,
    context_hash: &'a StringArray,
    response: &'a StringArray,
    context_tokens: &'a PrimitiveArray<UInt32Type>,
    response_tokens: &'a PrimitiveArray<UInt32Type>,
    mean_logprob: &'a PrimitiveArray<Float64Type>,
    perplexity: &'a PrimitiveArray<Float64Type>,
    status: &'a StringArray,
    reason: &'a StringArray,
}

/// A row of the samples table.
pub(super) struct SampleRow<'a> {
    pub sample_id: Option<u32>,
    pub row: Option<u32>,
    pub context_hash: Option<&'a str>,
    pub response: Option<&'a str>,
    pub context_tokens: Option<u32>,
    pub response_tokens: Option<u32>,
    pub mean_logprob: Option<f64>,
    pub perplexity: Option<f64>,
    pub status: Option<&'a str>,
    pub reason: Option<&'a str>,
}

impl<'a> SampleColumns<'a> {
    pub fn of(batch: &'a RecordBatch) -> Result<Self, Broken> {
        Ok(Self {
            sample_id: primitive(batch, sample::SAMPLE_ID)?,
            row: primitive(batch, sample::ROW)?,
            context_hash: texts(batch, sample::CONTEXT_HASH)?,
            response: texts(batch, sample::RESPONSE)?,
            context_tokens: primitive(batch, sample::CONTEXT_TOKENS)?,
            response_tokens: primitive(batch, sample::RESPONSE_TOKENS)?,
            mean_logprob: primitive(batch, sample::MEAN_LOGPROB)?,
            perplexity: primitive(batch, sample::PERPLEXITY)?,
            status: texts(batch, sample::STATUS)?,
            reason: texts(batch, sample::REASON)?,
        })
    }

    pub fn row(&self, row: usize) -> SampleRow<'a> {
        SampleRow {
            sample_id: get(self.sample_id, row),
            row: get(self.row, row),
            context_hash: text(self.context_hash, row),
            response: text(self.response, row),
            context_tokens: get(self.context_tokens, row),
            response_tokens: get(self.response_tokens, row),
            mean_logprob: get(self.mean_logprob, row),
            perplexity: get(self.perplexity, row),
            status: text(self.status, row),
            reason: text(self.reason, row),
        }
    }
}
