//! What a model's files say of its chats: templates and special tokens.
//!
//! Owns which files are read, in which order, and every form that they have been written in. Refuses to judge a
//! template: the environment does.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value as Json;

use super::found::{DEFAULT, SpecialTokens, TOOL_USE, Templates};
use super::gguf;
use crate::error::{Error, Result};
use crate::gguf::{Header, is_gguf};
use crate::{python_json, stand_in};

/// Largest template that is read; real ones stay under 64 KiB.
const TEMPLATE_BYTES: u64 = 1 << 20;

/// Special tokens that transformers gives a template, by the names it gives them.
const NAMED: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// More of them: with names of their own where they are an object, as transformers 5 has it, and without where they are a
/// list.
const MORE: [&str; 3] = ["additional_special_tokens", "extra_special_tokens", "model_specific_special_tokens"];

impl Templates {
    /// `chat_template.jinja` (with `additional_chat_templates/tool_use.jinja` beside it), else `chat_template` of
    /// `tokenizer_config.json`: a text, or several with names. A GGUF file has its own.
    pub fn of_model(model: &Path) -> Result<Option<Self>> {
        if is_gguf(model) {
            return gguf::templates(&Header::read(model)?);
        }
        let directory = model;
        let path = directory.join("chat_template.jinja");
        if path.is_file() {
            let tools = directory.join("additional_chat_templates").join("tool_use.jinja");
            let tool_use = if tools.is_file() { Some(template(&tools)?) } else { None };
            return Ok(Some(Self { default: Some(template(&path)?), tool_use }));
        }
        let path = directory.join("tokenizer_config.json");
        match object(&path)?.get("chat_template") {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(text)) => Ok(Some(Self { default: Some(text.clone()), tool_use: None })),
            Some(several) => Self::of_list(several)
                .map(Some)
                .ok_or_else(|| Error::file(&path, "`chat_template` is neither a text nor a list of {name, template}")),
        }
    }

    fn of_list(several: &Json) -> Option<Self> {
        let mut found = Self::default();
        for entry in several.as_array()? {
            let text = entry.get("template")?.as_str()?.to_owned();
            match entry.get("name")?.as_str()? {
                DEFAULT => found.default = Some(text),
                TOOL_USE => found.tool_use = Some(text),
                _ => {}
            }
        }
        Some(found)
    }
}

impl SpecialTokens {
    /// Reads `tokenizer_config.json`, over which `special_tokens_map.json` goes unless it lists its added tokens itself, and
    /// the added tokens of `tokenizer.json`; or a GGUF file. A file that does not exist says nothing.
    ///
    /// # Errors
    /// A file that cannot be read or is no JSON.
    pub fn of_model(model: &Path) -> Result<Self> {
        if is_gguf(model) {
            return gguf::special_tokens(&Header::read(model)?);
        }
        let directory = model;
        let mut config = object(&directory.join("tokenizer_config.json"))?;
        if !config.contains_key("added_tokens_decoder") {
            for (name, value) in object(&directory.join("special_tokens_map.json"))? {
                match (config.get_mut(&name), value) {
                    (Some(Json::Array(tokens)), Json::Array(more)) => tokens.extend(more),
                    (_, value) => drop(config.insert(name, value)),
                }
            }
        }
        let mut named: BTreeMap<String, String> =
            NAMED.into_iter().filter_map(|name| Some((name.to_owned(), token(config.get(name))?))).collect();
        let mut more = Vec::new();
        for tokens in MORE.into_iter().filter_map(|name| config.get(name)) {
            match tokens {
                Json::Object(own) => {
                    named.extend(own.iter().filter_map(|(name, own)| Some((name.clone(), token(Some(own))?))));
                }
                Json::Array(list) => more.extend(list.iter().filter_map(|own| token(Some(own)))),
                _ => {}
            }
        }
        let listed = config.get("added_tokens_decoder").and_then(Json::as_object);
        let mut all = match listed.filter(|tokens| !tokens.is_empty()) {
            Some(tokens) => tokens.values().filter(|added| is_special(added)).filter_map(|t| token(Some(t))).collect(),
            None => added_tokens(&directory.join("tokenizer.json"))?,
        };
        all.extend(more);
        Ok(Self::new(named, all))
    }
}

/// A token: its text, or an object with its text as `content`.
fn token(value: Option<&Json>) -> Option<String> {
    let value = value?;
    value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_owned)
}

fn is_special(added: &Json) -> bool {
    added.get("special").and_then(Json::as_bool).unwrap_or(false)
}

/// The special ones of a `tokenizer.json`'s added tokens; the vocabulary is skipped.
fn added_tokens(path: &Path) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Tokenizer {
        #[serde(default)]
        added_tokens: Vec<Json>,
    }
    let file = match File::open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened.map_err(Error::io("read", path))?,
    };
    let read: Tokenizer = serde_json::from_reader(BufReader::new(file))
        .map_err(|e| stand_in::explain_file(path, format!("not a tokenizer.json: {e}")))?;
    Ok(read.added_tokens.iter().filter(|added| is_special(added)).filter_map(|t| token(Some(t))).collect())
}

/// The object of a JSON file; an empty one if there is no such file.
fn object(path: &Path) -> Result<serde_json::Map<String, Json>> {
    match fs::read(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(serde_json::Map::new()),
        read => python_json::parse(path, &read.map_err(Error::io("read", path))?),
    }
}

/// The source of the template in a file.
pub fn template(path: &Path) -> Result<String> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    let mut text = String::new();
    file.take(TEMPLATE_BYTES + 1).read_to_string(&mut text).map_err(Error::io("read", path))?;
    if text.len() as u64 > TEMPLATE_BYTES {
        return Err(Error::file(path, format!("larger than {} KiB: no chat template", TEMPLATE_BYTES >> 10)));
    }
    stand_in::refuse(path, text.as_bytes())?;
    Ok(text)
}
