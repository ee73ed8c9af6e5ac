//! What transformers lays over a `tokenizer.json`: tokens, and flags of tokens, of the files beside it.
//!
//! Owns which of these files count, which tokens they add and in which order. Refuses files that are not what they are
//! called. Where versions of transformers differ, the fifth is followed, and what the fourth does is told. One difference is
//! neither followed nor told: special tokens that a list gives as objects without `special` are special here, as in the fourth.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};
use tokenizers::{AddedToken, Tokenizer};

use super::versions;
use crate::error::{Error, Result};
use crate::python_json;

/// The file that others lie beside; a tokenizer of another name stands alone.
pub const TOKENIZER: &str = "tokenizer.json";
const CONFIG: &str = "tokenizer_config.json";
const SPECIAL: &str = "special_tokens_map.json";
const ADDED: &str = "added_tokens.json";
/// Everything that decides ids.
pub const FILES: [&str; 4] = [TOKENIZER, CONFIG, SPECIAL, ADDED];

const NAMED: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// Classes of transformers 4 that put a BOS before every text unless `add_bos_token` says otherwise.
const BEGIN: [&str; 4] = ["LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer", "CohereTokenizer"];

/// What the files beside a `tokenizer.json` say.
#[derive(Debug, Default)]
pub struct Beside {
    /// In the order in which they are added.
    pub tokens: Vec<AddedToken>,
    /// The ids that files give, which transformers passes over: a new token has the next free one.
    pub indexed: Vec<(u32, String)>,
    /// `split_special_tokens`: special tokens in a text are spelled.
    pub splits_special: bool,
    /// The BOS, and whether the config, or its class in transformers 4, asks for it.
    pub bos: Option<String>,
    pub asks_for_bos: Option<bool>,
    /// What versions of transformers do not agree on beside it.
    pub notes: Vec<String>,
}

/// A token as these files write it.
#[derive(Deserialize)]
struct Written {
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    normalized: Option<bool>,
    #[serde(default)]
    special: bool,
}

impl Written {
    /// A special token is not normalised unless it says so.
    fn token(self, special: bool) -> AddedToken {
        let special = special || self.special;
        AddedToken {
            content: self.content,
            single_word: self.single_word,
            lstrip: self.lstrip,
            rstrip: self.rstrip,
            normalized: self.normalized.unwrap_or(!special),
            special,
        }
    }
}

impl Beside {
    /// Reads what lies beside `path`, where `tokenizer` was read from, which pads with `padding`.
    ///
    /// # Errors
    /// A file that cannot be read, or holds something else than its name says.
    pub fn read(path: &Path, tokenizer: &Tokenizer, padding: Option<String>) -> Result<Self> {
        if path.file_name().is_none_or(|name| name != TOKENIZER) {
            return Ok(Self::default());
        }
        let file = path.with_file_name(CONFIG);
        let mut config = object(&file)?;
        if config.get("fast_tokenizer_files").is_some_and(|files| files.as_array().is_some_and(|f| f.len() > 1)) {
            let what =
                "`fast_tokenizer_files` names several tokenizers, one a version of transformers: give --tokenizer FILE";
            return Err(Error::file(&file, what));
        }
        if let Some(token) = padding {
            config.entry("pad_token").or_insert_with(|| token.into());
        }
        let mut beside = Self::default();
        let indexed = match config.get("added_tokens_decoder") {
            Some(listed) => decoder(&file, listed)?,
            None => legacy(path, &mut config, tokenizer, &mut beside.notes)?,
        };
        beside.indexed = indexed.iter().map(|(id, token)| (*id, token.content.clone())).collect();
        beside.collect(&file, &config, indexed, tokenizer)?;
        let flag = |name: &str| config.get(name).and_then(Value::as_bool);
        beside.splits_special = flag("split_special_tokens").unwrap_or(false);
        let class = class(&config);
        let default =
            || defaults_of(class).iter().find(|(name, _)| *name == "bos_token" && !config.contains_key(*name));
        beside.notes.extend(versions::doubt(class, &config, tokenizer));
        let bos = config.get("bos_token").and_then(content).or_else(|| default().map(|(_, token)| *token));
        beside.bos = bos.map(str::to_owned);
        beside.asks_for_bos = flag("add_bos_token").or_else(|| BEGIN.contains(&class).then_some(true));
        Ok(beside)
    }

