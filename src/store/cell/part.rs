//! Writing one part completely under `.tmp`.
//!
//! Owns its temporary files. Not here: their content (`table`, `hidden`), and how they become results (`publish`).

use arrow::array::RecordBatch;

use super::CellStore;
use super::publish::Publication;
use crate::error::{Error, Result};
use crate::schema::folder;
use crate::store::hidden::HiddenPart;
use crate::store::temporary::Temporary;
use crate::table::{self, Table};

/// A part on its way.
#[derive(Debug)]
pub struct PartWriter<'a> {
    cell: &'a CellStore,
    part: u32,
    samples: Temporary,
    tokens: Temporary,
    /// The table's hash of itself.
    tokens_hash: Option<String>,
    hidden: Option<HiddenPart>,
}

impl CellStore {
    /// Files for the part under `.tmp`; dropping the writer instead of committing removes them.
    ///
    /// # Errors
    /// [`Error::Busy`] if another process scores the part; files that cannot be created.
    pub fn begin(&self, part: u32) -> Result<PartWriter<'_>> {
        if !self.take(part)? {
            let holder = self.holder(part).map_or_else(|| "another process".to_owned(), |holder| holder.process);
            return Err(Error::Busy { what: self.cell.to_string(), root: self.root.clone(), holder });
        }
        let create = |table: &str| Temporary::create(&self.root, &format!("{table}-{part:08}"));
        let (samples, tokens) = (create(folder::SAMPLES)?, create(folder::TOKENS)?);
        Ok(PartWriter::new(self, part, samples, tokens))
    }
}

impl<'a> PartWriter<'a> {
    fn new(cell: &'a CellStore, part: u32, samples: Temporary, tokens: Temporary) -> Self {
        Self { cell, part, samples, tokens, tokens_hash: None, hidden: None }
    }

    /// Writes both tables of the part, whole: the tokens table names the samples table. Nothing is published by it.
    ///
    /// # Errors
    /// A full disk, say.
    pub fn write(&mut self, samples: &RecordBatch, tokens: &RecordBatch) -> Result<()> {
        let mut origin = self.cell.origin(self.part);
        origin.samples = self.samples.write(|file| table::write(file, Table::Samples, samples, Some(&origin)))?;
        self.tokens_hash = self.tokens.write(|file| table::write(file, Table::Tokens, tokens, Some(&origin)))?;
        Ok(())
    }

    /// Publishes these hidden states with the part; they name its tokens table.
    pub fn keep(&mut self, hidden: HiddenPart) {
        self.hidden = Some(hidden);
    }

    /// Publishes the part, after the manifest if it is the cell's first, and lets other processes have it again. `false`
    /// if another process has published it meanwhile, which can happen where file systems have no locks: then that stays.
    ///
    /// # Errors
    /// As [`Store::cell`](crate::store::Store::cell) if another run came first, and a part that was not written; if the
    /// tokens are not published, the part is not done.
    pub fn commit(self) -> Result<bool> {
        let files = self.cell.hidden_files();
        if self.hidden.is_some() != self.cell.takes_hidden() {
            let what = "its hidden states are not what was requested (this is a bug in tokshift)";
            return Err(Error::file(files.file(self.part), what));
        }
        self.cell.claim()?;
        let hidden = self.hidden.map(|hidden| hidden.seal(self.tokens_hash.as_deref())).transpose()?;
        let (cell, part) = (self.cell, self.part);
        let published = Publication { cell, part, samples: self.samples, tokens: self.tokens, hidden }.publish();
        cell.release(part);
        published
    }
}
