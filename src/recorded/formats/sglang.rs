//! SGLang's answers of `/generate`.
//!
//! Owns `meta_info` with its lists of `[logprob, id, text]` (sglang/srt/managers/tokenizer_manager.py). Lists of most likely
//! tokens have those alone.

use serde_json::value::RawValue;

use super::fields::Row;
use super::lists::Entry;
use super::names::FieldNames;
use super::tokens::{Scored, Token, Tokens, sample};
use crate::dataset::endings::Endings;
use crate::dataset::json::Fields;
use crate::dataset::named::Named;
use crate::recorded::numbers;
use crate::recorded::row::RecordedRow;

/// The fields of a row.
pub const FIELDS: [&str; 3] = ["meta_info", "id", "model"];
/// What is read of `meta_info`.
const META: [&str; 7] = [
    "id",
    "finish_reason",
    "prompt_tokens",
    "input_token_logprobs",
    "output_token_logprobs",
    "input_top_logprobs",
    "output_top_logprobs",
];

/// Reads an answer.
///
/// # Errors
/// What is wrong with it, or that it has no numbers.
pub fn read(row: &Row, tokens: Option<Tokens>) -> Result<RecordedRow, String> {
    let (meta, none) = (Fields::parse(row.need("meta_info")?, &META)?, FieldNames::default());
    let info = Row::new(&meta, &none);
    let input = of(&info, "input_token_logprobs", "input_top_logprobs")?;
    let output = of(&info, "output_token_logprobs", "output_top_logprobs")?;
    let has_numbers = |tokens: &[Token]| tokens.iter().any(|token| token.scored.logprob.is_some());
    let is_given = match (has_numbers(&input), has_numbers(&output), tokens) {
        (true, true, None) => {
            let what = "it has numbers of the prompt and of the generated tokens";
            return Err(format!("{what}: --tokens prompt or --tokens generated chooses"));
        }
        (true, _, None | Some(Tokens::Prompt)) => true,
        (_, true, None | Some(Tokens::Generated)) => false,
        _ => return Err("it has no log-probabilities: ask the server for `return_logprob`".to_owned()),
    };
    let prompt = meta.get("prompt_tokens").and_then(|raw| raw.parse::<usize>().ok());
    let is_whole = prompt == Some(input.len());
    let before =
        (!is_given && is_whole).then(|| input.iter().map(|token| token.id).collect::<Option<Vec<u32>>>()).flatten();
    let mut of_row = if is_given { sample(None, input)? } else { sample(before, output)? };
    // The first entry has no number; whether it begins the text, the prompt's length says.
    of_row.has_context &= !is_given || is_whole;
    if !is_given {
        let names = crate::dataset::FieldNames::default();
        of_row.is_cut = Endings::of(&Named::new(&meta, &names), 1)?.is_cut(0);
    }
    let id = row.label("id")?.or(info.label("id")?);
    Ok(RecordedRow { id, samples: vec![of_row], is_given, ..RecordedRow::default() })
}

/// The tokens of a list, with their lists of most likely ones.
fn of(info: &Row, name: &str, top: &str) -> Result<Vec<Token>, String> {
    let items = |name: &str| -> Result<Vec<Option<&RawValue>>, String> {
        let Some(raw) = info.get(name) else { return Ok(Vec::new()) };
        serde_json::from_str(raw).map_err(|e| format!("`{name}` is no list: {e}"))
    };
    let (tokens, tops) = (items(name)?, items(top)?);
    if !tops.is_empty() && tops.len() != tokens.len() {
        return Err(format!("`{name}` has {} entries, `{top}` {}", tokens.len(), tops.len()));
    }
    let token = |(place, token): (usize, Option<&RawValue>)| {
        let wrong = || format!("`{name}`, entry {place}: expected [logprob, id, text]");
        let (logprob, id, text) = entry(token.ok_or_else(wrong)?).ok_or_else(wrong)?;
        let list = tops.get(place).copied().flatten().map(|list| list_of(top, place, list)).transpose()?;
        let scored = Scored { logprob, top: list, ..Scored::default() };
        Ok(Token { id: Some(id), text, scored })
    };
    tokens.into_iter().enumerate().map(token).collect()
}

fn list_of(name: &str, place: usize, raw: &RawValue) -> Result<Vec<Entry>, String> {
    let wrong = || format!("`{name}`, entry {place}: expected a list of [logprob, id, text]");
    let entries: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
    let one = |raw: &RawValue| {
        let (logprob, id, text) = entry(raw)?;
        Some(Entry { id, logprob: logprob?, rank: None, text })
    };
    entries.into_iter().map(one).collect::<Option<_>>().ok_or_else(wrong)
}

/// `[logprob, id, text]`, of which the first and the last may be null.
fn entry(raw: &RawValue) -> Option<(Option<f64>, u32, Option<String>)> {
    let (logprob, id, text): (&RawValue, u32, Option<String>) = serde_json::from_str(raw.get()).ok()?;
    let logprob = if logprob.get() == "null" { None } else { Some(numbers::number(logprob.get())?) };
    Some((logprob, id, text))
}
