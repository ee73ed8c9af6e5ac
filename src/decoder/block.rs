//! The only description of a transformer block: before attention, attention, after attention.
//!
//! Owns the order of norms, projections and residuals for every family; families differ by data in the spec. Not here:
//! names of families or of tensors.

use candle_core::{DType, Result, Tensor};
use candle_nn::ops::rms_norm;

use crate::decoder::attention::{self, Qkv};
use crate::decoder::ffn::FeedForward;
use crate::decoder::linear::{Linear, scale};
use crate::decoder::rope::Rotary;
use crate::decoder::{DecoderSpec, QkNorm};
use crate::forest::Forest;

/// Norms of a branch, f32 `[hidden]`: of what it reads, and of what it adds to the residual stream.
#[derive(Clone)]
pub struct BranchNorms {
    pub before: Option<Tensor>,
    pub after: Option<Tensor>,
}

/// The weights of one layer, which clones share. Norm weights are f32 `[width]`.
#[derive(Clone)]
pub struct Layer {
    pub attention_norms: BranchNorms,
    pub q: Linear,
    pub k: Linear,
    pub v: Linear,
    pub o: Linear,
    /// Norms of queries and keys, `[head_dim]` or of the projection's width.
    pub qk_norm: Option<(Tensor, Tensor)>,
    /// Which of the context's rotations it uses.
    pub rope: Option<usize>,
    pub ffn_norms: BranchNorms,
    pub ffn: FeedForward,
}

/// What a layer needs to know of the forest besides its rows.
pub struct Context<'a> {
    pub spec: &'a DecoderSpec,
    pub forest: &'a Forest,
    /// One for each of the spec's ropes.
    pub rotaries: &'a [Rotary],
    /// What products round their operands to.
    pub dtype: DType,
}

impl Layer {
    /// Every linear map, for an adapter to join.
    pub fn linears_mut(&mut self) -> Vec<&mut Linear> {
        let mut linears = vec![&mut self.q, &mut self.k, &mut self.v, &mut self.o];
        linears.extend(self.ffn.linears_mut());
        linears
    }

    /// The residual stream `[rows, hidden]`, f32, through this layer.
    pub fn forward(&self, x: &Tensor, window: Option<usize>, context: &Context) -> Result<Tensor> {
        let qkv = self.before_attention(x, context)?;
        let attended = attention::attend(context.spec, context.forest, &qkv, window, context.dtype)?;
        self.after_attention(x, &attended, context)
    }

    /// Norm, projections, norms of queries and keys, rope.
    fn before_attention(&self, x: &Tensor, context: &Context) -> Result<Qkv> {
        let spec = context.spec;
        let rows = x.dim(0)?;
        let x = optional_norm(x, self.attention_norms.before.as_ref(), spec)?;
        let (mut q, mut k) = (self.q.forward(&x)?, self.k.forward(&x)?);
        let v = self.v.forward(&x)?.reshape((rows, spec.kv_heads, spec.head_dim))?;
        if spec.qk_norm != QkNorm::Projection {
            q = q.reshape((rows, spec.heads, spec.head_dim))?;
            k = k.reshape((rows, spec.kv_heads, spec.head_dim))?;
        }
        if let Some((q_norm, k_norm)) = &self.qk_norm {
            q = norm(&q, q_norm, spec)?;
            k = norm(&k, k_norm, spec)?;
        }
        q = q.reshape((rows, spec.heads, spec.head_dim))?;
        k = k.reshape((rows, spec.kv_heads, spec.head_dim))?;
        if let Some(rope) = self.rope {
            q = context.rotaries[rope].apply(&q)?;
            k = context.rotaries[rope].apply(&k)?;
        }
        Ok(Qkv { q, k, v })
    }

    /// Output projection and feed-forward, each added to the residual stream.
    fn after_attention(&self, x: &Tensor, attended: &Tensor, context: &Context) -> Result<Tensor> {
        let x = add(x, &self.o.forward(attended)?, &self.attention_norms, context.spec)?;
        let y = optional_norm(&x, self.ffn_norms.before.as_ref(), context.spec)?;
        add(&x, &self.ffn.forward(&y)?, &self.ffn_norms, context.spec)
    }
}

/// The residual stream with what a branch gives.
fn add(x: &Tensor, branch: &Tensor, norms: &BranchNorms, spec: &DecoderSpec) -> Result<Tensor> {
    let branch = optional_norm(branch, norms.after.as_ref(), spec)?;
    x + scale(&branch, spec.residual_scale)?
}

fn optional_norm(x: &Tensor, weight: Option<&Tensor>, spec: &DecoderSpec) -> Result<Tensor> {
    weight.map_or_else(|| Ok(x.clone()), |weight| norm(x, weight, spec))
}

/// RMS norm over the last dimension in f32 (Zhang & Sennrich 2019).
pub fn norm(x: &Tensor, weight: &Tensor, spec: &DecoderSpec) -> Result<Tensor> {
    rms_norm(&x.contiguous()?, weight, spec.norm_eps as f32)
}