    /// What is told of a BOS that versions of transformers do not agree on: `prefix` is what the tokenizer puts first.
    pub fn doubt_of_bos(&self, bos: Option<u32>, prefix: &[u32]) -> Option<String> {
        let asked = self.asks_for_bos?;
        let name = self.bos.as_deref().unwrap_or_default();
        let (says, does) = match (asked, prefix) {
            (true, []) if bos.is_some() => ("asks for", "puts none"),
            (false, [_, ..]) => ("asks for no", "puts one"),
            _ => return None,
        };
        Some(format!(
            "tokenizer_config.json {says} BOS `{name}` before every text (add_bos_token, or its class), tokenizer.json {does}: \
             transformers 5 goes by tokenizer.json, and so does tokshift; llama.cpp and, for some classes, transformers 4 go by the config. \
             --bos always or --bos never decides"
        ))
    }

    /// Everything that is added, in transformers' order: tokens by their ids, special tokens by their names, the rest.
    fn collect(
        &mut self,
        file: &Path,
        config: &Map<String, Value>,
        indexed: BTreeMap<u32, AddedToken>,
        tokenizer: &Tokenizer,
    ) -> Result<()> {
        self.tokens = indexed.into_values().collect();
        let mut seen: HashSet<String> = self.tokens.iter().map(|token| token.content.clone()).collect();
        seen.extend(tokenizer.get_added_tokens_decoder().into_values().map(|token| token.content));
        let mut named: Vec<Value> = NAMED.iter().filter_map(|name| config.get(*name)).cloned().collect();
        named.extend(defaults(config, tokenizer));
        let mut newer: Vec<Value> = config
            .iter()
            .filter(|(name, _)| name.ends_with("_token") && !NAMED.contains(&name.as_str()))
            .filter(|(_, value)| value.is_string() || value.get("__type").is_some())
            .map(|(_, value)| value.clone())
            .collect();
        newer.extend(
            config.get("extra_special_tokens").and_then(Value::as_object).into_iter().flat_map(Map::values).cloned(),
        );
        named.extend(newer);
        let called: HashSet<String> = named.iter().filter_map(content).map(str::to_owned).collect();
        for value in named.into_iter().chain(listed(config).iter().cloned()) {
            let Some(token) = written(file, value)? else { continue };
            if seen.insert(token.content.clone()) {
                self.tokens.push(token);
            }
        }
        // A token that is called special is so, whatever it is listed as.
        for token in self.tokens.iter_mut().filter(|token| called.contains(&token.content)) {
            token.special = true;
        }
        Ok(())
    }
}

/// Tokens by id where the config lists none: special_tokens_map.json adds to the config, added_tokens.json names tokens,
/// and what `tokenizer.json` says of a token goes before both.
fn legacy(
    path: &Path,
    config: &mut Map<String, Value>,
    tokenizer: &Tokenizer,
    notes: &mut Vec<String>,
) -> Result<BTreeMap<u32, AddedToken>> {
    for (name, value) in object(&path.with_file_name(SPECIAL))? {
        match (config.get_mut(&name), value) {
            (Some(Value::Array(tokens)), Value::Array(more)) => tokens.extend(more),
            (_, value) => drop(config.insert(name, value)),
        }
    }
    let named = NAMED.iter().filter_map(|name| content(config.get(*name)?));
    let special: HashSet<&str> = named.chain(listed(config).iter().filter_map(content)).collect();
    let file = path.with_file_name(ADDED);
    let mut tokens = BTreeMap::new();
    for (token, id) in object(&file)? {
        let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
        let id = id.ok_or_else(|| Error::file(&file, format!("`{token}` has no id")))?;
        let is_special = special.contains(token.as_str());
        if is_special && tokenizer.get_normalizer().is_some() && tokenizer.token_to_id(&token).is_none() {
            notes.push(format!("transformers 5 normalises `{token}` of {ADDED}, tokshift and transformers 4 do not"));
        }
        tokens.insert(id, AddedToken::from(token, is_special));
    }
    tokens.extend(tokenizer.get_added_tokens_decoder());
    Ok(tokens)
}

