//! The tokenizer in a GGUF file, in the form of a `tokenizer.json`.
//!
//! Owns the meaning of llama.cpp's vocabulary keys: byte-level BPE by the kind of its pre-tokenizer, SentencePiece by
//! scores. A kind that might be split differently is an error; its `tokenizer.json` can be given instead.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::gguf::{Array, Header};

/// Kinds of tokens.
const UNKNOWN: f64 = 2.0;
const CONTROL: f64 = 3.0;
const USER_DEFINED: f64 = 4.0;
const UNUSED: f64 = 5.0;
/// A vocabulary of SentencePiece has no longer pieces; merges are sought at every place of a piece.
const LONGEST_PIECE: usize = 512;

/// What pieces are cut from words by, before merges.
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// llama.cpp's own, of files from before kinds were written; one after the other.
const DEFAULT: [&str; 4] = [
    r"[\p{P}\$\+<=>\^~\|]+",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",
    r"\p{N}+",
    r"[0-9][0-9][0-9]",
];

/// The `tokenizer.json` that says what `header` says.
///
/// # Errors
/// No vocabulary, or one of a kind that is not known.
pub fn tokenizer_json(header: &Header) -> Result<String> {
    let vocabulary = Vocabulary::read(header)?;
    let model = header.text("tokenizer.ggml.model")?.unwrap_or_default();
    let pre = header.text("tokenizer.ggml.pre")?.unwrap_or("default");
    let mut json = match model {
        "gpt2" => byte_level(header, &vocabulary, pre)?,
        "llama" => sentencepiece(header, &vocabulary)?,
        other => return Err(header.error(format!("its tokenizer is of the kind \"{other}\", {ASK}"))),
    };
    let begins = model == "llama" || is_llama3(pre);
    json["version"] = json!("1.0");
    json["added_tokens"] = vocabulary.added();
    if header.flag("tokenizer.ggml.add_bos_token")?.unwrap_or(begins) {
        let Some(bos) = token_id(header, "tokenizer.ggml.bos_token_id")? else {
            return Err(header.error("a BOS is to be added, but no `tokenizer.ggml.bos_token_id` says which"));
        };
        let text = vocabulary.tokens.get(bos as usize);
        let text = text.ok_or_else(|| header.error(format!("its BOS {bos} is not in its vocabulary")))?;
        json["post_processor"] = begin_with(text, bos);
    }
    Ok(json.to_string())
}

/// What is not known of its tokenizer: files of before May 2024 do not say how words are cut.
///
/// # Errors
/// A key of another type.
pub fn doubt(header: &Header) -> Result<Option<String>> {
    let is_byte_level = header.text("tokenizer.ggml.model")? == Some("gpt2");
    let doubted = is_byte_level && header.text("tokenizer.ggml.pre")?.is_none();
    Ok(doubted.then(|| {
        "the GGUF file has no `tokenizer.ggml.pre`, so words are split as llama.cpp splits them by default: ids may not be \
         those that the model was trained with; convert it again, or use --tokenizer"
            .to_owned()
    }))
}

/// The BOS that it names.
///
/// # Errors
/// A key of another type.
pub fn bos(header: &Header) -> Result<Option<u32>> {
    token_id(header, "tokenizer.ggml.bos_token_id")
}

/// The token that ends a turn.
///
/// # Errors
/// It names several, or none.
pub fn end_token(header: &Header) -> Result<u32> {
    let (eos, eot) =
        (token_id(header, "tokenizer.ggml.eos_token_id")?, token_id(header, "tokenizer.ggml.eot_token_id")?);
    match (eos, eot) {
        (Some(eos), Some(eot)) if eos != eot => {
            Err(header
                .error(format!("it names two end tokens, {eos} and {eot}: use the id of the one that ends a turn")))
        }
        (Some(id), _) | (None, Some(id)) => Ok(id),
        (None, None) => Err(header.error("it names no `tokenizer.ggml.eos_token_id`: use the id")),
    }
}

const ASK: &str = "which is not known: use --tokenizer";

fn is_llama3(pre: &str) -> bool {
    ["llama-bpe", "llama3", "llama-v3"].contains(&pre)
}

fn token_id(header: &Header, key: &str) -> Result<Option<u32>> {
    Ok(header.unsigned(key)?.and_then(|id| u32::try_from(id).ok()))
}

/// The tokens by id, and the kind of each.
struct Vocabulary {
    tokens: Vec<String>,
    kinds: Vec<f64>,
}

impl Vocabulary {
    fn read(header: &Header) -> Result<Self> {
        let tokens = header.array("tokenizer.ggml.tokens")?.and_then(Array::texts);
        let Some(tokens) = tokens else { return Err(header.error("it contains no vocabulary: use --tokenizer")) };
        let kinds = header.array("tokenizer.ggml.token_type")?.and_then(Array::numbers);
        let kinds = kinds.unwrap_or_else(|| vec![1.0; tokens.len()]);
        if kinds.len() != tokens.len() {
            return Err(header.error(format!("{} tokens, but the kinds of {}", tokens.len(), kinds.len())));
        }
        Ok(Self { tokens, kinds })
    }

    /// Ids, texts and kinds; ids that stand for nothing are left out.
    fn used(&self) -> impl Iterator<Item = (usize, &String, f64)> {
        let all = self.tokens.iter().zip(&self.kinds).enumerate();
        all.filter(|(_, (_, kind))| **kind != UNUSED).map(|(id, (token, &kind))| (id, token, kind))
    }

    fn by_text(&self) -> Value {
        let mut map = Map::new();
        for (id, token, _) in self.used() {
            map.entry(token.as_str()).or_insert_with(|| json!(id));
        }
        Value::Object(map)
    }

