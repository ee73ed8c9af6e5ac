//! The vocabularies of an output directory: texts of token ids, which tables join by id.
//!
//! Owns where they are. A vocabulary is made of the tokenizer alone, so it is written once and never changes. Not here: its
//! rows (`table`).

use std::path::{Path, PathBuf};

use super::directory::Store;
use super::files::ResultFile;
use super::names;
use crate::error::Result;
use crate::schema::folder;
use crate::table::{self, EXTENSION, Table, vocabulary_batch};

fn path(root: &Path, tokenizer: &str) -> Result<PathBuf> {
    Ok(root.join(folder::VOCABULARIES).join(names::encode(&format!("{tokenizer}.{EXTENSION}"))?))
}

/// The vocabulary of the tokenizer of this identity, if the directory has it.
pub fn vocabulary(root: &Path, tokenizer: &str) -> Option<ResultFile> {
    path(root, tokenizer).ok().map(ResultFile::at).filter(ResultFile::exists)
}

impl Store {
    /// Writes the vocabulary of the tokenizer of this identity, unless it is there.
    ///
    /// # Errors
    /// A full disk.
    pub fn keep_vocabulary(&self, tokenizer: &str, texts: impl Fn() -> Vec<(u32, String)>) -> Result<()> {
        if vocabulary(&self.root, tokenizer).is_some() {
            return Ok(());
        }
        let batch = vocabulary_batch(&texts())?;
        let name = format!("{tokenizer}.{EXTENSION}");
        let write = |out: &mut _| table::write(out, Table::Vocabulary, &batch, None).map(drop);
        self.publish(folder::VOCABULARIES, &name, write).map(drop)
    }
}
