//! Token losses of the study as tables.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Float64Array, RecordBatch, StringArray, UInt32Array, new_null_array};
use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Deserializer};

use super::rules::{ENGINE, SUFFIX};
use crate::dataset::{self, PART_ROWS, Part};
use crate::error::{Error, Result};
use crate::sample::Status;
use crate::schema::{self, sample, token};
use crate::store::{Cell, DatasetFacts, EngineFacts, Manifest, ReferenceFacts, Store, TokenFacts};
use crate::table::Format;
use crate::{digest, python_json, stand_in};

/// Stands in a manifest where the study's files do not say.
const UNKNOWN: &str = "unknown";
/// The study's ranks are vLLM's.
const RANK_RULE: &str = "vllm: 1 + count(>=) or place in its top-k";

/// The file, as the study's script writes it.
#[derive(Deserialize)]
struct TokenLosses {
    model: String,
    dataset: String,
    /// One per row; null for a row without input, output or answer.
    results: Vec<Option<Outcome>>,
}

#[derive(Deserialize)]
struct Outcome {
    #[serde(default)]
    token_losses: Vec<TokenLoss>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct TokenLoss {
    #[serde(deserialize_with = "number")]
    loss: f64,
    token: Option<String>,
    rank: Option<u32>,
}

/// A number, or one of the words that Python writes for what is none.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Finite(f64),
        Word(String),
    }
    match Number::deserialize(deserializer)? {
        Number::Finite(x) => Ok(x),
        Number::Word(word) => word.parse().map_err(|_| serde::de::Error::custom(format!("`{word}` is no number"))),
    }
}

/// Reads one file of the study into `store`, under the names that the file gives; an import of the same file again
/// changes nothing.
///
/// Every token found is kept, at positions from 1: the study left out the first response token.
///
/// # Errors
/// A file that cannot be read or is not the study's, or one that contradicts tables which are there.
pub fn import(path: &Path, store: &Store) -> Result<Cell> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    // Of what is read here: the file may be another a moment later.
    let hash = digest::bytes(&bytes);
    stand_in::refuse(path, &bytes)?;
    let text = String::from_utf8(bytes).map_err(|e| Error::file(path, e.to_string()))?;
    let quoted = python_json::replace_words(&text, |word| format!("\"{word}\""));
    let losses: TokenLosses =
        serde_json::from_str(&quoted).map_err(|e| Error::file(path, format!("not a token-loss file: {e}")))?;
    if losses.results.is_empty() {
        return Err(Error::file(path, "its `results` are empty"));
    }
    let cell = names(path, &losses)?;
    let manifest = manifest(hash, &cell, &losses);
    let writer = store.cell(&cell, &manifest, Format::Parquet)?;
    for (part, rows) in (0..).zip(losses.results.chunks(PART_ROWS as usize)) {
        if writer.is_done(part) {
            continue;
        }
        let first = part * PART_ROWS;
        let mut part = writer.begin(part)?;
        part.write(&samples(first, rows)?, &tokens(first, rows)?)?;
        part.commit()?;
    }
    Ok(cell)
}

/// Generation model and task from the dataset's name; the model from the file's, else from its path.
fn names(path: &Path, losses: &TokenLosses) -> Result<Cell> {
    let dataset = Path::new(&losses.dataset);
    let (generation_model, task) = dataset::names_from_path(dataset, &[])
        .ok_or_else(|| Error::file(path, format!("its dataset `{}` is not called GEN_task.jsonl", losses.dataset)))?;
    let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let ending = format!("_{generation_model}_{task}{SUFFIX}");
    let from_file = file.strip_suffix(&ending).filter(|name| !name.is_empty());
    let from_path = losses.model.rsplit('/').next().unwrap_or_default();
    Ok(Cell::new(generation_model, task, from_file.unwrap_or(from_path)))
}

fn manifest(hash: String, cell: &Cell, losses: &TokenLosses) -> Manifest {
    let rows = losses.results.len() as u32;
    Manifest {
        format_version: schema::FORMAT_VERSION,
        generation_model: cell.set.generation_model.clone(),
        task: cell.set.task.clone(),
        model: cell.model.clone(),
        out: Format::Parquet.extension().to_owned(),
        dataset: dataset_of(rows),
        tokens: TokenFacts {
            tokenizer: unknown(),
            vocabulary: None,
            bos: None,
            boundary: unknown(),
            end: None,
            max_tokens: 0,
            too_long: unknown(),
            chat_template: None,
            chat_template_kwargs: None,
        },
        engine: EngineFacts {
            name: ENGINE.to_owned(),
            files: BTreeMap::from([("token_losses.json".to_owned(), hash)]),
            dtype: unknown(),
            device: unknown(),
            arithmetic: None,
            top_k: 0,
            vocab: None,
            vocabulary: None,
            other_texts: Vec::new(),
            chat_template: None,
            tokenizer: None,
            rank_rule: RANK_RULE.to_owned(),
            keep_hidden: None,
        },
        reference: ReferenceFacts::default(),
        begun_as: None,
        hash_of_earlier: None,
        parts: parts(rows),
    }
}

fn unknown() -> String {
    UNKNOWN.to_owned()
}

