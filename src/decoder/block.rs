//! A transformer block, the only description of one: before attention, attention, after it.
//!
//! Owns the order of norms, projections and residuals for every family; what differs is data in the spec. Refuses
//! family names, and weights by name.

use candle_core::{DType, Result, Tensor};
use candle_nn::ops::{rms_norm, silu};

use crate::decoder::DecoderSpec;
use crate::decoder::attention::{self, Qkv};
use crate::decoder::linear::Linear;
use crate::decoder::rope::Rotary;
use crate::forest::Forest;

/// The weights of one layer. Norm weights are f32 `[width]`.
pub struct Layer {
    pub attention_norm: Tensor,
    pub q: Linear,
    pub k: Linear,
    pub v: Linear,
    pub o: Linear,
    /// Norms of each query and key head, `[head_dim]`.
    pub qk_norm: Option<(Tensor, Tensor)>,
    pub ffn_norm: Tensor,
    pub gate: Linear,
    pub up: Linear,
    pub down: Linear,
}

/// What a layer needs to know of the forest beside its rows.
pub struct Context<'a> {
    pub spec: &'a DecoderSpec,
    pub forest: &'a Forest,
    pub rotary: &'a Rotary,
    /// What products round their operands to.
    pub dtype: DType,
}

impl Layer {
    /// The residual stream `[rows, hidden]`, f32, through this layer.
    pub fn forward(&self, x: &Tensor, window: Option<usize>, context: &Context) -> Result<Tensor> {
        let qkv = self.before_attention(x, context)?;
        let attended = attention::attend(context.spec, context.forest, &qkv, window, context.dtype)?;
        self.after_attention(x, &attended, context)
    }

    /// Norm, projections, head norms, rope.
    fn before_attention(&self, x: &Tensor, context: &Context) -> Result<Qkv> {
        let spec = context.spec;
        let rows = x.dim(0)?;
        let x = norm(x, &self.attention_norm, spec)?;
        let mut q = self.q.forward(&x)?.reshape((rows, spec.heads, spec.head_dim))?;
        let mut k = self.k.forward(&x)?.reshape((rows, spec.kv_heads, spec.head_dim))?;
        let v = self.v.forward(&x)?.reshape((rows, spec.kv_heads, spec.head_dim))?;
        if let Some((q_norm, k_norm)) = &self.qk_norm {
            q = norm(&q, q_norm, spec)?;
            k = norm(&k, k_norm, spec)?;
        }
        Ok(Qkv { q: context.rotary.apply(&q)?, k: context.rotary.apply(&k)?, v })
    }

    /// Output projection and gated feed-forward, each added to the residual stream.
    fn after_attention(&self, x: &Tensor, attended: &Tensor, context: &Context) -> Result<Tensor> {
        let x = (x + self.o.forward(attended)?)?;
        let y = norm(&x, &self.ffn_norm, context.spec)?;
        let gated = (silu(&self.gate.forward(&y)?)? * self.up.forward(&y)?)?;
        x + self.down.forward(&gated)?
    }
}

/// RMS norm over the last dimension in f32 (Zhang & Sennrich 2019).
pub fn norm(x: &Tensor, weight: &Tensor, spec: &DecoderSpec) -> Result<Tensor> {
    rms_norm(&x.contiguous()?, weight, spec.norm_eps as f32)
}
