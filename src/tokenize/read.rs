//! Tokenizers as files contain them.
//!
//! Owns the changes to a file's tokenizer before it reads any text: the files next to it, and the special tokens that
//! begin a text. Truncation, padding, randomness and tokens that a post-processor appends are switched off.

use std::path::Path;
use std::thread;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokenizers::{ModelWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, Tokenizer};

use super::bytes::TokenBytes;
use super::config_files::ConfigFiles;
use super::{TextTokenizer, gguf, patterns};
use crate::digest;
use crate::error::{Error, Result, panic_message};
use crate::gguf::{Header, is_gguf};
use crate::stand_in;

/// Several times what there is. Tables by id are as long as the highest id, so that it must not be anything.
const MOST_IDS: u32 = 1 << 21;

impl TextTokenizer {
    /// Reads a `tokenizer.json`, or the tokenizer in a GGUF file; truncation and padding that it asks for are switched
    /// off.
    ///
    /// # Errors
    /// A file that cannot be read or is no tokenizer.
    pub fn from_file(path: &Path) -> Result<Self> {
        // The library panics over some files that are wrong; on a thread of its own that is an error.
        let thread = thread::Builder::new().name("tokenizer".to_owned());
        let joined = thread::scope(|scope| Ok(thread.spawn_scoped(scope, || Self::read(path))?.join()));
        match joined.map_err(Error::io("start a thread to read", path))? {
            Ok(read) => read,
            Err(panic) => Err(Error::file(path, format!("not a tokenizer.json: {}", panic_message(&*panic)))),
        }
    }

    fn read(path: &Path) -> Result<Self> {
        let mut notes = Vec::new();
        let header = is_gguf(path).then(|| Header::read(path)).transpose()?;
        let json = match &header {
            Some(header) => {
                notes.extend(gguf::doubt(header)?);
                gguf::tokenizer_json(header)?.into_bytes()
            }
            None => std::fs::read(path).map_err(Error::io("read", path))?,
        };
        let broken = |e: tokenizers::Error| stand_in::explain(path, &json, format!("not a tokenizer.json: {e}"));
        let mut tokenizer = Tokenizer::from_bytes(&json).map_err(broken)?;
        let padding = tokenizer.get_padding().map(|padding| padding.pad_token.clone());
        tokenizer.with_truncation(None).map_err(broken)?;
        tokenizer.with_padding(None);
        read_as_python(path, &mut tokenizer)?;
        notes.extend(without_chance(&mut tokenizer));
        let configs =
            if header.is_some() { ConfigFiles::default() } else { ConfigFiles::read(path, &tokenizer, padding)? };
        let (identity, more) = lay_over(&mut tokenizer, &configs, digest::bytes(&json)).map_err(broken)?;
        notes.extend(more);
        notes.extend(configs.notes.iter().cloned());
        if let Some(id) = tokenizer.get_vocab(true).into_values().max().filter(|&id| id > MOST_IDS) {
            return Err(Error::file(path, format!("a token has the id {id}: ids up to {MOST_IDS} are read")));
        }
        let bytes = TokenBytes::new(&tokenizer);
        // A post-processor may also append tokens; we score the text, and what ends a turn is `--end`'s business.
        let probe = tokenizer.encode("a", true).map_err(broken)?;
        let before = probe.get_special_tokens_mask().iter().take_while(|&&special| special == 1).count();
        let prefix = probe.get_ids()[..before].to_vec();
        // It may also trim spaces off the offsets, which would give a token's own space to the token before it.
        tokenizer.with_post_processor(None::<PostProcessorWrapper>);
        let bos = match &header {
            Some(header) => gguf::bos(header)?,
            None => configs.bos.as_deref().and_then(|bos| tokenizer.token_to_id(bos)),
        };
        let note_on_bos = configs.note_on_bos(bos, &prefix);
        let puts_space = puts_space(&tokenizer, &bytes).map_err(broken)?;
        Ok(Self {
            tokenizer,
            bytes,
            prefix,
            bos,
            identity,
            template: None,
            around: std::sync::OnceLock::new(),
            of_prompts: None,
            puts_space,
            renamed: Vec::new(),
            notes,
            note_on_bos,
        })
    }
}

