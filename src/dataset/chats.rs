//! Rows of messages: which assistant turns are samples.
//!
//! Owns the shapes whose prompt is a conversation: a whole one, or one continued by a completion, a response or each
//! of several responses (TRL's and verl's). Not here: rendering (`template`).

use serde::Deserialize;
use serde_json::json;

use crate::dataset::content::{Content, may_repeat};
use crate::dataset::endings::Endings;
use crate::dataset::named::Named;

#[derive(Deserialize)]
#[serde(expecting = "an object with a `role`")]
struct Message {
    role: String,
}

impl Message {
    fn is_assistant(&self) -> bool {
        self.role == "assistant"
    }
}

/// A whole conversation: each turn of the assistant is a sample.
pub fn whole(row: &Named) -> Result<Vec<Content>, String> {
    let turns = turns(&messages(row, "messages")?);
    of_messages(row, "messages", row.need("messages")?.to_owned(), turns)
}

/// A whole conversation that the field `name` contains, as a list of messages with so many `turns` of the assistant.
pub fn of_messages(row: &Named, name: &str, messages: String, turns: u32) -> Result<Vec<Content>, String> {
    if turns == 0 {
        return Err(none(row, name));
    }
    let chat = Chat { messages, before: 0, turns };
    Ok(vec![chat.content(row, Endings::of(row, 1)?.is_cut(0))?])
}

/// Whether a field is a list of objects.
pub fn is_conversation(row: &Named, name: &str) -> bool {
    let inside = row.get(name).and_then(|raw| raw.strip_prefix('['));
    inside.is_some_and(|inside| inside.trim_ascii_start().starts_with('{'))
}

/// A conversation `prompt`, and what it was gone on with: messages, or the text of one.
pub fn completed(row: &Named, prompt: &str, completion: &str) -> Result<Vec<Content>, String> {
    let prompt = Prompt::read(row, prompt)?;
    let chat = if is_conversation(row, completion) {
        let turns = turns(&messages(row, completion)?);
        if turns == 0 {
            return Err(none(row, completion));
        }
        prompt.with(row.need(completion)?, turns)
    } else {
        prompt.with(&answer(&row.text(completion)?), 1)
    };
    Ok(vec![chat.content(row, Endings::of(row, 1)?.is_cut(0))?])
}

/// A conversation `prompt`, and several texts that each went on with it.
pub fn rollouts(row: &Named) -> Result<Vec<Content>, String> {
    let prompt = Prompt::read(row, "prompt")?;
    let responses: Vec<String> = row.list("responses", "responses as strings")?;
    may_repeat(prompt.raw.len(), responses.len())?;
    let endings = Endings::of(row, responses.len())?;
    let rollout = |(index, text): (usize, &String)| prompt.with(&answer(text), 1).content(row, endings.is_cut(index));
    responses.iter().enumerate().map(rollout).collect()
}

fn messages(row: &Named, name: &str) -> Result<Vec<Message>, String> {
    row.finite(name, row.need(name)?)?;
    row.list(name, "messages with a `role` each")
}

fn none(row: &Named, name: &str) -> String {
    format!("`{}` has no turn of the assistant", row.called(name))
}

fn turns(messages: &[Message]) -> u32 {
    messages.iter().filter(|message| message.is_assistant()).count() as u32
}

/// A list of the one message that a text is.
fn answer(text: &str) -> String {
    json!([{"role": "assistant", "content": text}]).to_string()
}

/// A conversation that waits for the assistant.
struct Prompt<'a> {
    /// As the row has it.
    raw: &'a str,
    turns: u32,
}

impl<'a> Prompt<'a> {
    fn read(row: &Named<'a>, name: &str) -> Result<Self, String> {
        let messages = messages(row, name)?;
        // Templates close a turn; what would go on with it is not what they write.
        if messages.last().is_some_and(Message::is_assistant) {
            let name = row.called(name);
            return Err(format!("`{name}` ends with a turn of the assistant, which no template leaves open"));
        }
        Ok(Self { raw: row.need(name)?, turns: turns(&messages) })
    }

    /// With a list of messages after it, neither empty; the order of fields stays, because templates may show it.
    fn with(&self, rest: &str, turns: u32) -> Chat {
        let (raw, rest) = (self.raw.trim(), rest.trim());
        let (open, rest) = (raw.strip_suffix(']').unwrap_or(raw), rest.strip_prefix('[').unwrap_or(rest));
        Chat { messages: format!("{open},{rest}"), before: self.turns, turns }
    }
}

/// Messages with turns of the assistant, of which the first ones are context.
struct Chat {
    messages: String,
    before: u32,
    turns: u32,
}

impl Chat {
    fn content(self, row: &Named, cut: Option<bool>) -> Result<Content, String> {
        let Self { messages, before, turns } = self;
        let given = |name: &str| match row.optional(name)? {
            None => Ok::<_, String>(None),
            Some(raw) => Ok(Some(row.finite(name, raw)?.to_owned())),
        };
        let (tools, kwargs) = (given("tools")?, given("chat_template_kwargs")?);
        Ok(Content::Chat { messages, tools, kwargs, before, turns, cut })
    }
}
