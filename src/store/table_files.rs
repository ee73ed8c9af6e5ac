//! The two tables of each part of a cell.
//!
//! Owns their names, and that a part is done if both are there. Not here: hidden states (`hidden`), and tables of pairs
//! (`pairs`).

use std::path::{Path, PathBuf};

use super::files::ResultFile;
use super::layout::{Cell, file_name};
use crate::error::Result;
use crate::schema::folder;
use crate::table::EXTENSION;

/// Where the tables of a cell's parts are, published or not.
#[derive(Clone, Debug)]
pub(super) struct TableFiles {
    root: PathBuf,
    folder: PathBuf,
}

impl TableFiles {
    /// Those of `cell` under `root`.
    ///
    /// # Errors
    /// A name that makes no folder.
    pub fn new(root: &Path, cell: &Cell) -> Result<Self> {
        Ok(Self { root: root.to_owned(), folder: cell.folder()? })
    }

    /// The tokens table of a part.
    pub fn tokens(&self, part: u32) -> ResultFile {
        self.file(folder::TOKENS, part)
    }

    /// The samples table of a part.
    pub fn samples(&self, part: u32) -> ResultFile {
        self.file(folder::SAMPLES, part)
    }

    /// Whether both tables of the part are there. Its tokens are published last; its samples may have been deleted since,
    /// and then it is not done.
    pub fn is_done(&self, part: u32) -> bool {
        self.tokens(part).exists() && self.samples(part).exists()
    }

    fn file(&self, table: &str, part: u32) -> ResultFile {
        ResultFile::at(self.root.join(table).join(&self.folder).join(file_name(part, EXTENSION)))
    }
}
