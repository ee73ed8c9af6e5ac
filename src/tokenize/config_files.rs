//! The files next to a `tokenizer.json` that transformers applies to it: tokens, and flags of tokens.
//!
//! Owns which of these files count, which tokens they add and in which order. A file that is not what its name says is
//! an error. Where versions of transformers differ, version 5 is followed, and a note says what version 4 does.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde_json::{Map, Value};
use tokenizers::{AddedToken, PreTokenizerWrapper, Tokenizer};

use super::files::{CONFIG, EXTRA, MODEL, TOKENIZER, listed, object};
use super::legacy::legacy;
use super::versions::{self, Rules};
use super::written::{content, decoder, is_typed, written};
use crate::error::{Error, Result};
use crate::tokenizer_class::{Classes, NAMED, QWEN2, begins, own_names};

/// What the files next to a `tokenizer.json` say.
#[derive(Debug, Default)]
pub struct ConfigFiles {
    /// In the order in which they are added.
    pub tokens: Vec<AddedToken>,
    /// The ids that files give, which transformers passes over: a new token has the next free one.
    pub indexed: Vec<(u32, String)>,
    /// `split_special_tokens`: special tokens in a text are split like other text.
    pub splits_special: bool,
    /// The BOS, and whether the config, or its class in transformers 4, adds it.
    pub bos: Option<String>,
    pub asks_for_bos: Option<bool>,
    /// What takes the place of the tokenizer's pre-tokenizer, as both versions have it.
    pub pre_tokenizer: Option<PreTokenizerWrapper>,
    /// Whether nothing takes the place of its normaliser then.
    pub without_normalizer: bool,
    /// What else versions of transformers do not agree on.
    pub notes: Vec<String>,
}

impl ConfigFiles {
    /// Reads the files next to `path`, where `tokenizer` was read from, which pads with `padding`.
    ///
    /// # Errors
    /// A file that cannot be read, or contains something else than its name says.
    pub fn read(path: &Path, tokenizer: &Tokenizer, padding: Option<String>) -> Result<Self> {
        if path.file_name().is_none_or(|name| name != TOKENIZER) {
            return Ok(Self::default());
        }
        let file = path.with_file_name(CONFIG);
        let mut config = object(&file)?;
        if config.get("fast_tokenizer_files").is_some_and(|files| files.as_array().is_some_and(|f| f.len() > 1)) {
            let what =
                "`fast_tokenizer_files` names several tokenizers, one a version of transformers: use --tokenizer FILE";
            return Err(Error::file(&file, what));
        }
        if let Some(token) = padding {
            config.entry("pad_token").or_insert_with(|| token.into());
        }
        let mut configs = Self::default();
        let mut indexed = match config.get("added_tokens_decoder") {
            Some(listed) => decoder(&file, listed)?,
            None => legacy(path, &mut config, tokenizer, &mut configs.notes)?,
        };
        configs.indexed = indexed.iter().map(|(id, token)| (*id, token.content.clone())).collect();
        let model = object(&path.with_file_name(MODEL))?;
        let mut rules = Rules::of(&config, &model, tokenizer);
        let classes = rules.classes();
        if classes.five == "LlamaTokenizer" {
            found_as_written(&config, &mut indexed, tokenizer);
        }
        let flag = |name: &str| config.get(name).and_then(Value::as_bool);
        configs.splits_special = flag("split_special_tokens").unwrap_or(false);
        configs.collect(&file, &config, classes, indexed, tokenizer)?;
        (configs.pre_tokenizer, configs.without_normalizer) = rules.fix();
        configs.notes.extend(rules.notes());
        let bos = match config.get("bos_token") {
            Some(bos) => content(bos),
            None => classes.default_of("bos_token").or_else(|| classes.default_in_four("bos_token")),
        };
        configs.bos = bos.map(str::to_owned);
        configs.asks_for_bos = flag("add_bos_token").or_else(|| begins(classes.four).then_some(true));
        Ok(configs)
    }

