//! Tokens as the files next to a tokenizer write them.
//!
//! Owns their forms, and the flags of a token that does not say them. A form that no version of transformers reads is
//! an error.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};
use tokenizers::AddedToken;

use crate::error::{Error, Result};
use crate::tokenizer_class::TYPE;

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
    fn token(self, called_special: bool) -> AddedToken {
        let special = called_special || self.special;
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

/// `added_tokens_decoder`: tokens by id.
pub fn decoder(file: &Path, listed: &Value) -> Result<BTreeMap<u32, AddedToken>> {
    let wrong = |what: String| Error::file(file, format!("`added_tokens_decoder`: {what}"));
    let listed = listed.as_object().ok_or_else(|| wrong("not an object of tokens by id".to_owned()))?;
    let one = |(id, token): (&String, &Value)| {
        let id = id.parse().map_err(|_| wrong(format!("`{id}` is no id")))?;
        let token: Written = serde_json::from_value(token.clone()).map_err(|e| wrong(format!("token {id}: {e}")))?;
        Ok((id, token.token(false)))
    };
    listed.iter().map(one).collect()
}

/// The text of a token, which stands alone or as an object's `content`.
pub fn content(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}

/// A token: its text, which is then special, or an object of text and flags, which is so if it says it or is
/// `called_special`.
pub fn written(file: &Path, value: Value, called_special: bool) -> Result<Option<AddedToken>> {
    let wrong = |what: String| Error::file(file, format!("a special token{what}"));
    match value {
        Value::Null => Ok(None),
        Value::String(content) => Ok(Some(AddedToken::from(content, true))),
        Value::Object(ref fields) if !fields.contains_key(TYPE) => Err(wrong(format!(
            " is {value}, which no version of transformers reads: give its text alone, or `\"{TYPE}\": \"AddedToken\"` next to it"
        ))),
        Value::Object(_) => {
            let token: Written = serde_json::from_value(value).map_err(|e| wrong(format!(": {e}")))?;
            Ok(Some(token.token(called_special)))
        }
        other => Err(wrong(format!(" is {other}, not a text"))),
    }
}

/// Whether it is an object that is marked as a token.
pub fn is_typed(value: &Value) -> bool {
    value.get(TYPE).is_some()
}

/// An object of special_tokens_map.json, where all are special tokens, as tokenizer_config.json would write it.
pub fn as_special(token: &mut Map<String, Value>) {
    token.insert(TYPE.to_owned(), "AddedToken".into());
    token.insert("special".to_owned(), true.into());
}
