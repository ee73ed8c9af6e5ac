//! Templates and special tokens in a model directory's files.
//!
//! Owns which files are read, in which order, and every form in which they have been written. Not here: whether a
//! template is valid.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value as Json;

use super::found::{DEFAULT, Otherwise, SpecialTokens, TOOL_USE, Templates};
use super::gguf;
use crate::error::{Error, Result};
use crate::gguf::{Header, is_gguf};
use crate::tokenizer_class::{Classes, NAMED, own_names};
use crate::{python_json, stand_in};

/// Largest template that is read; real ones stay under 64 KiB.
const TEMPLATE_BYTES: u64 = 1 << 20;

/// More of them: with names of their own where they are an object, as transformers 5 has it, and without where they are a
/// list.
const MORE: [&str; 3] = ["additional_special_tokens", "extra_special_tokens", MODEL_SPECIFIC];

const MODEL_SPECIFIC: &str = "model_specific_special_tokens";

impl Templates {
    /// `chat_template.jinja` (with `additional_chat_templates/tool_use.jinja` next to it), else `chat_template` of
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
    /// the added tokens of `tokenizer.json`; or a GGUF file. A file that does not exist says nothing. What the class of the
    /// tokenizer names by itself goes where the config has no such name.
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
        let listed = config.get("added_tokens_decoder").and_then(Json::as_object).filter(|tokens| !tokens.is_empty());
        let family = object(&directory.join("config.json"))?;
        let mut classes = Classes::of(&config, &family, false);
        let mut tokenizer = Tokenizer::default();
        if listed.is_none() || classes.request_bytes() {
            tokenizer = Tokenizer::read(&directory.join("tokenizer.json"))?;
            classes = Classes::of(&config, &family, tokenizer.pre_tokenizer.to_string().contains("ByteLevel"));
        }
        let (mut named, mut in_four) = of_names(&config, classes);
        let mut more = Vec::new();
        for (name, tokens) in MORE.into_iter().filter_map(|name| Some((name, config.get(name)?))) {
            match tokens {
                Json::Object(own) => {
                    for (own, token) in own.iter().filter_map(|(name, own)| Some((name, token(Some(own))?))) {
                        in_four.retain(|(name, _)| name != own);
                        in_four.extend((name == MODEL_SPECIFIC).then(|| (own.clone(), None)));
                        named.insert(own.clone(), token);
                    }
                }
                Json::Array(list) => more.extend(list.iter().filter_map(|own| token(Some(own)))),
                _ => {}
            }
        }
        let mut all = match listed {
            Some(tokens) => tokens.values().filter(|added| is_special(added)).filter_map(|t| token(Some(t))).collect(),
            None => tokenizer.specials(),
        };
        all.extend(more);
        Ok(Self::new(named, all).otherwise_in_four(in_four))
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

/// Tokens by the names that the config and the class have, and what other names stand for in transformers 4.
fn of_names(config: &serde_json::Map<String, Json>, classes: Classes) -> (BTreeMap<String, String>, Otherwise) {
    let (mut named, mut in_four) = (BTreeMap::new(), Vec::new());
    for name in NAMED {
        let (five, four) = match config.get(name) {
            Some(own) => (token(Some(own)), token(Some(own))),
            None => (classes.default_of(name).map(str::to_owned), classes.default_in_four(name).map(str::to_owned)),
        };
        if five != four {
            in_four.push((name.to_owned(), four));
        }
        named.extend(five.map(|token| (name.to_owned(), token)));
    }
    for (name, token) in own_names(config).filter_map(|(name, own)| Some((name, token(Some(own))?))) {
        in_four.push((name.to_owned(), None));
        named.insert(name.to_owned(), token);
    }
    (named, in_four)
}

/// What a `tokenizer.json` says besides its vocabulary, which is skipped.
#[derive(Default, Deserialize)]
struct Tokenizer {
    #[serde(default)]
    added_tokens: Vec<Json>,
    #[serde(default)]
    pre_tokenizer: Json,
}

impl Tokenizer {
    /// Nothing if there is no such file.
    fn read(path: &Path) -> Result<Self> {
        let file = match File::open(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            opened => opened.map_err(Error::io("read", path))?,
        };
        serde_json::from_reader(BufReader::new(file))
            .map_err(|e| stand_in::explain_file(path, format!("not a tokenizer.json: {e}")))
    }

    /// The special ones of the added tokens.
    fn specials(&self) -> Vec<String> {
        self.added_tokens.iter().filter(|added| is_special(added)).filter_map(|t| token(Some(t))).collect()
    }
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
    stand_in::reject(path, text.as_bytes())?;
    Ok(text)
}
