//! The rows of one part's tables as plain columns.
//!
//! Owns reading: which columns, and what null is. Not here: which files (`sets`), and putting models side by side
//! (`part`).

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{ArrowPrimitiveType, DataType, UInt32Type};

use crate::error::{Error, Result};
use crate::schema::{Divergence, pair, sample, token};
use crate::store::ResultFile;
use crate::table::{Columns, PairColumns, Table, TableReader, TokenColumns};

/// Stands for null in columns of ids, ranges and numbers without sign.
pub const UNKNOWN: u32 = u32::MAX;

/// One model's tokens of one part, row by row.
#[derive(Default)]
pub struct TokenRows {
    /// `sample_id` and `position`, ascending.
    pub keys: Vec<(u32, u32)>,
    pub ids: Vec<u32>,
    pub texts: Vec<Option<Box<str>>>,
    /// Byte range in the response.
    pub spans: Vec<(u32, u32)>,
    pub is_end: Vec<bool>,
    pub straddles: Vec<bool>,
    pub scores: Scores,
}

/// One model's scores of tokens; NaN and rank 0 are *unknown*.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    pub logprob: Vec<f32>,
    pub entropy: Vec<f32>,
    pub rank: Vec<u32>,
    /// Where each token's list ends in the two columns below.
    pub list_ends: Vec<usize>,
    pub top_ids: Vec<u32>,
    pub top_logprobs: Vec<f32>,
}

impl Scores {
    /// A token that the model did not score.
    pub fn push_unknown(&mut self) {
        self.logprob.push(f32::NAN);
        self.entropy.push(f32::NAN);
        self.rank.push(0);
        self.list_ends.push(self.top_ids.len());
    }

    /// A copy of another table's token.
    pub fn push(&mut self, other: &Self, row: usize) {
        self.logprob.push(other.logprob[row]);
        self.entropy.push(other.entropy[row]);
        self.rank.push(other.rank[row]);
        let (ids, logprobs) = other.list(row);
        self.top_ids.extend(ids);
        self.top_logprobs.extend(logprobs);
        self.list_ends.push(self.top_ids.len());
    }

    /// A row of a table; a list is as long as the shorter of its two.
    fn add(&mut self, of: &TokenColumns, row: usize) {
        self.logprob.push(of.logprob.get(row).unwrap_or(f32::NAN));
        self.entropy.push(of.entropy.get(row).unwrap_or(f32::NAN));
        self.rank.push(of.rank.get(row).unwrap_or_default());
        let (ids, logprobs) = (of.top_ids.get(row), of.top_logprobs.get(row));
        let length = ids.len().min(logprobs.len());
        self.top_ids.extend(&ids[..length]);
        self.top_logprobs.extend(&logprobs[..length]);
        self.list_ends.push(self.top_ids.len());
    }

    /// The list of most likely tokens at a row: ids and log-probabilities.
    pub fn list(&self, row: usize) -> (&[u32], &[f32]) {
        let start = if row == 0 { 0 } else { self.list_ends[row - 1] };
        let range = start..self.list_ends[row];
        (&self.top_ids[range.clone()], &self.top_logprobs[range])
    }
}

/// A sample of the samples table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SampleRow {
    pub id: u32,
    /// Of the dataset, from 0.
    pub row: u32,
    pub row_id: Option<String>,
    pub turn: u32,
    pub is_cut: bool,
    pub prompt: Option<String>,
    pub response: Option<String>,
    /// Values of the kept fields as text, in their order.
    pub kept: Vec<Option<String>>,
}

/// The rows of a tokens table.
///
/// # Errors
/// [`Error::File`] naming a file that is not such a table.
pub fn tokens(file: &ResultFile) -> Result<TokenRows> {
    const NAMES: [&str; 13] = [
        token::SAMPLE_ID,
        token::POSITION,
        token::TOKEN_ID,
        token::TOKEN,
        token::START,
        token::END,
        token::STRADDLES,
        token::IS_END,
        token::LOGPROB,
        token::RANK,
        token::ENTROPY,
        token::TOP_IDS,
        token::TOP_LOGPROBS,
    ];
    let mut rows = TokenRows::default();
    for batch in TableReader::<TokenColumns>::open(file.open()?)?.columns(&NAMES)? {
        let of = batch?;
        for row in 0..of.rows {
            rows.keys.push((of.sample_id.get(row).unwrap_or(UNKNOWN), of.position.get(row).unwrap_or(UNKNOWN)));
            rows.ids.push(of.token_id.get(row).unwrap_or(UNKNOWN));
            rows.texts.push(of.token.get(row).map(Into::into));
            rows.spans.push((of.start.get(row).unwrap_or(UNKNOWN), of.end.get(row).unwrap_or(UNKNOWN)));
            rows.is_end.push(of.is_end.is_set(row));
            rows.straddles.push(of.straddles.is_set(row));
            rows.scores.add(&of, row);
        }
    }
    Ok(rows)
}

