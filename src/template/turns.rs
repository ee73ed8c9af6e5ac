//! The assistant's turns of a conversation: each with its prompt, its response and its end.
//!
//! Owns where a response begins and ends in the text that the template writes. Not here: tokens; the text is what is
//! split.
//!
//! **The prompt** is the rendering of the messages before the turn with the generation prompt, plus what the template
//! writes before the content and the message does not contain (Qwen3's empty `<think>` block, a channel's name): the
//! model did not choose it. **The response** is what the template then writes for the message, because that is what a
//! model is trained on and what later turns show. White space around the content is the template's. If the template
//! would omit some of the content (reasoning of earlier turns, for example), or if its rendering of the turn does not
//! begin with the prompt, the content is taken as it stands. **The end** is the first special token that the template
//! writes after a content, found with a probe. A turn that ends otherwise (a call to a tool) has the special token at
//! the end of its own text. For a template that writes none, the end is the tokenizer's EOS.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use super::chat_template::ChatTemplate;
use super::given::{self, Kwargs};
use super::jinja::Value;
use super::parts;

/// Fuel of all renderings of one row, and what every message of each adds to it: turns cost the square of their number.
const ROW_FUEL: u64 = 50_000_000;
const MESSAGE_FUEL: u64 = 1_000;

/// Bytes of all prompts and responses of one row.
const ROW_BYTES: usize = 512 << 20;

/// A content that no template touches and no conversation holds.
const PROBE: &str = "tokshiftPROBEq7x";

/// Fields of a message beside its content that templates make text of.
const STRUCTURED: [&str; 5] = ["tool_calls", "reasoning_content", "reasoning", "thinking", "function_call"];

/// How a response came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Rendering {
    /// What the template writes, and all that the message holds.
    Whole,
    /// What the template writes, though it leaves out reasoning that the message has apart from its content.
    Partial,
    /// The content as it stands: the template would leave out some of it.
    Raw,
}

/// One turn of an assistant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Turn {
    /// Number among the assistant's turns, from 0.
    pub turn: u32,
    /// All text before the response, special tokens included.
    pub prompt: String,
    /// Bytes of it that the messages before the turn give, whatever the turn says.
    #[serde(skip)]
    pub asked: usize,
    pub response: String,
    /// The special token that ends the turn.
    pub end: Option<String>,
    pub rendering: Rendering,
}

impl ChatTemplate {
    /// The text of a conversation: `messages` is a list of objects with a `role`, `tools` a list of JSON schemas.
    ///
    /// # Errors
    /// Messages or tools that are none, a content that the template does not take, what it raises, what it uses that is
    /// not supported, or too much work; for the `reason` of a sample.
    pub fn render(&self, messages: &Json, tools: Option<&Json>, generation_prompt: bool) -> Result<String, String> {
        self.render_with(messages, tools, &Kwargs::default(), generation_prompt)
    }

    /// [`ChatTemplate::render`] with variables of the conversation's own.
    ///
    /// # Errors
    /// As there.
    pub fn render_with(
        &self,
        messages: &Json,
        tools: Option<&Json>,
        kwargs: &Kwargs,
        generation_prompt: bool,
    ) -> Result<String, String> {
        Conversation::new(self, &list(messages)?, tools, kwargs)?.whole(generation_prompt)
    }

    /// The turns of the assistant in `messages` from number `first` on, in order: as many as there are messages with
    /// that role.
    ///
    /// # Errors
    /// As [`ChatTemplate::render`]; one turn that cannot be rendered is an error of the whole conversation.
    pub fn turns(&self, messages: &Json, tools: Option<&Json>, first: u32) -> Result<Vec<Turn>, String> {
        self.turns_with(messages, tools, &Kwargs::default(), first)
    }

