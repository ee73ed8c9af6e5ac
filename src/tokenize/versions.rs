//! Where transformers does not follow `tokenizer.json`: classes that build a tokenizer by rules of their own, and
//! `add_prefix_space` of tokenizer_config.json.
//!
//! Owns the effect of these rules, as far as it decides ids, and the notes where versions differ. What both versions
//! do is done. Where they differ, the file counts, which transformers 5 follows unless a class has rules: it contains
//! what transformers 4 and llama.cpp read, and a tokenizer that transformers 5 saved contains its own rules.

use serde::Serialize;
use serde_json::{Map, Value, json};
use tokenizers::{PreTokenizerWrapper, Tokenizer};

use crate::tokenizer_class::{BACKEND, Classes};

/// Words are cut so by Qwen2's class.
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Classes of transformers 5 that cut bytes by a rule of their own, which `add_prefix_space` is part of.
const BYTES: [&str; 8] = [
    "BartTokenizer",
    "CodeGenTokenizer",
    "CohereTokenizer",
    "GPT2Tokenizer",
    "GPTNeoXTokenizer",
    "Qwen2Tokenizer",
    "RobertaTokenizer",
    "WhisperTokenizer",
];

const IN_FIVE: &str = "transformers 5, and so tokshift, begins texts with a space, or with none, as";
const IN_FOUR: &str = "transformers 4 makes the tokenizer of tokenizer.model where tokenizer_config.json has \
    `add_prefix_space`, which gives some texts other ids";

/// What decides how a tokenizer is put together.
pub struct Rules<'a> {
    config: &'a Map<String, Value>,
    normalizer: Value,
    pre: Value,
    classes: Classes<'a>,
    notes: Vec<String>,
}

impl<'a> Rules<'a> {
    /// Those of a tokenizer that was read, with what tokenizer_config.json and config.json next to it say.
    pub fn of(config: &'a Map<String, Value>, model: &'a Map<String, Value>, tokenizer: &Tokenizer) -> Self {
        let pre = part(tokenizer.get_pre_tokenizer());
        let classes = Classes::of(config, model, pre.to_string().contains("ByteLevel"));
        Self { config, normalizer: part(tokenizer.get_normalizer()), pre, classes, notes: Vec::new() }
    }