/// The keys of a tokens table.
///
/// # Errors
/// Those of [`tokens`].
pub fn keys(file: &ResultFile) -> Result<Vec<(u32, u32)>> {
    let mut keys = Vec::new();
    for batch in TableReader::<TokenColumns>::open(file.open()?)?.columns(&[token::SAMPLE_ID, token::POSITION])? {
        let of = batch?;
        let key = |row| (of.sample_id.get(row).unwrap_or(UNKNOWN), of.position.get(row).unwrap_or(UNKNOWN));
        keys.extend((0..of.rows).map(key));
    }
    Ok(keys)
}

/// A batch of a samples table, whose kept fields only its manifest knows.
struct SampleBatch(RecordBatch);

impl Columns for SampleBatch {
    const TABLE: Table = Table::Samples;

    fn of(batch: &RecordBatch) -> Result<Self, String> {
        Ok(Self(batch.clone()))
    }
}

impl SampleBatch {
    fn numbers<T: ArrowPrimitiveType>(&self, name: &str) -> Vec<Option<T::Native>> {
        let column = self.0.column_by_name(name).and_then(|column| column.as_primitive_opt::<T>());
        column.map_or_else(|| vec![None; self.0.num_rows()], |column| column.iter().collect())
    }

    /// Of any type, as text.
    fn texts(&self, name: &str) -> Result<Vec<Option<String>>, String> {
        let Some(column) = self.0.column_by_name(name) else { return Ok(vec![None; self.0.num_rows()]) };
        let texts = cast(column, &DataType::Utf8).map_err(|e| format!("column `{name}`: {e}"))?;
        Ok(texts.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect())
    }

    fn flags(&self, name: &str) -> Vec<bool> {
        let column = self.0.column_by_name(name).and_then(|column| column.as_boolean_opt());
        let flags = column.map(|flags| flags.iter().map(|flag| flag == Some(true)).collect());
        flags.unwrap_or_else(|| vec![false; self.0.num_rows()])
    }

    fn rows(&self, kept: &[String]) -> Result<Vec<SampleRow>, String> {
        let u32s = |name| self.numbers::<UInt32Type>(name);
        let (ids, of_rows, turns) = (u32s(sample::SAMPLE_ID), u32s(sample::ROW), u32s(sample::TURN));
        let cut = self.flags(sample::IS_CUT);
        let mut row_ids = self.texts(sample::ROW_ID)?;
        let (mut prompts, mut responses) = (self.texts(sample::PROMPT)?, self.texts(sample::RESPONSE)?);
        let mut fields = kept.iter().map(|name| self.texts(name)).collect::<Result<Vec<_>, _>>()?;
        let row = |i: usize| SampleRow {
            id: ids[i].unwrap_or(UNKNOWN),
            row: of_rows[i].unwrap_or_default(),
            row_id: row_ids[i].take(),
            turn: turns[i].unwrap_or_default(),
            is_cut: cut[i],
            prompt: prompts[i].take(),
            response: responses[i].take(),
            kept: fields.iter_mut().map(|field| field[i].take()).collect(),
        };
        Ok((0..self.0.num_rows()).map(row).collect())
    }
}

/// The rows of a samples table, with the fields `kept`.
///
/// # Errors
/// Those of [`tokens`].
pub fn samples(file: &ResultFile, kept: &[String]) -> Result<Vec<SampleRow>> {
    let mut names = vec![sample::SAMPLE_ID, sample::ROW, sample::ROW_ID, sample::TURN, sample::IS_CUT];
    names.extend([sample::PROMPT, sample::RESPONSE]);
    names.extend(kept.iter().map(String::as_str));
    let mut rows = Vec::new();
    for batch in TableReader::<SampleBatch>::open(file.open()?)?.columns(&names)? {
        rows.extend(batch?.rows(kept).map_err(|what| Error::file(file, what))?);
    }
    Ok(rows)
}

/// The ids of a samples table.
///
/// # Errors
/// Those of [`tokens`].
pub fn sample_ids(file: &ResultFile) -> Result<Vec<u32>> {
    let mut ids = Vec::new();
    for batch in TableReader::<SampleBatch>::open(file.open()?)?.columns(&[sample::SAMPLE_ID])? {
        ids.extend(batch?.numbers::<UInt32Type>(sample::SAMPLE_ID).into_iter().flatten());
    }
    Ok(ids)
}

/// Keys and KL(P‖Q) of the rows of a pairs table, which are its values of the divergence `of`.
///
/// # Errors
/// Those of [`tokens`].
pub fn exact((file, of): &(ResultFile, Divergence)) -> Result<Vec<((u32, u32), f64)>> {
    let mut rows = Vec::new();
    for batch in
        TableReader::<PairColumns>::open(file.open()?)?.columns(&[pair::SAMPLE_ID, pair::POSITION, of.column()])?
    {
        let batch = batch?;
        let kl = &batch.divergences[*of as usize];
        let key = |row| (batch.sample_id.get(row).unwrap_or(UNKNOWN), batch.position.get(row).unwrap_or(UNKNOWN));
        rows.extend((0..batch.rows).map(|row| (key(row), kl.get(row).unwrap_or(f64::NAN))));
    }
    Ok(rows)
}