    /// [`ChatTemplate::turns`] with variables of the conversation's own.
    ///
    /// # Errors
    /// As there.
    pub fn turns_with(
        &self,
        messages: &Json,
        tools: Option<&Json>,
        kwargs: &Kwargs,
        first: u32,
    ) -> Result<Vec<Turn>, String> {
        let messages = &list(messages)?;
        // No probe is needed after the last turn.
        let end = messages.iter().rposition(is_assistant).map_or(0, |last| last + 1);
        let mut conversation = Conversation::new(self, &messages[..end], tools, kwargs)?;
        let of_assistant = (0..end).filter(|&index| is_assistant(&messages[index]));
        of_assistant.zip(0..).skip(first as usize).map(|(index, turn)| conversation.turn(turn, index)).collect()
    }
}

/// Whether the assistant wrote a message.
fn is_assistant(message: &Json) -> bool {
    message.get("role").and_then(Json::as_str) == Some("assistant")
}

/// The messages of a conversation as `apply_chat_template` of transformers 5.24 gives them to a template: its
/// `_normalize_chat_messages` drops the fields of a message that are `None`, but none that lie deeper.
pub fn list(messages: &Json) -> Result<Cow<'_, [Json]>, String> {
    let list = messages.as_array().map(Vec::as_slice).unwrap_or_default();
    if list.is_empty() || list.iter().any(|message| message.get("role").and_then(Json::as_str).is_none()) {
        return Err("`messages` is not a list of objects with a `role`".to_owned());
    }
    if !has_null_fields(messages) {
        return Ok(list.into());
    }
    let mut list = list.to_vec();
    for fields in list.iter_mut().filter_map(Json::as_object_mut) {
        fields.retain(|_, value| !value.is_null());
    }
    Ok(list.into())
}

/// Whether a message has a field that is null, which transformers 4 shows to templates as `None`.
pub fn has_null_fields(messages: &Json) -> bool {
    let fields = messages.as_array().into_iter().flatten().filter_map(Json::as_object).flat_map(Map::values);
    fields.into_iter().any(Json::is_null)
}

/// A conversation on its way through the template, and what that cost so far.
pub struct Conversation<'a> {
    template: &'a ChatTemplate,
    /// As the template takes them.
    messages: Cow<'a, [Json]>,
    /// The same for the template.
    values: Vec<Value>,
    /// Tools and other variables.
    given: Vec<(String, Value)>,
    fuel: u64,
    /// What the renderings may come to.
    budget: u64,
    bytes: usize,
}

impl<'a> Conversation<'a> {
    /// # Errors
    /// As [`parts::settle`]; tools that are none.
    pub fn new(
        template: &'a ChatTemplate,
        messages: &'a [Json],
        tools: Option<&Json>,
        kwargs: &Kwargs,
    ) -> Result<Self, String> {
        given::check_tools(tools.unwrap_or(&Json::Null))?;
        let mut given: Vec<_> = kwargs.or(&template.kwargs).map(|(name, value)| (name.to_owned(), value)).collect();
        given.push(("tools".to_owned(), tools.map_or(Value::None, Value::of_json)));
        let (values, budget) = (Vec::new(), ROW_FUEL);
        let mut own = Self { template, messages: messages.into(), values, given, fuel: 0, budget, bytes: 0 };
        own.messages = parts::settle(messages, |values| own.write(values, false))?;
        own.values = own.messages.iter().map(given::message).collect();
        Ok(own)
    }

    /// All messages.
    pub fn whole(&mut self, generation_prompt: bool) -> Result<String, String> {
        self.write(self.values.clone(), generation_prompt)
    }

