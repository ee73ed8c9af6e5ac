//! Rows that the lm-evaluation-harness logs (`samples_*.jsonl`).
//!
//! Owns the forms of its requests: a prompt with settings and the responses to it, a prompt with a continuation, or a
//! text alone. Its scores and its filters' output are not read. A request with more than text, such as an image, is an
//! error.

use serde_json::Value;

use crate::dataset::content::{Content, may_repeat};
use crate::dataset::named::Named;

/// The samples of a row: every response to a prompt, and every continuation that was scored.
///
/// # Errors
/// What is wrong with it.
pub fn contents(row: &Named) -> Result<Vec<Content>, String> {
    let requests = numbered(row.json("arguments")?, "gen_args_").ok_or("`arguments` is not a list of requests")?;
    let answers = numbered(row.json("resps")?, "").ok_or("`resps` is not a list of responses")?;
    if answers.len() > requests.len() {
        return Err(format!("`resps` are of {} requests, `arguments` are {}", answers.len(), requests.len()));
    }
    let mut answers = answers.into_iter();
    let mut contents = Vec::new();
    for (index, request) in requests.into_iter().enumerate() {
        let answers = answers.next().unwrap_or_default();
        let request = numbered(request, "arg_").ok_or_else(|| NEITHER.to_owned());
        let of_request = request.and_then(|request| of_request(request, answers));
        contents.extend(of_request.map_err(|what| format!("request {index} of `arguments` {what}"))?);
    }
    Ok(contents)
}

const NEITHER: &str = "is neither a prompt with settings, nor one with a continuation, nor a text";

/// The samples of one request: by its second argument, settings or a continuation.
fn of_request(request: Vec<Value>, answers: Value) -> Result<Vec<Content>, String> {
    let text = |input: &str, output| Content::Text { input: input.to_owned(), output, cut: None };
    let mut arguments = request.into_iter();
    let first_two = (arguments.next(), arguments.next());
    if let Some(more) = arguments.next() {
        return Err(format!("has more than text, {}: only text requests are scored", described(&more)));
    }
    match first_two {
        (Some(Value::String(input)), Some(Value::Object(_))) => {
            let outputs: Vec<String> =
                serde_json::from_value(answers).map_err(|_| "has no list of texts in `resps`".to_owned())?;
            may_repeat(input.len(), outputs.len())?;
            Ok(outputs.into_iter().map(|output| text(&input, output)).collect())
        }
        (Some(Value::String(input)), Some(Value::String(continuation))) => Ok(vec![text(&input, continuation)]),
        (Some(Value::String(whole)), None) => Ok(vec![text("", whole)]),
        (Some(Value::Array(_)), _) => Err("is a chat for a server, not the text that the server made of it".to_owned()),
        _ => Err(NEITHER.to_owned()),
    }
}

/// A further argument by its names, as `visual` of pictures.
fn described(argument: &Value) -> String {
    match argument {
        Value::Object(fields) => fields.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        _ => "in a third argument".to_owned(),
    }
}

/// The items of a list, or of an object whose names are `prefix` and 0, 1, … and no others: the harness writes the second,
/// because lists of mixed types make no table. A row of a table has null for what only other rows have.
fn numbered(value: Value, prefix: &str) -> Option<Vec<Value>> {
    match value {
        Value::Array(items) => Some(items),
        Value::Object(mut items) => {
            items.retain(|_, item| !item.is_null());
            let all = (0..).map_while(|index| items.swap_remove(&format!("{prefix}{index}"))).collect();
            items.is_empty().then_some(all)
        }
        _ => None,
    }
}
