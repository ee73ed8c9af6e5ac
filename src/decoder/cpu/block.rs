//! The two steps of a block around attention, for one chunk of rows: up to attention, and from attention to the next
//! block.
//!
//! Owns the fused form of `decoder::block`, which defines what is computed. Not here: other chunks.

use candle_core::{Result, Tensor};

use super::ffn;
use super::product::{Input, Product, normalise};
use crate::decoder::block::Layer;
use crate::decoder::ffn::FeedForward;
use crate::decoder::linear::Linear;
use crate::decoder::rope::Table;
use crate::decoder::weight::Held;
use crate::decoder::{DecoderSpec, QkNorm};
use crate::kernel::{Isa, PANEL, Rows, math};

/// Columns of sums that are finished while they are in cache.
const COLUMNS: usize = 256;

/// A layer with what its steps read of it as slices.
pub struct View<'a> {
    pub isa: Isa,
    pub spec: &'a DecoderSpec,
    pub layer: &'a Layer,
    /// Cosines and sines of the rows.
    pub rope: Option<&'a Table>,
    norms: [Option<Vec<f32>>; 6],
}

/// Places in [`View::norms`].
const BEFORE_ATTENTION: usize = 0;
const AFTER_ATTENTION: usize = 1;
const BEFORE_FFN: usize = 2;
const AFTER_FFN: usize = 3;
const OF_QUERIES: usize = 4;
const OF_KEYS: usize = 5;

/// What a thread needs, kept from chunk to chunk.
#[derive(Default)]
pub struct Scratch<T> {
    /// What the next product reads: the normed residual stream, or what was attended.
    pub input: Input<T>,
    pub ffn: ffn::Scratch<T>,
    /// Sums of some columns.
    sums: Rows<f32>,
    row: Vec<f32>,
}

impl<'a> View<'a> {
    pub fn new(isa: Isa, spec: &'a DecoderSpec, layer: &'a Layer, rope: Option<&'a Table>) -> Result<Self> {
        let of_heads = layer.qk_norm.as_ref();
        let norms = [
            layer.attention_norms.before.as_ref(),
            layer.attention_norms.after.as_ref(),
            layer.ffn_norms.before.as_ref(),
            layer.ffn_norms.after.as_ref(),
            of_heads.map(|(q, _)| q),
            of_heads.map(|(_, k)| k),
        ];
        let mut slices = [const { None }; 6];
        for (slice, norm) in slices.iter_mut().zip(norms) {
            *slice = norm.map(Tensor::to_vec1).transpose()?;
        }
        Ok(Self { isa, spec, layer, rope, norms: slices })
    }

    fn norm(&self, place: usize) -> Option<&[f32]> {
        self.norms[place].as_deref()
    }

    /// The norm of `x` `[rows, hidden]` before attention, for the projections below.
    pub fn read_for_attention<T: Held>(&self, x: &[f32], scratch: &mut Scratch<T>) {
        let Layer { q, k, v, .. } = self.layer;
        self.read(x, BEFORE_ATTENTION, &[q, k, v], scratch);
    }

    /// Projection, norm and rope of what [`View::read_for_attention`] has read, into `q` `[rows][heads · head_dim]`. `first`
    /// is the chunk's first row among those of the ropes.
    pub fn queries<T: Held>(&self, first: usize, q: &mut [T], scratch: &mut Scratch<T>) -> Result<()> {
        let heads = Heads { norm: self.norm(OF_QUERIES), rope: self.rope, first };
        self.project(&self.layer.q, &heads, q, self.spec.query_width(), scratch)
    }

    /// As [`View::queries`], into `kv` `[rows][keys of all heads, values of all heads]`.
    pub fn keys_and_values<T: Held>(&self, first: usize, kv: &mut [T], scratch: &mut Scratch<T>) -> Result<()> {
        let key = self.spec.key_width();
        let turned = Heads { norm: self.norm(OF_KEYS), rope: self.rope, first };
        let plain = Heads { norm: None, rope: None, first };
        self.project(&self.layer.k, &turned, kv, 2 * key, scratch)?;
        self.project(&self.layer.v, &plain, &mut kv[key..], 2 * key, scratch)
    }

    /// One projection's heads into `out`, a row every `stride` numbers.
    fn project<T: Held>(
        &self,
        linear: &Linear,
        heads: &Heads,
        out: &mut [T],
        stride: usize,
        scratch: &mut Scratch<T>,
    ) -> Result<()> {
        let Scratch { input, sums, row: turned, .. } = scratch;
        let mut product = Product::new(self.isa, linear, input)?;
        let (width, head_dim) = (product.outputs(), self.spec.head_dim);
        let is_whole = self.spec.qk_norm == QkNorm::Projection;
        let columns = if is_whole { width } else { whole_heads(head_dim) };
        for start in (0..width).step_by(columns) {
            let count = columns.min(width - start);
            product.columns(start, count, sums);
            math::vectorised(
                #[inline(always)]
                || {
                    for row in 0..sums.rows() {
                        let y = sums.row_mut(row);
                        heads.finish(y, row, if is_whole { count } else { head_dim }, head_dim, self.eps(), turned);
                        T::round(y, &mut out[row * stride + start..]);
                    }
                },
            );
        }
        Ok(())
    }

