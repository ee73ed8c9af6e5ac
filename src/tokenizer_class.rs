//! The tokenizer classes of transformers.
//!
//! Owns which class of versions 4 and 5 reads a tokenizer, and which special tokens that class adds by itself. Not
//! here: the other effects of a class (`tokenize::versions`).

use serde_json::{Map, Value};

/// Names of the special tokens that every class knows, in the order in which transformers adds the tokens.
pub const NAMED: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// The key that marks a JSON object as a token (`"__type": "AddedToken"`).
pub const TYPE: &str = "__type";

/// Classes of transformers 4 that put a BOS before every text unless `add_bos_token` is false.
const BEGIN: [&str; 4] = [LLAMA, "CodeLlamaTokenizer", "GemmaTokenizer", "CohereTokenizer"];

/// The class of transformers 5 that adds special tokens a second time by their text alone, which resets their flags.
pub const QWEN2: &str = "Qwen2Tokenizer";

const LLAMA: &str = "LlamaTokenizer";

const ENDOFTEXT: &str = "<|endoftext|>";

/// The class of transformers 5 that follows `tokenizer.json` without rules of its own.
pub const BACKEND: &str = "TokenizersBackend";

/// The class of each version of transformers that reads one tokenizer.
#[derive(Clone, Copy, Debug)]
pub struct Classes<'a> {
    /// Class of transformers 4: the one that the files declare, or empty if they declare none.
    pub four: &'a str,
    /// Class of transformers 5; empty if neither the files nor the model's family decide it.
    pub five: &'a str,
}

impl<'a> Classes<'a> {
    /// The classes by tokenizer_config.json (`config`) and config.json (`model`). `is_byte_level` says whether the
    /// tokenizer's pre-tokenizer works on bytes.
    pub fn of(config: &'a Map<String, Value>, model: &'a Map<String, Value>, is_byte_level: bool) -> Self {
        let four = declared(config, model);
        Self { four, five: in_five(four, model, is_byte_level) }
    }

    /// Whether the class depends on `is_byte_level`.
    pub fn request_bytes(&self) -> bool {
        self.four == LLAMA
    }

    /// The token that transformers 5 uses for `name` if the config lacks that name.
    pub fn default_of(&self, name: &str) -> Option<&'static str> {
        let all = common(self.five).iter().chain(newer(self.five));
        all.into_iter().find(|(own, _)| *own == name).map(|(_, token)| *token)
    }

    /// The same for transformers 4. If the files declare no class, the class of version 5 stands in, because it follows
    /// the model's family.
    pub fn default_in_four(&self, name: &str) -> Option<&'static str> {
        let class = if self.four.is_empty() { self.five } else { self.four };
        common(class).iter().find(|(own, _)| *own == name).map(|(_, token)| *token)
    }
}

/// Tokens by other names (`tool_token`): transformers 5 reads every token whose name ends in `_token`.
pub fn own_names(config: &Map<String, Value>) -> impl Iterator<Item = (&str, &Value)> {
    let is_token = |value: &Value| value.is_string() || value.get(TYPE).is_some();
    let named = config.iter().map(|(name, value)| (name.as_str(), value));
    named.filter(move |(name, value)| name.ends_with("_token") && !NAMED.contains(name) && is_token(value))
}

/// The class that tokenizer_config.json names, or else config.json, without `Fast` at its end.
fn declared<'a>(config: &'a Map<String, Value>, model: &'a Map<String, Value>) -> &'a str {
    let named = [config, model].into_iter().find_map(|of| of.get("tokenizer_class")?.as_str());
    let class = named.unwrap_or_default();
    class.strip_suffix("Fast").unwrap_or(class)
}

/// The class that transformers 5 uses where the files declare `class`. It depends on the model's family too.
fn in_five<'a>(class: &'a str, model: &Map<String, Value>, is_byte_level: bool) -> &'a str {
    let family = model.get("model_type").and_then(Value::as_str).unwrap_or_default();
    let registered = match family {
        "qwen2" | "qwen2_moe" | "qwen3" | "qwen3_moe" => QWEN2,
        "gemma" | "gemma2" | "gemma3" | "gemma3_text" => "GemmaTokenizer",
        "gpt2" | "opt" | "phi" | "starcoder2" => "GPT2Tokenizer",
        "gpt_neox" | "olmo" => "GPTNeoXTokenizer",
        "cohere" | "cohere2" => "CohereTokenizer",
        "granite" | "mistral" | "mistral3" | "mixtral" | "ministral" | "ministral3" | "phi3" | "olmo2" | "olmo3"
        | "glm" | "glm4" | "stablelm" => BACKEND,
        _ => "",
    };
    match (class, registered) {
        // Models of this family on the hub are known to declare a wrong class.
        (_, QWEN2) if family == "qwen2" => registered,
        (LLAMA, _) if is_byte_level => BACKEND,
        ("", registered) => registered,
        (_, BACKEND) => BACKEND,
        _ => class,
    }
}

/// Whether this class of transformers 4 puts a BOS before every text by default.
pub fn begins(class: &str) -> bool {
    BEGIN.contains(&class)
}

/// Special tokens that `class` has in both versions for names that the config lacks.
fn common(class: &str) -> &'static [(&'static str, &'static str)] {
    match class {
        LLAMA => &[("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>")],
        "GemmaTokenizer" => {
            &[("bos_token", "<bos>"), ("eos_token", "<eos>"), ("unk_token", "<unk>"), ("pad_token", "<pad>")]
        }
        QWEN2 => &[("eos_token", ENDOFTEXT), ("unk_token", ENDOFTEXT), ("pad_token", ENDOFTEXT)],
        "GPT2Tokenizer" | "CodeGenTokenizer" | "GPTNeoXTokenizer" => {
            &[("bos_token", ENDOFTEXT), ("eos_token", ENDOFTEXT), ("unk_token", ENDOFTEXT)]
        }
        "CohereTokenizer" => {
            &[("bos_token", "<BOS_TOKEN>"), ("eos_token", "<|END_OF_TURN_TOKEN|>"), ("unk_token", "<UNK>")]
        }
        _ => &[],
    }
}

/// Further such tokens, which only transformers 5 has.
fn newer(class: &str) -> &'static [(&'static str, &'static str)] {
    match class {
        "GemmaTokenizer" => &[("mask_token", "<mask>")],
        "GPTNeoXTokenizer" => &[("pad_token", "<|padding|>")],
        "CohereTokenizer" => {
            &[("sep_token", "<SEP>"), ("pad_token", "<PAD>"), ("cls_token", "<CLS>"), ("mask_token", "<MASK_TOKEN>")]
        }
        _ => &[],
    }
}
