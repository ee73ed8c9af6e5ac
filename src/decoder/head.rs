//! The head: hidden rows to logits, one block of the vocabulary at a time.
//!
//! Owns the product with the output embedding. Refuses to hold a row of logits, and to reduce one.

use candle_core::{DType, Device, Tensor};

use crate::decoder::linear::{Linear, cap, scale};
use crate::decoder::names::HEAD;
use crate::decoder::{Checkpoint, MIN_ROWS};
use crate::error::Result;
use crate::stop::Stop;

/// Ids whose logits exist at once. A multiple of the reducer's chunk; the last block is shorter.
pub const VOCABULARY_BLOCK: usize = 4096;
/// Targets whose own logits are read together, as the diagonal of a product; and no block's product is narrower. Wider than
/// [`crate::decoder::MIN_COLUMNS`], because here products of *different* widths must give the same bits: the `gemm` crate
/// takes other kernels, with another order of summation, for few columns.
const TILE: usize = 80;

/// The output embedding of one model. Clones share it.
#[derive(Clone)]
pub struct Head {
    linear: Linear,
    vocab: usize,
    scale: f64,
    cap: Option<f64>,
}

impl Head {
    /// Loads the head alone. `tied` is the embedding that a body already holds, so that it is held once.
    ///
    /// # Errors
    /// As [`crate::decoder::Body::load`].
    pub fn load(checkpoint: &Checkpoint, tied: Option<&Tensor>, dtype: DType, device: &Device) -> Result<Self> {
        let spec = checkpoint.spec();
        let shape = [spec.vocab, spec.hidden];
        let weight = match (spec.tied_head, tied) {
            (true, Some(embedding)) => embedding.clone(),
            (true, None) => checkpoint.tensor(&checkpoint.in_body(spec.names.embedding), &shape, dtype, device)?,
            (false, _) => checkpoint.tensor(checkpoint.head_name(), &shape, dtype, device)?,
        };
        let linear = Linear::new(HEAD, weight, None)?;
        Ok(Self { linear, vocab: spec.vocab, scale: spec.logit_scale, cap: spec.logit_cap })
    }

    /// The one linear map, for an adapter to join.
    pub(super) fn linears_mut(&mut self) -> [&mut Linear; 1] {
        [&mut self.linear]
    }

    /// Rows of the head: ids that can be scored.
    pub fn vocab(&self) -> usize {
        self.vocab
    }

    /// Hands the logits of `hidden` (`[rows, hidden]`, f32) to `take` block by block, ids ascending: the first id and
    /// the block, `[rows, width]` f32 row-major.
    ///
    /// # Errors
    /// A tensor operation that fails; [`crate::Error::Stopped`] between two blocks.
    pub fn for_each_block(&self, hidden: &Tensor, stop: &Stop, mut take: impl FnMut(u32, &[f32], usize)) -> Result<()> {
        let rows = hidden.dim(0)?;
        let hidden = pad_rows(hidden, MIN_ROWS)?;
        for first in (0..self.vocab).step_by(VOCABULARY_BLOCK) {
            stop.check()?;
            let width = VOCABULARY_BLOCK.min(self.vocab - first);
            // A short last block is computed together with ids before it.
            let start = if width < TILE { self.vocab.saturating_sub(TILE) } else { first };
            let logits = self.logits(&self.linear.narrow(start, first + width - start)?, &hidden)?;
            let logits = logits.narrow(0, 0, rows)?.narrow(1, first - start, width)?.flatten_all()?.to_vec1::<f32>()?;
            take(first as u32, &logits, width);
        }
        Ok(())
    }

    /// The logit of `targets[i]` at row `i`, bit-equal to its entry in the blocks.
    pub fn target_logits(&self, hidden: &Tensor, targets: &[u32]) -> candle_core::Result<Vec<f32>> {
        let mut logits = Vec::with_capacity(targets.len());
        for (tile, ids) in targets.chunks(TILE).enumerate() {
            let rows = pad_rows(&hidden.narrow(0, tile * TILE, ids.len())?, TILE)?;
            let mut padded = ids.to_vec();
            padded.resize(TILE, 0);
            let ids_tensor = Tensor::new(padded.as_slice(), hidden.device())?;
            let product = self.logits(&self.linear.select(&ids_tensor)?, &rows)?.flatten_all()?.to_vec1::<f32>()?;
            logits.extend((0..ids.len()).map(|i| product[i * TILE + i]));
        }
        Ok(logits)
    }

    /// The logits of a few `ids` at one row `[hidden]`, all sums in f64.
    ///
    /// # Errors
    /// A tensor operation that fails.
    pub fn exact_logits(&self, hidden: &[f32], ids: &[u32]) -> Result<Vec<f64>> {
        let finish = |x: f64| {
            let x = x * self.scale;
            self.cap.map_or(x, |cap| cap * (x / cap).tanh())
        };
        Ok(self.linear.exact(hidden, ids)?.into_iter().map(finish).collect())
    }

    /// The logits of the ids that `linear` is a part for.
    fn logits(&self, linear: &Linear, hidden: &Tensor) -> candle_core::Result<Tensor> {
        cap(&scale(&linear.forward(hidden)?, self.scale)?, self.cap)
    }
}

fn pad_rows(x: &Tensor, rows: usize) -> candle_core::Result<Tensor> {
    x.pad_with_zeros(0, 0, rows.saturating_sub(x.dim(0)?))
}
