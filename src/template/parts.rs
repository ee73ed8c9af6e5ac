//! List-valued message content (OpenAI's format): which messages a template receives as a list, and which as one
//! string.
//!
//! Owns that decision. vLLM takes it from the template's source, once for all messages: a loop over the content means
//! lists (`chat_template_content_format: auto`). Here each message is rendered with probe strings instead, because some
//! templates accept lists from the user but only strings from the system. Content stays a list where the template
//! writes its elements as strings, as transformers renders it. Where the template would write the list as Python or
//! JSON shows it, or omit it, the template receives the strings joined into one. An element that is no text must appear
//! in the rendering; otherwise it is an error.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Value as Json, json};

use super::given;
use super::jinja::Value;

/// Types of parts that are texts; one without a type is one.
const TEXTS: [&str; 3] = ["text", "input_text", "output_text"];

/// Other types that parts have, of those that people send.
const OTHERS: [&str; 8] =
    ["image", "image_url", "input_image", "audio", "audio_url", "input_audio", "video", "video_url"];

/// Roles whose contents may be lists of anything: what a tool answered.
const OF_TOOLS: [&str; 3] = ["tool", "function", "ipython"];

/// The parts of a message's content: objects that have a type or a text. A list that a tool answered is data, unless each of
/// its items has a type that parts have.
pub fn of(message: &Json) -> Option<&[Json]> {
    let is_text = |part: &Json, name: &str| part.get(name).is_some_and(Json::is_string);
    let is_known = |part: &Json| kind(part).is_some_and(|kind| TEXTS.contains(&kind) || OTHERS.contains(&kind));
    let parts = message.get("content")?.as_array()?;
    let is_answer = message.get("role").and_then(Json::as_str).is_some_and(|role| OF_TOOLS.contains(&role));
    let are_parts = if is_answer {
        !parts.is_empty() && parts.iter().all(is_known)
    } else {
        parts.iter().all(|part| is_text(part, "type") || is_text(part, "text"))
    };
    are_parts.then_some(parts)
}

fn kind(part: &Json) -> Option<&str> {
    part.get("type")?.as_str()
}

/// The text of a part; `None` of an image, say.
pub fn text(part: &Json) -> Option<&str> {
    let is_known = part.get("type").is_none_or(|name| name.as_str().is_some_and(|name| TEXTS.contains(&name)));
    part.get("text").filter(|_| is_known)?.as_str()
}

/// The messages with every content as the template takes it. `render` writes messages without a generation prompt; it is
/// tested once if any content is in parts, and once more for each part that is no text.
///
/// # Errors
/// A part that is no text and that the template writes nothing for; what `render` says when one of these is left out.
pub fn fix(
    messages: &[Json],
    mut render: impl FnMut(Vec<Value>) -> Result<String, String>,
) -> Result<Cow<'_, [Json]>, String> {
    if !messages.iter().any(|message| of(message).is_some()) {
        return Ok(Cow::Borrowed(messages));
    }
    let probed = messages.iter().enumerate().map(|(index, message)| match of(message) {
        Some(parts) => given::message(&with_content(message, &probes(index, parts))),
        None => given::message(message),
    });
    let probed: Vec<Value> = probed.collect();
    // A template that fails on parts takes texts; if it fails on those too, the failure is found when it renders them.
    let written = render(probed.clone()).unwrap_or_default();
    let found = found(&written);
    let mut fixed = messages.to_vec();
    for (index, message) in messages.iter().enumerate() {
        let Some(parts) = of(message) else { continue };
        if parts.iter().any(|part| text(part).is_none() && kind(part).is_none_or(|kind| TEXTS.contains(&kind))) {
            return Err(format!("message {index} has a part of text whose `text` is none"));
        }
        let is_taken = takes(&found, index, parts);
        for (place, part) in parts.iter().enumerate().filter(|(_, part)| text(part).is_none()) {
            let mut without = probed.clone();
            without[index] = given::message(&with_content(message, &probes_without(index, parts, place)));
            if !is_taken || render(without)? == written {
                let kind = part.get("type").unwrap_or(&Json::Null);
                return Err(format!(
                    "message {index} has a part of type {kind}, which the chat template does not write"
                ));
            }
        }
        if !is_taken {
            fixed[index] = with_content(message, &joined(message, parts).into());
        }
    }
    Ok(Cow::Owned(fixed))
}

/// The texts in one: with a line break between, as vLLM joins what it sends to a model. What an assistant said is one text
/// already.
fn joined(message: &Json, parts: &[Json]) -> String {
    let is_assistant = message.get("role").is_some_and(|role| role == "assistant");
    parts.iter().filter_map(text).collect::<Vec<_>>().join(if is_assistant { "" } else { "\n" })
}

fn with_content(message: &Json, content: &Json) -> Json {
    let mut message = message.clone();
    message["content"] = content.clone();
    message
}

/// A text that no conversation contains.
const PROBE: &str = "tokshiftPROBE";

/// Another for every text.
fn probe(index: usize, place: usize) -> String {
    format!("{PROBE}{index}x{place}q")
}

/// The parts with a probe for each text, and one at the end if there is none.
fn probes(index: usize, parts: &[Json]) -> Json {
    let probed = parts.iter().enumerate().map(|(place, part)| match text(part) {
        Some(_) => with_text(part, probe(index, place)),
        None => part.clone(),
    });
    let more = parts.iter().all(|part| text(part).is_none());
    let more = more.then(|| json!({"type": "text", "text": probe(index, parts.len())}));
    probed.chain(more).collect()
}

fn probes_without(index: usize, parts: &[Json], place: usize) -> Json {
    let mut probes = probes(index, parts);
    if let Some(parts) = probes.as_array_mut() {
        parts.remove(place);
    }
    probes
}

fn with_text(part: &Json, text: String) -> Json {
    let mut part = part.clone();
    part["text"] = text.into();
    part
}

/// The probes that stand in `written`, by message and place: whether each is a text there, never a value of an object.
fn found(written: &str) -> HashMap<(usize, usize), bool> {
    let mut found = HashMap::new();
    for (at, _) in written.match_indices(PROBE) {
        let number = |text: &str| text.parse().ok();
        let key = written[at + PROBE.len()..].split_once('q').and_then(|(key, _)| key.split_once('x'));
        let Some((index, place)) = key.and_then(|(index, place)| number(index).zip(number(place))) else { continue };
        *found.entry((index, place)).or_insert(true) &= !is_after_key(&written[..at]);
    }
    found
}

/// Whether every text of the message was found as a text.
fn takes(found: &HashMap<(usize, usize), bool>, index: usize, parts: &[Json]) -> bool {
    let is_text = |place: usize| found.get(&(index, place)) == Some(&true);
    let mut texts =
        parts.iter().enumerate().filter(|(_, part)| text(part).is_some()).map(|(place, _)| place).peekable();
    // Where there is none, one was added.
    if texts.peek().is_none() { is_text(parts.len()) } else { texts.all(is_text) }
}

/// Whether a text ends as in `{'type': 'text', 'text': '`, of Python or of JSON.
fn is_after_key(text: &str) -> bool {
    const QUOTES: [char; 2] = ['\'', '"'];
    let key = text.strip_suffix(QUOTES).and_then(|text| text.trim_end().strip_suffix(':'));
    let key = key.and_then(|text| text.trim_end().strip_suffix(QUOTES));
    key.is_some_and(|text| text.ends_with("text"))
}
