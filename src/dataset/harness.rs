//! Rows that the lm-evaluation-harness logs (`samples_*.jsonl`).
//!
//! Owns what its requests are: a prompt with settings and the responses to it, a prompt with a continuation, or a text
//! alone. Refuses its scores, and what its filters made of the responses.

use serde_json::Value;

use crate::dataset::row::Content;
use crate::dataset::shapes::{Named, may_repeat};

/// The samples of a row: every response to a prompt, and every continuation that was weighed.
///
/// # Errors
/// What is wrong with it.
pub fn contents(row: &Named) -> Result<Vec<Content>, String> {
    let requests = numbered(row.json("arguments")?, "gen_args_").ok_or("`arguments` is no list of requests")?;
    let answers = numbered(row.json("resps")?, "").ok_or("`resps` is no list of responses")?;
    let mut answers = answers.into_iter();
    let mut contents = Vec::new();
    for (index, request) in requests.into_iter().enumerate() {
        let request = numbered(request, "arg_").unwrap_or_default();
        let answers = answers.next().unwrap_or_default();
        contents.extend(of_request(request, answers).map_err(|what| format!("request {index} of `arguments` {what}"))?);
    }
    Ok(contents)
}

/// The samples of one request: by its second argument, settings or a continuation.
fn of_request(request: Vec<Value>, answers: Value) -> Result<Vec<Content>, String> {
    let text = |input: &str, output| Content::Text { input: input.to_owned(), output, cut: None };
    let mut arguments = request.into_iter();
    match (arguments.next(), arguments.next()) {
        (Some(Value::String(input)), Some(Value::Object(_))) => {
            let outputs: Vec<String> =
                serde_json::from_value(answers).map_err(|_| "has no list of texts in `resps`".to_owned())?;
            may_repeat(input.len(), outputs.len())?;
            Ok(outputs.into_iter().map(|output| text(&input, output)).collect())
        }
        (Some(Value::String(input)), Some(Value::String(continuation))) => Ok(vec![text(&input, continuation)]),
        (Some(Value::String(whole)), None) => Ok(vec![text("", whole)]),
        _ => Err("is neither a prompt with settings, nor one with a continuation, nor a text".to_owned()),
    }
}

/// The items of a list, or of an object whose names are `prefix` and 0, 1, …: the harness writes the second, because
/// lists of mixed types make no table.
fn numbered(value: Value, prefix: &str) -> Option<Vec<Value>> {
    match value {
        Value::Array(items) => Some(items),
        Value::Object(mut items) => {
            Some((0..).map_while(|index| items.swap_remove(&format!("{prefix}{index}"))).collect())
        }
        _ => None,
    }
}
