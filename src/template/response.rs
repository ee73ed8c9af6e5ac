//! An assistant's message, and its response in the text that a template writes.
//!
//! Owns what a message contains besides its content, and whether the written text contains all of it. Not here: rendering
//! (`turns`).

use serde::Serialize;
use serde_json::Value as Json;

use super::{given, parts};

/// Fields of a message besides its content that templates make text of.
const STRUCTURED: [&str; 5] = ["tool_calls", "reasoning_content", "reasoning", "thinking", "function_call"];

/// How a response came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Rendering {
    /// What the template writes, and everything in the message.
    Whole,
    /// What the template writes, though it leaves out reasoning that the message has apart from its content.
    Partial,
    /// The content as it stands: the template would leave out some of it.
    Raw,
}

/// What a message contains.
pub struct Message {
    /// The content; of one in parts, which the template takes so, the texts.
    pub text: String,
    /// Reasoning that stands apart from the content.
    reasoning: Option<String>,
    /// Names of the functions it calls.
    pub calls: Vec<String>,
    /// There is more than a text.
    pub is_structured: bool,
}

impl Message {
    pub fn new(message: &Json) -> Self {
        let text = match message.get("content") {
            Some(Json::String(text)) => text.clone(),
            Some(Json::Array(parts)) => parts.iter().filter_map(parts::text).collect(),
            _ => String::new(),
        };
        let is_there = |value: &&Json| match value {
            Json::Null => false,
            Json::String(text) => !text.is_empty(),
            Json::Array(items) => !items.is_empty(),
            _ => true,
        };
        let field = |name: &str| message.get(name).filter(is_there);
        let calls = field("tool_calls").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let name = |call: &Json| call.get("function").unwrap_or(call).get("name")?.as_str().map(str::to_owned);
        let reasoning = given::REASONING.into_iter().find_map(field);
        Self {
            text,
            reasoning: reasoning.and_then(Json::as_str).map(str::to_owned),
            calls: calls.iter().filter_map(name).collect(),
            is_structured: STRUCTURED.into_iter().any(|name| field(name).is_some())
                || parts::of(message).is_some_and(|parts| parts.iter().any(|part| parts::text(part).is_none())),
        }
    }

    /// `body`, which the template writes for this message after `prompt`, as (what belongs to the prompt, the
    /// response). `opening` is what it writes before any content.
    pub fn response<'a>(&'a self, prompt: &str, opening: &str, body: &'a str) -> (&'a str, &'a str, Rendering) {
        let text = without_opening(prompt, &self.text);
        let (opening, own) = match body.strip_prefix(opening) {
            Some(own) if !opening.trim().is_empty() && holds(own, text) => body.split_at(body.len() - own.len()),
            _ => ("", body),
        };
        if self.is_structured {
            let is_lost = |text: &str| !holds(own, text);
            let lost = is_lost(text) || self.reasoning.as_deref().is_some_and(is_lost);
            return (opening, own, if lost { Rendering::Partial } else { Rendering::Whole });
        }
        if text.trim().is_empty() {
            (opening, text, Rendering::Whole)
        } else if holds(own, text) {
            (opening, own, Rendering::Whole)
        } else {
            ("", text, Rendering::Raw)
        }
    }
}

/// `text` without the tag it begins with, if `prompt` ends with that tag: a generation prompt that opens `<think>`
/// itself.
pub fn without_opening<'a>(prompt: &str, text: &'a str) -> &'a str {
    let prompt_text = prompt.trim_end();
    let tag = prompt_text.rfind('<').map(|at| &prompt_text[at..]).filter(|tag| tag.ends_with('>'));
    let Some(rest) = tag.and_then(|tag| text.trim_start().strip_prefix(tag)) else { return text };
    rest.strip_prefix(&prompt[prompt_text.len()..]).unwrap_or(rest)
}

/// Whether `body` contains `text`, white space aside.
pub fn holds(body: &str, text: &str) -> bool {
    let squash = |text: &str| text.split_whitespace().collect::<String>();
    squash(body).contains(&squash(text))
}
