//! From scored samples to record batches of the tables, and back to the values of a row.
//!
//! Owns the content of each column and when it is null. Not here: file formats (`encode`, `reader`) and paths
//! (`store`).

mod check;
mod columns;
mod decode;
mod encode;
mod origin;
mod reader;
mod schema_check;
mod scored;
mod seal;
mod vocabulary;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float32Array, Float64Array, ListArray, RecordBatch, StringArray,
    UInt32Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, UInt32Type};
use arrow::error::ArrowError;

pub use columns::{Columns, Flags, Lists, Numbers, PairColumns, SampleColumns, Texts, TokenColumns};
pub use decode::{footer, has_kept, samples, schema, statuses};
pub use encode::{EXTENSION, Table, write};
pub use origin::{Origin, as_scored, parted_from};
pub use reader::{Rows, TableReader};
pub use scored::ScoredSample;
pub use seal::{is_sealed, recorded, seal};
pub use vocabulary::{vocabulary_batch, vocabulary_texts};

use check::check;

use crate::error::Result;
use crate::sample::{Kept, ResponseToken, Sample, Status};
use crate::schema::{self, KeptField, KeptType};
use crate::scores::TokenScores;
use crate::tokenize::token_text;

/// A row of the tokens table before it is split into columns.
struct TokenRow<'a> {
    sample: &'a Sample,
    position: u32,
    token: &'a ResponseToken,
    /// The scores of its sample and its place in them; `None` for a token without any context.
    scores: Option<(&'a TokenScores, usize)>,
}

impl TokenRow<'_> {
    /// The token's value in a column of the scores, if it has one and the engine fills it.
    fn value<T: Copy>(&self, column: impl Fn(&TokenScores) -> &Vec<T>) -> Option<T> {
        let (scores, index) = self.scores?;
        column(scores).get(index).copied()
    }

    /// The token's entries in a list column.
    fn list<T>(&self, column: impl Fn(&TokenScores) -> &Vec<T>) -> &[T] {
        self.scores.and_then(|(scores, index)| column(scores).get(scores.list(index))).unwrap_or_default()
    }

    /// The token's bytes in the response, if its text is known; that of a recorded token without numbers is not.
    fn span(&self) -> Option<(u32, u32)> {
        let is_known = self.sample.recorded.is_none_or(|recorded| recorded.text && self.scores.is_some());
        is_known.then_some((self.token.start, self.token.end))
    }

    /// A flag that tokenising decides.
    fn flag(&self, flag: bool) -> Option<bool> {
        self.sample.recorded.is_none().then_some(flag)
    }
}

/// Rows of the tokens table: every response token of the scored samples, in (`sample_id`, `position`) order. A token
/// without any context is a row without numbers, so that ranges still cover the response.
///
/// # Errors
/// None but a bug's: samples out of order, scores that do not fit their sample or are NaN.
pub fn tokens_batch(samples: &[ScoredSample]) -> Result<RecordBatch> {
    check(samples)?;
    let rows: Vec<TokenRow> = samples.iter().flat_map(token_rows).collect();
    let u32s =
        |f: &dyn Fn(&TokenRow) -> Option<u32>| -> ArrayRef { Arc::new(rows.iter().map(f).collect::<UInt32Array>()) };
    let bools =
        |f: &dyn Fn(&TokenRow) -> Option<bool>| -> ArrayRef { Arc::new(rows.iter().map(f).collect::<BooleanArray>()) };
    let f32s = |f: fn(&TokenScores) -> &Vec<f32>| -> ArrayRef {
        Arc::new(rows.iter().map(|row| row.value(f)).collect::<Float32Array>())
    };
    let counts = |f: fn(&TokenScores) -> &Vec<u32>| -> ArrayRef {
        Arc::new(rows.iter().map(|row| row.value(f)).collect::<UInt32Array>())
    };
    let texts = rows.iter().map(|row| row.span().map(|(start, end)| token_text(&row.sample.response, start, end)));
    let columns: Vec<ArrayRef> = vec![
        u32s(&|row| Some(row.sample.sample_id)),
        u32s(&|row| Some(row.position)),
        u32s(&|row| row.sample.ids.get(row.token.index as usize).copied()),
        Arc::new(texts.collect::<StringArray>()),
        u32s(&|row| row.span().map(|(start, _)| start)),
        u32s(&|row| row.span().map(|(_, end)| end)),
        bools(&|row| row.flag(row.token.straddles)),
        bools(&|row| row.flag(row.token.is_end)),
        f32s(|s| &s.logit),
        f32s(|s| &s.logprob),
        counts(|s| &s.rank),
        counts(|s| &s.ties),
        f32s(|s| &s.entropy),
        Arc::new(lists(&rows, DataType::UInt32, |row| row.list(|s| &s.top_ids), UInt32Array::from)?),
        Arc::new(lists(&rows, DataType::Float32, |row| row.list(|s| &s.top_logprobs), Float32Array::from)?),
        f32s(|s| &s.rest_logprob),
        f32s(|s| &s.min_logprob),
    ];
    Ok(RecordBatch::try_new(schema::tokens(), columns)?)
}