    fn turn(&mut self, turn: u32, index: usize) -> Result<Turn, String> {
        let prompt = self.render(index, None, true)?;
        let asked = prompt.len();
        let whole = self.render(index, Some(self.values[index].clone()), false)?;
        let is_in_parts = self.messages[index].get("content").is_some_and(Json::is_array);
        let content = if is_in_parts { json!([{"type": "text", "text": PROBE}]) } else { json!(PROBE) };
        let probe = Value::of_json(&json!({"role": "assistant", "content": content}));
        // A template that fails on the probe does not show how turns end.
        let probed = self.render(index, Some(probe), false).unwrap_or_default();
        let (before, tail) = probed.rsplit_once(PROBE).map_or(("", None), |(before, tail)| (before, Some(tail)));
        let opening = before.strip_prefix(&prompt).unwrap_or_default();

        let message = Message::new(&self.messages[index]);
        let written = whole.strip_prefix(&prompt).map(|rest| self.cut(rest, tail));
        let (prompt, response, end, rendering) = match written {
            Some((body, _)) if message.calls.iter().any(|name| !holds(body, name)) => {
                return Err(format!("the chat template does not write the tool calls of turn {turn}"));
            }
            Some((body, end)) => {
                let (opening, response, rendering) = message.response(&prompt, opening, body);
                (prompt + opening, response.to_owned(), end, rendering)
            }
            None if message.is_structured => {
                return Err(format!("the chat template does not write turn {turn} after its own generation prompt"));
            }
            None => {
                let end = tail.and_then(|tail| self.template.tokens.first_in(tail)).map(|(_, token)| token);
                let response = without_opening(&prompt, &message.text).to_owned();
                (prompt, response, end, Rendering::Raw)
            }
        };
        let end = end.or(self.template.tokens.eos()).map(str::to_owned);
        self.bytes += prompt.len() + response.len();
        if self.bytes > ROW_BYTES {
            return Err(format!("the turns of the conversation come to more than {} MiB", ROW_BYTES >> 20));
        }
        Ok(Turn { turn, prompt, asked, response, end, rendering })
    }

    /// The messages before `index` and `next`.
    fn render(&mut self, index: usize, next: Option<Value>, generation_prompt: bool) -> Result<String, String> {
        self.write(self.values[..index].iter().cloned().chain(next).collect(), generation_prompt)
    }

    fn write(&mut self, messages: Vec<Value>, generation_prompt: bool) -> Result<String, String> {
        self.budget += MESSAGE_FUEL * messages.len() as u64;
        if self.fuel > self.budget {
            return Err("the chat template works too long on the turns of the conversation".to_owned());
        }
        let (text, fuel) = self.template.render_values(messages, &self.given, generation_prompt);
        self.fuel += fuel;
        text
    }

    /// What is the message's own in `rest`, all that the template writes after the prompt, and the token that ends it.
    /// `tail` is what the template writes after a content.
    fn cut<'t>(&self, rest: &'t str, tail: Option<&str>) -> (&'t str, Option<&str>) {
        let tokens = &self.template.tokens;
        if let Some(tail) = tail
            && let Some(body) = rest.strip_suffix(tail)
        {
            let (at, end) = tokens.first_in(tail).map_or((0, None), |(at, token)| (at, Some(token)));
            return (&rest[..body.len() + at], end);
        }
        let text = rest.trim_end();
        match tokens.last_of(text) {
            Some(token) => (&text[..text.len() - token.len()], Some(token)),
            None => (rest, None),
        }
    }
}

/// What a message says.
struct Message {
    /// The content; of one in parts, which the template takes so, the texts.
    text: String,
    /// Reasoning that stands apart from the content.
    reasoning: Option<String>,
    /// Names of the functions it calls.
    calls: Vec<String>,
    /// There is more than a text.
    is_structured: bool,
}

impl Message {
    fn new(message: &Json) -> Self {
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
    fn response<'a>(&'a self, prompt: &str, opening: &str, body: &'a str) -> (&'a str, &'a str, Rendering) {
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
fn without_opening<'a>(prompt: &str, text: &'a str) -> &'a str {
    let prompt_text = prompt.trim_end();
    let tag = prompt_text.rfind('<').map(|at| &prompt_text[at..]).filter(|tag| tag.ends_with('>'));
    let Some(rest) = tag.and_then(|tag| text.trim_start().strip_prefix(tag)) else { return text };
    rest.strip_prefix(&prompt[prompt_text.len()..]).unwrap_or(rest)
}

/// Whether `body` holds `text`, white space aside.
fn holds(body: &str, text: &str) -> bool {
    let squash = |text: &str| text.split_whitespace().collect::<String>();
    squash(body).contains(&squash(text))
}
