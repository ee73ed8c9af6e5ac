//! Rows of `conversations`, as ShareGPT's files and those made after them have.
//!
//! Owns their turns: `from` and `value`, or messages under another name. Who speaks is known of `human`, `gpt` and the
//! like, as trainers read them; any other speaker is an error that names it. Not here: messages (`chats`).

use serde_json::{Map, Value};

use crate::dataset::chats;
use crate::dataset::content::Content;
use crate::dataset::named::Named;

const FIELD: &str = "conversations";

/// Who speaks, and the role that trainers give it.
const ROLES: [(&str, &str); 6] = [
    ("system", "system"),
    ("human", "user"),
    ("user", "user"),
    ("gpt", "assistant"),
    ("chatgpt", "assistant"),
    ("assistant", "assistant"),
];

/// The conversation: each turn of the assistant is a sample.
///
/// # Errors
/// What is wrong with it: a turn of neither form, a speaker that is not known, a system prompt next to the list.
pub fn contents(row: &Named) -> Result<Vec<Content>, String> {
    row.finite(FIELD, row.need(FIELD)?)?;
    let turns: Vec<Map<String, Value>> = row.list(FIELD, "turns as objects")?;
    // Some trainers put it before the conversation and others never see it.
    if row.get("system").is_some_and(|system| system != "\"\"") {
        let (system, field) = (row.called("system"), row.called(FIELD));
        return Err(format!(
            "the row has both `{system}` and `{field}`, which programs read differently: make it the first turn of \
             `{field}`, or leave the field out"
        ));
    }
    let messages = turns.into_iter().enumerate().map(|(index, turn)| message(row, index, turn));
    let messages = messages.collect::<Result<Vec<_>, String>>()?;
    let assistant = messages.iter().filter(|message| message["role"] == "assistant").count() as u32;
    chats::of_messages(row, FIELD, Value::from(messages).to_string(), assistant)
}

/// A turn as a message. What else it has comes after, because templates may show it.
fn message(row: &Named, index: usize, mut turn: Map<String, Value>) -> Result<Value, String> {
    let place = || format!("turn {index} (from 0) of `{}`", row.called(FIELD));
    let (from, value) = (turn.shift_remove("from"), turn.shift_remove("value"));
    let message = match (from, value) {
        (None, None) if turn.get("role").is_some_and(Value::is_string) => return Ok(turn.into()),
        (Some(Value::String(from)), Some(Value::String(value))) if !turn.contains_key("role") => {
            let Some((_, role)) = ROLES.iter().find(|(speaker, _)| *speaker == from) else {
                let known = ROLES.map(|(speaker, _)| format!("`{speaker}`")).join(", ");
                return Err(format!(
                    "{} is from `{from}`; known are {known}: rename it, or write the row as `messages`",
                    place()
                ));
            };
            let message = [("role", (*role).to_owned()), ("content", value)];
            message.into_iter().map(|(name, text)| (name.to_owned(), text.into())).chain(turn).collect::<Map<_, _>>()
        }
        _ => return Err(format!("{} has neither texts `from` and `value` nor a `role`", place())),
    };
    Ok(message.into())
}
