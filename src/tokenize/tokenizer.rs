//! A tokenizer as models have it: read from a file, and text to ids by it.
//!
//! Owns which special tokens stand before a text, and which bytes of a text each id stands for. Refuses truncation,
//! padding, chance and what a post-processor appends. Refuses to know rows.

use std::path::Path;
use std::thread;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokenizers::{ModelWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, Tokenizer};

use super::beside::Beside;
use super::bytes::{self, Span, TokenBytes};
use super::{gguf, patterns};
use crate::digest;
use crate::error::{Error, Result, panic_message};
use crate::gguf::{Header, is_gguf};
use crate::stand_in;
use crate::template::ChatTemplate;

/// White space in a row of which our matcher still tells the end: beyond a million steps it gives up without a word.
const MOST_BLANKS: usize = 500_000;

/// What a text is put behind so that it does not begin one; a vocabulary without one of them has another.
const BEFORE: [&str; 6] = ["\u{1}", "\n", "\u{2}", "|", "~", "x"];

/// Several times what there is. Tables by id are as long as the highest id, so that it must not be anything.
const MOST_IDS: u32 = 1 << 21;

/// A tokenizer with what its own encodings cannot tell: the bytes of every token.
pub struct TextTokenizer {
    pub(super) tokenizer: Tokenizer,
    pub(super) bytes: TokenBytes,
    /// Special tokens that stand before every text (a BOS).
    pub(super) prefix: Vec<u32>,
    /// The token that may stand there.
    bos: Option<u32>,
    pub(super) identity: String,
    pub(super) template: Option<ChatTemplate>,
    /// What reads that which the template writes before responses, where that is another.
    pub(super) of_prompts: Option<Box<Self>>,
    /// It begins texts with a space that they do not have.
    puts_space: bool,
    /// Ids whose text is another to some model, in order.
    pub(super) renamed: Vec<u32>,
    notes: Vec<String>,
    /// Told unless somebody decided.
    doubt_of_bos: Option<String>,
}

/// Whether a BOS stands before every text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bos {
    /// As the tokenizer's own post-processor says, and transformers 5 does.
    #[default]
    Auto,
    Always,
    Never,
}

impl Bos {
    /// Its name in a manifest, unless the tokenizer decides.
    pub fn decided(self) -> Option<&'static str> {
        match self {
            Self::Auto => None,
            Self::Always => Some("always"),
            Self::Never => Some("never"),
        }
    }
}

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
        let beside = if header.is_some() { Beside::default() } else { Beside::read(path, &tokenizer, padding)? };
        let (identity, more) = lay_over(&mut tokenizer, &beside, digest::bytes(&json)).map_err(broken)?;
        notes.extend(more);
        notes.extend(beside.notes.iter().cloned());
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
            None => beside.bos.as_deref().and_then(|bos| tokenizer.token_to_id(bos)),
        };
        let doubt_of_bos = beside.doubt_of_bos(bos, &prefix);
        let puts_space = puts_space(&tokenizer, &bytes).map_err(broken)?;
        Ok(Self {
            tokenizer,
            bytes,
            prefix,
            bos,
            identity,
            template: None,
            of_prompts: None,
            puts_space,
            renamed: Vec::new(),
            notes,
            doubt_of_bos,
        })
    }

    /// The same tokenizer, which puts a BOS before every text as `bos` says.
    ///
    /// # Errors
    /// It has none.
    pub fn with_bos(mut self, bos: Bos) -> Result<Self, String> {
        match bos {
            Bos::Auto => return Ok(self),
            Bos::Never => self.prefix.clear(),
            Bos::Always if self.prefix.is_empty() => {
                let named =
                    self.bos.ok_or("the tokenizer names no BOS: no `bos_token` that it has stands beside it")?;
                self.prefix.push(named);
            }
            Bos::Always => {}
        }
        self.doubt_of_bos = None;
        Ok(self)
    }

    /// The same tokenizer, which counts samples that have one of these ids: some model calls their tokens otherwise.
    #[must_use]
    pub fn with_renamed(mut self, ids: impl IntoIterator<Item = u32>) -> Self {
        self.renamed = ids.into_iter().collect();
        self.renamed.sort_unstable();
        self
    }

    /// What a user should know of how it was read.
    pub fn notes(&self) -> impl Iterator<Item = &str> {
        self.notes.iter().chain(&self.doubt_of_bos).map(String::as_str)
    }

    /// BLAKE3 of the `tokenizer.json`, and of what the files beside it lay over it, if anything. It is made where a GGUF
    /// file holds the tokenizer: files that are quantised otherwise have the same one.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// BLAKE3 of the text of every id, which decides what a model is given: tokenizers that cut texts otherwise, or are
    /// written otherwise, may have the same.
    pub fn vocabulary(&self) -> String {
        self.bytes.digest()
    }

    /// Ids whose text is another in `other`, of those that both have; with each whether one of them has it as a token
    /// that is added to the vocabulary, as special and reserved ones are.
    pub fn other_texts(&self, other: &Self) -> Vec<(u32, bool)> {
        let is_added = |id| self.bytes.is_added(id) || other.bytes.is_added(id);
        self.bytes.differences(&other.bytes).map(|id| (id, is_added(id))).collect()
    }

    /// The text of an id.
    pub fn text_of(&self, id: u32) -> String {
        self.bytes.text(id)
    }

    /// Tokens that it knows, special ones included.
    pub fn size(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// Special tokens that stand before every text; empty without a BOS.
    pub fn prefix(&self) -> &[u32] {
        &self.prefix
    }

    /// Ids of a whole text, special tokens before it included.
    ///
    /// # Errors
    /// What the tokenizer says of a text that it refuses.
    pub fn whole(&self, text: &str) -> Result<Vec<u32>, String> {
        has_end(text)?;
        let encoding = self.tokenizer.encode_fast(text, false).map_err(|e| e.to_string())?;
        Ok([&self.prefix, encoding.get_ids()].concat())
    }

    /// Ids of a text without special tokens around it, and the bytes of it that each stands for.
    pub(super) fn encode(&self, text: &str) -> tokenizers::Result<(Vec<u32>, Vec<Span>)> {
        let ids = self.tokenizer.encode_fast(text, false)?.get_ids().to_vec();
        if let Some(spans) = self.bytes.lay(&ids, text) {
            return Ok((ids, spans));
        }
        let encoding = self.tokenizer.encode(text, false)?;
        let spans = bytes::widen(encoding.get_offsets(), text.len());
        Ok((encoding.get_ids().to_vec(), spans))
    }

    /// As [`Self::encode`], of a text that goes on with another: without the space that SentencePiece begins texts with.
    ///
    /// # Errors
    /// What the library says, and a text that cannot be told from what is put before it.
    pub(super) fn encode_on(&self, text: &str) -> tokenizers::Result<(Vec<u32>, Vec<Span>)> {
        if !self.puts_space {
            return self.encode(text);
        }
        // The ids of what is put before it stand first, so that no token spans the two: the rest is the text's alone.
        for before in BEFORE.into_iter().filter(|_| self.bytes.is_sentencepiece()) {
            let first = self.encode(before)?.0;
            let (ids, spans) = self.encode(&[before, text].concat())?;
            if !first.is_empty() && ids.starts_with(&first) && self.bytes.lay(&first, before).is_some() {
                let shift = |at: usize| at.saturating_sub(before.len());
                let spans = spans[first.len()..].iter().map(|span| shift(span.start)..shift(span.end)).collect();
                return Ok((ids[first.len()..].to_vec(), spans));
            }
        }
        Err("it begins every text with a space, and --boundary separate would put one into the response".into())
    }
}

