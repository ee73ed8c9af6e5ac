//! Loads a layer's weights from a checkpoint's tensors.
//!
//! Owns which tensors a spec requires, and their shapes. Not here: reading files.

use candle_core::{DType, Device, Tensor};

use crate::decoder::block::{BranchNorms, Layer};
use crate::decoder::ffn::{FeedForward, Gated, Mixture};
use crate::decoder::linear::Linear;
use crate::decoder::weight::Weight;
use crate::decoder::{Checkpoint, DecoderSpec, Experts, QkNorm};
use crate::error::Result;

/// What loading one tensor needs.
pub struct Load<'a> {
    pub checkpoint: &'a Checkpoint,
    pub spec: &'a DecoderSpec,
    pub dtype: DType,
    pub device: &'a Device,
}

impl Load<'_> {
    pub fn layer(&self, index: usize) -> Result<Layer> {
        let spec = self.spec;
        let names = &spec.names;
        let (query, key) = (spec.query_width(), spec.key_width());
        let [q, k, v] = self.parts(index, names.qkv, [query, key, key], spec.hidden, spec.qkv_bias)?;
        Ok(Layer {
            attention_norms: self.branch_norms(index, names.attention_norm, names.attention_post_norm)?,
            q,
            k,
            v,
            o: self.linear(&self.in_layer(index, names.o), query, spec.hidden, spec.o_bias)?,
            qk_norm: self.qk_norm(index)?,
            rope: spec.rope_of_layer[index],
            ffn_norms: self.branch_norms(index, names.ffn_norm, names.ffn_post_norm)?,
            ffn: match &spec.experts {
                Some(experts) if spec.sparse[index] => FeedForward::Sparse(Box::new(self.mixture(index, experts)?)),
                _ => FeedForward::Dense(Box::new(self.gated(index, names.gate_up, names.down, spec.intermediate)?)),
            },
        })
    }

    fn branch_norms(&self, index: usize, before: &str, after: &str) -> Result<BranchNorms> {
        let norm = |name, present: bool| present.then(|| self.norm_in_layer(index, name, self.spec.hidden)).transpose();
        Ok(BranchNorms {
            before: norm(before, self.spec.norms.before())?,
            after: norm(after, self.spec.norms.after())?,
        })
    }

    fn qk_norm(&self, index: usize) -> Result<Option<(Tensor, Tensor)>> {
        let (q, k) = match self.spec.qk_norm {
            QkNorm::None => return Ok(None),
            QkNorm::Head => (self.spec.head_dim, self.spec.head_dim),
            QkNorm::Projection => (self.spec.query_width(), self.spec.key_width()),
        };
        let names = &self.spec.names;
        Ok(Some((self.norm_in_layer(index, names.q_norm, q)?, self.norm_in_layer(index, names.k_norm, k)?)))
    }

    fn gated(&self, index: usize, gate_up: [&str; 2], down: &str, intermediate: usize) -> Result<Gated> {
        let DecoderSpec { hidden, mlp_bias, activation, .. } = *self.spec;
        let [gate, up] = self.parts(index, gate_up, [intermediate; 2], hidden, mlp_bias)?;
        Ok(Gated {
            gate,
            up,
            down: self.linear(&self.in_layer(index, down), intermediate, hidden, mlp_bias)?,
            activation,
        })
    }

    fn mixture(&self, index: usize, spec: &Experts) -> Result<Mixture> {
        let hidden = self.spec.hidden;
        let names = self.spec.names.experts;
        let expert = |expert: usize| {
            let name = |part: &str| format!("{}.{expert}.{part}", names.each);
            let [gate, up] = names.gate_up.map(name);
            self.gated(index, [&gate, &up], &name(names.down), spec.intermediate)
        };
        let shared = |width: usize| -> Result<_> {
            let gated = self.gated(index, names.shared_gate_up, names.shared_down, width)?;
            Ok((gated, self.linear(&self.in_layer(index, names.shared_gate), hidden, 1, false)?))
        };
        Ok(Mixture {
            router: self.linear(&self.in_layer(index, names.router), hidden, spec.count, false)?,
            experts: (0..spec.count).map(expert).collect::<Result<_>>()?,
            shared: spec.shared.map(shared).transpose()?,
            spec: spec.clone(),
        })
    }

    /// Projections of one input to `widths` outputs: separate tensors, or one tensor that contains them in this order.
    fn parts<const N: usize>(
        &self,
        index: usize,
        parts: [&str; N],
        widths: [usize; N],
        input: usize,
        bias: bool,
    ) -> Result<[Linear; N]> {
        let fused = parts[1..].contains(&parts[0]);
        let whole = fused
            .then(|| self.linear(&self.in_layer(index, parts[0]), input, widths.iter().sum(), bias))
            .transpose()?;
        let mut start = 0;
        let linears: Result<Vec<Linear>> = (parts.iter().zip(widths))
            .map(|(name, width)| match &whole {
                None => self.linear(&self.in_layer(index, name), input, width, bias),
                Some(whole) => {
                    start += width;
                    Ok(whole.narrow(start - width, width)?)
                }
            })
            .collect();
        linears?.try_into().map_err(|_| candle_core::Error::msg("as many projections as names").into())
    }

    /// The tensor `name` of the body and, with `bias`, its bias.
    fn linear(&self, name: &str, input: usize, output: usize, bias: bool) -> Result<Linear> {
        let full = self.checkpoint.in_body(name);
        let weight = self.checkpoint.tensor(&format!("{full}.weight"), &[output, input], self.dtype, self.device)?;
        let bias = bias.then(|| self.vector(&format!("{full}.bias"), output)).transpose()?;
        Ok(Linear::new(name, Weight::Plain(weight), bias)?)
    }

    fn norm_in_layer(&self, index: usize, name: &str, width: usize) -> Result<Tensor> {
        self.norm(&self.checkpoint.in_body(&format!("{}.weight", self.in_layer(index, name))), width)
    }

    /// Factors of the norm whose tensor is `name`, f32 `[width]`.
    pub fn norm(&self, name: &str, width: usize) -> Result<Tensor> {
        let weight = self.vector(name, width)?;
        Ok(if self.spec.norm_plus_one { (weight + 1.0)? } else { weight })
    }

    /// `name` of layer `index` within the body, e.g. `layers.3.mlp.up_proj`.
    fn in_layer(&self, index: usize, name: &str) -> String {
        format!("{}.{index}.{name}", self.spec.names.layers)
    }

    fn vector(&self, name: &str, width: usize) -> Result<Tensor> {
        self.checkpoint.tensor(name, &[width], DType::F32, self.device)
    }
}
