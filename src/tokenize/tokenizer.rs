//! A tokenizer as models have it: read from a file, and text to ids by it.
//!
//! Owns which special tokens stand before a text, and which bytes of a text each id stands for. Refuses truncation,
//! padding and what a post-processor appends. Refuses to know rows.

use std::path::Path;
use std::thread;

use tokenizers::{PostProcessorWrapper, Tokenizer};

use super::bytes::{self, Span, TokenBytes};
use super::gguf;
use crate::digest;
use crate::error::{Error, Result, panic_message};
use crate::gguf::{Header, is_gguf};
use crate::stand_in;
use crate::template::ChatTemplate;

/// Several times what there is. Tables by id are as long as the highest id, so that it must not be anything.
const MOST_IDS: u32 = 1 << 21;

/// A tokenizer with what its own encodings cannot tell: the bytes of every token.
pub struct TextTokenizer {
    pub(super) tokenizer: Tokenizer,
    pub(super) bytes: TokenBytes,
    /// Special tokens that stand before every text (a BOS).
    pub(super) prefix: Vec<u32>,
    pub(super) identity: String,
    pub(super) template: Option<ChatTemplate>,
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
        let json = if is_gguf(path) {
            gguf::tokenizer_json(&Header::read(path)?)?.into_bytes()
        } else {
            std::fs::read(path).map_err(Error::io("read", path))?
        };
        let identity = digest::bytes(&json);
        let broken = |e: tokenizers::Error| stand_in::explain(path, &json, format!("not a tokenizer.json: {e}"));
        let mut tokenizer = Tokenizer::from_bytes(&json).map_err(broken)?;
        tokenizer.with_truncation(None).map_err(broken)?;
        tokenizer.with_padding(None);
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
        Ok(Self { tokenizer, bytes, prefix, identity, template: None })
    }

    /// BLAKE3 of the `tokenizer.json`, which is made where a GGUF file holds the tokenizer: files that are quantised
    /// otherwise have the same one.
    pub fn identity(&self) -> &str {
        &self.identity
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
