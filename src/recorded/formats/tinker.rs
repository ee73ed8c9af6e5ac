//! Answers of tinker's sampling client, and of Fireworks' copy of it: `SampleResponse` as JSON.
//!
//! Owns its fields (tinker 0.38.0, tinker/types/sample_response.py, sampled_sequence.py and model_input.py). The answer does
//! not repeat the prompt, so the row may have it beside: `prompt` as a `ModelInput` or a list of ids, or
//! `prompt_token_ids`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::fields::{ENDINGS, Row};
use super::lists::Entry;
use super::names::FieldNames;
use super::tokens::{Scored, Token, Tokens, sample};
use crate::dataset::json::Fields;
use crate::recorded::numbers;
use crate::recorded::row::{RecordedRow, RecordedSample};

/// The fields of a row; the first is what a row of it has.
pub const FIELDS: [&str; 7] =
    ["sequences", "prompt_logprobs", "topk_prompt_logprobs", "prompt", "prompt_token_ids", "id", "model"];

/// Reads an answer.
///
/// # Errors
/// What is wrong with it, or that it has no numbers.
pub fn read(row: &Row, tokens: Option<Tokens>) -> Result<RecordedRow, String> {
    let prompt = prompt(row)?;
    let sequences: Vec<&RawValue> =
        serde_json::from_str(row.need("sequences")?).map_err(|e| format!("`sequences` is no list: {e}"))?;
    let generated = sequences.iter().enumerate().map(|(place, raw)| {
        let found = generated(raw.get(), prompt.clone());
        found.map_err(|what| format!("sequence {place}: {what}"))
    });
    let generated = generated.collect::<Result<Vec<Option<RecordedSample>>, String>>()?;
    let generated: Option<Vec<RecordedSample>> = generated.into_iter().collect();
    let generated = generated.filter(|samples| !samples.is_empty());
    let of_prompt = row.get("prompt_logprobs");
    let mut read = RecordedRow { id: row.label("id")?, ..RecordedRow::default() };
    match (of_prompt, generated, tokens) {
        (Some(_), Some(_), None) => Err(
            "it has numbers of the prompt and of the generated tokens: --tokens prompt or --tokens generated chooses"
                .to_owned(),
        ),
        (Some(raw), _, None | Some(Tokens::Prompt)) => {
            let ids = prompt
                .ok_or("it has `prompt_logprobs`, but not the prompt's ids: write them into the row as `prompt`")?;
            let found = scored("prompt_logprobs", raw, row.get("topk_prompt_logprobs"), ids)?;
            (read.is_given, read.samples) = (true, vec![sample(None, found)?]);
            Ok(read)
        }
        (_, Some(samples), None | Some(Tokens::Generated)) => {
            read.samples = samples;
            Ok(read)
        }
        _ => Err("it has no log-probabilities".to_owned()),
    }
}

/// The ids of the prompt, if the row has them.
fn prompt(row: &Row) -> Result<Option<Vec<u32>>, String> {
    #[derive(Deserialize)]
    struct ModelInput {
        chunks: Vec<Chunk>,
    }
    #[derive(Deserialize)]
    struct Chunk {
        tokens: Option<Vec<u32>>,
    }
    if row.get("prompt_token_ids").is_some() {
        return row.ids("prompt_token_ids").map(Some);
    }
    let Some(raw) = row.get("prompt") else { return Ok(None) };
    if raw.starts_with('[') {
        return row.ids("prompt").map(Some);
    }
    let input: ModelInput = serde_json::from_str(raw).map_err(|e| format!("`prompt` is no ModelInput: {e}"))?;
    let chunks: Option<Vec<Vec<u32>>> = input.chunks.into_iter().map(|chunk| chunk.tokens).collect();
    // What stands for an image has no ids.
    Ok(chunks.map(|chunks| chunks.concat()))
}

/// The sample of a sequence; `None` if it has no numbers.
fn generated(raw: &str, prompt: Option<Vec<u32>>) -> Result<Option<RecordedSample>, String> {
    let wanted: Vec<&str> = ["tokens", "logprobs", "topk_logprobs"].into_iter().chain(ENDINGS).collect();
    let (fields, none) = (Fields::parse(raw, &wanted)?, FieldNames::default());
    let sequence = Row::new(&fields, &none);
    let Some(logprobs) = sequence.get("logprobs") else { return Ok(None) };
    let found = scored("logprobs", logprobs, sequence.get("topk_logprobs"), sequence.ids("tokens")?)?;
    let mut sample = sample(prompt, found)?;
    sample.is_cut = sequence.is_cut()?;
    Ok(Some(sample))
}

/// The tokens of `ids` with their numbers, and lists of `[id, logprob]` that have the most likely ones alone.
fn scored(name: &str, logprobs: &str, lists: Option<&str>, ids: Vec<u32>) -> Result<Vec<Token>, String> {
    let logprobs = numbers::numbers(name, logprobs)?;
    let lists: Vec<Option<Vec<(u32, &RawValue)>>> = match lists {
        Some(raw) => serde_json::from_str(raw).map_err(|e| format!("no lists of [id, logprob]: {e}"))?,
        None => vec![None; ids.len()],
    };
    if logprobs.len() != ids.len() || lists.len() != ids.len() {
        let (n, logprobs, lists) = (ids.len(), logprobs.len(), lists.len());
        return Err(format!("{n} token ids, {logprobs} entries of `{name}` and {lists} lists"));
    }
    let entry = |(id, raw): (u32, &RawValue)| {
        let logprob = numbers::number(raw.get()).ok_or_else(|| format!("the entry of id {id} has no number"))?;
        Ok(Entry { id, logprob, rank: None, text: None })
    };
    let mut tokens = Vec::new();
    for ((id, logprob), list) in ids.into_iter().zip(logprobs).zip(lists) {
        let top = list.map(|list| list.into_iter().map(entry).collect::<Result<Vec<Entry>, String>>()).transpose()?;
        tokens.push(Token { id: Some(id), text: None, scored: Scored { logprob, top, ..Scored::default() } });
    }
    Ok(tokens)
}