    /// Tokens that are found in a text as they are.
    fn added(&self) -> Value {
        let is_added = |kind: f64| [UNKNOWN, CONTROL, USER_DEFINED].contains(&kind);
        let added = self.used().filter(|(_, token, kind)| is_added(*kind) && !token.is_empty());
        let one = |(id, token, kind): (usize, &String, f64)| {
            json!({
                "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": kind != USER_DEFINED,
            })
        };
        added.map(one).collect()
    }
}

fn byte_level(header: &Header, vocabulary: &Vocabulary, pre: &str) -> Result<Value> {
    let split = |pattern: &str| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
    let bytes = |use_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex});
    let steps = match pre {
        "gpt-2" => vec![bytes(true)],
        "smollm" | "refact" => vec![json!({"type": "Digits", "individual_digits": true}), bytes(true)],
        "qwen2" | "deepseek-r1-qwen" => vec![split(QWEN2), bytes(false)],
        "default" => DEFAULT.into_iter().map(split).chain([bytes(false)]).collect(),
        _ if is_llama3(pre) => vec![split(LLAMA3), bytes(false)],
        other => return Err(header.error(format!("its pre-tokenizer is of the kind \"{other}\", {ASK}"))),
    };
    let merges = header.array("tokenizer.ggml.merges")?.and_then(Array::texts);
    let Some(merges) = merges else { return Err(header.error("no `tokenizer.ggml.merges`: use --tokenizer")) };
    // A token may begin with a space only in vocabularies that are not byte-level.
    let pairs = merges.iter().map(|merge| merge.split_once(' ')).collect::<Option<Vec<_>>>();
    let Some(pairs) = pairs else {
        return Err(header.error("an entry of `tokenizer.ggml.merges` is not two tokens"));
    };
    let by_text = vocabulary.by_text();
    // The library would cut their texts out of too short a buffer.
    if let Some((a, b)) = pairs.iter().find(|(a, b)| by_text.get(format!("{a}{b}")).is_none()) {
        return Err(
            header.error(format!("`tokenizer.ggml.merges` makes `{a}{b}` of `{a}` and `{b}`, which is no token"))
        );
    }
    let merges: Vec<Value> = pairs.into_iter().map(|(a, b)| json!([a, b])).collect();
    let is_qwen = ["qwen2", "deepseek-r1-qwen"].contains(&pre);
    Ok(json!({
        "normalizer": is_qwen.then(|| json!({"type": "NFC"})),
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {
            "type": "BPE", "vocab": by_text, "merges": merges, "ignore_merges": is_llama3(pre),
        },
    }))
}

fn sentencepiece(header: &Header, vocabulary: &Vocabulary) -> Result<Value> {
    let scores = header.array("tokenizer.ggml.scores")?.and_then(Array::numbers);
    let Some(scores) = scores.filter(|scores| scores.len() == vocabulary.tokens.len()) else {
        return Err(header.error("no score for every token: use --tokenizer"));
    };
    if let Some(long) = vocabulary.tokens.iter().find(|token| token.len() > LONGEST_PIECE) {
        return Err(header.error(format!("a token of {} bytes: not a vocabulary of SentencePiece", long.len())));
    }
    let unknown = match token_id(header, "tokenizer.ggml.unknown_token_id")? {
        Some(id) => vocabulary.tokens.get(id as usize),
        None => vocabulary.used().find(|(_, _, kind)| *kind == UNKNOWN).map(|(_, token, _)| token),
    };
    let space = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
    let prefix = header.flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
    let normalizers: Vec<Value> =
        prefix.then(|| json!({"type": "Prepend", "prepend": "▁"})).into_iter().chain([space]).collect();
    Ok(json!({
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"},
        ]},
        "model": {
            "type": "BPE", "vocab": vocabulary.by_text(), "merges": merges(vocabulary, &scores),
            "unk_token": unknown, "fuse_unk": true, "byte_fallback": true,
        },
    }))
}

/// Every way to put a piece together of two, best pieces first, as transformers turns SentencePiece into merges.
fn merges(vocabulary: &Vocabulary, scores: &[f64]) -> Vec<[String; 2]> {
    let is_piece = |kind: f64| ![UNKNOWN, CONTROL, USER_DEFINED].contains(&kind);
    let pieces = || vocabulary.used().filter(|(_, _, kind)| is_piece(*kind));
    let ids: HashMap<&str, usize> = pieces().map(|(id, token, _)| (token.as_str(), id)).collect();
    let mut found = Vec::new();
    for (id, token, _) in pieces() {
        let mut ways: Vec<(usize, usize, &str, &str)> = (token.char_indices().skip(1))
            .map(|(place, _)| token.split_at(place))
            .filter_map(|(left, right)| Some((*ids.get(left)?, *ids.get(right)?, left, right)))
            .collect();
        ways.sort_unstable();
        found.extend(ways.into_iter().map(|(_, _, left, right)| (scores[id], left, right)));
    }
    let lengths = |left: &str, right: &str| (left.chars().count(), right.chars().count());
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| lengths(b.1, b.2).cmp(&lengths(a.1, a.2))));
    found.into_iter().map(|(_, left, right)| [left.to_owned(), right.to_owned()]).collect()
}

/// A template that puts a token before every text.
fn begin_with(token: &str, id: u32) -> Value {
    let text = |name: &str| json!({"Sequence": {"id": name, "type_id": 0}});
    let special = json!({"SpecialToken": {"id": token, "type_id": 0}});
    let mut tokens = Map::new();
    tokens.insert(token.to_owned(), json!({"id": token, "ids": [id], "tokens": [token]}));
    json!({
        "type": "TemplateProcessing", "single": [special, text("A")], "pair": [special, text("A"), text("B")],
        "special_tokens": tokens,
    })
}
