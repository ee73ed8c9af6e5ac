//! Batches of a table's rows as typed columns.
//!
//! Owns the step from columns of record batches to the value of a row, and that a column which a file lacks has no value
//! in any row. Not here: which files have which columns (`schema_check`).

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, PrimitiveArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, Float32Type, Float64Type, UInt32Type};

use super::Table;
use crate::schema::{Divergence, LIST_ITEM, pair, sample, token};

/// One table's columns. One that was not read, or that the file lacks, has no value in any row.
pub trait Columns: Sized {
    /// Whose columns they are.
    const TABLE: Table;

    /// The columns of a batch.
    ///
    /// # Errors
    /// The column that has another type, or lists with unknown items.
    fn of(batch: &RecordBatch) -> Result<Self, String>;
}

/// A column of numbers.
#[derive(Debug)]
pub struct Numbers<T: ArrowPrimitiveType>(Option<PrimitiveArray<T>>);

/// A column of truth values.
#[derive(Debug)]
pub struct Flags(Option<BooleanArray>);

/// A column of texts.
#[derive(Debug)]
pub struct Texts(Option<StringArray>);

/// A column of lists of numbers.
#[derive(Debug)]
pub struct Lists<T: ArrowPrimitiveType>(Option<(ListArray, PrimitiveArray<T>)>);

impl<T: ArrowPrimitiveType> Numbers<T> {
    /// The value of a row; `None` if it is null.
    #[inline]
    pub fn get(&self, row: usize) -> Option<T::Native> {
        self.0.as_ref().filter(|column| column.is_valid(row)).map(|column| column.value(row))
    }

    /// The whole column, unless it was not read.
    pub fn array(&self) -> Option<&PrimitiveArray<T>> {
        self.0.as_ref()
    }
}

impl Flags {
    /// Whether a row has the value true; null is not.
    #[inline]
    pub fn is_set(&self, row: usize) -> bool {
        self.0.as_ref().is_some_and(|column| column.is_valid(row) && column.value(row))
    }
}

impl Texts {
    /// The text of a row; `None` if it is null.
    #[inline]
    pub fn get(&self, row: usize) -> Option<&str> {
        self.0.as_ref().filter(|column| column.is_valid(row)).map(|column| column.value(row))
    }
}

impl<T: ArrowPrimitiveType> Lists<T> {
    /// The list of a row; empty if it is null.
    #[inline]
    pub fn get(&self, row: usize) -> &[T::Native] {
        let Some((lists, items)) = self.0.as_ref().filter(|(lists, _)| lists.is_valid(row)) else { return &[] };
        let offsets = lists.value_offsets();
        &items.values()[offsets[row] as usize..offsets[row + 1] as usize]
    }
}

/// Columns of a tokens table; `schema::token` describes them.
#[derive(Debug)]
#[expect(missing_docs, reason = "each is the column of its name")]
pub struct TokenColumns {
    /// Rows of the batch.
    pub rows: usize,
    pub sample_id: Numbers<UInt32Type>,
    pub position: Numbers<UInt32Type>,
    pub token_id: Numbers<UInt32Type>,
    pub token: Texts,
    pub start: Numbers<UInt32Type>,
    pub end: Numbers<UInt32Type>,
    pub straddles: Flags,
    pub is_end: Flags,
    pub logit: Numbers<Float32Type>,
    pub logprob: Numbers<Float32Type>,
    pub rank: Numbers<UInt32Type>,
    pub ties: Numbers<UInt32Type>,
    pub entropy: Numbers<Float32Type>,
    pub top_ids: Lists<UInt32Type>,
    pub top_logprobs: Lists<Float32Type>,
    pub rest_logprob: Numbers<Float32Type>,
    pub min_logprob: Numbers<Float32Type>,
}

impl Columns for TokenColumns {
    const TABLE: Table = Table::Tokens;

    fn of(batch: &RecordBatch) -> Result<Self, String> {
        Ok(Self {
            rows: batch.num_rows(),
            sample_id: numbers(batch, token::SAMPLE_ID)?,
            position: numbers(batch, token::POSITION)?,
            token_id: numbers(batch, token::TOKEN_ID)?,
            token: texts(batch, token::TOKEN)?,
            start: numbers(batch, token::START)?,
            end: numbers(batch, token::END)?,
            straddles: flags(batch, token::STRADDLES)?,
            is_end: flags(batch, token::IS_END)?,
            logit: numbers(batch, token::LOGIT)?,
            logprob: numbers(batch, token::LOGPROB)?,
            rank: numbers(batch, token::RANK)?,
            ties: numbers(batch, token::TIES)?,
            entropy: numbers(batch, token::ENTROPY)?,
            top_ids: lists(batch, token::TOP_IDS)?,
            top_logprobs: lists(batch, token::TOP_LOGPROBS)?,
            rest_logprob: numbers(batch, token::REST_LOGPROB)?,
            min_logprob: numbers(batch, token::MIN_LOGPROB)?,
        })
    }
}

