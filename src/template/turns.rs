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
use super::response::{Message, Rendering, holds, without_opening};

/// Fuel of all renderings of one row, and what every message of each adds to it: turns cost the square of their number.
const ROW_FUEL: u64 = 50_000_000;
const MESSAGE_FUEL: u64 = 1_000;

/// Bytes of all prompts and responses of one row.
const ROW_BYTES: usize = 512 << 20;

/// A content that no template changes and no conversation contains.
const PROBE: &str = "tokshiftPROBEq7x";

/// One turn of an assistant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Turn {
    /// Number among the assistant's turns, from 0.
    pub turn: u32,
    /// All text before the response, special tokens included.
    pub prompt: String,
    /// Bytes of it that the messages before the turn give, whatever the turn says.
    #[serde(skip)]
    pub prompt_before: usize,
    /// Text of the response.
    pub response: String,
    /// The special token that ends the turn.
    pub end: Option<String>,
    /// How the response was found.
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
    /// As [`parts::fix`]; tools that are none.
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
        own.messages = parts::fix(messages, |values| own.write(values, false))?;
        own.values = own.messages.iter().map(given::message).collect();
        Ok(own)
    }

    /// All messages.
    pub fn whole(&mut self, generation_prompt: bool) -> Result<String, String> {
        self.write(self.values.clone(), generation_prompt)
    }

    fn turn(&mut self, turn: u32, index: usize) -> Result<Turn, String> {
        let prompt = self.render(index, None, true)?;
        let prompt_before = prompt.len();
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
        Ok(Turn { turn, prompt, prompt_before, response, end, rendering })
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