/// `added_tokens_decoder`: tokens by id.
fn decoder(file: &Path, listed: &Value) -> Result<BTreeMap<u32, AddedToken>> {
    let wrong = |what: String| Error::file(file, format!("`added_tokens_decoder`: {what}"));
    let listed = listed.as_object().ok_or_else(|| wrong("not an object of tokens by id".to_owned()))?;
    let one = |(id, token): (&String, &Value)| {
        let id = id.parse().map_err(|_| wrong(format!("`{id}` is no id")))?;
        let token: Written = serde_json::from_value(token.clone()).map_err(|e| wrong(format!("token {id}: {e}")))?;
        Ok((id, token.token(false)))
    };
    listed.iter().map(one).collect()
}

/// Special tokens without a name: `extra_special_tokens`, which versions before 5 call `additional_special_tokens`.
fn listed(config: &Map<String, Value>) -> &[Value] {
    let list =
        |name: &str| config.get(name).and_then(Value::as_array).map(Vec::as_slice).filter(|list| !list.is_empty());
    list("extra_special_tokens").or_else(|| list("additional_special_tokens")).unwrap_or_default()
}

/// Tokens that a class names where the config does not, as far as the vocabulary has them.
fn defaults(config: &Map<String, Value>, tokenizer: &Tokenizer) -> Vec<Value> {
    let missing = defaults_of(class(config)).iter().filter(|(name, _)| !config.contains_key(*name));
    let known = missing.filter(|(_, token)| tokenizer.token_to_id(token).is_some());
    known.map(|(_, token)| Value::from(*token)).collect()
}

fn defaults_of(class: &str) -> &'static [(&'static str, &'static str)] {
    match class {
        "LlamaTokenizer" => &[("unk_token", "<unk>"), ("bos_token", "<s>"), ("eos_token", "</s>")],
        "GemmaTokenizer" => {
            &[("unk_token", "<unk>"), ("bos_token", "<bos>"), ("eos_token", "<eos>"), ("pad_token", "<pad>")]
        }
        "Qwen2Tokenizer" => &[("unk_token", "<|endoftext|>"), ("eos_token", "<|endoftext|>")],
        "GPT2Tokenizer" => &[("unk_token", "<|endoftext|>"), ("bos_token", "<|endoftext|>")],
        _ => &[],
    }
}

fn class(config: &Map<String, Value>) -> &str {
    let class = config.get("tokenizer_class").and_then(Value::as_str).unwrap_or_default();
    class.strip_suffix("Fast").unwrap_or(class)
}

/// The text of a token, which stands alone or as an object's `content`.
fn content(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}

/// A special token: its text, or an object of text and flags.
fn written(file: &Path, value: Value) -> Result<Option<AddedToken>> {
    match value {
        Value::Null => Ok(None),
        Value::String(content) => Ok(Some(AddedToken::from(content, true))),
        Value::Object(_) => {
            let token: Written =
                serde_json::from_value(value).map_err(|e| Error::file(file, format!("a special token: {e}")))?;
            Ok(Some(token.token(true)))
        }
        other => Err(Error::file(file, format!("a special token is {other}, not a text"))),
    }
}

/// The object of a JSON file as Python reads it; an empty one if there is no such file.
fn object(path: &Path) -> Result<Map<String, Value>> {
    match fs::read(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Map::new()),
        read => python_json::parse(path, &read.map_err(Error::io("read", path))?),
    }
}
