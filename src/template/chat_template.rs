//! The chat templates of a model, ready to render.
//!
//! Owns the variables of a rendering besides its conversation, and the limits on its work. Not here: splitting the
//! rendered text into turns (`turns`).

use std::path::Path;

use chrono::NaiveDate;

use super::files::template;
use super::found::{DEFAULT, SpecialTokens, Templates};
use super::given::Kwargs;
use super::jinja::{self, Kind, Template, Value};
use crate::digest;
use crate::error::{Error, Result};

/// The work that one rendering may do: a unit a step of the template, or 64 bytes of text. So a template ends; a
/// conversation of a million tokens takes a tenth of it.
const RENDER_FUEL: u64 = 2_000_000;

/// The same for each message: long conversations may take more.
const MESSAGE_FUEL: u64 = 5_000;

/// Stack of a thread that renders: values are shown and dropped level by level.
pub const STACK: usize = 512 << 20;

/// Longest reason that is kept of a failure: a template chooses the words of its own exceptions.
const REASON_CHARS: usize = 500;

/// What `strftime_now` returns by default: the day that templates themselves fall back to where there is no
/// clock (Llama 3.1's). A text that changed with the day it was rendered could not be scored twice.
pub const DATE: NaiveDate = NaiveDate::from_ymd_opt(2024, 7, 26).expect("a day of the calendar");

/// The chat templates of a model with the special tokens that they may name.
#[derive(Debug)]
pub struct ChatTemplate {
    parsed: Vec<(&'static str, Template)>,
    templates: Templates,
    pub(super) tokens: SpecialTokens,
    date: NaiveDate,
    pub(super) kwargs: Kwargs,
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

    /// The template in a file, with the special tokens of the model it is for.
    ///
    /// # Errors
    /// As [`ChatTemplate::of_model`].
    pub fn from_file(path: &Path, tokens: SpecialTokens) -> Result<Self> {
        Self::new(path, Templates { default: Some(template(path)?), tool_use: None }, tokens)
    }

    fn new(from: &Path, templates: Templates, tokens: SpecialTokens) -> Result<Self> {
        let parse = |(name, source)| match Template::parse(source) {
            Ok(template) => Ok((name, template)),
            Err(e) => Err(Error::file(from, format!("the chat template cannot be read: {}", reason(&e)))),
        };
        let parsed = templates.named().map(parse).collect::<Result<_>>()?;
        Ok(Self { parsed, templates, tokens, date: DATE, kwargs: Kwargs::default() })
    }

    /// The same template with `date` as the value of its `strftime_now`.
    #[must_use]
    pub fn with_date(self, date: NaiveDate) -> Self {
        Self { date, ..self }
    }

    /// The same template with variables that every conversation gives it, unless it says otherwise itself.
    #[must_use]
    pub fn with_kwargs(self, kwargs: Kwargs) -> Self {
        Self { kwargs, ..self }
    }

    /// What every conversation gives the template, as JSON; `None` if that is nothing.
    pub fn kwargs(&self) -> Option<String> {
        (!self.kwargs.is_empty()).then(|| self.kwargs.text())
    }

    /// Whether the template may write the date.
    pub fn uses_date(&self) -> bool {
        self.templates.named().any(|(_, source)| source.contains("strftime_now"))
    }

    /// What versions of transformers do not agree on, about the special tokens that the template uses.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        let is_used = |name: &str| self.templates.named().any(|(_, source)| source.contains(name));
        self.tokens.in_four().filter(move |(name, _)| is_used(name)).map(|(name, in_four)| {
            let shown = |token: Option<&str>| token.map_or("nothing".to_owned(), |token| format!("`{token}`"));
            format!(
                "`{name}` of the chat template is {} to transformers 5, and so to tokshift; to transformers 4 it is {}",
                shown(self.tokens.get(name)),
                shown(in_four)
            )
        })
    }

    /// The hash, as 64 hex digits, of all that decides a rendering: templates, special tokens, and the date if it is
    /// used.
    pub fn identity(&self) -> String {
        let date = if self.uses_date() { self.date.to_string() } else { String::new() };
        let templates = self.templates.named().flat_map(|(name, text)| [name, text]);
        let named = templates.chain(self.tokens.named().flat_map(|(name, text)| [name, text]));
        digest::texts(named.chain([date.as_str()]))
    }

    /// The text of `messages` with what the conversation gives besides them, and the fuel that it took.
    pub(super) fn render_values(
        &self,
        messages: Vec<Value>,
        given: &[(String, Value)],
        prompt: bool,
    ) -> (Result<String, String>, u64) {
        let has_tools = given.iter().any(|(name, value)| name == "tools" && !matches!(value, Value::None));
        let name = if has_tools { self.templates.with_tools() } else { DEFAULT };
        let Some((_, template)) = self.parsed.iter().find(|(own, _)| *own == name) else {
            let only = format!("the model has several chat templates, none of them called `{DEFAULT}`");
            return (Err(only), 0);
        };
        let fuel = RENDER_FUEL + MESSAGE_FUEL * messages.len() as u64;
        let mut context = vec![("documents", Value::None)];
        context.extend(self.tokens.named().map(|(name, token)| (name, Value::str(token))));
        context.extend(given.iter().map(|(name, value)| (name.as_str(), value.clone())));
        context.extend([("messages", Value::list_of(messages)), ("add_generation_prompt", Value::Bool(prompt))]);
        let (rendered, fuel) = template.render(&context, fuel, self.date);
        (rendered.map_err(|e| format!("the chat template failed: {}", reason(&e))), fuel)
    }
}

fn reason(error: &jinja::Error) -> String {
    let words = match error.kind() {
        Kind::Rejected => format!("{error}: it may be rendered by transformers, but not here"),
        Kind::Raised | Kind::Endless | Kind::TooLong => error.to_string(),
    };
    words.chars().take(REASON_CHARS).collect()
}
