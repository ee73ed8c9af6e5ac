//! The body: from a forest's tokens to the final hidden states (after the last norm) at the positions that are used.
//!
//! Owns the layer loop. Not here: the head.

use candle_core::{DType, Device, Tensor};
use half::bf16;
use rayon::prelude::*;

use crate::decoder::block::{self, Context, Layer};
use crate::decoder::cpu::Pass;
use crate::decoder::embedding::Embedding;
use crate::decoder::linear::{Linear, scale};
use crate::decoder::load::Load;
use crate::decoder::rope::{Rotary, Table};
use crate::decoder::weight::{Backend, Weight};
use crate::decoder::{Checkpoint, DecoderSpec, MIN_ROWS};
use crate::error::Result;
use crate::forest::Forest;
use crate::kernel::Isa;
use crate::stop::Stop;

/// Embedding, layers and final norm of one model, resident on `device`. Clones share the weights.
#[derive(Clone)]
pub struct Body {
    spec: DecoderSpec,
    dtype: DType,
    device: Device,
    backend: Backend,
    /// Packed if it is the head too.
    embedding: Embedding,
    weights: Weights,
    final_norm: Tensor,
}

/// The layers' weights. The layer loop asks for one layer at a time, so that a model larger than memory is another
/// source, not another loop.
#[derive(Clone)]
struct Weights {
    layers: Vec<Layer>,
}

impl Weights {
    fn layer(&self, index: usize) -> &Layer {
        &self.layers[index]
    }
}

impl Body {
    /// Loads every weight of the body. `dtype` is what matrices are kept in and products round to: f32 or bf16; `form` is how
    /// it computes.
    ///
    /// # Errors
    /// A tensor that is missing, of another shape, of a type that is not read, or not finite.
    pub fn load(checkpoint: &Checkpoint, dtype: DType, device: &Device, backend: Backend) -> Result<Self> {
        let spec = checkpoint.spec().clone();
        let load = Load { checkpoint, spec: &spec, dtype, device };
        let embedding = checkpoint.embedding_name();
        let mut weight = Weight::Plain(checkpoint.tensor(&embedding, &[spec.vocab, spec.hidden], dtype, device)?);
        if backend != Backend::Reference && spec.tied_head {
            weight.pack()?;
        }
        let embedding = Embedding::new(weight);
        let layer = |index| {
            let mut layer = load.layer(index)?;
            if backend != Backend::Reference {
                layer.linears_mut().into_iter().try_for_each(Linear::pack)?;
            }
            Ok(layer)
        };
        let layers = (0..spec.layers).map(layer).collect::<Result<_>>()?;
        let final_norm = load.norm(&checkpoint.in_body(spec.names.final_norm), spec.hidden)?;
        Ok(Self { dtype, device: device.clone(), backend, embedding, weights: Weights { layers }, final_norm, spec })
    }

    /// Every linear map, for an adapter to join.
    pub(super) fn linears_mut(&mut self) -> impl Iterator<Item = &mut Linear> {
        self.weights.layers.iter_mut().flat_map(Layer::linears_mut)
    }

    /// The embedding's matrix, for a head that is tied to it.
    pub fn embedding(&self) -> &Weight {
        &self.embedding.weight
    }

    /// The embedding, for an adapter to join.
    pub(super) fn embedding_mut(&mut self) -> &mut Embedding {
        &mut self.embedding
    }

    /// The final hidden states (the head's input), those of [`Forest::read`], `[read, hidden]` in f32.
    ///
    /// # Errors
    /// A tensor operation that fails; [`crate::Error::Stopped`] between two layers.
    pub fn forward(&self, forest: &Forest, stop: &Stop) -> Result<Tensor> {
        match self.backend {
            Backend::Reference => self.forward_reference(forest, stop),
            Backend::Cpu(isa) => self.forward_cpu(isa, forest, stop),
        }
    }

    fn forward_cpu(&self, isa: Isa, forest: &Forest, stop: &Stop) -> Result<Tensor> {
        let (spec, hidden) = (&self.spec, self.spec.hidden);
        let table = |rope| Table::new(&Rotary::new(rope, forest, &self.device)?);
        let ropes = spec.ropes.iter().map(table).collect::<candle_core::Result<Vec<_>>>()?;
        let embedding_scale = spec.embedding_scale_in(self.dtype) as f32;
        let mut embedded = vec![0.0; forest.tokens.len() * hidden];
        embedded.par_chunks_exact_mut(hidden).zip(&forest.tokens).try_for_each(|(row, &token)| {
            self.embedding.row(token, row)?;
            for x in row {
                *x *= embedding_scale;
            }
            candle_core::Result::Ok(())
        })?;
        let pass = Pass { isa, spec, forest, ropes: &ropes, final_norm: &self.final_norm };
        let layer = |index| self.weights.layer(index);
        let rows = match self.dtype {
            DType::BF16 => pass.run::<bf16>(embedded, layer, stop)?,
            _ => pass.run::<f32>(embedded, layer, stop)?,
        };
        Ok(Tensor::from_vec(rows, (forest.read.len(), hidden), &self.device)?)
    }

    fn forward_reference(&self, forest: &Forest, stop: &Stop) -> Result<Tensor> {
        let padded;
        let forest = if forest.tokens.len() < MIN_ROWS {
            padded = pad(forest);
            &padded
        } else {
            forest
        };
        let rotary = |rope| Rotary::new(rope, forest, &self.device);
        let rotaries = self.spec.ropes.iter().map(rotary).collect::<candle_core::Result<Vec<_>>>()?;
        let context = Context { spec: &self.spec, forest, rotaries: &rotaries, dtype: self.dtype };
        let embedded = self.embedding.rows(&forest.tokens, &self.device)?;
        let mut x = scale(&embedded, self.spec.embedding_scale_in(self.dtype))?;
        for (index, &window) in self.spec.windows.iter().enumerate() {
            stop.check()?;
            x = self.weights.layer(index).forward(&x, window, &context)?;
        }
        let read: Vec<u32> = forest.read.iter().map(|&row| row as u32).collect();
        let x = x.index_select(&Tensor::new(read, &self.device)?, 0)?;
        Ok(block::norm(&x, &self.final_norm, &self.spec)?)
    }
}

/// A forest too small for the ordinary product kernel, with a tree of padding behind its own rows.
fn pad(forest: &Forest) -> Forest {
    let mut forest = forest.clone();
    let rows = forest.tokens.len();
    forest.segments.push(crate::forest::Segment { parent: None, rows: rows..MIN_ROWS, depth: 0 });
    forest.tokens.resize(MIN_ROWS, 0);
    forest.positions.extend(0..(MIN_ROWS - rows) as u32);
    forest
}
