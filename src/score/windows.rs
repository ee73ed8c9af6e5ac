//! Plain text that is scored in windows.
//!
//! Owns its names and the windows. Not here: rows, of which a text has none but its windows.

use std::path::PathBuf;

use super::datasets::Dataset;
use super::session::Session;
use crate::dataset::Windows;
use crate::error::{Error, Result};
use crate::stand_in;
use crate::store::ResponseSetKey;

/// A text that is cut into windows, of each of which the second half is scored, as llama.cpp does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainText {
    pub path: PathBuf,
    /// Tokens of a window: of 512, 255 are scored.
    pub window: u32,
}

impl PlainText {
    /// The text's windows by the session's tokenizer. It is called `text`, and by the file's name, unless it is given
    /// names.
    ///
    /// # Errors
    /// A window that no model takes; a file that cannot be read or is no text; one that the tokenizer refuses.
    pub fn open(&self, generation_model: Option<&str>, task: Option<&str>, session: &Session) -> Result<Dataset> {
        let Self { path, window } = self;
        let max_tokens = session.max_tokens();
        if *window as usize > max_tokens {
            return Err(Error::usage(format!(
                "--window {window} is longer than the shortest context among the models, {max_tokens} tokens"
            )));
        }
        let text = std::fs::read_to_string(path).map_err(Error::io("read the text", path))?;
        if let Some(what) = stand_in::pointer(text.as_bytes()) {
            return Err(Error::usage(format!("the text `{}` {what}", path.display())));
        }
        let tokenizer = &session.tokenizer;
        let refused = |e| Error::usage(format!("text `{}`: the tokenizer cannot encode it: {e}", path.display()));
        let ids = tokenizer.whole(&text).map_err(refused)?;
        let stem = || path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let task = task.map(str::to_owned).or_else(stem).unwrap_or_default();
        let set = ResponseSetKey::new(generation_model.unwrap_or("text"), task);
        let plan = Windows::new(ids, *window, tokenizer.prefix()).plan(path, session.options.limit)?;
        Ok(Dataset { set, plan })
    }
}
