//! How generation ended, as rows say it.
//!
//! Owns the fields that say it and their words. Refuses to guess: what a row does not say is not known.

use serde_json::Value;

use crate::dataset::shapes::Named;

/// Why it ended, as servers and evaluations say it; the first that is understood counts.
pub const REASONS: [&str; 3] = ["finish_reason", "finish_reasons", "stop_reason"];
/// Whether a limit ended it, as trainers say it.
pub const FLAGS: [&str; 3] = ["truncated", "is_truncated", "response_truncated"];

/// Words for a limit of tokens, or an end from outside.
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
/// Words for an end that the model wrote.
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

/// Whether each response of a row was cut; one that is missing is not known.
pub struct Endings(Vec<Option<bool>>);

impl Endings {
    /// As the row says of its `responses`, of all of them or of each in a list.
    ///
    /// # Errors
    /// A list of another length: which response each entry is of is not known.
    pub fn of(row: &Named, responses: usize) -> Result<Self, String> {
        let reasons = REASONS.map(|name| said(row, name, responses, by_word));
        let flags = FLAGS.map(|name| said(row, name, responses, by_flag));
        let (reasons, flags) = (all(reasons)?, all(flags)?);
        let of_response = |index: usize| {
            let reason = reasons.iter().find_map(|said| said[index]);
            let both = flags.iter().map(|said| said[index]).chain([reason]).flatten();
            both.reduce(|a, b| a || b)
        };
        Ok(Self((0..responses).map(of_response).collect()))
    }

    /// Whether response `index` was cut.
    pub fn is_cut(&self, index: usize) -> Option<bool> {
        self.0.get(index).copied().flatten()
    }
}

/// What one field says of each response.
type Said = Vec<Option<bool>>;

fn all(said: [Result<Said, String>; 3]) -> Result<Vec<Said>, String> {
    said.into_iter().collect()
}

fn said(row: &Named, name: &str, responses: usize, meaning: fn(&Value) -> Option<bool>) -> Result<Said, String> {
    let value = row.get(name).and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or(Value::Null);
    let Value::Array(items) = &value else { return Ok(vec![meaning(&value); responses]) };
    let each: Said = items.iter().map(meaning).collect();
    if each.len() == responses {
        return Ok(each);
    }
    // A field of that name may be about something else.
    if each.iter().all(Option::is_none) {
        return Ok(vec![None; responses]);
    }
    let (name, entries) = (row.called(name), each.len());
    Err(format!("`{name}` has {entries} entries, the row has {responses} responses that they could be of"))
}

fn by_word(value: &Value) -> Option<bool> {
    // SGLang writes `{"type": "length", "length": 512}`.
    let word = value.get("type").unwrap_or(value).as_str()?.to_ascii_lowercase();
    // Python writes the names of enums as `FinishReason.LENGTH`.
    let word = word.rsplit('.').next().unwrap_or_default();
    let (is_cut, has_ended) = (CUT.contains(&word), ENDED.contains(&word));
    (is_cut || has_ended).then_some(is_cut)
}

/// Also as 0 and 1, which tensors hold.
fn by_flag(value: &Value) -> Option<bool> {
    let as_number = || value.as_f64().filter(|number| [0.0, 1.0].contains(number)).map(|number| number == 1.0);
    value.as_bool().or_else(as_number)
}
