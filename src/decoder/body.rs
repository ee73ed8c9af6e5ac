//! The body: a forest's tokens to their post-norm hidden rows.
//!
//! Owns the layer loop. Refuses the head: a hidden row is all that leaves.

use candle_core::{DType, Device, Tensor};

use crate::decoder::block::{self, Context, Layer};
use crate::decoder::linear::Linear;
use crate::decoder::names::{self, layer};
use crate::decoder::rope::Rotary;
use crate::decoder::{Checkpoint, DecoderSpec, MIN_ROWS};
use crate::error::Result;
use crate::forest::Forest;
use crate::stop::Stop;

/// Embedding, layers and final norm of one model, resident on `device`.
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
        let embedding = checkpoint.tensor(names::EMBEDDING, &[spec.vocab, spec.hidden], dtype, device)?;
        let final_norm = checkpoint.tensor(names::FINAL_NORM, &[spec.hidden], DType::F32, device)?;
        Ok(Self { dtype, device: device.clone(), embedding, weights: Weights { layers }, final_norm, spec })
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
        let rotary = Rotary::new(&self.spec, &forest.positions, &self.device)?;
        let context = Context { spec: &self.spec, forest, rotary: &rotary, dtype: self.dtype };
        let mut x = self.embedding.index_select(&ids, 0)?.to_dtype(DType::F32)?;
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

/// What loading one tensor needs.
struct Load<'a> {
    checkpoint: &'a Checkpoint,
    spec: &'a DecoderSpec,
    dtype: DType,
    device: &'a Device,
}

impl Load<'_> {
    fn layer(&self, index: usize) -> Result<Layer> {
        let DecoderSpec { hidden, intermediate, head_dim, attention_bias, mlp_bias, .. } = *self.spec;
        let (query, key) = (self.spec.query_width(), self.spec.key_width());
        let linear = |name, input, output, bias| self.linear(index, name, input, output, bias);
        let norm = |name, width| self.vector(&names::in_layer(index, name, "weight"), width);
        let qk_norm = if self.spec.qk_norm {
            Some((norm(layer::Q_NORM, head_dim)?, norm(layer::K_NORM, head_dim)?))
        } else {
            None
        };
        Ok(Layer {
            attention_norm: norm(layer::ATTENTION_NORM, hidden)?,
            q: linear(layer::Q, hidden, query, attention_bias)?,
            k: linear(layer::K, hidden, key, attention_bias)?,
            v: linear(layer::V, hidden, key, attention_bias)?,
            o: linear(layer::O, query, hidden, attention_bias)?,
            qk_norm,
            ffn_norm: norm(layer::FFN_NORM, hidden)?,
            gate: linear(layer::GATE, hidden, intermediate, mlp_bias)?,
            up: linear(layer::UP, hidden, intermediate, mlp_bias)?,
            down: linear(layer::DOWN, intermediate, hidden, mlp_bias)?,
        })
    }

    fn linear(&self, index: usize, name: &str, input: usize, output: usize, bias: bool) -> Result<Linear> {
        let weight = names::in_layer(index, name, "weight");
        let weight = self.checkpoint.tensor(&weight, &[output, input], self.dtype, self.device)?;
        let bias = bias.then(|| self.vector(&names::in_layer(index, name, "bias"), output)).transpose()?;
        Ok(Linear::new(weight, bias))
    }

    fn vector(&self, name: &str, width: usize) -> Result<Tensor> {
        self.checkpoint.tensor(name, &[width], DType::F32, self.device)
    }
}