/// Whether the tokenizer puts a space before a text that has none.
fn puts_space(tokenizer: &Tokenizer, bytes: &TokenBytes) -> tokenizers::Result<bool> {
    let (bare, spaced) = (tokenizer.encode_fast("x", false)?, tokenizer.encode_fast("xx", false)?);
    Ok([bare, spaced].iter().any(|encoding| encoding.get_ids().first().is_some_and(|&id| bytes.begins_with_space(id))))
}

/// Refuses a text in which our matcher would not find the end of white space.
pub(super) fn has_end(text: &str) -> Result<(), String> {
    let mut run = 0;
    // Nothing shorter has as many.
    for c in text.chars().take_while(|_| text.len() > MOST_BLANKS) {
        run = if c.is_whitespace() { run + 1 } else { 0 };
        if run > MOST_BLANKS {
            return Err(format!("more than {MOST_BLANKS} characters of white space in a row"));
        }
    }
    Ok(())
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

/// Adds what lies beside the tokenizer; gives its identity, that of the file alone where nothing is changed, and what
/// should be said.
fn lay_over(tokenizer: &mut Tokenizer, beside: &Beside, file: String) -> tokenizers::Result<(String, Vec<String>)> {
    let was = tokenizer.get_added_tokens_decoder();
    tokenizer.add_tokens(beside.tokens.iter().cloned())?;
    tokenizer.set_encode_special_tokens(beside.splits_special);
    let now = tokenizer.get_added_tokens_decoder();
    let told = |(id, token): &(u32, String)| {
        let given = tokenizer.token_to_id(token).filter(|given| given != id)?;
        Some(format!("`{token}` is id {given}, as in transformers, though the files beside the tokenizer say {id}"))
    };
    let notes = beside.indexed.iter().filter_map(told).collect();
    if was == now && !beside.splits_special {
        return Ok((file, notes));
    }
    let mut added: Vec<_> = now.into_iter().collect();
    added.sort_by_key(|(id, _)| *id);
    let json = serde_json::to_string(&(file, added, beside.splits_special))?;
    Ok((digest::bytes(json.as_bytes()), notes))
}

impl std::fmt::Debug for TextTokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("TextTokenizer")
            .field("identity", &self.identity)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// The token that ends a turn, of a GGUF file.
///
/// # Errors
/// It names several, or none.
pub fn gguf_end_token(path: &Path) -> Result<u32> {
    gguf::end_token(&Header::read(path)?)
}
