//! The files next to a `tokenizer.json`, and where they contain special tokens.
//!
//! Owns their names, and the fields of tokens. A file that is not a JSON object is an error.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::python_json;

/// The name of a tokenizer whose neighbouring files are read; next to one of another name, none are.
pub const TOKENIZER: &str = "tokenizer.json";
pub const CONFIG: &str = "tokenizer_config.json";
/// The model's own, next to it.
pub const MODEL: &str = "config.json";
pub const SPECIAL: &str = "special_tokens_map.json";
pub const ADDED: &str = "added_tokens.json";
/// Everything that decides ids.
pub const FILES: [&str; 4] = [TOKENIZER, CONFIG, SPECIAL, ADDED];

/// Special tokens without a name, and what versions before 5 call them.
pub const EXTRA: &str = "extra_special_tokens";
pub const OLD_EXTRA: &str = "additional_special_tokens";

/// Special tokens without a name.
pub fn listed(config: &Map<String, Value>) -> &[Value] {
    let list =
        |name: &str| config.get(name).and_then(Value::as_array).map(Vec::as_slice).filter(|list| !list.is_empty());
    list(EXTRA).or_else(|| list(OLD_EXTRA)).unwrap_or_default()
}

/// The object of a JSON file as Python reads it; an empty one if there is no such file.
pub fn object(path: &Path) -> Result<Map<String, Value>> {
    match fs::read(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Map::new()),
        read => python_json::parse(path, &read.map_err(Error::io("read", path))?),
    }
}
