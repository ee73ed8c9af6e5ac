//! A plain text as windows of token ids, as llama.cpp measures perplexity.
//!
//! Owns which tokens of a window are context and which are scored. Refuses to tokenise: ids are handed in.

use std::path::Path;

use crate::dataset::cuts::{Cuts, Part};
use crate::dataset::plan::{Plan, PlanOptions};
use crate::dataset::records::Record;
use crate::dataset::row::{Content, ReadRow, Row, RowOptions};
use crate::dataset::source::Source;
use crate::digest;
use crate::error::{Error, Result};

/// Tokens of a window unless it is said otherwise: llama.cpp's.
pub const WINDOW: u32 = 512;

/// A text's ids, cut.
#[derive(Debug)]
pub struct Windows {
    ids: Vec<u32>,
    size: usize,
    /// Special tokens that each window begins with, in place of as many of its own.
    prefix: Vec<u32>,
}

impl Windows {
    /// Cuts `ids` into windows of `size` tokens; what is left at the end is no window.
    pub fn new(ids: Vec<u32>, size: u32, prefix: &[u32]) -> Self {
        Self { ids, size: size as usize, prefix: prefix.to_vec() }
    }

    /// The windows of `part`, a row each.
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
        Row { id: None, cluster: None, contents: vec![content], kept: Vec::new() }
    }

    /// The plan of the text at `path`, at most `limit` windows of it. Each window is a row.
    ///
    /// # Errors
    /// A text of less than a window, or one that cannot be read.
    pub fn plan(self, path: &Path, limit: Option<u32>) -> Result<Plan> {
        let bytes = 4 * self.size as u64;
        let windows = (self.ids.len() / self.size).min(limit.map_or(usize::MAX, |limit| limit as usize));
        let mut cuts = Cuts::default();
        for index in 0..windows as u64 {
            let record = Record { number: index + 1, offset: index * bytes, end: (index + 1) * bytes, raw: &[] };
            if !cuts.add(&record, 1, bytes) {
                return Err(Error::dataset(path, None, "more windows than 32 bits can number"));
            }
        }
        if windows == 0 {
            let (tokens, size) = (self.ids.len(), self.size);
            return Err(Error::dataset(path, None, format!("{tokens} tokens are less than a window of {size}")));
        }
        let options = PlanOptions { rows: RowOptions::default(), limit };
        Ok(Plan::new(path, options, cuts, Vec::new(), digest::file(path)?, Source::Windows(self)))
    }

    pub fn size(&self) -> u32 {
        self.size as u32
    }
}
