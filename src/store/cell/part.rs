//! Writing one part: completely under `.tmp`, then published.
//!
//! Owns the order in which its files appear. Not here: their content (`table`, `hidden`).

use arrow::array::RecordBatch;

use super::CellStore;
use crate::error::{Error, Result};
use crate::schema::folder;
use crate::store::hidden::HiddenPart;
use crate::store::pairs;
use crate::store::temporary::Temporary;
use crate::table::{self, Table};

/// A part on its way.
#[derive(Debug)]
pub struct PartWriter<'a> {
    cell: &'a CellStore,
    part: u32,
    samples: Temporary,
    tokens: Temporary,
    /// The two tables' hashes of themselves.
    samples_hash: Option<String>,
    tokens_hash: Option<String>,
    hidden: Option<HiddenPart>,
}

impl CellStore {
    /// Files for the part under `.tmp`; dropping the writer instead of committing removes them.
    ///
    /// # Errors
    /// Another process writes the cell; files that cannot be created.
    pub fn begin(&self, part: u32) -> Result<PartWriter<'_>> {
        self.lock()?;
        let create = |table: &str| Temporary::create(&self.root, &format!("{table}-{part:08}"));
        let (samples, tokens) = (create(folder::SAMPLES)?, create(folder::TOKENS)?);
        Ok(PartWriter::new(self, part, samples, tokens))
    }
}

impl<'a> PartWriter<'a> {
    fn new(cell: &'a CellStore, part: u32, samples: Temporary, tokens: Temporary) -> Self {
        Self { cell, part, samples, tokens, samples_hash: None, tokens_hash: None, hidden: None }
    }

    /// Writes both tables of the part, whole: the tokens table names the samples table. Nothing is published by it.
    ///
    /// # Errors
    /// A full disk, say.
    pub fn write(&mut self, samples: &RecordBatch, tokens: &RecordBatch) -> Result<()> {
        let mut origin = self.cell.origin(self.part);
        self.samples_hash = self.samples.write(|file| table::write(file, Table::Samples, samples, Some(&origin)))?;
        origin.samples.clone_from(&self.samples_hash);
        self.tokens_hash = self.tokens.write(|file| table::write(file, Table::Tokens, tokens, Some(&origin)))?;
        Ok(())
    }

    /// Publishes these hidden states with the part; they name its tokens table.
    pub fn keep(&mut self, hidden: HiddenPart) {
        self.hidden = Some(hidden);
    }

    /// Publishes the part, after the manifest if it is the cell's first, and in place of what it was before if it is done
    /// again: a crash leaves the old part, the new one, or one that is not done.
    ///
    /// # Errors
    /// As [`Store::cell`](crate::store::Store::cell) if another run came first, and a part that was not written; if the tokens are not published,
    /// the part is not done.
    pub fn commit(self) -> Result<()> {
        let files = self.cell.hidden_files();
        if self.hidden.is_some() != self.cell.takes_hidden() {
            let what = "its hidden states are not what was requested (this is a bug in tokshift)";
            return Err(Error::file(files.file(self.part), what));
        }
        self.cell.claim()?;
        let (samples, tokens) = (self.cell.tables.samples(self.part), self.cell.tables.tokens(self.part));
        // What comes out as it was leaves everything that was made of it; samples may have been deleted since.
        let lacks_samples = !samples.exists();
        let is_same = tokens.is_as(&self.tokens)? && (lacks_samples || samples.is_as(&self.samples)?);
        if !is_same {
            // A part that is done again is not done from here until both of its tables are new. Its tokens go before its pairs:
            // a process that publishes a pair looks at them afterwards.
            tokens.delete()?;
            pairs::delete_part(&self.cell.root, &self.cell.cell, self.part)?;
            files.delete_temporary(self.part)?;
        }
        if let Some(hidden) = self.hidden {
            hidden.publish(&files.file(self.part), self.tokens_hash.as_deref())?;
        }
        if is_same && !lacks_samples {
            return Ok(());
        }
        samples.put(self.samples)?;
        if is_same {
            return Ok(());
        }
        tokens.put(self.tokens)?;
        // Where file systems have no locks another process may have put its samples there meanwhile.
        if self.samples_hash.is_some() && samples.footer()?.1 != self.samples_hash {
            tokens.delete()?;
            let what = "was written by two processes at once: let one of them score the cell, and run it again";
            return Err(Error::file(samples, what));
        }
        Ok(())
    }
}
