//! Causal attention over a forest: each token attends to the keys on its own path that its layer's window admits.
//!
//! Owns the reference implementation: online softmax (Milakov & Gimelshein 2018; FlashAttention, Dao et al. 2022) in
//! tensor operations. Key blocks begin at fixed *path* positions and are padded to their full size, so the order of
//! every sum depends only on the token's own path, wherever segments begin and end. Not here: projections and rope.

use candle_core::{DType, Result, Tensor};

use crate::decoder::linear::{cap, round_to};
use crate::decoder::{DecoderSpec, MIN_COLUMNS, MIN_ROWS};
use crate::forest::{Forest, KEY_BLOCK};

/// Most queries in one matrix product. Where a block of queries begins does not change the result of any row.
const QUERY_BLOCK: usize = 128;
/// Score of a key that a query does not attend to. It is finite, so that a block of only such keys gives no NaN. The
/// sums of such a block are multiplied by e^(MASKED − max) = 0 once the query reaches a key that it attends to, and
/// every query attends to its own key.
const MASKED: f32 = -1e30;

/// Queries, keys and values of one layer in f32, with rows in forest order.
pub struct Qkv {
    /// `[rows, heads, head_dim]`, after rope.
    pub q: Tensor,
    /// `[rows, kv_heads, head_dim]`, after rope.
    pub k: Tensor,
    /// `[rows, kv_heads, head_dim]`.
    pub v: Tensor,
}

/// Attention of every segment of `forest` over its path: `[rows, heads · head_dim]`. Operands are rounded to `dtype`,
/// and sums are f32. `window` is the number of keys that a query attends to, including its own; `None` means all.
pub fn attend(spec: &DecoderSpec, forest: &Forest, qkv: &Qkv, window: Option<usize>, dtype: DType) -> Result<Tensor> {
    let q = round_to(&qkv.q, dtype)?.affine(spec.attention_scale, 0.0)?;
    let (k, v) = (round_to(&qkv.k, dtype)?, round_to(&qkv.v, dtype)?);
    let mut outputs = Vec::new();
    for (index, segment) in forest.segments.iter().enumerate() {
        let path = forest.path(index);
        let keys = Keys::gather(forest, &path, &k, &v)?;
        for start in segment.rows.clone().step_by(QUERY_BLOCK) {
            let rows = QUERY_BLOCK.min(segment.rows.end - start);
            let queries = Queries {
                q: group_heads(&q.narrow(0, start, rows)?, spec.kv_heads)?,
                first: segment.depth + start - segment.rows.start,
                rows,
            };
            outputs.push(queries.attend(&keys, window, spec.attention_cap, dtype)?);
        }
    }
    Tensor::cat(&outputs, 0)
}

/// Rearranges `[rows, heads, dim]` to `[kv_heads, heads / kv_heads, rows, dim]`, padded to at least [`MIN_ROWS`] rows.
fn group_heads(q: &Tensor, kv_heads: usize) -> Result<Tensor> {
    let (rows, heads, dim) = q.dims3()?;
    let q = q.reshape((rows, kv_heads, heads / kv_heads, dim))?.permute((1, 2, 0, 3))?;
    q.pad_with_zeros(2, 0, MIN_ROWS.saturating_sub(rows))?.contiguous()
}

/// Keys and values of one path: `[kv_heads, positions, head_dim]`. Positions are padded with zeros to whole key blocks,
/// and the columns of values to at least [`MIN_COLUMNS`].
struct Keys {
    k: Tensor,
    v: Tensor,
}

impl Keys {
    fn gather(forest: &Forest, path: &[usize], k: &Tensor, v: &Tensor) -> Result<Self> {
        let along = |x: &Tensor| {
            let runs: Result<Vec<_>> = path
                .iter()
                .map(|&s| &forest.segments[s].rows)
                .map(|rows| x.narrow(0, rows.start, rows.len()))
                .collect();
            let x = Tensor::cat(&runs?, 0)?;
            let rows = x.dim(0)?;
            x.pad_with_zeros(0, 0, rows.next_multiple_of(KEY_BLOCK) - rows)?.transpose(0, 1)?.contiguous()
        };
        let missing = MIN_COLUMNS.saturating_sub(v.dim(2)?);
        Ok(Self { k: along(k)?, v: along(&v.pad_with_zeros(2, 0, missing)?)? })
    }
}

