//! The classes of transformers' tokenizers.
//!
//! Owns which of them reads a tokenizer, and which special tokens it adds itself. Not here: what else they do
//! (`tokenize::versions`).

use serde_json::{Map, Value};

/// Special tokens that have names in every class, in the order in which transformers adds them.
pub const NAMED: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// What objects that stand for tokens have, so that they are told from others.
pub const TYPE: &str = "__type";

/// Classes of transformers 4 that put a BOS before every text unless `add_bos_token` says otherwise.
const BEGIN: [&str; 4] = [LLAMA, "CodeLlamaTokenizer", "GemmaTokenizer", "CohereTokenizer"];

/// The class of transformers 5 that adds the special tokens once more, as their texts alone.
pub const QWEN2: &str = "Qwen2Tokenizer";

const LLAMA: &str = "LlamaTokenizer";

const ENDOFTEXT: &str = "<|endoftext|>";

/// The class of transformers 5 that goes by `tokenizer.json` alone.
pub const BACKEND: &str = "TokenizersBackend";

/// The classes that read one tokenizer.
#[derive(Clone, Copy, Debug)]
pub struct Classes<'a> {
    /// Of transformers 4: what the files declare, empty if that is nothing.
    pub four: &'a str,
    /// Of transformers 5.
    pub five: &'a str,
}

impl<'a> Classes<'a> {
    /// `config` is what tokenizer_config.json says, `model` what config.json says.
    pub fn of(config: &'a Map<String, Value>, model: &'a Map<String, Value>, is_byte_level: bool) -> Self {
        let four = declared(config, model);
        Self { four, five: in_five(four, model, is_byte_level) }
    }

    /// Whether it matters for the class if the tokenizer works on bytes.
    pub fn request_bytes(&self) -> bool {
        self.four == LLAMA
    }

    /// The token by a name that the config does not have, to transformers 5.
    pub fn default_of(&self, name: &str) -> Option<&'static str> {
        let all = common(self.five).iter().chain(newer(self.five));
        all.into_iter().find(|(own, _)| *own == name).map(|(_, token)| *token)
    }

    /// The same to transformers 4, which takes the class of the model's family where none is declared.
    pub fn default_in_four(&self, name: &str) -> Option<&'static str> {
        let class = if self.four.is_empty() { self.five } else { self.four };
        common(class).iter().find(|(own, _)| *own == name).map(|(_, token)| *token)
    }
}

/// Tokens with names of their own (`tool_token`): to transformers 5 all that is a token by a name that ends so.
pub fn own_names(config: &Map<String, Value>) -> impl Iterator<Item = (&str, &Value)> {
    let is_token = |value: &Value| value.is_string() || value.get(TYPE).is_some();
    let named = config.iter().map(|(name, value)| (name.as_str(), value));
    named.filter(move |(name, value)| name.ends_with("_token") && !NAMED.contains(name) && is_token(value))
}

/// What tokenizer_config.json names, or else the model's config.
fn declared<'a>(config: &'a Map<String, Value>, model: &'a Map<String, Value>) -> &'a str {
    let named = [config, model].into_iter().find_map(|of| of.get("tokenizer_class")?.as_str());
    let class = named.unwrap_or_default();
    class.strip_suffix("Fast").unwrap_or(class)
}

/// The class that transformers 5 takes for `class`: it goes by the model's family, too.
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
        // The hub's models of this family are known to name a wrong one.
        (_, QWEN2) if family == "qwen2" => registered,
        (LLAMA, _) if is_byte_level => BACKEND,
        ("", registered) => registered,
        (_, BACKEND) => BACKEND,
        _ => class,
    }
}

/// Whether transformers 4 puts a BOS first.
pub fn begins(class: &str) -> bool {
    BEGIN.contains(&class)
}

/// Special tokens that a class has in both versions, where the config does not have their names.
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

/// More of them, of transformers 5 alone.
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