/// Whether the tokenizer puts a space before a text that has none.
fn puts_space(tokenizer: &Tokenizer, bytes: &TokenBytes) -> tokenizers::Result<bool> {
    let (bare, spaced) = (tokenizer.encode_fast("x", false)?, tokenizer.encode_fast("xx", false)?);
    Ok([bare, spaced].iter().any(|encoding| encoding.get_ids().first().is_some_and(|&id| bytes.begins_with_space(id))))
}

/// Patterns as Python's tokenizers read them.
fn read_as_python(path: &Path, tokenizer: &mut Tokenizer) -> Result<()> {
    let broken = |e: String| Error::file(path, e);
    if let Some(new) = translated::<_, PreTokenizerWrapper>(tokenizer.get_pre_tokenizer()).map_err(broken)? {
        tokenizer.with_pre_tokenizer(Some(new));
    }
    if let Some(new) = translated::<_, NormalizerWrapper>(tokenizer.get_normalizer()).map_err(broken)? {
        tokenizer.with_normalizer(Some(new)).map_err(|e| broken(e.to_string()))?;
    }
    Ok(())
}

fn translated<P: Serialize, New: DeserializeOwned>(part: Option<&P>) -> Result<Option<New>, String> {
    let Some(part) = part else { return Ok(None) };
    let mut json = serde_json::to_value(part).map_err(|e| e.to_string())?;
    if !patterns::translate(&mut json)? {
        return Ok(None);
    }
    serde_json::from_value(json)
        .map(Some)
        .map_err(|e| format!("its pattern cannot be rewritten as Python reads it: {e}"))
}

/// Switches off BPE dropout, by which merges are left out at random; what was said of it.
fn without_chance(tokenizer: &mut Tokenizer) -> Option<String> {
    let ModelWrapper::BPE(model) = tokenizer.get_model() else { return None };
    let dropout = model.dropout.filter(|&dropout| dropout > 0.0)?;
    let mut model = model.clone();
    model.dropout = None;
    tokenizer.with_model(ModelWrapper::BPE(model));
    Some(format!(
        "the tokenizer has a BPE dropout of {dropout}, which gives a text other ids each time: it is switched off"
    ))
}

/// Adds what the files next to the tokenizer say; gives its identity, that of the file alone where nothing is changed, and what
/// should be said.
fn lay_over(
    tokenizer: &mut Tokenizer,
    configs: &ConfigFiles,
    file: String,
) -> tokenizers::Result<(String, Vec<String>)> {
    let was = tokenizer.get_added_tokens_decoder();
    tokenizer.add_tokens(configs.tokens.iter().cloned())?;
    tokenizer.set_encode_special_tokens(configs.splits_special);
    if let Some(pre) = &configs.pre_tokenizer {
        tokenizer.with_pre_tokenizer(Some(pre.clone()));
    }
    if configs.without_normalizer {
        tokenizer.with_normalizer(None::<NormalizerWrapper>)?;
    }
    let now = tokenizer.get_added_tokens_decoder();
    let described = |(id, token): &(u32, String)| {
        let given = tokenizer.token_to_id(token).filter(|given| given != id)?;
        Some(format!("`{token}` is id {given}, as in transformers, though the files next to the tokenizer say {id}"))
    };
    let notes = configs.indexed.iter().filter_map(described).collect();
    if was == now && !configs.splits_special && configs.pre_tokenizer.is_none() {
        return Ok((file, notes));
    }
    let mut added: Vec<_> = now.into_iter().collect();
    added.sort_by_key(|(id, _)| *id);
    let json = match &configs.pre_tokenizer {
        None => serde_json::to_string(&(file, added, configs.splits_special))?,
        Some(pre) => serde_json::to_string(&(file, added, configs.splits_special, pre))?,
    };
    Ok((digest::bytes(json.as_bytes()), notes))
}

/// The token that ends a turn, of a GGUF file.
///
/// # Errors
/// It names several, or none.
pub fn gguf_end_token(path: &Path) -> Result<u32> {
    gguf::end_token(&Header::read(path)?)
}
