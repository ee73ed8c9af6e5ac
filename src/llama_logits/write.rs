//! Writing a logits file that llama.cpp reads.
//!
//! Owns the arithmetic of its `log_softmax`, step by step in f32, so that the same logits give the same 16 bits. Not
//! here: where logits come from.

use std::io::Write;

use super::layout::{MAGIC, Shape};
use super::row::RANGE;
use crate::error::{Error, Result};

/// A file that is written from its beginning to its end.
pub struct Writer<W> {
    out: W,
    shape: Shape,
    /// Rows so far.
    rows: usize,
    buffer: Vec<u16>,
}

impl<W: Write> Writer<W> {
    /// Writes the header: `ids` are those of all windows of `window` tokens, without a BOS in place of the first.
    ///
    /// # Errors
    /// [`Error::Usage`] for sizes that 31 bits do not hold; what `out` gives.
    ///
    /// # Panics
    /// If `ids` are not whole windows of at least 4 tokens.
    pub fn new(mut out: W, window: usize, vocab: usize, ids: &[u32]) -> Result<Self> {
        assert!(window >= 4 && ids.len().is_multiple_of(window), "whole windows");
        let shape = Shape { window, vocab, windows: ids.len() / window };
        out.write_all(MAGIC).map_err(failed)?;
        for size in [shape.window, shape.vocab, shape.windows] {
            let size = i32::try_from(size).map_err(|_| Error::usage(format!("{size} does not fit a logits file")))?;
            out.write_all(&size.to_le_bytes()).map_err(failed)?;
        }
        for id in ids {
            out.write_all(&id.to_le_bytes()).map_err(failed)?;
        }
        Ok(Self { out, shape, rows: 0, buffer: vec![0; shape.row()] })
    }

    /// Writes the next row: the logits of all ids.
    ///
    /// # Errors
    /// What the output gives.
    ///
    /// # Panics
    /// If there are not as many as the vocabulary has ids.
    pub fn row(&mut self, logits: &[f32]) -> Result<()> {
        assert_eq!(logits.len(), self.shape.vocab, "a logit an id");
        encode(logits, &mut self.buffer);
        self.rows += 1;
        self.out.write_all(bytemuck::cast_slice(&self.buffer)).map_err(failed)
    }

    /// Ends the file, of which every row must be written.
    ///
    /// # Errors
    /// What the output gives.
    ///
    /// # Panics
    /// If rows are missing.
    pub fn finish(mut self) -> Result<()> {
        assert_eq!(self.rows, self.shape.windows * self.shape.rows_of_window(), "every row");
        self.out.flush().map_err(failed)
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::io("write", "the logits file")(error)
}

/// The 16-bit numbers of a row, as llama.cpp computes them.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 65535 by construction")]
fn encode(logits: &[f32], row: &mut [u16]) {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let lowest = logits.iter().copied().fold(f32::INFINITY, f32::min).max(max - RANGE as f32);
    let sum: f64 = logits.iter().map(|x| f64::from((x - max).exp())).sum();
    let (log_sum, step) = (sum.ln() as f32, (max - lowest) / 65535.0);
    let low = lowest - max - log_sum;
    for (at, number) in [(0, step), (2, low)] {
        let bits = number.to_bits();
        (row[at], row[at + 1]) = (bits as u16, (bits >> 16) as u16);
    }
    let by_step = if step > 0.0 { 1.0 / step } else { 0.0 };
    for (value, &x) in row[4..].iter_mut().zip(logits) {
        *value = if x > lowest { (by_step * (x - lowest)).round_ties_even() as u16 } else { 0 };
    }
}
