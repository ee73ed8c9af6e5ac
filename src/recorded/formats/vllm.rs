//! vLLM's own objects: log-probabilities of a prompt, and `RequestOutput` written as JSON.
//!
//! Owns both of their forms, nested and flat (vllm/logprobs.py, vllm/outputs.py). A list has the most likely tokens and the
//! token itself.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::fields::{ENDINGS, Row};
use super::lists::{Entry, by_id};
use super::names::FieldNames;
use super::tokens::{Scored, Token, Tokens, sample};
use crate::dataset::json::Fields;
use crate::recorded::numbers;
use crate::recorded::row::{RecordedRow, RecordedSample};

/// The fields of a row; the first two are what a row of it has.
pub const FIELDS: [&str; 5] = ["prompt_token_ids", "outputs", "prompt_logprobs", "request_id", "model"];

/// Reads a `RequestOutput`.
///
/// # Errors
/// What is wrong with it, or that it has no numbers.
pub fn output(row: &Row, tokens: Option<Tokens>) -> Result<RecordedRow, String> {
    let prompt = row.ids("prompt_token_ids")?;
    let outputs: Vec<&RawValue> =
        serde_json::from_str(row.need("outputs")?).map_err(|e| format!("`outputs` is no list: {e}"))?;
    let mut read = RecordedRow { id: row.label("request_id")?, ..RecordedRow::default() };
    let none = FieldNames::default();
    for (place, raw) in outputs.iter().enumerate() {
        let wanted: Vec<&str> = ["token_ids", "logprobs"].into_iter().chain(ENDINGS).collect();
        let fields = Fields::parse(raw.get(), &wanted).map_err(|what| format!("output {place}: {what}"))?;
        let output = Row::new(&fields, &none);
        let (of_prompt, of_output) = (row.get("prompt_logprobs"), output.get("logprobs"));
        let found = match (of_prompt, of_output, tokens) {
            (Some(_), Some(_), None) => {
                let what = "has numbers of the prompt and of the generated tokens";
                Err(format!("{what}: --tokens prompt or --tokens generated chooses"))
            }
            (Some(raw), _, None | Some(Tokens::Prompt)) => {
                read.is_given = true;
                self::prompt(&prompt, raw)
            }
            (_, Some(raw), None | Some(Tokens::Generated)) => generated(&prompt, &output, raw),
            _ => Err("has no log-probabilities".to_owned()),
        };
        read.samples.push(found.map_err(|what| format!("output {place}: {what}"))?);
        // All outputs are of one prompt.
        if read.is_given {
            break;
        }
    }
    if read.samples.is_empty() { Err("`outputs` is empty".to_owned()) } else { Ok(read) }
}

fn generated(prompt: &[u32], output: &Row, raw: &str) -> Result<RecordedSample, String> {
    let (ids, positions) = (output.ids("token_ids")?, positions(raw)?);
    let mut sample = sample(Some(prompt.to_vec()), tokens_of(&ids, positions)?)?;
    sample.is_cut = output.is_cut()?;
    Ok(sample)
}

/// The sample of a prompt's own tokens, all but the first of which have numbers.
///
/// # Errors
/// What is wrong with its log-probabilities.
pub fn prompt(ids: &[u32], raw: &str) -> Result<RecordedSample, String> {
    sample(None, tokens_of(ids, positions(raw)?)?)
}

/// The tokens of `ids` with what is known at each position.
fn tokens_of(ids: &[u32], positions: Vec<Option<Vec<Entry>>>) -> Result<Vec<Token>, String> {
    if ids.len() != positions.len() {
        return Err(format!("{} positions with log-probabilities for {} token ids", positions.len(), ids.len()));
    }
    let token = |(place, (&id, entries)): (usize, (&u32, Option<Vec<Entry>>))| {
        let Some(entries) = entries else { return Ok(Token { id: Some(id), ..Token::default() }) };
        let own = entries.iter().find(|entry| entry.id == id).cloned();
        let own = own.ok_or_else(|| format!("position {place} has no log-probability of its token {id}"))?;
        let (logprob, rank, top) = (Some(own.logprob), own.rank, Some(entries));
        let scored = Scored { logprob, rank, top, may_add_own: true, names_texts: false };
        Ok(Token { id: Some(id), text: own.text, scored })
    };
    ids.iter().zip(positions).enumerate().map(token).collect()
}

/// What is known at each position; null at the first of a prompt.
fn positions(raw: &str) -> Result<Vec<Option<Vec<Entry>>>, String> {
    if raw.starts_with('{') {
        return flat(raw);
    }
    let all: Vec<Option<&RawValue>> =
        serde_json::from_str(raw).map_err(|e| format!("its log-probabilities are no list: {e}"))?;
    let one = |(place, raw): (usize, Option<&RawValue>)| {
        let entries = raw.map(|raw| by_id(raw.get())).transpose();
        entries.map_err(|what| format!("position {place}: {what}"))
    };
    all.into_iter().enumerate().map(one).collect()
}

/// `FlatLogprobs`: the entries of all positions one after the other.
#[derive(Deserialize)]
struct Flat<'a> {
    start_indices: Vec<usize>,
    end_indices: Vec<usize>,
    token_ids: Vec<u32>,
    #[serde(borrow)]
    logprobs: &'a RawValue,
    ranks: Vec<Option<u32>>,
    #[serde(default)]
    decoded_tokens: Vec<Option<String>>,
}

fn flat(raw: &str) -> Result<Vec<Option<Vec<Entry>>>, String> {
    let flat: Flat = serde_json::from_str(raw).map_err(|e| format!("no flat log-probabilities: {e}"))?;
    let logprobs = numbers::numbers("logprobs", flat.logprobs.get())?;
    let n = flat.token_ids.len();
    if logprobs.len() != n || flat.ranks.len() != n || flat.start_indices.len() != flat.end_indices.len() {
        return Err("its flat log-probabilities have lists of several lengths".to_owned());
    }
    let position = |(&start, &end): (&usize, &usize)| {
        if start == end {
            return Ok(None);
        }
        let range = (start..end).map(|place| {
            let logprob = logprobs.get(place).copied().flatten()?;
            let text = flat.decoded_tokens.get(place).cloned().flatten();
            Some(Entry { id: *flat.token_ids.get(place)?, logprob, rank: flat.ranks[place], text })
        });
        let entries = range.collect::<Option<Vec<Entry>>>();
        entries.map(Some).ok_or_else(|| format!("entries {start} to {end} are not all there"))
    };
    flat.start_indices.iter().zip(&flat.end_indices).map(position).collect()
}
