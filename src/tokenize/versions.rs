//! Where transformers 5 does not go by `tokenizer.json`: classes that put a tokenizer together by rules of their own.
//!
//! Owns what these rules make, as far as it decides ids. Refuses to follow them: what transformers 4 and llama.cpp read is
//! in the file, and a tokenizer that transformers 5 saved has its own rules there.

use serde::Serialize;
use serde_json::{Map, Value, json};
use tokenizers::Tokenizer;

/// Words are cut so by Qwen2's class.
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// What should be said of a tokenizer of `class` that transformers 5 would put together otherwise.
pub fn doubt(class: &str, config: &Map<String, Value>, tokenizer: &Tokenizer) -> Option<String> {
    let normalizer = part(tokenizer.get_normalizer());
    let pre = part(tokenizer.get_pre_tokenizer());
    let flag = |name: &str, default: bool| config.get(name).and_then(Value::as_bool).unwrap_or(default);
    let is_same = match class {
        // A byte-level one is read as it is.
        "LlamaTokenizer" if !pre.to_string().contains("ByteLevel") => {
            let scheme = match (flag("add_prefix_space", true), flag("legacy", false)) {
                (false, _) => "never",
                (true, true) => "always",
                (true, false) => "first",
            };
            normalizer.is_null() && holds(&pre, &json!({"type": "Metaspace", "prepend_scheme": scheme, "split": false}))
        }
        "GemmaTokenizer" => {
            let space = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
            let split = json!({"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious"});
            // No piece has a space by then, whatever they are cut by.
            holds(&normalizer, &space) && (pre.is_null() || holds(&pre, &split))
        }
        "GPT2Tokenizer" => {
            let space = flag("add_prefix_space", false);
            normalizer.is_null()
                && holds(&pre, &json!({"type": "ByteLevel", "add_prefix_space": space, "use_regex": true}))
        }
        "Qwen2Tokenizer" => {
            let steps = pre.get("pretokenizers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let split = json!({"type": "Split", "pattern": {"Regex": QWEN2}, "behavior": "Isolated", "invert": false});
            let bytes =
                json!({"type": "ByteLevel", "add_prefix_space": flag("add_prefix_space", false), "use_regex": false});
            holds(&normalizer, &json!({"type": "NFC"}))
                && matches!(steps, [first, second] if holds(first, &split) && holds(second, &bytes))
        }
        _ => true,
    };
    (!is_same).then(|| {
        format!(
            "transformers 5 may put a {class} together by rules of its own, which give some texts other ids than \
             tokenizer.json says; tokshift goes by the file, as transformers 4 does. Where those of transformers 5 are \
             meant, give --tokenizer a copy that it saved (save_pretrained)"
        )
    })
}

fn part<P: Serialize>(part: Option<&P>) -> Value {
    part.and_then(|part| serde_json::to_value(part).ok()).unwrap_or_default()
}

/// Whether `part` says all that `expected` does.
fn holds(part: &Value, expected: &Value) -> bool {
    let expected = expected.as_object().into_iter().flatten();
    expected.into_iter().all(|(name, value)| part.get(name) == Some(value))
}
