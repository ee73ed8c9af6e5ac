//! Plain text that is scored in windows.
//!
//! Owns its names and the windows. Not here: rows, of which a text has none but its windows.

use std::path::PathBuf;

use super::datasets::{Dataset, earlier_parts, reference};
use super::session::Session;
use crate::dataset::{WINDOW, Windows};
use crate::error::{Error, Result};
use crate::experiments::WriterFrom;
use crate::llama_logits::{self, is_logits_file};
use crate::stand_in;
use crate::store::{FoundCell, ResponseSetKey};
use crate::tokenize::TextTokenizer;

/// A text that is cut into windows, of each of which the second half is scored, as llama.cpp does; or the ids of a
/// logits file, which are cut already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainText {
    /// The file.
    pub path: PathBuf,
    /// Tokens of a window: of 512, 255 are scored.
    pub window: u32,
}

impl PlainText {
    /// The response set: `text` wrote it, for the task that the file's name is, unless it is given names.
    pub fn key(&self, generation_model: Option<&str>, task: Option<&str>) -> ResponseSetKey {
        let stem = || self.path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let task = task.map(str::to_owned).or_else(stem).unwrap_or_default();
        ResponseSetKey::new(generation_model.unwrap_or("text"), task)
    }

    /// The text's windows by the session's tokenizer. It is called as [`PlainText::key`] says.
    ///
    /// # Errors
    /// A window that no model takes; a file that cannot be read or is no text; one that the tokenizer rejects.
    pub fn open(
        &self,
        generation_model: Option<&str>,
        task: Option<&str>,
        (requested, models): (Option<&str>, &[String]),
        earlier: &[FoundCell],
        session: &Session,
    ) -> Result<Dataset> {
        let Self { path, .. } = self;
        let (tokenizer, max_tokens) = (&session.tokenizer, session.max_tokens());
        let (ids, window) = self.ids(tokenizer)?;
        if window as usize > max_tokens {
            return Err(Error::usage(format!(
                "--window {window} is longer than the shortest context among the models, {max_tokens} tokens"
            )));
        }
        let writer_from = generation_model.map_or(WriterFrom::Text, |_| WriterFrom::Option);
        let set = self.key(generation_model, task);
        let reference = reference(requested, models, &set.generation_model);
        let windows = Windows::new(ids, window, tokenizer.prefix());
        let plan = windows.plan(path, session.options.limit, earlier_parts(earlier, &set).0)?;
        Ok(Dataset { set, writer_from, reference, plan })
    }
    /// The ids of the text, and how many of them a window has.
    ///
    /// # Errors
    /// A file that cannot be read or is no text, one that the tokenizer refuses, or a logits file of other windows.
    pub fn ids(&self, tokenizer: &TextTokenizer) -> Result<(Vec<u32>, u32)> {
        let Self { path, window } = self;
        if is_logits_file(path) {
            let file = llama_logits::File::open(path)?;
            let of_file = file.window() as u32;
            if ![WINDOW, of_file].contains(window) {
                return Err(Error::file(path, format!("has windows of {of_file} tokens, not of --window {window}")));
            }
            return Ok((file.ids().to_vec(), of_file));
        }
        let text = std::fs::read_to_string(path).map_err(Error::io("read the text", path))?;
        if let Some(what) = stand_in::pointer(text.as_bytes()) {
            return Err(Error::usage(format!("the text `{}` {what}", path.display())));
        }
        let rejected = |e| Error::usage(format!("text `{}`: the tokenizer cannot encode it: {e}", path.display()));
        Ok((tokenizer.whole(&text).map_err(rejected)?, *window))
    }
}
