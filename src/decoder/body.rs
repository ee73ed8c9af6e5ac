//! The body: a forest's tokens to their post-norm hidden rows.
//!
//! Owns the layer loop. Refuses the head: a hidden row is all that leaves.

use candle_core::{DType, Device, Tensor};

use crate::decoder::block::{self, Context, Layer};
use crate::decoder::linear::{Linear, scale};
use crate::decoder::load::Load;
use crate::decoder::rope::Rotary;
use crate::decoder::{Checkpoint, DecoderSpec, MIN_ROWS};
use crate::error::Result;
use crate::forest::Forest;
use crate::stop::Stop;

/// Embedding, layers and final norm of one model, resident on `device`. Clones share the weights.
#[derive(Clone)]
pub struct Body {
    spec: DecoderSpec,
    dtype: DType,
    device: Device,
    /// `[vocab, hidden]`.
    embedding: Tensor,
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
    /// Loads every weight of the body. `dtype` is what matrices are kept in and products round to: f32 or bf16.
    ///
    /// # Errors
    /// A tensor that is missing, of another shape, of a type that is not read, or not finite.
    pub fn load(checkpoint: &Checkpoint, dtype: DType, device: &Device) -> Result<Self> {
        let spec = checkpoint.spec().clone();
        let load = Load { checkpoint, spec: &spec, dtype, device };
        let layers = (0..spec.layers).map(|index| load.layer(index)).collect::<Result<_>>()?;
        let embedding = checkpoint.in_body(spec.names.embedding);
        let embedding = checkpoint.tensor(&embedding, &[spec.vocab, spec.hidden], dtype, device)?;
        let final_norm = load.norm(&checkpoint.in_body(spec.names.final_norm), spec.hidden)?;
        Ok(Self { dtype, device: device.clone(), embedding, weights: Weights { layers }, final_norm, spec })
    }

    /// Every linear map, for an adapter to join.
    pub(super) fn linears_mut(&mut self) -> impl Iterator<Item = &mut Linear> {
        self.weights.layers.iter_mut().flat_map(Layer::linears_mut)
    }

    /// The embedding, for a head that is tied to it.
    pub fn embedding(&self) -> &Tensor {
        &self.embedding
    }

    /// Hidden rows after the final norm, `[rows, hidden]` in f32, in the forest's order.
    ///
    /// # Errors
    /// A tensor operation that fails; [`crate::Error::Stopped`] between two layers.
    pub fn forward(&self, forest: &Forest, stop: &Stop) -> Result<Tensor> {
        let padded;
        let forest = if forest.tokens.len() < MIN_ROWS {
            padded = pad(forest);
            &padded
        } else {
            forest
        };
        let ids = Tensor::new(forest.tokens.as_slice(), &self.device)?;
        let rotary = |rope| Rotary::new(rope, forest, &self.device);
        let rotaries = self.spec.ropes.iter().map(rotary).collect::<candle_core::Result<Vec<_>>>()?;
        let context = Context { spec: &self.spec, forest, rotaries: &rotaries, dtype: self.dtype };
        let embedded = self.embedding.index_select(&ids, 0)?.to_dtype(DType::F32)?;
        let mut x = scale(&embedded, self.spec.embedding_scale)?;
        for (index, &window) in self.spec.windows.iter().enumerate() {
            stop.check()?;
            x = self.weights.layer(index).forward(&x, window, &context)?;
        }
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
