//! What makes ids of text: from options to the one tokenizer, its chat template and the end token.
//!
//! Owns the defaults that depend on one another. Not here: reading a tokenizer or a template, and rows.

use std::path::{Path, PathBuf};

use super::models::Model;
use super::named::tokenizer_of;
use super::watch::{Event, Watch};
use crate::error::{Error, Result};
use crate::experiments::Options;
use crate::gguf::is_gguf;
use crate::template::{self, ChatTemplate, SpecialTokens};
use crate::tokenize;
use crate::{hub, python_json};

/// The requested tokenizer.
///
/// # Errors
/// As [`hub::resolve`].
pub fn tokenizer_path(source: &str) -> Result<PathBuf> {
    Ok(match Path::new(source) {
        path if path.is_file() => path.to_owned(),
        _ => tokenizer_of(&hub::resolve(source, hub::Kind::Model)?),
    })
}

/// A chat template from its file, with the special tokens of the model at `tokens`; or from a model directory, GGUF file
/// or hub id.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn chat_template(source: &str, tokens: &Path) -> Result<ChatTemplate> {
    let path = Path::new(source);
    if path.is_file() && !is_gguf(path) {
        return ChatTemplate::from_file(path, SpecialTokens::of_model(tokens)?);
    }
    match ChatTemplate::of_model(&hub::resolve(source, hub::Kind::Model)?)? {
        Some(template) => Ok(template),
        None => Err(Error::usage(format!(
            "`{source}` has no chat template: neither in a file of its own nor in the tokenizer's settings"
        ))),
    }
}

/// The requested chat template, else that of the tokenizer's directory or GGUF file, if it has one.
///
/// # Errors
/// The requested one cannot be read.
pub fn chat_template_of(options: &Options, tokenizer: &Path, watch: &dyn Watch) -> Result<Option<ChatTemplate>> {
    let model = if is_gguf(tokenizer) { tokenizer } else { tokenizer.parent().unwrap_or(Path::new(".")) };
    let template = match &options.chat_template {
        Some(source) => Some(chat_template(source, model)?),
        // Rows of text need no template, so an unusable one is an error only where one is needed.
        None => ChatTemplate::of_model(model).unwrap_or_else(|error| {
            watch.event(&Event::Warning(&error.to_string()));
            None
        }),
    };
    let kwargs = options.chat_template_kwargs.clone().unwrap_or_default();
    let date = options.chat_date.unwrap_or(template::DATE);
    Ok(template.map(|template| template.with_date(date).with_kwargs(kwargs)))
}

/// Every id that a model's configuration says ends a text; none if it says nothing.
///
/// # Errors
/// A file that is no JSON.
pub fn end_ids(directory: &Path) -> Result<Vec<u32>> {
    for name in ["generation_config.json", "config.json"] {
        let path = directory.join(name);
        let Ok(text) = std::fs::read(&path) else { continue };
        let config = python_json::parse(&path, &text)?;
        let ids = config.get("eos_token_id").unwrap_or(&serde_json::Value::Null);
        let ids = ids.as_array().map_or(std::slice::from_ref(ids), Vec::as_slice);
        let mut ids: Vec<u32> = ids.iter().filter_map(|id| u32::try_from(id.as_u64()?).ok()).collect();
        if !ids.is_empty() {
            ids.sort_unstable();
            ids.dedup();
            return Ok(ids);
        }
    }
    Ok(Vec::new())
}

/// `--end`: no token, an id, or the one end-of-sequence id in the generation config next to the tokenizer, or without one
/// in the model's config, as transformers has it, or in the GGUF file.
///
/// # Errors
/// A text that is none of these, a file that does not name one token, an id that a model does not have.
pub fn end_token(text: &str, models: &[&Model], tokenizer: &Path) -> Result<Option<u32>> {
    let end = named_end_token(text, tokenizer)?;
    let lacks = |model: &&&Model| end.zip(model.vocab()).is_some_and(|(end, vocab)| end as usize >= vocab);
    match models.iter().find(lacks) {
        Some(model) => {
            let (name, end) = (&model.named.name, end.unwrap_or_default());
            Err(Error::usage(format!("--end {text}: `{name}` has no token {end}")))
        }
        None => Ok(end),
    }
}

fn named_end_token(text: &str, tokenizer: &Path) -> Result<Option<u32>> {
    match text {
        "none" => Ok(None),
        "auto" if is_gguf(tokenizer) => {
            tokenize::gguf_end_token(tokenizer).map(Some).map_err(|e| e.during("--end auto"))
        }
        "auto" => {
            let [generation, model] =
                ["generation_config.json", "config.json"].map(|name| tokenizer.with_file_name(name));
            let path = if generation.exists() || !model.exists() { generation } else { model };
            config_end_token(&path).map(Some)
        }
        id => match id.parse() {
            Ok(id) => Ok(Some(id)),
            Err(_) => Err(Error::usage(format!("--end {id}: expected none, auto or a token id"))),
        },
    }
}

/// The one end token that a config names; of a model of several parts, its text part's.
fn config_end_token(path: &Path) -> Result<u32> {
    let config = std::fs::read(path).map_err(|e| Error::io("read", path)(e).during("--end auto"))?;
    let config = python_json::parse(path, &config)?;
    let of_text = || config.get("text_config")?.get("eos_token_id");
    let ids = config.get("eos_token_id").or_else(of_text).unwrap_or(&serde_json::Value::Null);
    if ids.as_array().is_some_and(|ids| ids.len() > 1) {
        // Which of them ends a turn is not written there, and the wrong one costs some 12 nats a response.
        return Err(Error::usage(format!(
            "--end auto: `{}` names several end tokens, {ids}: use the id of the one that ends a turn",
            path.display()
        )));
    }
    let id = ids.get(0).unwrap_or(ids).as_u64();
    id.and_then(|id| u32::try_from(id).ok())
        .ok_or_else(|| Error::usage(format!("--end auto: `{}` names no eos_token_id: use the id", path.display())))
}