    pub fn classes(&self) -> Classes<'a> {
        self.classes
    }

    /// What both versions put in the place of the pre-tokenizer, and whether nothing takes that of the normaliser.
    pub fn fix(&mut self) -> (Option<PreTokenizerWrapper>, bool) {
        if holds(&self.pre, &json!({"type": "ByteLevel"})) {
            return (self.fix_bytes(), false);
        }
        match self.flag("add_prefix_space").filter(|_| self.classes.four == "LlamaTokenizer") {
            Some(puts_space) => (self.fix_llama(puts_space), self.classes.five == "LlamaTokenizer"),
            None => (None, false),
        }
    }

    /// A byte-level one that nothing stands before or behind: transformers 4 always goes by the config.
    fn fix_bytes(&mut self) -> Option<PreTokenizerWrapper> {
        let own = self.pre.get("add_prefix_space").and_then(Value::as_bool).unwrap_or(true);
        let wanted = self.flag("add_prefix_space").unwrap_or(false);
        // Llama's class leaves it alone, or is made of another file.
        if wanted == own || self.classes.four == "LlamaTokenizer" {
            return None;
        }
        if BYTES.contains(&self.classes.five) {
            self.pre["add_prefix_space"] = wanted.into();
            return serde_json::from_value(self.pre.clone()).ok();
        }
        if self.classes.four.is_empty() {
            return None;
        }
        let [in_five, in_four] = [own, wanted].map(|is| if is { "a space" } else { "no space" });
        self.notes.push(format!(
            "transformers 5, and so tokshift, puts {in_five} before every text, as tokenizer.json says; transformers 4 puts \
             {in_four}, by `add_prefix_space` of tokenizer_config.json, which is false where it is not there"
        ));
        None
    }

    /// One of SentencePiece's: with `add_prefix_space`, transformers 4 makes it of tokenizer.model and passes over tokenizer.json.
    fn fix_llama(&mut self, puts_space: bool) -> Option<PreTokenizerWrapper> {
        let metaspace = self.metaspace();
        let is_alike = !puts_space || self.flag("legacy") == Some(false);
        if self.classes.five == "LlamaTokenizer" {
            if !is_alike {
                self.notes.push(format!("{IN_FIVE} its config says (`add_prefix_space`, `legacy`); {IN_FOUR}"));
            }
            (self.pre, self.normalizer) = (metaspace, Value::Null);
            return serde_json::from_value(self.pre.clone()).ok();
        }
        let is_first = self.normalizer.is_null() && holds(&self.pre, &metaspace);
        let prepends = self.pre.is_null() && self.normalizer.to_string().contains("\"Prepend\"");
        if self.classes.five == BACKEND && !(if is_alike { is_first } else { prepends }) {
            self.notes.push(format!("{IN_FIVE} tokenizer.json says; {IN_FOUR}"));
        }
        None
    }

    /// How Llama's class of transformers 5 begins texts.
    fn metaspace(&self) -> Value {
        let scheme = match (self.flag("add_prefix_space").unwrap_or(true), self.flag("legacy").unwrap_or(false)) {
            (false, _) => "never",
            (true, true) => "always",
            (true, false) => "first",
        };
        json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": false})
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.config.get(name).and_then(Value::as_bool)
    }

    /// What should be said of it.
    pub fn notes(self) -> Vec<String> {
        let class = self.classes.five;
        let doubt = (!self.is_same()).then(|| {
            format!(
                "transformers 5 may put a {class} together by rules of its own, which give some texts other ids than \
                 tokenizer.json says; tokshift goes by the file, as transformers 4 does. Where those of transformers 5 are \
                 meant, use --tokenizer with a copy that it saved (save_pretrained)"
            )
        });
        self.notes.into_iter().chain(doubt).collect()
    }

    /// Whether transformers 5 puts together what the file says.
    fn is_same(&self) -> bool {
        let (normalizer, pre) = (&self.normalizer, &self.pre);
        let space = self.flag("add_prefix_space").unwrap_or(false);
        let bytes = |regex: bool| json!({"type": "ByteLevel", "add_prefix_space": space, "use_regex": regex});
        let nfc = || holds(normalizer, &json!({"type": "NFC"}));
        let steps = pre.get("pretokenizers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        match self.classes.five {
            "LlamaTokenizer" => normalizer.is_null() && holds(pre, &self.metaspace()),
            "GemmaTokenizer" => {
                let space = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
                let split = json!({"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious"});
                // No piece has a space by then, whatever they are cut by.
                holds(normalizer, &space) && (pre.is_null() || holds(pre, &split))
            }
            "GPT2Tokenizer" | "CodeGenTokenizer" | "RobertaTokenizer" | "BartTokenizer" | "WhisperTokenizer" => {
                normalizer.is_null() && holds(pre, &bytes(true))
            }
            "GPTNeoXTokenizer" => nfc() && holds(pre, &bytes(true)),
            "CohereTokenizer" => {
                let digits = json!({"type": "Digits", "individual_digits": true});
                nfc() && matches!(steps, [first, second] if holds(first, &digits) && holds(second, &bytes(true)))
            }
            "Qwen2Tokenizer" => {
                let split =
                    json!({"type": "Split", "pattern": {"Regex": QWEN2}, "behavior": "Isolated", "invert": false});
                nfc() && matches!(steps, [first, second] if holds(first, &split) && holds(second, &bytes(false)))
            }
            _ => true,
        }
    }
}

/// What is said of tokens that versions take for something else, if there are any.
pub fn tokens(tokens: &[String], in_five: &str, in_four: &str) -> Option<String> {
    let [first, rest @ ..] = tokens else { return None };
    let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
    Some(format!("`{first}`{more} is {in_five}, to transformers 5 and so to tokshift; {in_four}"))
}

fn part<P: Serialize>(part: Option<&P>) -> Value {
    part.and_then(|part| serde_json::to_value(part).ok()).unwrap_or_default()
}

/// Whether `part` says all that `expected` does.
fn holds(part: &Value, expected: &Value) -> bool {
    let expected = expected.as_object().into_iter().flatten();
    expected.into_iter().all(|(name, value)| part.get(name) == Some(value))
}
