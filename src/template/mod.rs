//! Chat templates: from messages to the text that a model reads, as transformers renders it.
//!
//! Owns the templates of a model, what they may see and how much they may work. Refuses token ids: a rendered text
//! holds its special tokens, the BOS among them, as text.

mod environment;
mod files;
mod gguf;
mod json;
mod parts;
mod turns;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use minijinja::{Environment, Error as JinjaError, ErrorKind, Value};
use serde_json::Value as Json;

pub use chrono::NaiveDate;
pub use files::SpecialTokens;
pub use turns::{Rendering, Turn};

use crate::digest;
use crate::error::{Error, Result};
use files::Templates;
use turns::Conversation;

/// The work that one rendering may do: a unit an instruction, or 64 bytes of data. So a template ends; a conversation of a
/// million tokens takes a tenth of it.
const RENDER_FUEL: u64 = 2_000_000;

/// Longest text that a rendering writes.
const RENDER_BYTES: usize = 32 << 20;

/// Stack of a thread that renders: a template may nest values, which are shown and dropped level by level, as deep as its
/// fuel lasts.
pub const STACK: usize = 512 << 20;

/// Longest reason that is kept of a failure: a template chooses the words of its own exceptions.
const REASON_CHARS: usize = 500;

/// What `strftime_now` answers unless told otherwise: the day that templates themselves fall back to where there is no
/// clock (Llama 3.1's). A text that changed with the day it was rendered could not be scored twice.
pub const DATE: NaiveDate = NaiveDate::from_ymd_opt(2024, 7, 26).expect("a day of the calendar");

/// The chat templates of a model with the special tokens that they may name.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    templates: Templates,
    tokens: SpecialTokens,
    date: NaiveDate,
}

impl ChatTemplate {
    /// The template of a model's or tokenizer's directory (`chat_template.jinja`, else what `tokenizer_config.json`
    /// has) or of a GGUF file; `None` if there is none.
    ///
    /// # Errors
    /// A file that cannot be read, or a template that is none.
    pub fn of_model(model: &Path) -> Result<Option<Self>> {
        let Some(templates) = Templates::of_model(model)? else { return Ok(None) };
        Self::new(model, templates, SpecialTokens::of_model(model)?).map(Some)
    }

    /// The template that a file holds, with the special tokens of the model it is for.
    ///
    /// # Errors
    /// As [`ChatTemplate::of_model`].
    pub fn from_file(path: &Path, tokens: SpecialTokens) -> Result<Self> {
        Self::new(path, Templates { default: Some(files::template(path)?), tool_use: None }, tokens)
    }

    fn new(from: &Path, templates: Templates, tokens: SpecialTokens) -> Result<Self> {
        let mut environment = environment::new(RENDER_FUEL);
        for (name, source) in templates.named() {
            let added = environment.add_template_owned(name, environment::without_generation_tags(source));
            added.map_err(|e| Error::file(from, format!("the chat template cannot be read: {}", reason(&e))))?;
        }
        Ok(Self { environment, templates, tokens, date: DATE }.with_date(DATE))
    }

    /// The same template with `date` as what its `strftime_now` tells.
    #[must_use]
    pub fn with_date(mut self, date: NaiveDate) -> Self {
        environment::set_date(&mut self.environment, date);
        Self { date, ..self }
    }

    /// Whether the template may write the date.
    pub fn asks_for_date(&self) -> bool {
        self.templates.named().any(|(_, source)| source.contains("strftime_now"))
    }

    /// 64 hex digits that tell what decides a rendering: templates, special tokens, and the date if it is asked for.
    pub fn identity(&self) -> String {
        let date = if self.asks_for_date() { self.date.to_string() } else { String::new() };
        let named = self.templates.named().chain(self.tokens.named()).flat_map(|(name, text)| [name, text]);
        digest::texts(named.chain([date.as_str()]))
    }

    /// The text of a conversation: `messages` is a list of objects with a `role`, `tools` a list of JSON schemas.
    ///
    /// # Errors
    /// Messages that are none, a content that the template does not take, what it raises, or too much work; for the
    /// `reason` of a sample.
    pub fn render(&self, messages: &Json, tools: Option<&Json>, generation_prompt: bool) -> Result<String, String> {
        Conversation::new(self, turns::list(messages)?, tools)?.whole(generation_prompt)
    }

    /// The text, and the fuel that it took.
    fn render_values(
        &self,
        messages: Vec<Value>,
        tools: Option<&Value>,
        generation_prompt: bool,
    ) -> Result<(String, u64), String> {
        let name = if tools.is_some() { self.templates.with_tools() } else { files::DEFAULT };
        let none = Value::from(());
        let own = [
            ("messages", Value::from(messages)),
            ("tools", tools.cloned().unwrap_or_else(|| none.clone())),
            ("documents", none),
            ("add_generation_prompt", Value::from(generation_prompt)),
        ];
        let tokens = self.tokens.named().map(|(name, token)| (name, Value::from(token)));
        let context: BTreeMap<&str, Value> = tokens.chain(own).collect();
        let mut out = Bounded(Vec::new());
        let template = self.environment.get_template(name);
        let rendered = template.and_then(|template| template.render_captured_to(Value::from(context), &mut out));
        let rendered = rendered.map_err(|e| format!("the chat template failed: {}", reason(&e)))?;
        let fuel = rendered.state().fuel_levels().map_or(0, |(consumed, _)| consumed);
        let text = String::from_utf8(out.0).map_err(|_| "the chat template writes what is no text")?;
        Ok((text, fuel))
    }
}

/// What is written, up to [`RENDER_BYTES`]: a value of few instructions may hold itself many times over.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > RENDER_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn reason(error: &JinjaError) -> String {
    match error.kind() {
        ErrorKind::OutOfFuel => "it does not come to an end".to_owned(),
        ErrorKind::WriteFailure => format!("it writes more than {} MiB", RENDER_BYTES >> 20),
        ErrorKind::TemplateNotFound => format!("the model has several, none of them called `{}`", files::DEFAULT),
        _ => error.to_string().chars().take(REASON_CHARS).collect(),
    }
}
