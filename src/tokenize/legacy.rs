//! Files next to a tokenizer whose config does not list its added tokens: special_tokens_map.json and
//! added_tokens.json.
//!
//! Owns what they add to the config, and which tokens they make. An invalid id is an error. Where versions of
//! transformers differ, version 5 is followed and the difference noted, except for what version 5 cannot read.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde_json::{Map, Value};
use tokenizers::{AddedToken, Tokenizer};

use super::files::{ADDED, EXTRA, OLD_EXTRA, SPECIAL, listed, object};
use super::versions::tokens as tokens_told;
use super::written::{as_special, content, is_typed};
use crate::error::{Error, Result};
use crate::tokenizer_class::NAMED;

/// Tokens by id where the config lists none: special_tokens_map.json adds to the config, added_tokens.json names tokens,
/// and what `tokenizer.json` says of a token goes before both.
pub fn legacy(
    path: &Path,
    config: &mut Map<String, Value>,
    tokenizer: &Tokenizer,
    notes: &mut Vec<String>,
) -> Result<BTreeMap<u32, AddedToken>> {
    let mut unread = HashSet::new();
    for (name, mut value) in object(&path.with_file_name(SPECIAL))? {
        unread.extend(of_map(&name, &mut value));
        match (config.get_mut(&name), value) {
            // The config's own list stands alone.
            (Some(Value::Array(own)), Value::Array(more)) if name == OLD_EXTRA && !own.is_empty() => {
                let known =
                    |token: &str| own.iter().any(|own| content(own) == Some(token)) || is_added(tokenizer, token);
                let left: Vec<String> =
                    more.iter().filter_map(content).filter(|token| !known(token)).map(str::to_owned).collect();
                let in_five = format!("no token, as `{OLD_EXTRA}` of tokenizer_config.json does not list it");
                notes.extend(tokens_told(&left, &in_five, &format!("transformers 4 adds it, as {SPECIAL} does")));
            }
            (Some(Value::Array(own)), Value::Array(more)) => own.extend(more),
            (_, value) => drop(config.insert(name, value)),
        }
    }
    if !unread.is_empty() {
        notes.push(format!(
            "`{OLD_EXTRA}` of {SPECIAL} lists objects, which transformers 5 cannot read: they are special tokens, as in transformers 4"
        ));
    }
    let named = NAMED.iter().filter_map(|name| content(config.get(*name)?));
    let extra = config.get(EXTRA).and_then(Value::as_array).into_iter().flatten().filter_map(content);
    let special: HashSet<&str> = named.chain(extra).chain(unread.iter().map(String::as_str)).collect();
    let formerly: HashSet<&str> = listed(config).iter().filter_map(content).collect();
    let file = path.with_file_name(ADDED);
    let (mut tokens, mut plain) = (BTreeMap::new(), Vec::new());
    for (token, id) in object(&file)? {
        let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
        let id = id.ok_or_else(|| Error::file(&file, format!("`{token}` has no id")))?;
        let is_special = special.contains(token.as_str());
        if !is_special && formerly.contains(token.as_str()) && tokenizer.token_to_id(&token).is_none() {
            plain.push(token.clone());
        }
        tokens.insert(id, AddedToken::from(token, is_special));
    }
    let splits = config.get("split_special_tokens").and_then(Value::as_bool).unwrap_or(false);
    if tokenizer.get_normalizer().is_some() || splits {
        let in_five = format!("no special token, as it is of {ADDED}");
        let in_four = format!(
            "transformers 4 takes it for a special one, as `{OLD_EXTRA}` lists it, which gives some texts other ids"
        );
        notes.extend(tokens_told(&plain, &in_five, &in_four));
    }
    tokens.extend(tokenizer.get_added_tokens_decoder());
    Ok(tokens)
}

/// Whether `tokenizer.json` has it as a token that is added.
fn is_added(tokenizer: &Tokenizer, token: &str) -> bool {
    tokenizer.get_added_tokens_decoder().values().any(|added| added.content == token)
}

/// Makes a field of special_tokens_map.json what tokenizer_config.json would have: what stands by a name there is special.
/// Gives the tokens of a list that transformers 5 cannot read.
fn of_map(name: &str, value: &mut Value) -> Vec<String> {
    let mut unread = Vec::new();
    match value {
        Value::Object(token) if name != EXTRA => as_special(token),
        Value::Array(tokens) if name == EXTRA => {
            tokens.iter_mut().filter_map(Value::as_object_mut).for_each(as_special);
        }
        Value::Array(tokens) if name == OLD_EXTRA => {
            for token in tokens.iter_mut().filter(|token| !is_typed(token)) {
                unread.extend(token.is_object().then(|| content(token).unwrap_or_default().to_owned()));
                token.as_object_mut().into_iter().for_each(as_special);
            }
        }
        _ => {}
    }
    unread
}
