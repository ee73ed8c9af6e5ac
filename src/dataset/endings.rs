//! How generation ended, according to the row.
//!
//! Owns the fields that say so and the values of each, which depend on the program that writes it. Nothing is guessed:
//! what a row does not say is unknown.

use serde_json::Value;

use crate::dataset::named::Named;
use crate::dataset::names::{FLAGS, REASONS};

/// Words of `finish_reason` for a limit of tokens, or an end from outside.
const CUT: [&str; 13] = [
    "length",
    "max_length",
    "max_tokens",
    "max_new_tokens",
    "max_output_tokens",
    "max_completion_tokens",
    "model_length",
    "context_length",
    "model_context_window_exceeded",
    "token_limit",
    "truncated",
    "abort",
    "aborted",
];
/// Words of it for an end that the model wrote.
const ENDED: [&str; 12] = [
    "stop",
    "stopped",
    "eos",
    "eos_token",
    "stop_token",
    "stop_sequence",
    "end_turn",
    "tool_calls",
    "tool_use",
    "function_call",
    "finished",
    "completed",
];
/// The same of `stop_type`, which llama.cpp's server writes.
const CUT_BY_TYPE: [&str; 1] = ["limit"];
const ENDED_BY_TYPE: [&str; 2] = ["eos", "word"];
/// The same of a `stop_reason` that stands alone: Anthropic's words and those of Inspect and SkyRL, as they write them.
const CUT_BY_REASON: [&str; 5] = ["max_tokens", "model_context_window_exceeded", "model_length", "length", "abort"];
const ENDED_BY_REASON: [&str; 5] = ["end_turn", "stop_sequence", "tool_use", "stop", "tool_calls"];

/// Whether each response of a row was cut off; a missing one is unknown.
pub struct Endings(Vec<Option<bool>>);

impl Endings {
    /// As the row says of its `responses`, of all of them or of each in a list.
    ///
    /// # Errors
    /// A list of another length: which response each entry is of is not known.
    pub fn of(row: &Named, responses: usize) -> Result<Self, String> {
        let reasons = REASONS.map(|name| said(row, name, responses, |value| by_reason(name, value)));
        let flags = FLAGS.map(|name| said(row, name, responses, by_flag));
        let (reasons, flags) = (all(reasons)?, all(flags)?);
        let of_response = |index: usize| {
            let reason = reasons.iter().find_map(|said| said[index]);
            let both = flags.iter().map(|said| said[index]).chain([reason]).flatten().filter_map(Said::is_cut);
            both.reduce(|a, b| a || b)
        };
        Ok(Self((0..responses).map(of_response).collect()))
    }

    /// Whether response `index` was cut.
    pub fn is_cut(&self, index: usize) -> Option<bool> {
        self.0.get(index).copied().flatten()
    }
}

/// What a field says of a response.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Cut,
    Ended,
    /// Something else.
    Other,
}

impl Said {
    fn is_cut(self) -> Option<bool> {
        (self != Self::Other).then_some(self == Self::Cut)
    }

    /// By a value and the two lists of words that it may be of.
    fn by_word(word: &str, cut: &[&str], ended: &[&str]) -> Self {
        match (cut.contains(&word), ended.contains(&word)) {
            (true, _) => Self::Cut,
            (_, true) => Self::Ended,
            _ => Self::Other,
        }
    }
}

/// What one field says of each response; `None` where it says nothing.
type Each = Vec<Option<Said>>;

fn all<const N: usize>(said: [Result<Each, String>; N]) -> Result<Vec<Each>, String> {
    said.into_iter().collect()
}

fn said(row: &Named, name: &str, responses: usize, meaning: impl Fn(&Value) -> Option<Said>) -> Result<Each, String> {
    let value = row.get(name).and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or(Value::Null);
    let Value::Array(items) = &value else { return Ok(vec![meaning(&value); responses]) };
    let each: Each = items.iter().map(meaning).collect();
    if each.len() == responses {
        return Ok(each);
    }
    // A field of that name may be about something else.
    if each.iter().flatten().all(|said| *said == Said::Other) {
        return Ok(vec![None; responses]);
    }
    let (name, entries) = (row.called(name), each.len());
    Err(format!("`{name}` has {entries} entries, the row has {responses} responses that they could be of"))
}

fn by_reason(name: &str, value: &Value) -> Option<Said> {
    if value.is_null() || value.as_str().is_some_and(str::is_empty) {
        return None;
    }
    // SGLang writes `{"type": "length", "length": 512}`.
    let Some(word) = value.get("type").unwrap_or(value).as_str() else { return Some(Said::Other) };
    Some(match name {
        "stop_type" => Said::by_word(word, &CUT_BY_TYPE, &ENDED_BY_TYPE),
        "stop_reason" => Said::by_word(word, &CUT_BY_REASON, &ENDED_BY_REASON),
        _ => {
            // Some write it in capitals, and Python the names of enums as `FinishReason.LENGTH`.
            let word = word.to_ascii_lowercase();
            Said::by_word(word.rsplit('.').next().unwrap_or_default(), &CUT, &ENDED)
        }
    })
}

/// Also as 0 and 1, as tensors contain them.
fn by_flag(value: &Value) -> Option<Said> {
    let as_number = || value.as_f64().filter(|number| [0.0, 1.0].contains(number)).map(|number| number == 1.0);
    value.as_bool().or_else(as_number).map(|is_cut| if is_cut { Said::Cut } else { Said::Ended })
}
