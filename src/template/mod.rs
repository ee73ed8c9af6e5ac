//! Chat templates: from messages to the text that a model reads, as transformers renders it.
//!
//! Owns the templates of a model, what they may see and how much they may work. Refuses token ids: a rendered text
//! holds its special tokens, the BOS among them, as text.

mod chat_template;
mod files;
mod found;
mod gguf;
mod given;
mod jinja;
mod parts;
mod turns;

pub use chat_template::{ChatTemplate, DATE, STACK};
pub use chrono::NaiveDate;
pub use found::SpecialTokens;
pub use given::{Kwargs, json, tools};
pub use turns::{Rendering, Turn, has_null_fields};
