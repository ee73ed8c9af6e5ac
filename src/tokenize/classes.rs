//! The classes of transformers' tokenizers.
//!
//! Owns which of them reads a tokenizer, and which special tokens it adds itself. Not here: what else they do
//! (`versions`).

use serde_json::{Map, Value};
use tokenizers::Tokenizer;

/// Classes of transformers 4 that put a BOS before every text unless `add_bos_token` says otherwise.
const BEGIN: [&str; 4] = ["LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer", "CohereTokenizer"];

/// The class of transformers 5 that goes by `tokenizer.json` alone.
pub const BACKEND: &str = "TokenizersBackend";

/// What tokenizer_config.json names, or else the model's config.
pub fn declared<'a>(config: &'a Map<String, Value>, model: &'a Map<String, Value>) -> &'a str {
    let named = [config, model].into_iter().find_map(|of| of.get("tokenizer_class")?.as_str());
    let class = named.unwrap_or_default();
    class.strip_suffix("Fast").unwrap_or(class)
}

/// The class that transformers 5 takes for `class`: it goes by the model's family, too.
pub fn in_five<'a>(class: &'a str, model: &Map<String, Value>, is_byte_level: bool) -> &'a str {
    let family = model.get("model_type").and_then(Value::as_str).unwrap_or_default();
    let registered = match family {
        "qwen2" | "qwen2_moe" | "qwen3" | "qwen3_moe" => "Qwen2Tokenizer",
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
        (_, "Qwen2Tokenizer") if family == "qwen2" => registered,
        ("LlamaTokenizer", _) if is_byte_level => BACKEND,
        ("", registered) => registered,
        (_, BACKEND) => BACKEND,
        _ => class,
    }
}

/// Whether transformers 4 puts a BOS first.
pub fn begins(class: &str) -> bool {
    BEGIN.contains(&class)
}

/// Tokens that a class names where the config does not, as far as the vocabulary has them.
pub fn defaults(class: &str, config: &Map<String, Value>, tokenizer: &Tokenizer) -> Vec<Value> {
    let missing = defaults_of(class).iter().filter(|(name, _)| !config.contains_key(*name));
    let known = missing.filter(|(_, token)| tokenizer.token_to_id(token).is_some());
    known.map(|(_, token)| Value::from(*token)).collect()
}

pub fn defaults_of(class: &str) -> &'static [(&'static str, &'static str)] {
    match class {
        "LlamaTokenizer" => &[("unk_token", "<unk>"), ("bos_token", "<s>"), ("eos_token", "</s>")],
        "GemmaTokenizer" => {
            &[("unk_token", "<unk>"), ("bos_token", "<bos>"), ("eos_token", "<eos>"), ("pad_token", "<pad>")]
        }
        "Qwen2Tokenizer" => &[("unk_token", "<|endoftext|>"), ("eos_token", "<|endoftext|>")],
        "GPT2Tokenizer" => &[("unk_token", "<|endoftext|>"), ("bos_token", "<|endoftext|>")],
        _ => &[],
    }
}