/// A block of queries at path positions `first..first + rows`, in `[kv_heads, group, padded rows, head_dim]`.
struct Queries {
    q: Tensor,
    first: usize,
    rows: usize,
}

impl Queries {
    /// The attention output of these queries, `[rows, heads · head_dim]`.
    fn attend(&self, keys: &Keys, window: Option<usize>, limit: Option<f64>, dtype: DType) -> Result<Tensor> {
        let (kv_heads, group, padded, dim) = self.q.dims4()?;
        let q = self.q.reshape((kv_heads, group * padded, dim))?;
        let first_key = window.map_or(0, |w| (self.first + 1).saturating_sub(w));
        let last_key = self.first + self.rows - 1;
        let mut state: Option<Softmax> = None;
        for block in first_key / KEY_BLOCK..=last_key / KEY_BLOCK {
            let start = block * KEY_BLOCK;
            let scores = cap(&q.matmul(&keys.k.narrow(1, start, KEY_BLOCK)?.t()?)?, limit)?;
            let scores = self.mask(&scores.reshape((kv_heads, group, padded, KEY_BLOCK))?, start, window)?;
            let scores = scores.reshape((kv_heads, group * padded, KEY_BLOCK))?;
            let next = Softmax::of(&scores, &keys.v.narrow(1, start, KEY_BLOCK)?, dtype, state.as_ref())?;
            state = Some(next);
        }
        let state = state.ok_or_else(|| candle_core::Error::msg("a query without a key block"))?;
        let output = state.weighted.narrow(2, 0, dim)?.broadcast_div(&state.sum)?;
        let output = output.reshape((kv_heads, group, padded, dim))?;
        output.narrow(2, 0, self.rows)?.permute((2, 0, 1, 3))?.reshape((self.rows, kv_heads * group * dim))
    }

    /// Masks the keys of the block at `start` that come after a query or lie before its window.
    fn mask(&self, scores: &Tensor, start: usize, window: Option<usize>) -> Result<Tensor> {
        let last = self.first + self.rows - 1;
        let all_before = start + KEY_BLOCK - 1 <= self.first;
        let all_within = window.is_none_or(|w| start + w > last);
        if all_before && all_within {
            return Ok(scores.clone());
        }
        let (_, _, padded, width) = scores.dims4()?;
        let device = scores.device();
        let range = |from: usize, n: usize| Tensor::arange(from as f32, (from + n) as f32, device);
        let query = range(self.first, padded)?.reshape((padded, 1))?;
        let key = range(start, width)?.reshape((1, width))?;
        // The key's distance behind the query. It is exact in f32, because positions are far below 2^24.
        let behind = query.broadcast_sub(&key)?;
        let mut admitted = behind.ge(0_f32)?;
        if let Some(window) = window {
            admitted = (admitted * behind.lt(window as f32)?)?;
        }
        let masked = Tensor::full(MASKED, scores.shape(), device)?;
        admitted.broadcast_as(scores.shape())?.where_cond(scores, &masked)
    }
}

/// The running state of an online softmax: maximum and sum `[kv_heads, rows, 1]`, Σ eˢ⁻ᵐ v `[kv_heads, rows, dim]`.
struct Softmax {
    max: Tensor,
    sum: Tensor,
    weighted: Tensor,
}

impl Softmax {
    /// The state after one more key block: `scores` and `v` are that block's, and `before` is the state up to it.
    fn of(scores: &Tensor, v: &Tensor, dtype: DType, before: Option<&Self>) -> Result<Self> {
        let mut max = scores.max_keepdim(2)?;
        if let Some(before) = before {
            max = max.maximum(&before.max)?;
        }
        let weights = scores.broadcast_sub(&max)?.exp()?;
        let mut sum = weights.sum_keepdim(2)?;
        let mut weighted = round_to(&weights, dtype)?.matmul(v)?;
        if let Some(before) = before {
            let faded = (&before.max - &max)?.exp()?;
            sum = (sum + (&before.sum * &faded)?)?;
            weighted = (weighted + before.weighted.broadcast_mul(&faded)?)?;
        }
        Ok(Self { max, sum, weighted })
    }
}
