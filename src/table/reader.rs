//! The one reader of Parquet tables.
//!
//! Owns a file's footer, the check of its columns, and its rows batch by batch. Whoever reads tokens, samples or pairs row
//! by row reads them here. Not here: lazy queries over tables (`shift`), JSON lines, and opening files (`store`).

use std::marker::PhantomData;
use std::path::PathBuf;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::ParquetMetaData;

use super::columns::Columns;
use super::{Origin, recorded, schema_check};
use crate::error::{Error, Result};
use crate::stored::StoredFile;

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 8192;

/// A table of the columns `C` whose footer has been read.
pub struct TableReader<C> {
    path: PathBuf,
    builder: ParquetRecordBatchReaderBuilder<StoredFile>,
    columns: PhantomData<C>,
}

impl<C: Columns> TableReader<C> {
    /// Reads the footer and checks that it is that of a table with these columns.
    ///
    /// # Errors
    /// [`Error::File`] naming the file, and the column that is missing or of another type.
    pub fn open(file: StoredFile) -> Result<Self> {
        let path = file.path().to_owned();
        let reader = Self::parse(file).map_err(|what| Error::file(&path, what))?;
        reader.check().map_err(|what| Error::file(&path, what))?;
        Ok(reader)
    }

    /// Reads the footer, and checks nothing of it.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn parse(file: StoredFile) -> Result<Self, String> {
        let path = file.path().to_owned();
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| e.to_string())?;
        Ok(Self { path, builder, columns: PhantomData })
    }

    /// Whether the columns are those of the table.
    ///
    /// # Errors
    /// As [`schema_check::check`].
    pub fn check(&self) -> Result<(), String> {
        schema_check::check(C::TABLE, self.schema())
    }

    /// The columns of the file.
    pub fn schema(&self) -> &Schema {
        self.builder.schema()
    }

    /// The footer.
    pub fn metadata(&self) -> &ParquetMetaData {
        self.builder.metadata()
    }

    /// What the file says of itself; `None` if another program wrote it.
    pub fn origin(&self) -> Option<Origin> {
        Origin::read(self.metadata().file_metadata().key_value_metadata())
    }

    /// The file's hash of itself, if it has one.
    pub fn hash(&self) -> Option<String> {
        recorded(self.metadata().file_metadata().key_value_metadata())
    }

    /// All columns of every row, those that this version does not know included.
    ///
    /// # Errors
    /// [`Error::File`] if the rows cannot be read.
    pub fn rows(self) -> Result<Rows<C>> {
        self.rows_of(None)
    }

    /// The rows as they are in the file, a batch at a time.
    ///
    /// # Errors
    /// [`Error::File`] if the rows cannot be read.
    pub fn batches(self) -> Result<impl Iterator<Item = Result<RecordBatch>>> {
        let Rows { path, reader, .. } = self.rows()?;
        Ok(reader.map(move |batch| batch.map_err(|e| Error::file(&path, e.to_string()))))
    }

    /// The columns `names` of every row; the others have no value.
    ///
    /// # Errors
    /// [`Error::File`] if the rows cannot be read.
    pub fn columns(self, names: &[&str]) -> Result<Rows<C>> {
        let roots: Vec<usize> = names.iter().filter_map(|name| self.schema().index_of(name).ok()).collect();
        let mask = ProjectionMask::roots(self.builder.parquet_schema(), roots);
        self.rows_of(Some(mask))
    }

    fn rows_of(self, mask: Option<ProjectionMask>) -> Result<Rows<C>> {
        let Self { path, builder, columns } = self;
        let builder = builder.with_batch_size(BATCH_ROWS);
        let builder = if let Some(mask) = mask { builder.with_projection(mask) } else { builder };
        let reader = builder.build().map_err(|e| Error::file(&path, e.to_string()))?;
        Ok(Rows { path, reader, columns })
    }
}

/// The rows of a table in order, a batch at a time.
pub struct Rows<C> {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    columns: PhantomData<C>,
}

impl<C: Columns> Iterator for Rows<C> {
    type Item = Result<C>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?.map_err(|e| e.to_string()).and_then(|batch| C::of(&batch));
        Some(batch.map_err(|what| Error::file(&self.path, what)))
    }
}
