//! A plain text as windows of token ids, as llama.cpp measures perplexity.
//!
//! Owns which tokens of a window are context and which are scored. Not here: tokenising (`tokenize`).

use crate::dataset::boundaries::Part;
use crate::dataset::content::Content;
use crate::dataset::row::{ReadRow, Row};

/// Tokens of a window unless it is said otherwise: llama.cpp's.
pub const WINDOW: u32 = 512;

/// A text's ids, cut.
#[derive(Debug)]
pub struct Windows {
    pub(super) ids: Vec<u32>,
    pub(super) size: usize,
    /// Special tokens that each window begins with, in place of as many of its own.
    prefix: Vec<u32>,
}

impl Windows {
    /// Boundaries `ids` into windows of `size` tokens; what is left at the end is no window.
    pub fn new(ids: Vec<u32>, size: u32, prefix: &[u32]) -> Self {
        Self { ids, size: size as usize, prefix: prefix.to_vec() }
    }

    /// The windows of `part`, one per row.
    pub(super) fn read(&self, part: &Part) -> Vec<ReadRow> {
        let windows = self.ids.chunks_exact(self.size).skip(part.first_row as usize).take(part.rows as usize);
        let row = |(row, window): (u32, &[u32])| ReadRow {
            row,
            line: u64::from(row) + 1,
            first_sample: row,
            content: Ok(self.row(window)),
        };
        (part.first_row..).zip(windows).map(row).collect()
    }

    /// The first half of a window is context, and so is the token after it, whose prediction llama.cpp leaves out
    /// too: of 512 tokens 255 are scored.
    fn row(&self, window: &[u32]) -> Row {
        let mut prompt = window.to_vec();
        prompt.iter_mut().zip(&self.prefix).for_each(|(id, special)| *id = *special);
        let response = prompt.split_off((self.size / 2 + 1).min(self.size));
        let content = Content::Ids { prompt, response, input: None, output: None, cut: None };
        Row { id: None, cluster: None, contents: vec![content], kept: Vec::new(), is_dump: false }
    }

    /// Tokens per window.
    pub fn size(&self) -> u32 {
        self.size as u32
    }
}
