//! What a conversation passes to a template.
//!
//! Owns how messages, tools and `chat_template_kwargs` are read: as transformers and TRL read them. What these reject
//! is an error, and so are numbers that would be written differently from their source.

use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value as Json};

use super::jinja::Value;

/// Names that messages' reasoning goes by; the first is the one that most templates use.
pub const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

/// Arguments of `apply_chat_template`, which a template cannot be given under their names.
const TAKEN: [&str; 17] = [
    "self",
    "conversation",
    "conversations",
    "messages",
    "tools",
    "chat_template",
    "add_generation_prompt",
    "continue_final_message",
    "tokenize",
    "padding",
    "truncation",
    "max_length",
    "return_tensors",
    "return_dict",
    "return_assistant_tokens_mask",
    "tokenizer_kwargs",
    "sanitize_control_tokens",
];

/// A JSON text whose numbers keep the digits that it has.
///
/// # Errors
/// It is no JSON, or it has a number that would be written otherwise.
pub fn json(text: &str) -> Result<Json, String> {
    numbers(text)?;
    serde_json::from_str(text).map_err(|e| e.to_string())
}

/// An error for integers that only floats can represent.
fn numbers(text: &str) -> Result<(), String> {
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
        rest = &rest[at..];
        if let Some(inside) = rest.strip_prefix('"') {
            let mut is_escaped = false;
            let end = inside.find(|c| {
                let is_end = c == '"' && !is_escaped;
                is_escaped = c == '\\' && !is_escaped;
                is_end
            });
            rest = end.map_or("", |end| &inside[end + 1..]);
            continue;
        }
        let end =
            rest.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '+' | '.')).unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let is_whole = number.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit());
        let is_held = number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok();
        if is_whole && (!is_held || number == "-0") {
            return Err(format!("the integer {number} is not held exactly: write it as a text"));
        }
        rest = after;
    }
    Ok(())
}

/// The tools of a row: a list of JSON schemas, or that as JSON text, as TRL writes it.
///
/// # Errors
/// It is neither.
pub fn tools(text: &str) -> Result<Option<Json>, String> {
    let read = match json(text).map_err(|e| format!("`tools` cannot be read: {e}"))? {
        Json::String(inner) => json(&inner).map_err(|e| format!("`tools` is a text that is no JSON: {e}"))?,
        other => other,
    };
    check_tools(&read)?;
    Ok(Some(read).filter(|tools| !tools.is_null()))
}

/// # Errors
/// What is neither null nor a list of objects.
pub fn check_tools(tools: &Json) -> Result<(), String> {
    match tools {
        Json::Null => Ok(()),
        Json::Array(items) if items.iter().all(Json::is_object) => Ok(()),
        _ => Err("`tools` is no list of JSON schemas (objects), nor the JSON text of one".to_owned()),
    }
}

/// More variables for a template: `chat_template_kwargs`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kwargs(Map<String, Json>);

impl Kwargs {
    /// # Errors
    /// What is no object, and names that stand for something else.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::new(json(text)?)
    }

    fn new(read: Json) -> Result<Self, String> {
        let map = match read {
            Json::Object(map) => map,
            Json::Null => Map::new(),
            _ => return Err("it is no JSON object".to_owned()),
        };
        if let Some(name) = map.keys().find(|name| TAKEN.contains(&name.as_str())) {
            return Err(format!("`{name}` is an argument of its own, which chat_template_kwargs cannot set"));
        }
        let are_documents = |documents: &Json| documents.as_array().is_some_and(|all| all.iter().all(Json::is_object));
        if map.get("documents").is_some_and(|documents| !documents.is_null() && !are_documents(documents)) {
            return Err("`documents` is no list of objects".to_owned());
        }
        Ok(Self(map))
    }

    /// These, and others of which the same name is taken from these.
    pub fn or<'a>(&'a self, others: &'a Self) -> impl Iterator<Item = (&'a str, Value)> {
        others.0.iter().chain(&self.0).map(|(name, value)| (name.as_str(), Value::of_json(value)))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As compact JSON.
    pub fn text(&self) -> String {
        Json::Object(self.0.clone()).to_string()
    }
}

impl FromStr for Kwargs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl<'de> Deserialize<'de> for Kwargs {
    /// A text of JSON, or a table.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = match Json::deserialize(deserializer)? {
            Json::String(text) => Self::parse(&text),
            other => Self::new(other),
        };
        read.map_err(|e| serde::de::Error::custom(format!("chat_template_kwargs: {e}")))
    }
}

/// A message as templates see it: transformers gives its reasoning under more than one name.
pub fn message(message: &Json) -> Value {
    let reasoning = REASONING.iter().find_map(|name| message.get(name).filter(|value| !value.is_null()));
    let (Some(reasoning), Some(fields)) = (reasoning, message.as_object()) else { return Value::of_json(message) };
    let mut all = Map::new();
    all.insert("thinking".to_owned(), reasoning.clone());
    all.extend(fields.iter().map(|(name, value)| (name.clone(), value.clone())));
    all.insert("reasoning_content".to_owned(), reasoning.clone());
    Value::of_json(&Json::Object(all))
}
