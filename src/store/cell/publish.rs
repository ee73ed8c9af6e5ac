//! Publishing one part, while another process may publish the same.
//!
//! Owns the order in which a part's files appear: hidden states, samples, and then tokens, which alone mean done. Locks
//! keep two processes from scoring one part. Where a file system has none, two may get here with different numbers, and
//! what is published must still be of one of them. So the tokens are only ever published where none are, and a process
//! that finds its own files next to another's tokens deletes these and publishes all of its files. The last process to
//! change anything has therefore seen a part whose files are all of one process.

use super::CellStore;
use crate::error::{Error, Result};
use crate::store::files::ResultFile;
use crate::store::pairs;
use crate::store::temporary::Temporary;

/// Processes that publish one part at once disturb each other this many times at most.
const ATTEMPTS: u32 = 100;

/// The files of a part, written.
pub(super) struct Publication<'a> {
    pub cell: &'a CellStore,
    pub part: u32,
    pub samples: Temporary,
    pub tokens: Temporary,
    pub hidden: Option<Temporary>,
}

impl Publication<'_> {
    /// Publishes the files in place of what the part was before; a crash leaves the old part, the new one, or one that is
    /// not done. `false` if the part of another process stays.
    ///
    /// # Errors
    /// A file that cannot be published or deleted.
    pub fn publish(self) -> Result<bool> {
        let (samples, tokens) = (self.cell.tables.samples(self.part), self.cell.tables.tokens(self.part));
        let mut may_replace = self.cell.is_alone();
        for _ in 0..ATTEMPTS {
            if self.keeps_tables(&samples, &tokens)? {
                return Ok(true);
            }
            if tokens.exists() {
                if !may_replace && samples.exists() && !self.has_disturbed(&samples) {
                    return Ok(false);
                }
                self.delete(&tokens)?;
                may_replace = false;
            }
            self.put_hidden()?;
            samples.put_link(&self.samples)?;
            if !tokens.put_new(&self.tokens)? {
                continue;
            }
            if self.is_undisturbed(&samples) {
                return Ok(true);
            }
            self.delete(&tokens)?;
        }
        let what = "is published by several processes at once: let one of them score the cell, and run it again";
        Err(Error::file(tokens, what))
    }

    /// If the tables that are there are these, byte by byte, everything that was made of them stays; samples may have been
    /// deleted since.
    fn keeps_tables(&self, samples: &ResultFile, tokens: &ResultFile) -> Result<bool> {
        let lacks_samples = !samples.exists();
        let is_same = tokens.is_as(&self.tokens)? && (lacks_samples || samples.is_as(&self.samples)?);
        if is_same {
            self.put_hidden()?;
            if lacks_samples {
                samples.put_link(&self.samples)?;
            }
        }
        Ok(is_same)
    }

    fn put_hidden(&self) -> Result<()> {
        self.hidden.as_ref().map_or(Ok(()), |hidden| self.hidden_file().put_link(hidden))
    }

    fn hidden_file(&self) -> ResultFile {
        self.cell.hidden_files().file(self.part)
    }

    /// Whether any file of this process stands under a name of the part.
    fn has_disturbed(&self, samples: &ResultFile) -> bool {
        samples.is_from(&self.samples) || self.hidden.as_ref().is_some_and(|hidden| self.hidden_file().is_from(hidden))
    }

    /// Whether samples and hidden states are those of this process.
    fn is_undisturbed(&self, samples: &ResultFile) -> bool {
        samples.is_from(&self.samples) && self.hidden.as_ref().is_none_or(|hidden| self.hidden_file().is_from(hidden))
    }

    /// The part is not done from here until its tables are new. Its tokens go before its pairs: a process that publishes a
    /// pair looks at them afterwards.
    fn delete(&self, tokens: &ResultFile) -> Result<()> {
        tokens.delete()?;
        pairs::delete_part(&self.cell.root, &self.cell.cell, self.part)?;
        self.cell.hidden_files().delete_temporary(self.part)
    }
}
