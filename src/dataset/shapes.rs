//! The content of a row, by the shape that its fields have.
//!
//! Owns how each shape is read, and that a row has exactly one. A row of two shapes is unreadable until `--fields`
//! chooses one.

use serde_json::Value;

use crate::dataset::chats;
use crate::dataset::content::{Content, may_repeat};
use crate::dataset::conversations;
use crate::dataset::endings::Endings;
use crate::dataset::harness;
use crate::dataset::json::Fields;
use crate::dataset::masked;
use crate::dataset::named::Named;
use crate::dataset::names::{FieldNames, Kind, SHAPES, Shape};

/// The fields of the usual shape, which a row without any is told to lack.
const USUAL: &[&str] = &["input", "output"];

/// The content of a row; and of a row with a list of responses to one prompt, how many they are.
///
/// # Errors
/// What is wrong with it: no shape, two of them, or values that its shape cannot have.
pub fn contents(fields: &Fields, names: &FieldNames) -> Result<(Vec<Content>, Option<usize>), String> {
    let row = Named::new(fields, names);
    let has = |name: &&str| row.get(name).is_some();
    let shapes: Vec<&Shape> = names.candidates().collect();
    // Ids come first. A prompt's ids say by themselves that the row is one of ids; `token_ids` may stand beside a text.
    let has_ids = |shape: &&Shape| match shape.kind {
        Kind::Ids => shape.needs.iter().any(has),
        Kind::Masked => shape.needs.iter().all(has),
        _ => false,
    };
    let of_ids: Vec<&Shape> = shapes.iter().copied().filter(has_ids).collect();
    let whole = if of_ids.is_empty() {
        shapes.iter().copied().filter(|shape| shape.needs.iter().all(has)).collect()
    } else {
        of_ids
    };
    // Rows of messages, or of text, often contain the conversation that they were made of, too.
    let is_other = |shape: &&&Shape| !matches!(shape.kind, Kind::Conversations);
    let others: Vec<&Shape> = whole.iter().filter(is_other).copied().collect();
    let whole = if others.is_empty() { whole } else { others };
    if let [a, b, ..] = whole[..] {
        let (a, b) = (row.described(a), row.described(b));
        return Err(format!("the row has {a} and also {b}: choose one of them with --fields"));
    }
    // Where no shape is whole, reading the one that was begun, or else the usual one, says what is missing.
    let is_text = |shape: &&Shape| !matches!(shape.kind, Kind::Masked) && shape.needs.iter().any(has);
    let is_masked = |shape: &&Shape| matches!(shape.kind, Kind::Masked) && shape.needs.iter().take(1).any(has);
    let begun = || shapes.iter().copied().find(is_text).or(shapes.iter().copied().find(is_masked));
    let usual = || shapes.iter().copied().find(|shape| shape.needs == USUAL).or(shapes.first().copied());
    let shape = whole.first().copied().or_else(begun).or_else(usual).unwrap_or(&SHAPES[0]);
    let contents = read(&row, shape)?;
    // There would be no sample to report the problem.
    if contents.is_empty() {
        return Err(format!("{} without a response", row.described(shape)));
    }
    let responses = has_list(&row, shape).then_some(contents.len());
    Ok((contents, responses))
}

/// Whether a row of the shape has a list of responses.
fn has_list(row: &Named, shape: &Shape) -> bool {
    match shape.kind {
        Kind::Rollouts => true,
        Kind::Ids => row.get("response_token_ids").is_some_and(is_nested),
        Kind::Masked | Kind::Text | Kind::Messages | Kind::Conversations | Kind::Harness => false,
    }
}

/// Whether a list is one of lists.
fn is_nested(raw: &str) -> bool {
    raw.strip_prefix('[').is_some_and(|inside| inside.trim_ascii_start().starts_with('['))
}

fn read(row: &Named, shape: &Shape) -> Result<Vec<Content>, String> {
    match shape.kind {
        Kind::Ids => ids(row),
        Kind::Masked => masked::contents(row, shape.needs),
        Kind::Text => text(row, shape.needs[0], shape.needs[1]),
        Kind::Rollouts => rollouts(row),
        Kind::Messages => chats::whole(row),
        Kind::Conversations => conversations::contents(row),
        Kind::Harness => harness::contents(row),
    }
}

fn text(row: &Named, input: &str, output: &str) -> Result<Vec<Content>, String> {
    if chats::is_conversation(row, input) {
        return chats::completed(row, input, output);
    }
    Ok(vec![Content::Text { input: row.text(input)?, output: row.text(output)?, cut: Endings::of(row, 1)?.is_cut(0) }])
}

/// One prompt, several responses.
fn rollouts(row: &Named) -> Result<Vec<Content>, String> {
    if chats::is_conversation(row, "prompt") {
        return chats::rollouts(row);
    }
    let prompt = row.text("prompt")?;
    let responses: Vec<String> = row.list("responses", "responses as strings")?;
    may_repeat(prompt.len(), responses.len())?;
    let endings = Endings::of(row, responses.len())?;
    let rollout = |(index, output)| Content::Text { input: prompt.clone(), output, cut: endings.is_cut(index) };
    Ok(responses.into_iter().enumerate().map(rollout).collect())
}

/// A prompt's ids and those of its response, or a list for each of its responses.
fn ids(row: &Named) -> Result<Vec<Content>, String> {
    let prompt: Vec<u32> = row.list("prompt_token_ids", "token ids")?;
    let input = row.text_of_ids("input", &["prompt"])?;
    let raw = row.need("response_token_ids")?;
    if !is_nested(raw) {
        let response = row.list("response_token_ids", "token ids")?;
        let output = row.text_of_ids("output", &["response", "completion"])?;
        let cut = Endings::of(row, 1)?.is_cut(0);
        return Ok(vec![Content::Ids { prompt, response, input, output, cut }]);
    }
    let responses: Vec<Vec<u32>> = row.list("response_token_ids", "lists of token ids")?;
    may_repeat(4 * prompt.len() + input.as_ref().map_or(0, String::len), responses.len())?;
    // As of the single form, what is no text (messages, say) is passed over: the ids have their own.
    let texts: Vec<Value> = match row.get("responses") {
        Some(_) => row.list("responses", "responses")?,
        None => Vec::new(),
    };
    let endings = Endings::of(row, responses.len())?;
    let rollout = |(index, response)| Content::Ids {
        prompt: prompt.clone(),
        response,
        input: input.clone(),
        output: texts.get(index).and_then(Value::as_str).map(str::to_owned),
        cut: endings.is_cut(index),
    };
    Ok(responses.into_iter().enumerate().map(rollout).collect())
}
