//! The logits file of llama.cpp: whole distributions of a model over a text, in 16 bits an id.
//!
//! Owns the format that `llama-perplexity --kl-divergence-base` writes and `--kl-divergence` reads
//! (tools/perplexity/perplexity.cpp): `_logits_`, then the i32 tokens of a window, size of the vocabulary and number of
//! windows, then the ids of all windows as i32, then for each token from the second half of each window on
//! ([`File::rows_of_window`]) one row. A row is two f32, the step and the lowest log-probability, and for each id a u16 of
//! how many steps lie between, padded to an even number. Not here: where its parts are (`layout`), what is
//! computed of rows (`row`), writing (`write`).
//!
//! llama.cpp puts the BOS of a model that has one in place of a window's first id; the ids in the file are those before
//! that.

mod layout;
mod row;
#[cfg(test)]
mod tests;
mod write;

use std::fs;
use std::io::Read;
use std::path::Path;

pub use self::layout::MAGIC;
pub use self::row::Row;
pub use self::write::Writer;

use self::layout::{HEADER, Shape};
use crate::error::{Error, Result};
use crate::stored::StoredFile;

/// Whether the file at `path` begins as one of these.
pub fn is_logits_file(path: &Path) -> bool {
    let mut magic = [0; MAGIC.len()];
    path.is_file() && fs::File::open(path).is_ok_and(|mut file| file.read_exact(&mut magic).is_ok()) && magic == *MAGIC
}

/// An open file. Its rows are read as they are needed.
#[derive(Clone, Debug)]
pub struct File {
    stored: StoredFile,
    shape: Shape,
    ids: Vec<u32>,
}

impl File {
    /// Reads the header and the ids.
    ///
    /// # Errors
    /// [`Error::File`] with the place, for a file that does not begin with [`MAGIC`], whose length is not what its header
    /// says, or that has an id outside its vocabulary.
    pub fn open(path: &Path) -> Result<Self> {
        let file = StoredFile::new(fs::File::open(path).map_err(Error::io("read", path))?, path)?;
        let wrong = |what: String| Error::file(path, what);
        let mut header = [0; HEADER as usize];
        if file.length() < HEADER {
            return Err(wrong(format!(
                "{} bytes are no logits file of llama.cpp, whose header has {HEADER}",
                file.length()
            )));
        }
        file.read_exact_at(&mut header, 0).map_err(Error::io("read", path))?;
        if header[..MAGIC.len()] != *MAGIC {
            return Err(wrong(
                "is no logits file of llama.cpp: it does not begin with `_logits_` at byte 0".to_owned(),
            ));
        }
        let number = |at: usize| i32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let size = |at: usize, least: i32, what: &str| {
            let found = number(at);
            let size = usize::try_from(found).ok().filter(|_| found >= least);
            size.ok_or_else(|| wrong(format!("its header has {found} {what} at byte {at}: it is damaged")))
        };
        let shape = Shape {
            window: size(8, 4, "tokens a window")?,
            vocab: size(12, 1, "ids in the vocabulary")?,
            windows: size(16, 1, "windows")?,
        };
        let (bytes, length) = (shape.bytes(), u128::from(file.length()));
        if length != bytes {
            let of_window = 2 * (shape.rows_of_window() * shape.row()) as u128;
            let ids = 4 * shape.window as u128 * shape.windows as u128;
            let whole = length.saturating_sub(u128::from(HEADER) + ids) / of_window;
            let what = if length < bytes {
                format!(
                    "ends at byte {length} of {bytes}, after {whole} of {} windows: llama.cpp was stopped, or a copy was; write it again",
                    shape.windows
                )
            } else {
                format!(
                    "has {length} bytes where its header asks for {bytes}: {} are left over from byte {bytes} on",
                    length - bytes
                )
            };
            return Err(wrong(what));
        }
        let mut ids = vec![0_u32; shape.window * shape.windows];
        file.read_exact_at(bytemuck::cast_slice_mut(&mut ids), HEADER).map_err(Error::io("read", path))?;
        if let Some(place) = ids.iter().position(|&id| id as usize >= shape.vocab) {
            let (id, byte) = (ids[place].cast_signed(), HEADER + 4 * place as u64);
            return Err(wrong(format!("id {id} at byte {byte} is outside its vocabulary of {} ids", shape.vocab)));
        }
        Ok(Self { stored: file, shape, ids })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.stored.path()
    }

    /// Tokens of a window.
    pub fn window(&self) -> usize {
        self.shape.window
    }

    /// Ids that each row has a log-probability of.
    pub fn vocab(&self) -> usize {
        self.shape.vocab
    }

    /// The ids of all windows, one window after the other, without the BOS that llama.cpp may have put first.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Rows of a window: of 512 tokens, 255 are predicted.
    pub fn rows_of_window(&self) -> usize {
        self.shape.rows_of_window()
    }

    /// Rows of all windows. Row r of a window predicts its token `window / 2 + 1 + r`.
    pub fn rows(&self) -> usize {
        self.shape.windows * self.rows_of_window()
    }

    /// A row, by its number from 0 in the whole file.
    ///
    /// # Errors
    /// [`Error::File`] if it is no distribution.
    pub fn row(&self, number: usize) -> Result<Row> {
        let bytes = 2 * self.shape.row();
        let mut values = vec![0_u16; self.shape.row()];
        let at = self.shape.begin() + (number * bytes) as u64;
        let read = self.stored.read_exact_at(bytemuck::cast_slice_mut(&mut values), at);
        read.map_err(Error::io("read", self.path()))?;
        let row = Row::new(values, self.shape.vocab);
        row.map_err(|what| {
            Error::file(self.path(), format!("row {number} (byte {at}) {what}: it is damaged, or of another format"))
        })
    }
}
