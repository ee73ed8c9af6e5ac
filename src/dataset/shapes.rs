//! The shapes that a row's content has, told by its fields.
//!
//! Owns which fields make a shape, and that a row has exactly one. Refuses to guess: a row of two shapes is a bad row
//! until `--fields` says which is meant.

use serde::Deserialize;
use serde_json::Value;

use crate::dataset::chats;
use crate::dataset::endings::{Endings, FLAGS, REASONS};
use crate::dataset::harness;
use crate::dataset::json::{self, Fields};
use crate::dataset::names::FieldNames;
use crate::dataset::row::Content;

/// A shape: the fields that a row of it has, and how its content is read from them.
pub struct Shape {
    pub needs: &'static [&'static str],
    read: fn(&Named) -> Result<Vec<Content>, String>,
}

/// Ids come first: a row that has any is read by them alone, and text beside them only tells what they spell.
pub static SHAPES: [Shape; 7] = [
    Shape { needs: &["prompt_token_ids", "response_token_ids"], read: ids },
    Shape { needs: &["input", "output"], read: |row| text(row, "input", "output") },
    Shape { needs: &["prompt", "response"], read: |row| text(row, "prompt", "response") },
    Shape { needs: &["prompt", "completion"], read: |row| text(row, "prompt", "completion") },
    Shape { needs: &["prompt", "responses"], read: rollouts },
    Shape { needs: &["messages"], read: chats::whole },
    Shape { needs: &["arguments", "resps"], read: harness::contents },
];

/// Fields that are read where they are.
pub const OPTIONAL: [&str; 10] = [
    "id",
    "tools",
    "chat_template_kwargs",
    REASONS[0],
    REASONS[1],
    REASONS[2],
    REASONS[3],
    FLAGS[0],
    FLAGS[1],
    FLAGS[2],
];

/// What a row says was written.
///
/// # Errors
/// What is wrong with it: no shape, two of them, or values that its shape cannot have.
pub fn contents(fields: &Fields, names: &FieldNames) -> Result<Vec<Content>, String> {
    let row = Named { fields, names };
    let has = |name: &&str| row.get(name).is_some();
    let shapes: Vec<&Shape> = names.candidates().collect();
    let has_ids = |shape: &&&Shape| shape.needs == SHAPES[0].needs && shape.needs.iter().any(has);
    let whole: Vec<&Shape> = match shapes.iter().find(has_ids) {
        Some(ids) => vec![ids],
        None => shapes.iter().copied().filter(|shape| shape.needs.iter().all(has)).collect(),
    };
    if let [a, b, ..] = whole[..] {
        let (a, b) = (row.told(a), row.told(b));
        return Err(format!("the row has {a} and also {b}: say with --fields which of them is meant"));
    }
    // Where no shape is whole, reading the one that was begun, or else the usual one, says what is missing.
    let begun = || shapes.iter().copied().find(|shape| shape.needs.iter().any(has));
    let usual = || shapes.iter().copied().find(|shape| shape.needs == SHAPES[1].needs).or(shapes.first().copied());
    let shape = whole.first().copied().or_else(begun).or_else(usual).unwrap_or(&SHAPES[1]);
    let contents = (shape.read)(&row)?;
    // It would have no sample to be told by.
    if contents.is_empty() { Err(format!("{} without a response", row.told(shape))) } else { Ok(contents) }
}

/// A row's fields by the names that shapes have for them.
pub struct Named<'a> {
    fields: &'a Fields<'a>,
    names: &'a FieldNames,
}

impl<'a> Named<'a> {
    /// The value as it is written; `None` if it is missing or null.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.fields.get(self.names.of(name))
    }

    /// The value of a field that need not be there.
    pub fn optional(&self, name: &str) -> Result<Option<&'a str>, String> {
        self.fields.value(self.names.of(name))
    }

    pub fn need(&self, name: &str) -> Result<&'a str, String> {
        self.optional(name)?.ok_or_else(|| self.fields.missing(self.names.of(name)))
    }

    pub fn text(&self, name: &str) -> Result<String, String> {
        self.fields.text(self.names.of(name))
    }

    /// The value as JSON.
    pub fn json(&self, name: &str) -> Result<Value, String> {
        let unreadable = |e| format!("`{}` cannot be read: {e}", self.names.of(name));
        serde_json::from_str(self.finite(name, self.need(name)?)?).map_err(unreadable)
    }

    /// `raw`, the value of `name`, if it is JSON.
    ///
    /// # Errors
    /// It holds a word of Python's for a number, which no reader of JSON knows and no template would be given as it is.
    pub fn finite<'r>(&self, name: &str, raw: &'r str) -> Result<&'r str, String> {
        match json::not_finite(raw) {
            None => Ok(raw),
            Some(number) => {
                Err(format!("`{}` holds {number}, which is no number of JSON: give it as a text", self.called(name)))
            }
        }
    }

    /// A list whose items are called `what`.
    pub fn list<T: Deserialize<'a>>(&self, name: &str, what: &str) -> Result<Vec<T>, String> {
        self.fields.list(self.names.of(name), what)
    }

    /// A text beside ids: `name` must be a string, any of `others` is read if it is one (it may be a list of messages).
    fn text_of_ids(&self, name: &str, others: &[&str]) -> Result<Option<String>, String> {
        if let Some(text) = self.fields.optional_text(self.names.of(name))? {
            return Ok(Some(text));
        }
        let other = others.iter().find(|other| self.get(other).is_some_and(|raw| raw.starts_with('"')));
        other.map(|other| self.text(other)).transpose()
    }

    fn told(&self, shape: &Shape) -> String {
        shape.needs.iter().map(|name| format!("`{}`", self.called(name))).collect::<Vec<_>>().join(" + ")
    }

    /// What a field is called in the row.
    pub fn called<'n>(&'n self, name: &'n str) -> &'n str {
        self.names.of(name)
    }
}

fn text(row: &Named, input: &str, output: &str) -> Result<Vec<Content>, String> {
    if chats::is_conversation(row, input) {
        return chats::completed(row, input, output);
    }
    Ok(vec![Content::Text { input: row.text(input)?, output: row.text(output)?, cut: Endings::of(row, 1)?.is_cut(0) }])
}

/// Most bytes that a row's samples may repeat together: a short row can name a long prompt many times.
const REPEATED_BYTES: usize = 256 << 20;
/// What a sample takes beside its texts.
const SAMPLE_BYTES: usize = 1 << 10;

/// Refuses to repeat `bytes` so many `times` that they would fill the memory.
pub fn may_repeat(bytes: usize, times: usize) -> Result<(), String> {
    if (bytes + SAMPLE_BYTES).saturating_mul(times) <= REPEATED_BYTES {
        return Ok(());
    }
    Err(format!("{times} samples that repeat {bytes} bytes each are too much for one row"))
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
    let is_nested = raw.strip_prefix('[').is_some_and(|inside| inside.trim_ascii_start().starts_with('['));
    if !is_nested {
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
