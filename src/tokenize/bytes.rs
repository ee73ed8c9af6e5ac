//! Which bytes of a text a token stands for.
//!
//! Owns the bytes of every token. Offsets from tokenizers do not determine bytes, because both halves of a character
//! split over two tokens have the whole character's range. So ranges come from the tokens' own bytes, aligned with the
//! text. Only where a normaliser changed the text (NFC) do they come from offsets, widened until every byte is
//! covered.

use std::collections::HashMap;
use std::ops::Range;

use serde_json::Value;
use tokenizers::Tokenizer;

/// A byte range in a text.
pub type Span = Range<usize>;

/// How a vocabulary writes bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    /// GPT-2's alphabet: one printable character a byte.
    ByteLevel,
    /// SentencePiece: `▁` for a space, `<0xE2>` for a byte.
    SentencePiece,
    /// Nothing that we know: tokens are their own text.
    Literal,
}

/// The bytes of every token of a vocabulary.
pub struct TokenBytes {
    spelling: Spelling,
    /// By id; empty for an id without a token.
    bytes: Vec<Box<[u8]>>,
    /// By id: a special token, which decoders leave out of the text.
    special: Vec<bool>,
    /// By id: found in the text as it is; what stands between two of these is tokenised on its own.
    added: Vec<bool>,
}

impl TokenBytes {
    pub fn new(tokenizer: &Tokenizer) -> Self {
        let spelling = spelling(tokenizer);
        let alphabet = gpt2_alphabet();
        let size = tokenizer.get_vocab(true).values().max().map_or(0, |&id| id as usize + 1);
        let (mut bytes, mut special, mut added) = (vec![Box::default(); size], vec![false; size], vec![false; size]);
        for (token, id) in tokenizer.get_vocab(false) {
            bytes[id as usize] = match spelling {
                Spelling::ByteLevel => token.chars().filter_map(|c| alphabet.get(&c).copied()).collect(),
                Spelling::SentencePiece => sentencepiece_bytes(&token),
                Spelling::Literal => token.into_bytes().into(),
            };
        }
        for (id, token) in tokenizer.get_added_tokens_decoder() {
            // Spaces that a vocabulary lists both ways (Gemma's `▁▁`) are still spaces.
            let is_listed = spelling == Spelling::SentencePiece && !bytes[id as usize].is_empty();
            if is_listed && !token.special {
                continue;
            }
            bytes[id as usize] = token.content.as_bytes().into();
            special[id as usize] = token.special;
            added[id as usize] = true;
        }
        Self { spelling, bytes, special, added }
    }

    fn of(&self, id: u32) -> &[u8] {
        self.bytes.get(id as usize).map_or(&[], |bytes| bytes)
    }

    /// Whether the vocabulary has the id.
    pub fn knows(&self, id: u32) -> bool {
        !self.of(id).is_empty()
    }

    /// The texts of all ids that it has, in their order.
    pub fn texts(&self) -> Vec<(u32, String)> {
        (0..self.bytes.len() as u32).filter(|&id| self.knows(id)).map(|id| (id, self.text(id))).collect()
    }

    /// Whether the vocabulary has tokens that begin with a space which no text has.
    pub fn is_sentencepiece(&self) -> bool {
        self.spelling == Spelling::SentencePiece
    }

    /// Whether the token begins with a space.
    pub fn begins_with_space(&self, id: u32) -> bool {
        self.of(id).first() == Some(&b' ')
    }

