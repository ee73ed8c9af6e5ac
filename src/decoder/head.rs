//! The head: from final hidden states to logits, one block of the vocabulary at a time.
//!
//! Owns the product with the output embedding. Full rows of logits are never stored. Not here: the reduction.

use candle_core::{DType, Device, Tensor};
use half::bf16;
use rayon::prelude::*;

use crate::decoder::cpu::{HeadRows, MAX_CHUNK};
use crate::decoder::linear::{Linear, cap, scale};
use crate::decoder::names::HEAD;
use crate::decoder::weight::{Backend, Weight};
use crate::decoder::{Checkpoint, MIN_ROWS};
use crate::error::Result;
use crate::kernel::{self, math};
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
    backend: Backend,
    linear: Linear,
    vocab: usize,
    scale: f64,
    cap: Option<f64>,
}

/// Logits of neighbouring ids, for every row.
#[derive(Clone, Copy, Debug)]
pub struct LogitBlock<'a> {
    /// The first id.
    pub first: u32,
    /// How many ids.
    pub width: usize,
    /// `[rows, width]`, a row every `stride` numbers.
    logits: &'a [f32],
    stride: usize,
}

impl<'a> LogitBlock<'a> {
    /// A block of ids `first..first + width`: one row of `width` logits per `stride` elements.
    pub fn new(first: u32, width: usize, logits: &'a [f32], stride: usize) -> Self {
        Self { first, width, logits, stride }
    }

    /// The logits of `row`, `[width]`.
    pub fn row(&self, row: usize) -> &'a [f32] {
        &self.logits[row * self.stride..][..self.width]
    }
}

impl Head {
    /// Loads the head without a body. `tied` is the embedding that a body already has, so that it is in memory once.
    ///
    /// # Errors
    /// As [`crate::decoder::Body::load`].
    pub fn load(
        checkpoint: &Checkpoint,
        tied: Option<&Weight>,
        dtype: DType,
        device: &Device,
        backend: Backend,
    ) -> Result<Self> {
        let spec = checkpoint.spec();
        let name = if spec.tied_head { checkpoint.embedding_name() } else { checkpoint.head_name().to_owned() };
        let weight = match tied.filter(|_| spec.tied_head) {
            Some(embedding) => embedding.clone(),
            None => Weight::Plain(checkpoint.tensor(&name, &[spec.vocab, spec.hidden], dtype, device)?),
        };
        let mut linear = Linear::new(HEAD, weight, None)?;
        if backend != Backend::Reference {
            linear.pack()?;
        }
        Ok(Self { backend, linear, vocab: spec.vocab, scale: spec.logit_scale, cap: spec.logit_cap })
    }

    /// The one linear map, for an adapter to join.
    pub(super) fn linears_mut(&mut self) -> [&mut Linear; 1] {
        [&mut self.linear]
    }

    /// The output embedding, `[vocab, hidden]`.
    pub(super) fn weight(&self) -> &Weight {
        &self.linear.weight
    }

    /// Rows of the head: ids that can be scored.
    pub fn vocab(&self) -> usize {
        self.vocab
    }

    /// How many of `rows` go through [`Head::for_each_block`] together. The CPU implementation computes on the calling thread, so
    /// that `threads` callers share them; more than some hundred leave the cache.
    pub fn rows_at_once(&self, rows: usize, threads: usize) -> usize {
        match self.backend {
            Backend::Reference => rows.max(1),
            Backend::Cpu(_) => rows.div_ceil(2 * threads).next_multiple_of(kernel::TILE).clamp(kernel::TILE, MAX_CHUNK),
        }
    }

