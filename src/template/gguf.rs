//! Chat templates and special tokens in a GGUF file.
//!
//! Owns their keys, as llama.cpp's converter writes them. Not here: how the values are used (`files`).

use std::collections::BTreeMap;

use super::found::{SpecialTokens, Templates};
use crate::error::{Error, Result};
use crate::gguf::{Array, Header};

/// The kind of tokens that are no text: `LLAMA_TOKEN_TYPE_CONTROL`.
const CONTROL: f64 = 3.0;

/// Keys of special tokens, by the names that transformers gives a template. The spelling of the separator is the format's.
const NAMED: [(&str, &str); 7] = [
    ("bos_token", "tokenizer.ggml.bos_token_id"),
    ("eos_token", "tokenizer.ggml.eos_token_id"),
    ("unk_token", "tokenizer.ggml.unknown_token_id"),
    ("sep_token", "tokenizer.ggml.seperator_token_id"),
    ("pad_token", "tokenizer.ggml.padding_token_id"),
    ("cls_token", "tokenizer.ggml.cls_token_id"),
    ("mask_token", "tokenizer.ggml.mask_token_id"),
];

/// `tokenizer.chat_template`, and the one for tools; `None` if there is neither.
pub fn templates(header: &Header) -> Result<Option<Templates>> {
    let text = |key: &str| Ok::<_, Error>(header.text(key)?.map(str::to_owned));
    let found =
        Templates { default: text("tokenizer.chat_template")?, tool_use: text("tokenizer.chat_template.tool_use")? };
    let is_any = found.named().next().is_some();
    Ok(is_any.then_some(found))
}

/// The tokens that the file names, and all that are no text.
pub fn special_tokens(header: &Header) -> Result<SpecialTokens> {
    let tokens = header.array("tokenizer.ggml.tokens")?.and_then(Array::texts).unwrap_or_default();
    let kinds = header.array("tokenizer.ggml.token_type")?.and_then(Array::numbers).unwrap_or_default();
    let mut named = BTreeMap::new();
    for (name, key) in NAMED {
        let id = header.unsigned(key)?.and_then(|id| usize::try_from(id).ok());
        if let Some(token) = id.and_then(|id| tokens.get(id)) {
            named.insert(name.to_owned(), token.clone());
        }
    }
    let control = tokens.iter().zip(kinds).filter(|(_, kind)| *kind == CONTROL).map(|(token, _)| token.clone());
    Ok(SpecialTokens::new(named, control.collect()))
}
