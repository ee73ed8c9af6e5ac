//! Chat templates: from messages to the text that a model reads, as transformers renders it.
//!
//! Owns the templates of a model, their variables and the limits on their work. Not here: token ids. A rendered text
//! contains its special tokens, including the BOS, as text.

mod chat_template;
mod files;
mod found;
mod gguf;
mod given;
mod jinja;
mod parts;
mod response;
mod turns;

pub use chat_template::{ChatTemplate, DATE, STACK};
pub use chrono::NaiveDate;
pub use found::SpecialTokens;
pub use given::{Kwargs, json, tools};
pub use response::Rendering;
pub use turns::{Turn, has_null_fields};