/// A row is a sample.
fn dataset_of(rows: u32) -> DatasetFacts {
    DatasetFacts {
        blake3: unknown(),
        rows,
        samples: rows,
        limit: None,
        window: None,
        fields: Vec::new(),
        cluster: None,
        keep_fields: Vec::new(),
    }
}

fn parts(rows: u32) -> Vec<Part> {
    let part = |first: u32| {
        let rows = PART_ROWS.min(rows - first);
        Part { first_row: first, rows, first_sample: first, samples: rows, offset: 0, bytes: 0, first_line: 0 }
    };
    (0..rows).step_by(PART_ROWS as usize).map(part).collect()
}

/// A null row had nothing to score; one with an error, or without tokens, failed.
fn status(row: Option<&Outcome>) -> Status {
    match row {
        None => Status::Empty,
        row if is_scored(row) => Status::Ok,
        Some(_) => Status::Failed,
    }
}

fn is_scored(row: Option<&Outcome>) -> bool {
    row.is_some_and(|outcome| outcome.error.is_none() && !outcome.token_losses.is_empty())
}

fn samples(first: u32, rows: &[Option<Outcome>]) -> Result<RecordBatch> {
    let ids = || (first..).take(rows.len());
    let status = |row: &Option<Outcome>| status(row.as_ref()).as_str();
    let reason = |row: &Option<Outcome>| match row {
        None => Some("null in the study's file".to_owned()),
        Some(Outcome { error: Some(error), .. }) => Some(error.clone()),
        Some(outcome) => outcome.token_losses.is_empty().then(|| "no tokens in the study's file".to_owned()),
    };
    let tokens = |row: &Option<Outcome>| row.as_ref().map_or(0, |outcome| outcome.token_losses.len() as u32);
    let mean = |row: &Option<Outcome>| {
        let losses = &row.as_ref().filter(|outcome| is_scored(Some(outcome)))?.token_losses;
        Some(-losses.iter().map(|token| token.loss).sum::<f64>() / losses.len() as f64)
    };
    let known: [(&str, ArrayRef); 8] = [
        (sample::SAMPLE_ID, Arc::new(UInt32Array::from_iter_values(ids()))),
        (sample::ROW, Arc::new(UInt32Array::from_iter_values(ids()))),
        (sample::TURN, Arc::new(UInt32Array::from_iter_values(ids().map(|_| 0)))),
        (sample::CLUSTER_ID, Arc::new(StringArray::from_iter_values(ids().map(|id| format!("row {id}"))))),
        (sample::RESPONSE_TOKENS, Arc::new(UInt32Array::from_iter_values(rows.iter().map(tokens)))),
        (sample::MEAN_LOGPROB, Arc::new(rows.iter().map(mean).collect::<Float64Array>())),
        (sample::STATUS, Arc::new(StringArray::from_iter_values(rows.iter().map(status)))),
        (sample::REASON, Arc::new(rows.iter().map(reason).collect::<StringArray>())),
    ];
    let perplexity: ArrayRef = Arc::new(rows.iter().map(|row| mean(row).map(|m| (-m).exp())).collect::<Float64Array>());
    batch(schema::samples(&[]), rows.len(), known.into_iter().chain([(sample::PERPLEXITY, perplexity)]))
}

fn tokens(first: u32, rows: &[Option<Outcome>]) -> Result<RecordBatch> {
    let scored = (first..).zip(rows).filter(|(_, row)| is_scored(row.as_ref()));
    let all: Vec<(u32, u32, &TokenLoss)> = scored
        .flat_map(|(id, row)| row.iter().flat_map(move |o| (1..).zip(&o.token_losses).map(move |(p, t)| (id, p, t))))
        .collect();
    let known: [(&str, ArrayRef); 5] = [
        (token::SAMPLE_ID, Arc::new(UInt32Array::from_iter_values(all.iter().map(|&(id, _, _)| id)))),
        (token::POSITION, Arc::new(UInt32Array::from_iter_values(all.iter().map(|&(_, position, _)| position)))),
        (token::TOKEN, Arc::new(all.iter().map(|(_, _, t)| t.token.as_deref()).collect::<StringArray>())),
        (token::LOGPROB, Arc::new(Float32Array::from_iter_values(all.iter().map(|(_, _, t)| -t.loss as f32)))),
        (token::RANK, Arc::new(all.iter().map(|(_, _, t)| t.rank).collect::<UInt32Array>())),
    ];
    batch(schema::tokens(), all.len(), known.into_iter())
}

/// A batch whose columns are those known, and null (or empty lists) elsewhere.
fn batch<'a>(schema: SchemaRef, rows: usize, known: impl Iterator<Item = (&'a str, ArrayRef)>) -> Result<RecordBatch> {
    let mut known: BTreeMap<&str, ArrayRef> = known.collect();
    let columns = schema.fields().iter().map(|field| {
        let absent = || {
            let nulls = new_null_array(field.data_type(), rows);
            if field.is_nullable() { nulls } else { without_nulls(&nulls) }
        };
        known.remove(field.name().as_str()).unwrap_or_else(absent)
    });
    let columns = columns.collect();
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// Lists of nothing for lists that are null: the tables' lists never are.
fn without_nulls(nulls: &ArrayRef) -> ArrayRef {
    let data = nulls.to_data().into_builder().nulls(None);
    data.build().map_or_else(|_| nulls.clone(), arrow::array::make_array)
}