    /// Hands the logits of `hidden` (`[rows, hidden]`, f32) to `take` block by block, ids ascending from multiples of the
    /// reducer's chunk.
    ///
    /// # Errors
    /// A tensor operation that fails; [`crate::Error::Stopped`] between two blocks.
    pub fn for_each_block(&self, hidden: &Tensor, stop: &Stop, mut take: impl FnMut(LogitBlock)) -> Result<()> {
        if let Backend::Cpu(isa) = self.backend {
            let finish = self.finish();
            return match self.linear.weight {
                Weight::Bf16(_) => {
                    HeadRows::<bf16>::new(isa, &self.linear, hidden)?.for_each_block(finish.as_ref(), stop, &mut take)
                }
                _ => HeadRows::<f32>::new(isa, &self.linear, hidden)?.for_each_block(finish.as_ref(), stop, &mut take),
            };
        }
        let rows = hidden.dim(0)?;
        let hidden = pad_rows(hidden, MIN_ROWS)?;
        for first in (0..self.vocab).step_by(VOCABULARY_BLOCK) {
            stop.check()?;
            let width = VOCABULARY_BLOCK.min(self.vocab - first);
            // A short last block is computed together with ids before it.
            let start = if width < TILE { self.vocab.saturating_sub(TILE) } else { first };
            let logits = self.logits(&self.linear.narrow(start, first + width - start)?, &hidden)?;
            let logits = logits.narrow(0, 0, rows)?.narrow(1, first - start, width)?.flatten_all()?.to_vec1::<f32>()?;
            take(LogitBlock::new(first as u32, width, &logits, width));
        }
        Ok(())
    }

    /// The logit of `targets[i]` at row `i`, bit-equal to its entry in the blocks.
    pub fn target_logits(&self, hidden: &Tensor, targets: &[u32]) -> candle_core::Result<Vec<f32>> {
        if let Backend::Cpu(isa) = self.backend {
            let finish = self.finish();
            return match self.linear.weight {
                Weight::Bf16(_) => HeadRows::<bf16>::targets(isa, &self.linear, hidden, targets, finish.as_ref()),
                _ => HeadRows::<f32>::targets(isa, &self.linear, hidden, targets, finish.as_ref()),
            };
        }
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

    /// What the CPU implementation makes of a product's entry, where that is not the logit yet.
    fn finish(&self) -> Option<impl Fn(f32) -> f32 + use<>> {
        let (scale, cap) = (self.scale as f32, self.cap.map_or(f32::INFINITY, |cap| cap as f32));
        let finish = move |x: f32| if cap < f32::INFINITY { cap * math::tanh(x * scale / cap) } else { x * scale };
        (scale != 1.0 || cap < f32::INFINITY).then_some(finish)
    }

    /// The logits of a few `ids` at one row `[hidden]`, all sums in f64.
    ///
    /// # Errors
    /// A tensor operation that fails.
    pub fn exact_logits(&self, hidden: &[f32], ids: &[u32]) -> Result<Vec<f64>> {
        Ok(self.linear.exact(hidden, ids)?.into_iter().map(|x| self.finish_exact(x)).collect())
    }

    /// The logits of every id at each of some rows `[hidden]`, `[rows, vocabulary]`: all sums in f64.
    ///
    /// # Errors
    /// A tensor operation that fails; [`crate::Error::Stopped`] between some ids.
    pub fn all_exact_logits(&self, hidden: &[&[f32]], stop: &Stop) -> Result<Vec<f64>> {
        let mut logits = self.linear.all_exact(hidden, stop)?;
        logits.par_iter_mut().for_each(|x| *x = self.finish_exact(*x));
        Ok(logits)
    }

    /// The soft cap that logits go through, if there is one.
    pub fn cap(&self) -> Option<f64> {
        self.cap
    }

    fn finish_exact(&self, x: f64) -> f64 {
        let x = x * self.scale;
        self.cap.map_or(x, |cap| cap * (x / cap).tanh())
    }

    /// The logits of the ids that `linear` is a part for.
    fn logits(&self, linear: &Linear, hidden: &Tensor) -> candle_core::Result<Tensor> {
        cap(&scale(&linear.forward(hidden)?, self.scale)?, self.cap)
    }
}

fn pad_rows(x: &Tensor, rows: usize) -> candle_core::Result<Tensor> {
    x.pad_with_zeros(0, 0, rows.saturating_sub(x.dim(0)?))
}