    /// The note about a BOS on which versions of transformers disagree: `prefix` is what the tokenizer puts first.
    pub fn note_on_bos(&self, bos: Option<u32>, prefix: &[u32]) -> Option<String> {
        let requested = self.asks_for_bos?;
        let name = self.bos.as_deref().unwrap_or_default();
        let (says, does) = match (requested, prefix) {
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
        classes: Classes,
        indexed: BTreeMap<u32, AddedToken>,
        tokenizer: &Tokenizer,
    ) -> Result<()> {
        self.tokens = indexed.into_values().collect();
        let known = tokenizer.get_added_tokens_decoder().into_values();
        let known: Vec<AddedToken> = known.filter(|token| find(&self.tokens, &token.content).is_none()).collect();
        let is_known = |tokens: &[AddedToken], name: &str| find(tokens, name).or_else(|| find(&known, name)).is_some();
        let (named, newer) = named(config, classes);
        let called: HashSet<String> = named.iter().filter_map(content).map(str::to_owned).collect();
        let listed = listed(config).iter().cloned().map(|value| (value, false));
        let mut described = Described::default();
        let mut all = HashSet::new();
        for (value, is_named) in named.into_iter().map(|value| (value, true)).chain(listed) {
            let has_flags = is_typed(&value);
            let may_be_normal = tokenizer.get_normalizer().is_some() && value.get("normalized").is_none();
            let Some(token) = written(file, value, is_named)? else { continue };
            let name = token.content.clone();
            all.insert(name.clone());
            let is_special = is_named || called.contains(&name) || classes.five == QWEN2;
            if let Some(own) = find(&self.tokens, &name).or_else(|| find(&known, &name)) {
                // A list's own flags, and that it calls a token special, change nothing.
                let is_told = has_flags && !is_alike(own, &token) && classes.five != QWEN2;
                described.flagged.extend(is_told.then(|| name.clone()));
                described.plain.extend((!is_special && !own.special && self.splits_special).then_some(name));
            } else {
                described.added.extend(newer.contains(&name).then(|| name.clone()));
                let is_told = !is_special && !token.special && (may_be_normal || self.splits_special);
                described.plain.extend(is_told.then_some(name));
                self.tokens.push(token);
            }
        }
        let in_four = NAMED.iter().filter(|name| !config.contains_key(**name));
        let left = in_four.filter_map(|name| classes.default_in_four(name)).map(str::to_owned);
        described.left.extend(left.filter(|token| !is_known(&self.tokens, token)));
        described.left.dedup();
        if classes.five == QWEN2 {
            self.tokens.extend(known.iter().filter(|token| all.contains(&token.content)).cloned());
            described.bare = self.without_flags(&all);
        }
        self.notes.extend(described.notes());
        // A token that is called special is so, whatever it is listed as.
        for token in self.tokens.iter_mut().filter(|token| called.contains(&token.content)) {
            token.special = true;
        }
        Ok(())
    }

    /// Makes these tokens special ones without any other flag; gives those that had one.
    fn without_flags(&mut self, all: &HashSet<String>) -> Vec<String> {
        let mut had = Vec::new();
        for token in self.tokens.iter_mut().filter(|token| all.contains(&token.content)) {
            let bare = AddedToken::from(token.content.clone(), true);
            if !is_alike(token, &bare) || token.normalized {
                had.push(token.content.clone());
            }
            *token = bare;
        }
        had
    }
}

/// Listed tokens of added_tokens.json are found in the text as it is written: by transformers 5, whose Llama class has
/// no normaliser, and by transformers 4, which takes them for special ones.
fn found_as_written(config: &Map<String, Value>, indexed: &mut BTreeMap<u32, AddedToken>, tokenizer: &Tokenizer) {
    let listed: HashSet<&str> = listed(config).iter().filter_map(content).collect();
    let is_new =
        |token: &AddedToken| listed.contains(&*token.content) && tokenizer.token_to_id(&token.content).is_none();
    for token in indexed.values_mut().filter(|token| is_new(token)) {
        token.normalized = false;
    }
}

/// Special tokens that have names, and the texts of those with names that transformers 4 does not know.
fn named(config: &Map<String, Value>, classes: Classes) -> (Vec<Value>, HashSet<String>) {
    let (mut named, mut newer) = (Vec::new(), HashSet::new());
    for name in NAMED {
        let default = classes.default_of(name).filter(|_| !config.contains_key(name));
        named.extend(config.get(name).cloned().or_else(|| default.map(Value::from)));
        newer.extend(default.filter(|_| classes.default_in_four(name) != default).map(str::to_owned));
    }
    newer.extend(own_names(config).filter_map(|(_, value)| content(value)).map(str::to_owned));
    named.extend(own_names(config).map(|(_, value)| value.clone()));
    named.extend(config.get(EXTRA).and_then(Value::as_object).into_iter().flat_map(Map::values).cloned());
    (named, newer)
}

/// Tokens that versions of transformers take for something else.
#[derive(Default)]
struct Described {
    added: Vec<String>,
    plain: Vec<String>,
    flagged: Vec<String>,
    /// Tokens of the class of transformers 4 alone, and what loses its flags to that of transformers 5.
    left: Vec<String>,
    bare: Vec<String>,
}

impl Described {
    fn notes(self) -> impl Iterator<Item = String> {
        let special = "transformers 4 takes it for a special one, which gives some texts other ids";
        let in_four = "transformers 4 adds it, as its class names it";
        let kept = "transformers 4 keeps the flags that the files give, which gives some texts other ids";
        let last = "transformers 4 may go by those of the place that is read last";
        [
            versions::tokens(&self.added, "a token of the vocabulary", "transformers 4 spells it"),
            versions::tokens(&self.plain, "no special token, as it is listed without `special`", special),
            versions::tokens(&self.flagged, "a token with the flags of the place that is read first", last),
            versions::tokens(&self.left, "no special token, as no file names it", in_four),
            versions::tokens(&self.bare, "a special token without other flags (lstrip, rstrip, …)", kept),
        ]
        .into_iter()
        .flatten()
    }
}

fn find<'a>(tokens: &'a [AddedToken], content: &str) -> Option<&'a AddedToken> {
    tokens.iter().find(|token| token.content == content)
}

/// Whether both take the same white space with them.
fn is_alike(a: &AddedToken, b: &AddedToken) -> bool {
    (a.lstrip, a.rstrip, a.single_word) == (b.lstrip, b.rstrip, b.single_word)
}
