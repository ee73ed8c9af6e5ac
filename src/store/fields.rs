//! Adds fields of the dataset to samples tables that were written without them.
//!
//! Owns that such a table still counts as the one that its tokens were written with: it names that table's hash. Not here:
//! the values (`score`).

use super::directory::Store;
use super::files::ResultFile;
use super::layout::Cell;
use super::lock::Lock;
use super::temporary::Temporary;
use crate::error::{Error, Result};
use crate::sample::Kept;
use crate::schema::KeptField;
use crate::table::{self, Origin, Table};

impl Store {
    /// Replaces samples tables of a cell, of each of which `values` gives the kept fields of every sample, in one step each:
    /// a process that is killed on the way leaves some of them as they were.
    ///
    /// # Errors
    /// [`Error::Busy`] if another process writes the cell; a table that cannot be read; what `values` gives.
    pub fn add_fields<'a>(
        &self,
        cell: &Cell,
        tables: impl Iterator<Item = (u32, &'a ResultFile)>,
        kept: &[KeptField],
        values: impl Fn(u32, &[(u32, u32)]) -> Result<Vec<Vec<Kept>>>,
    ) -> Result<()> {
        let _writes = Lock::take(&self.root, &cell.folder()?, &cell.to_string())?;
        for (part, samples) in tables {
            let (origin, hash) = samples.footer()?;
            let batch = table::samples(samples.open()?)?;
            let places = table::places(&batch).ok_or_else(|| Error::file(samples, "is no samples table"))?;
            let batch = table::with_kept(&batch, kept, &values(part, &places)?)?;
            let as_scored = table::as_scored(origin.as_ref(), hash);
            let origin = origin.map(|origin| Origin { samples: as_scored, ..origin });
            let mut file = Temporary::create(&self.root, "fields")?;
            file.write(|out| table::write(out, Table::Samples, &batch, origin.as_ref()))?;
            samples.put(file)?;
        }
        Ok(())
    }
}
