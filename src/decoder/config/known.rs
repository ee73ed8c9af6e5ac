//! The list of known model families.
//!
//! Owns the error for every other family. It names the family before any field of the config is read, because the
//! family decides what a field means. Not here: what a family does (`families`).

use serde_json::{Map, Value};

use crate::decoder::config::fields::{Config, Parsed};

const KNOWN: [&str; 15] = [
    "gemma2",
    "gemma3",
    "gemma3_text",
    "glm4",
    "granite",
    "llama",
    "mistral",
    "mixtral",
    "olmo2",
    "phi3",
    "qwen2",
    "qwen2_moe",
    "qwen3",
    "qwen3_moe",
    "smollm3",
];
/// Where models that see, hear or speak keep the config of the part that reads text.
const TEXT_PARTS: [&str; 8] = [
    "text_config",
    "llm_config",
    "language_config",
    "language_model",
    "thinker_config",
    "text_model_config",
    "decoder",
    "llm",
];

impl Config<'_> {
    /// The `model_type`.
    ///
    /// # Errors
    /// There is none, or one that is not known.
    pub fn family(self) -> Parsed<String> {
        let family = self.optional::<String>("model_type")?.unwrap_or_default();
        if KNOWN.contains(&family.as_str()) {
            return Ok(family);
        }
        let known = KNOWN.join(", ");
        let called = match self.0.get("architectures").and_then(|names| names.get(0)?.as_str()) {
            Some(name) if family.is_empty() => format!("no `model_type` (`architectures` names {name})"),
            _ if family.is_empty() => "no `model_type`".to_owned(),
            _ => format!("`model_type` {family}"),
        };
        let part = text_part(self.0).map(|part| format!(" (text part {part})")).unwrap_or_default();
        Err(format!("{called}{part} is not one that tokshift knows: known are {known}"))
    }
}

/// The family of the innermost part that reads text.
fn text_part(config: &Map<String, Value>) -> Option<String> {
    let part = TEXT_PARTS.iter().find_map(|name| config.get(*name)?.as_object())?;
    let own = || part.get("model_type").and_then(Value::as_str).map(str::to_owned);
    text_part(part).or_else(own)
}
