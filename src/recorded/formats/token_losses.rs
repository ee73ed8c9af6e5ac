//! The published study's files of token losses.
//!
//! Owns reading them. The study left out the first response token, which becomes a token of which nothing is known, and
//! does not write ids. Not here: writing such files (`study`).

use std::path::Path;

use serde::{Deserialize, Deserializer};

use crate::error::{Error, Result};
use crate::recorded::row::{Numbers, RecordedRow, RecordedSample, Unscored};
use crate::sample::Status;
use crate::store::Cell;
use crate::study::SUFFIX;
use crate::{dataset, digest, python_json, stand_in};

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

/// What a file of the study says.
pub struct Read {
    /// By its own names: the generation model and task of its dataset, and the model of its own name or path.
    pub cell: Cell,
    /// BLAKE3 of the file.
    pub hash: String,
    pub rows: Vec<RecordedRow>,
}

/// Reads the file, whole.
///
/// # Errors
/// A file that cannot be read or is not the study's.
pub fn read(path: &Path) -> Result<Read> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    // Of what is read here: the file may be another a moment later.
    let hash = digest::bytes(&bytes);
    stand_in::reject(path, &bytes)?;
    let text = String::from_utf8(bytes).map_err(|e| Error::file(path, e.to_string()))?;
    let quoted = python_json::replace_words(&text, |word| format!("\"{word}\""));
    let losses: TokenLosses =
        serde_json::from_str(&quoted).map_err(|e| Error::file(path, format!("not a token-loss file: {e}")))?;
    if losses.results.is_empty() {
        return Err(Error::file(path, "its `results` are empty"));
    }
    let cell = names(path, &losses)?;
    Ok(Read { cell, hash, rows: losses.results.iter().map(Option::as_ref).map(row).collect() })
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

/// A row is a sample. A null row had nothing to score; one with an error, or without tokens, failed.
fn row(outcome: Option<&Outcome>) -> RecordedRow {
    let losses = outcome.map_or(&[][..], |outcome| &outcome.token_losses);
    let (places, texts) = if losses.is_empty() { (Vec::new(), Vec::new()) } else { tokens(losses) };
    let numbers = match outcome {
        None => Err(Unscored { status: Status::Empty, reason: "null in the study's file".to_owned() }),
        Some(Outcome { error: Some(error), .. }) => Err(Unscored::failed(error.as_str())),
        Some(_) if losses.is_empty() => Err(Unscored::failed("no tokens in the study's file")),
        Some(_) => Ok(Numbers {
            logprob: losses.iter().map(|token| Some(-token.loss)).collect(),
            rank: losses.iter().map(|token| token.rank).collect::<Option<_>>().unwrap_or_default(),
            ..Numbers::default()
        }),
    };
    let (ids, has_context, is_cut) = (Vec::new(), true, None);
    let sample = RecordedSample { ids, places, has_context, texts, is_cut, numbers: vec![numbers] };
    RecordedRow { samples: vec![sample], ..RecordedRow::default() }
}

/// The places of the tokens and, if all are known, their texts, after the token that the study left out.
fn tokens(losses: &[TokenLoss]) -> (Vec<u32>, Vec<String>) {
    let texts = losses.iter().map(|loss| loss.token.clone()).collect::<Option<Vec<String>>>();
    let texts = texts.map(|texts| std::iter::once(String::new()).chain(texts).collect());
    ((0..=losses.len() as u32).collect(), texts.unwrap_or_default())
}