fn token_rows(scored: &ScoredSample) -> impl Iterator<Item = TokenRow<'_>> {
    let sample = &scored.sample;
    let tokens = if scored.scores.is_some() { sample.tokens.as_slice() } else { &[] };
    // Only the first response token can have nothing before it; the others follow its place.
    let skipped = tokens.len().saturating_sub(sample.scored_tokens().count());
    tokens.iter().enumerate().map(move |(position, token)| TokenRow {
        sample,
        position: position as u32,
        token,
        scores: scored.scores.as_ref().zip(position.checked_sub(skipped)),
    })
}

fn lists<'a, T: Clone + 'a, A: Array + 'static>(
    rows: &'a [TokenRow<'a>],
    item: DataType,
    list: impl Fn(&'a TokenRow<'a>) -> &'a [T],
    values: impl Fn(Vec<T>) -> A,
) -> Result<ListArray> {
    let field = Arc::new(Field::new(schema::LIST_ITEM, item, false));
    let offsets = OffsetBuffer::try_from_lengths(rows.iter().map(|row| list(row).len()))
        .map_err(|e| ArrowError::InvalidArgumentError(format!("a part's lists are too long: {e}")))?;
    let values = values(rows.iter().flat_map(|row| list(row).iter().cloned()).collect());
    Ok(ListArray::try_new(field, offsets, Arc::new(values), None)?)
}

/// Rows of the samples table, one a sample, unscored ones included, with the dataset's kept fields.
///
/// # Errors
/// As [`tokens_batch`].
pub fn samples_batch(samples: &[ScoredSample], kept: &[KeptField]) -> Result<RecordBatch> {
    check(samples)?;
    let u32s = |f: &dyn Fn(&Sample) -> Option<u32>| -> ArrayRef {
        Arc::new(samples.iter().map(|s| f(&s.sample)).collect::<UInt32Array>())
    };
    let texts = |f: &dyn Fn(&Sample) -> Option<String>| -> ArrayRef {
        Arc::new(samples.iter().map(|s| f(&s.sample)).collect::<StringArray>())
    };
    let f64s = |f: &dyn Fn(f64) -> f64| -> ArrayRef {
        Arc::new(samples.iter().map(|s| mean_logprob(s).map(f)).collect::<Float64Array>())
    };
    // Ids that tokenising never gave and texts of a row that could not be read are unknown, not empty.
    let known = Sample::has_context;
    let read = |s: &Sample| s.status != Status::Failed || known(s) || !(s.prompt.is_empty() && s.response.is_empty());
    let tokenised = |s: &Sample| s.recorded.is_none();
    let mut columns: Vec<ArrayRef> = vec![
        u32s(&|s| Some(s.sample_id)),
        texts(&|s| s.row_id.clone()),
        u32s(&|s| Some(s.row)),
        u32s(&|s| Some(s.turn)),
        Arc::new(samples.iter().map(|s| s.sample.is_cut).collect::<BooleanArray>()),
        texts(&|s| Some(s.cluster_id.clone())),
        texts(&|s| known(s).then(|| s.context_hash())),
        texts(&|s| (read(s) && tokenised(s)).then(|| s.prompt.clone())),
        texts(&|s| (read(s) && s.recorded.is_none_or(|recorded| recorded.text)).then(|| s.response.clone())),
        u32s(&|s| known(s).then(|| s.context().len() as u32)),
        u32s(&|s| Some(s.tokens.len() as u32)),
        u32s(&|s| (known(s) && tokenised(s)).then_some(s.prompt_tokens_alone)),
        f64s(&|mean| mean),
        f64s(&|mean| (-mean).exp()),
        texts(&|s| Some(s.status.as_str().to_owned())),
        texts(&|s| s.reason.clone()),
    ];
    let values = samples.iter().map(|scored| scored.sample.kept.as_slice());
    columns.extend(kept.iter().enumerate().map(|(index, field)| kept_column(values.clone(), index, field.kind)));
    Ok(RecordBatch::try_new(schema::samples(kept), columns)?)
}

