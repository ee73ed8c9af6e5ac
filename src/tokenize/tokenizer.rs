//! A tokenizer as models have it: text to ids.
//!
//! Owns which bytes of a text each id stands for. Not here: rows (`samples`), and files (`read`).

use std::sync::OnceLock;

use tokenizers::Tokenizer;

use super::around::Around;
use super::bytes::{self, Span, TokenBytes};
use crate::template::ChatTemplate;

/// The longest run of white space whose end our matcher still finds: beyond a million steps it stops without an error.
const MOST_BLANKS: usize = 500_000;

/// What a text is put behind so that it does not begin one; a vocabulary without one of them has another.
const BEFORE: [&str; 6] = ["\u{1}", "\n", "\u{2}", "|", "~", "x"];

/// A tokenizer, and the bytes of every token, which its encodings do not contain.
pub struct TextTokenizer {
    pub(super) tokenizer: Tokenizer,
    pub(super) bytes: TokenBytes,
    /// Special tokens that stand before every text (a BOS).
    pub(super) prefix: Vec<u32>,
    /// The token that may stand there.
    pub(super) bos: Option<u32>,
    pub(super) identity: String,
    pub(super) template: Option<ChatTemplate>,
    /// What the template writes around a message, once a row of text was looked at.
    pub(super) around: OnceLock<Option<Around>>,
    /// What reads that which the template writes before responses, where that is another.
    pub(super) of_prompts: Option<Box<Self>>,
    /// It begins texts with a space that they do not have.
    pub(super) puts_space: bool,
    /// Ids whose text is another to some model, in order.
    pub(super) renamed: Vec<u32>,
    pub(super) notes: Vec<String>,
    /// A note for the user, unless an option decides it.
    pub(super) note_on_bos: Option<String>,
}

impl TextTokenizer {
    /// The same tokenizer, which counts samples that have one of these ids: some model calls their tokens otherwise.
    #[must_use]
    pub fn with_renamed(mut self, ids: impl IntoIterator<Item = u32>) -> Self {
        self.renamed = ids.into_iter().collect();
        self.renamed.sort_unstable();
        self
    }

    /// What a user should know of how it was read.
    pub fn notes(&self) -> impl Iterator<Item = &str> {
        self.notes.iter().chain(&self.note_on_bos).map(String::as_str)
    }

    /// BLAKE3 of the `tokenizer.json`, and of what the files next to it add to it, if anything. It is made where a
    /// GGUF file contains the tokenizer: files that are quantised otherwise have the same one.
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

    /// The texts of all ids, in their order.
    pub fn texts(&self) -> Vec<(u32, String)> {
        self.bytes.texts()
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
    /// The tokenizer's error for a text that it cannot encode.
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

    /// As [`Self::encode`], of a text that goes on with another: without the space that SentencePiece begins texts
    /// with.
    ///
    /// # Errors
    /// What the library says, and a text that cannot be separated from what is put before it.
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

/// An error for a text in which our matcher would not find the end of white space.
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

impl std::fmt::Debug for TextTokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("TextTokenizer")
            .field("identity", &self.identity)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