/// The columns of a samples table that are read row by row; `schema::sample` describes them.
#[derive(Debug)]
#[expect(missing_docs, reason = "each is the column of its name")]
pub struct SampleColumns {
    /// Rows of the batch.
    pub rows: usize,
    pub sample_id: Numbers<UInt32Type>,
    pub row: Numbers<UInt32Type>,
    pub context_hash: Texts,
    pub prompt: Texts,
    pub response: Texts,
    pub context_tokens: Numbers<UInt32Type>,
    pub response_tokens: Numbers<UInt32Type>,
    pub prompt_tokens_alone: Numbers<UInt32Type>,
    pub mean_logprob: Numbers<Float64Type>,
    pub perplexity: Numbers<Float64Type>,
    pub status: Texts,
    pub reason: Texts,
}

impl Columns for SampleColumns {
    const TABLE: Table = Table::Samples;

    fn of(batch: &RecordBatch) -> Result<Self, String> {
        Ok(Self {
            rows: batch.num_rows(),
            sample_id: numbers(batch, sample::SAMPLE_ID)?,
            row: numbers(batch, sample::ROW)?,
            context_hash: texts(batch, sample::CONTEXT_HASH)?,
            prompt: texts(batch, sample::PROMPT)?,
            response: texts(batch, sample::RESPONSE)?,
            context_tokens: numbers(batch, sample::CONTEXT_TOKENS)?,
            response_tokens: numbers(batch, sample::RESPONSE_TOKENS)?,
            prompt_tokens_alone: numbers(batch, sample::PROMPT_TOKENS_ALONE)?,
            mean_logprob: numbers(batch, sample::MEAN_LOGPROB)?,
            perplexity: numbers(batch, sample::PERPLEXITY)?,
            status: texts(batch, sample::STATUS)?,
            reason: texts(batch, sample::REASON)?,
        })
    }
}

/// The columns of a pairs table that are read row by row; `schema::pair` describes them.
#[derive(Debug)]
#[expect(missing_docs, reason = "each is the column of its name")]
pub struct PairColumns {
    /// Rows of the batch.
    pub rows: usize,
    pub sample_id: Numbers<UInt32Type>,
    pub position: Numbers<UInt32Type>,
    pub token_id: Numbers<UInt32Type>,
    /// In the order of [`Divergence::ALL`].
    pub divergences: [Numbers<Float64Type>; Divergence::ALL.len()],
}

impl Columns for PairColumns {
    const TABLE: Table = Table::Pairs;

    fn of(batch: &RecordBatch) -> Result<Self, String> {
        let mut divergences = [const { Numbers(None) }; Divergence::ALL.len()];
        for divergence in Divergence::ALL {
            divergences[divergence as usize] = numbers(batch, divergence.column())?;
        }
        Ok(Self {
            rows: batch.num_rows(),
            sample_id: numbers(batch, pair::SAMPLE_ID)?,
            position: numbers(batch, pair::POSITION)?,
            token_id: numbers(batch, pair::TOKEN_ID)?,
            divergences,
        })
    }
}

fn numbers<T: ArrowPrimitiveType>(batch: &RecordBatch, name: &str) -> Result<Numbers<T>, String> {
    Ok(Numbers(column(batch, name, &T::DATA_TYPE)?.map(|column| column.as_primitive::<T>().clone())))
}

fn flags(batch: &RecordBatch, name: &str) -> Result<Flags, String> {
    Ok(Flags(column(batch, name, &DataType::Boolean)?.map(|column| column.as_boolean().clone())))
}

fn texts(batch: &RecordBatch, name: &str) -> Result<Texts, String> {
    Ok(Texts(column(batch, name, &DataType::Utf8)?.map(|column| column.as_string::<i32>().clone())))
}

fn lists<T: ArrowPrimitiveType>(batch: &RecordBatch, name: &str) -> Result<Lists<T>, String> {
    let is_it = |found: &DataType| matches!(found, DataType::List(item) if *item.data_type() == T::DATA_TYPE);
    // Whatever a program that wrote the table again calls its items.
    let wanted = DataType::List(Field::new(LIST_ITEM, T::DATA_TYPE, true).into());
    let column = match batch.column_by_name(name).filter(|column| is_it(column.data_type())) {
        Some(column) => Some(column.clone()),
        None => column(batch, name, &wanted)?,
    };
    let Some(column) = column else { return Ok(Lists(None)) };
    let lists = column.as_list::<i32>().clone();
    let items = lists.values().as_primitive::<T>().clone();
    if items.null_count() > 0 {
        return Err(format!("column `{name}` has lists with unknown items"));
    }
    Ok(Lists(Some((lists, items))))
}

/// A column as `wanted`: programs that write a table again choose among the types of texts and lists.
fn column(batch: &RecordBatch, name: &str, wanted: &DataType) -> Result<Option<ArrayRef>, String> {
    let Some(column) = batch.column_by_name(name) else { return Ok(None) };
    if column.data_type() == wanted {
        return Ok(Some(column.clone()));
    }
    cast(column, wanted).map(Some).map_err(|e| format!("column `{name}`: {e}"))
}