/// The same samples table with these kept fields, of which `values` has one list per sample.
///
/// # Errors
/// A table that lacks one of its own columns.
pub fn with_kept(batch: &RecordBatch, kept: &[KeptField], values: &[Vec<Kept>]) -> Result<RecordBatch> {
    let own = schema::samples(&[]);
    let own = own.fields().iter().map(|field| batch.column_by_name(field.name()).cloned());
    let own: Option<Vec<ArrayRef>> = own.collect();
    let mut columns = own.ok_or_else(|| ArrowError::SchemaError("a samples table lacks a column".to_owned()))?;
    let values = values.iter().map(Vec::as_slice);
    columns.extend(kept.iter().enumerate().map(|(index, field)| kept_column(values.clone(), index, field.kind)));
    Ok(RecordBatch::try_new(schema::samples(kept), columns)?)
}

/// Row and turn of each sample of a samples table.
pub fn places(batch: &RecordBatch) -> Option<Vec<(u32, u32)>> {
    let numbers = |name| Some(batch.column_by_name(name)?.as_primitive_opt::<UInt32Type>()?.values().to_vec());
    Some(numbers(schema::sample::ROW)?.into_iter().zip(numbers(schema::sample::TURN)?).collect())
}

/// Mean log-probability of the scored tokens in f64; `None` without any.
fn mean_logprob(scored: &ScoredSample) -> Option<f64> {
    let logprobs = &scored.scores.as_ref()?.logprob;
    let sum: f64 = logprobs.iter().map(|&x| f64::from(x)).sum();
    (!logprobs.is_empty()).then(|| sum / logprobs.len() as f64)
}

fn kept_column<'k>(samples: impl Iterator<Item = &'k [Kept]>, index: usize, kind: KeptType) -> ArrayRef {
    // A row that could not be read has no kept values.
    let values = samples.map(|kept| kept.get(index).unwrap_or(&Kept::Null));
    match kind {
        KeptType::Bool => {
            let bools = values.map(|value| if let Kept::Bool(x) = value { Some(*x) } else { None });
            Arc::new(bools.collect::<BooleanArray>())
        }
        KeptType::Number => {
            let numbers = values.map(|value| if let Kept::Number(x) = value { Some(*x) } else { None });
            Arc::new(numbers.collect::<Float64Array>())
        }
        KeptType::Text => {
            let texts = values.map(|value| match value {
                Kept::Null => None,
                Kept::Bool(x) => Some(x.to_string()),
                Kept::Number(x) => Some(x.to_string()),
                Kept::Text(x) => Some(x.clone()),
            });
            Arc::new(texts.collect::<StringArray>())
        }
    }
}

#[cfg(test)]
mod tests;