    /// BLAKE3 of every id's bytes, ids without a token aside.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for (id, bytes) in (0_u32..).zip(&self.bytes).filter(|(_, bytes)| !bytes.is_empty()) {
            hasher.update(&id.to_le_bytes());
            hasher.update(&(bytes.len() as u32).to_le_bytes());
            hasher.update(bytes);
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Ids that both vocabularies have, of other bytes.
    pub fn differences<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = u32> + 'a {
        let both = (0_u32..).zip(self.bytes.iter().zip(&other.bytes));
        both.filter(|(_, (a, b))| a != b && !a.is_empty() && !b.is_empty()).map(|(id, _)| id)
    }

    /// Whether decoders leave the token out of a text.
    pub fn is_special(&self, id: u32) -> bool {
        self.special.get(id as usize).copied().unwrap_or(false)
    }

    /// Whether the token is found in a text as it is, and made of no others.
    pub fn is_added(&self, id: u32) -> bool {
        self.added.get(id as usize).copied().unwrap_or(false)
    }

    /// The token's text; bytes that are no UTF-8 as U+FFFD.
    pub fn text(&self, id: u32) -> String {
        String::from_utf8_lossy(self.of(id)).into_owned()
    }

    /// Lays the tokens along `text`; `None` if their bytes are not exactly the text's. The space that SentencePiece
    /// puts before the text, or before every stretch of it between added tokens, is no byte of any token.
    pub fn lay(&self, ids: &[u32], text: &str) -> Option<Vec<Span>> {
        let without_space = |every: bool| {
            let piece = |(i, &id): (usize, &u32)| {
                let is_first = i == 0 || every && self.is_added(ids[i - 1]);
                let bytes = self.of(id);
                if is_first && !self.is_added(id) { bytes.strip_prefix(b" ").unwrap_or(bytes) } else { bytes }
            };
            lay_pieces(ids.iter().enumerate().map(piece), text)
        };
        let whole = lay_pieces(ids.iter().map(|&id| self.of(id)), text);
        if whole.is_some() || self.spelling != Spelling::SentencePiece {
            return whole;
        }
        without_space(false).or_else(|| without_space(true))
    }

    /// Lays the tokens along a text that may leave special tokens out: those that end it, or all.
    pub fn lay_without_specials(&self, ids: &[u32], text: &str) -> Option<Vec<Span>> {
        let kept = self.without_last_specials(ids);
        let at_end = || {
            let mut spans = self.lay(kept, text)?;
            spans.resize(ids.len(), text.len()..text.len());
            Some(spans)
        };
        self.lay(ids, text)
            .or_else(at_end)
            .or_else(|| lay_pieces(ids.iter().map(|&id| if self.is_special(id) { &[] } else { self.of(id) }), text))
    }

    /// The ids without the special tokens that end them.
    pub fn without_last_specials<'a>(&self, ids: &'a [u32]) -> &'a [u32] {
        let is_special = |id: &u32| self.special.get(*id as usize).copied().unwrap_or(false);
        let end = ids.iter().rposition(|id| !is_special(id)).map_or(0, |last| last + 1);
        &ids[..end]
    }

    /// The text of all tokens' bytes together; those that are not UTF-8 become U+FFFD.
    pub fn lossy(&self, ids: &[u32]) -> String {
        let whole: Vec<u8> = ids.iter().flat_map(|&id| self.of(id)).copied().collect();
        String::from_utf8_lossy(&whole).into_owned()
    }

    /// The decoded text, and the range of each token in it; bytes that are not UTF-8 become U+FFFD token by token.
    pub fn decode(&self, ids: &[u32]) -> (Vec<Span>, String) {
        let whole: Vec<u8> = ids.iter().flat_map(|&id| self.of(id)).copied().collect();
        if let Ok(text) = String::from_utf8(whole)
            && let Some(spans) = lay_pieces(ids.iter().map(|&id| self.of(id)), &text)
        {
            return (spans, text);
        }
        let mut text = String::new();
        let span = |&id: &u32| {
            let start = text.len();
            text.push_str(&String::from_utf8_lossy(self.of(id)));
            start..text.len()
        };
        (ids.iter().map(span).collect(), text)
    }
}

/// Spans of consecutive pieces if together they are exactly `text`.
fn lay_pieces<'a>(pieces: impl Iterator<Item = &'a [u8]>, text: &str) -> Option<Vec<Span>> {
    let mut rest = text.as_bytes();
    let mut spans = Vec::new();
    for piece in pieces {
        let start = text.len() - rest.len();
        rest = rest.strip_prefix(piece)?;
        spans.push(start..start + piece.len());
    }
    rest.is_empty().then_some(spans)
}

/// Ranges from a tokenizer's offsets: each token reaches to where the next one begins, so that bytes which the
/// normaliser merged into a token (a combining accent) belong to it, nothing overlaps and every byte is covered. Of
/// the tokens over which a character is split, the first has all of it and the others are empty ranges at its end.
pub fn widen(offsets: &[(usize, usize)], length: usize) -> Vec<Span> {
    let mut start = 0;
    let span = |i: usize| {
        let next = offsets[i + 1..].iter().find(|(next, _)| *next >= offsets[i].1);
        let span = start..next.map_or(length, |&(next, _)| next).clamp(start, length);
        start = span.end;
        span
    };
    (0..offsets.len()).map(span).collect()
}

/// Reads the spelling off the tokenizer's decoder and pre-tokenizer.
fn spelling(tokenizer: &Tokenizer) -> Spelling {
    let part = |value: Option<Value>| value.map(|v| v.to_string()).unwrap_or_default();
    let decoder = part(tokenizer.get_decoder().and_then(|d| serde_json::to_value(d).ok()));
    let pre = part(tokenizer.get_pre_tokenizer().and_then(|p| serde_json::to_value(p).ok()));
    if decoder.contains("ByteLevel") || pre.contains("ByteLevel") {
        Spelling::ByteLevel
    } else if decoder.contains('▁') || decoder.contains("ByteFallback") || pre.contains('▁') {
        Spelling::SentencePiece
    } else {
        Spelling::Literal
    }
}

fn sentencepiece_bytes(token: &str) -> Box<[u8]> {
    let byte = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
    match byte.filter(|digits| digits.len() == 2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
        Some(byte) => [byte].into(),
        None => token.replace('▁', " ").into_bytes().into(),
    }
}

/// Byte-level BPE's alphabet (`bytes_to_unicode` of GPT-2): printable Latin-1 stands for itself, the other 68 bytes
/// for the characters from U+0100 on, in order.
fn gpt2_alphabet() -> HashMap<char, u8> {
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let own = (0..=255).filter(printable).map(|byte| (char::from(byte), byte));
    let moved =
        (0..=255).filter(|byte| !printable(byte)).zip(0x100..).filter_map(|(b, c)| Some((char::from_u32(c)?, b)));
    own.chain(moved).collect()
}