    /// Output projection of what stands in the scratch's input, and feed-forward, each added to `x`.
    pub fn after_attention<T: Held>(&self, x: &mut [f32], scratch: &mut Scratch<T>) -> Result<()> {
        let layer = self.layer;
        let mut product = Product::new(self.isa, &layer.o, &scratch.input)?;
        self.add(&mut product, AFTER_ATTENTION, x, &mut scratch.sums);
        match &layer.ffn {
            FeedForward::Dense(gated) => {
                self.read(x, BEFORE_FFN, &[&gated.gate, &gated.up], scratch);
                let Scratch { input, ffn, sums, .. } = scratch;
                ffn::gate(self.isa, gated, input, ffn)?;
                self.add(&mut Product::new(self.isa, &gated.down, &ffn.gated)?, AFTER_FFN, x, sums);
            }
            FeedForward::Sparse(mixture) => {
                self.read(x, BEFORE_FFN, &mixture.readers(), scratch);
                let Scratch { input, ffn, sums, .. } = scratch;
                ffn::mix(self.isa, mixture, input, ffn, sums)?;
                self.add_rows(sums, 0, AFTER_FFN, x);
            }
        }
        Ok(())
    }

    /// The normed residual stream as what `linears` read.
    fn read<T: Held>(&self, x: &[f32], norm: usize, linears: &[&Linear], scratch: &mut Scratch<T>) {
        let hidden = self.spec.hidden;
        let Scratch { input, row: normed, .. } = scratch;
        input.reset(x.len() / hidden, hidden, linears);
        math::vectorised(
            #[inline(always)]
            || {
                for (row, x) in x.chunks_exact(hidden).enumerate() {
                    normed.clear();
                    normed.extend_from_slice(x);
                    if let Some(weight) = self.norm(norm) {
                        normalise(normed, weight, self.eps());
                    }
                    input.set(row, 0, normed);
                }
            },
        );
    }

    /// A branch's product into the residual stream.
    fn add<T: Held>(&self, product: &mut Product<T>, norm: usize, x: &mut [f32], sums: &mut Rows<f32>) {
        let hidden = product.outputs();
        let columns = if self.norm(norm).is_some() { hidden } else { COLUMNS };
        for start in (0..hidden).step_by(columns) {
            product.columns(start, columns.min(hidden - start), sums);
            self.add_rows(sums, start, norm, x);
        }
    }

    /// Adds `sums`, a branch's columns from `start` on, to the residual stream.
    fn add_rows(&self, sums: &mut Rows<f32>, start: usize, norm: usize, x: &mut [f32]) {
        let scale = self.spec.residual_scale as f32;
        math::vectorised(
            #[inline(always)]
            || {
                for (row, x) in x.chunks_exact_mut(self.spec.hidden).enumerate() {
                    let y = sums.row_mut(row);
                    if let Some(weight) = self.norm(norm) {
                        normalise(y, weight, self.eps());
                    }
                    for (x, y) in x[start..].iter_mut().zip(y) {
                        *x += scale * *y;
                    }
                }
            },
        );
    }

    fn eps(&self) -> f32 {
        self.spec.norm_eps as f32
    }
}

/// Columns that are whole heads and whole panels, about [`COLUMNS`] of them.
fn whole_heads(head_dim: usize) -> usize {
    let least = (1..=PANEL).map(|n| n * head_dim).find(|n| n.is_multiple_of(PANEL)).unwrap_or(PANEL * head_dim);
    least * (COLUMNS / least).max(1)
}

/// What happens to heads between projection and attention.
struct Heads<'a> {
    norm: Option<&'a [f32]>,
    rope: Option<&'a Table>,
    /// The chunk's first row among those of the rope.
    first: usize,
}

impl Heads<'_> {
    /// Norms each `normed` numbers of `y` and turns each head.
    #[inline(always)]
    fn finish(&self, y: &mut [f32], row: usize, normed: usize, head_dim: usize, eps: f32, turned: &mut Vec<f32>) {
        if let Some(weight) = self.norm {
            for y in y.chunks_exact_mut(normed) {
                normalise(y, weight, eps);
            }
        }
        if let Some(rope) = self.rope {
            for head in y.chunks_exact_mut(head_dim) {
                rope.turn(self.first + row, head, turned);
            }
        }
    }
}
