//! Attention of a chunk of rows to the packed keys and values of their paths.
//!
//! Owns the online softmax (Milakov & Gimelshein 2018; FlashAttention, Dao et al. 2022) over key blocks at fixed path
//! positions, 32 queries at a time. Keys that no query of a tile sees are skipped; this changes no sum, because they
//! would add zeros. Not here: projections and rope.

use super::keys::Keys;
use super::plan::{Plan, Run};
use super::product::Input;
use crate::decoder::DecoderSpec;
use crate::decoder::weight::Held;
use crate::forest::KEY_BLOCK;
use crate::kernel::{Block, DEPTH, Isa, PANEL, Rows, TILE, math, panel_len};

/// Score of a key that a query does not see; its weight is exactly 0 next to any that it sees.
const MASKED: f32 = -1e30;

/// What a thread needs, kept from chunk to chunk.
#[derive(Default)]
pub struct Scratch<T> {
    /// Queries of a run that share a key head, `[group][rows up to whole tiles]`.
    q: Rows<T>,
    /// Σ w v of each, f32.
    output: Rows<f32>,
    /// Running maximum, in units of ln 2, and sum of each.
    state: Vec<(f32, f32)>,
    /// One tile's scores and weights, `[32, 128]`.
    scores: Rows<f32>,
    weights: Rows<T>,
    row: Vec<f32>,
}

/// One layer's attention.
pub struct Attention<'a, T> {
    pub isa: Isa,
    pub spec: &'a DecoderSpec,
    pub plan: &'a Plan,
    pub keys: &'a Keys<T>,
    /// How many keys a query sees, its own included.
    pub window: Option<usize>,
}

impl<T: Held> Attention<'_, T> {
    /// Attends `runs`, whose queries `[rows][heads · head_dim]` begin at row `first`, into `attended`.
    pub fn attend(&self, runs: &[Run], first: usize, q: &[T], attended: &mut Input<T>, scratch: &mut Scratch<T>) {
        scratch.scores.reset(TILE, KEY_BLOCK);
        scratch.weights.reset(TILE, KEY_BLOCK);
        for run in runs {
            for kv_head in 0..self.spec.kv_heads {
                self.attend_group(run, run.rows.start - first, kv_head, q, scratch);
                self.finish(run, run.rows.start - first, kv_head, attended, scratch);
            }
        }
    }

    /// The queries of `run` that share `kv_head`; they are at `at` among the chunk's.
    fn attend_group(&self, run: &Run, at: usize, kv_head: usize, q: &[T], scratch: &mut Scratch<T>) {
        let DecoderSpec { heads, kv_heads, head_dim, .. } = *self.spec;
        let (group, rows) = (heads / kv_heads, run.rows.len());
        let padded = rows.next_multiple_of(TILE);
        scratch.q.reset(group * padded, head_dim);
        scratch.output.reset(group * padded, head_dim);
        scratch.state.clear();
        scratch.state.resize(group * padded, (f32::NEG_INFINITY, 0.0));
        for member in 0..group {
            for row in 0..rows {
                let head = kv_head * group + member;
                let q = &q[(at + row) * heads * head_dim + head * head_dim..][..head_dim];
                scratch.q.row_mut(member * padded + row).copy_from_slice(q);
            }
        }
        let path = &self.plan.paths[run.segment];
        let begin = |position: usize| self.window.map_or(0, |w| (position + 1).saturating_sub(w) / KEY_BLOCK);
        let last = (run.first + rows - 1) / KEY_BLOCK;
        for (block, &packed) in path.iter().enumerate().take(last + 1).skip(begin(run.first)) {
            let packed = self.keys.of(packed, kv_head);
            for tile in (0..group * padded).step_by(TILE) {
                let within = tile % padded;
                let position = run.first + within;
                let count = TILE.min(rows - within);
                if begin(position) <= block && block * KEY_BLOCK < position + count {
                    let part = Part { tile, position, count, block, is_first: begin(position) == block };
                    self.step(&part, packed, scratch);
                }
            }
        }
    }

    /// One tile of queries and one block of keys.
    fn step(&self, part: &Part, (keys, values): (&[T], &[T]), scratch: &mut Scratch<T>) {
        let Scratch { q, output, state, scores, weights, .. } = scratch;
        let &Part { tile, position, count, block, is_first } = part;
        let seen = (position + count - block * KEY_BLOCK).min(KEY_BLOCK);
        let width = seen.next_multiple_of(PANEL);
        let (q_stride, s_stride, w_stride, o_stride) = (q.stride(), scores.stride(), weights.stride(), output.stride());
        for (index, panel) in keys.chunks_exact(panel_len(self.spec.head_dim)).take(width / PANEL).enumerate() {
            let c = &mut scores.from_mut(0)[index * PANEL..];
            let a = q.from(tile);
            Block { a, a_stride: q_stride, rows: count, panel, c, c_stride: s_stride, adds: false, ahead: &[] }
                .run(self.isa);
        }
        self.weigh(part, width, &mut state[tile..tile + count], scores, weights, output);
        let depth = width.next_multiple_of(DEPTH);
        for (index, panel) in values.chunks_exact(panel_len(KEY_BLOCK)).enumerate() {
            let c = &mut output.from_mut(tile)[index * PANEL..];
            let (a, panel) = (weights.from(0), &panel[..depth * PANEL]);
            Block { a, a_stride: w_stride, rows: count, panel, c, c_stride: o_stride, adds: !is_first, ahead: &[] }
                .run(self.isa);
        }
    }

    /// Scores to weights eˢ⁻ᵐ; what was summed before fades to the new maximum.
    fn weigh(
        &self,
        part: &Part,
        width: usize,
        state: &mut [(f32, f32)],
        scores: &mut Rows<f32>,
        weights: &mut Rows<T>,
        output: &mut Rows<f32>,
    ) {
        let (mut scale, cap) = (self.spec.attention_scale as f32, self.spec.attention_cap.map(|cap| cap as f32));
        if let Some(cap) = cap {
            (0..state.len()).for_each(|row| cap_row(&mut scores.row_mut(row)[..width], scale, cap));
            scale = 1.0;
        }
        // Exponents are of 2, in units of which this scale turns scores: e^(s x) = 2^(s log₂e x), the product rounded once
        // with the maximum taken off.
        let scale = scale * std::f32::consts::LOG2_E;
        let (highest, fades) = self.raise(part, width, scale, state, scores);
        math::vectorised(
            #[inline(always)]
            || {
                for (row, (max, sum)) in state.iter_mut().enumerate() {
                    let (from, to) = part.admitted(row, self.window);
                    let (scores, weights) = (&mut scores.row_mut(row)[..width], &mut weights.row_mut(row)[..width]);
                    if from >= to {
                        weights.fill(T::from_f32(0.0));
                        continue;
                    }
                    (*max, *sum) =
                        (highest[row], *sum * fades[row] + exponentials(scores, scale, highest[row], weights));
                    if fades[row] != 1.0 && !part.is_first {
                        output.row_mut(part.tile + row).iter_mut().for_each(|x| *x *= fades[row]);
                    }
                }
            },
        );
    }

    /// The new maximum of each query, and what its sums so far are multiplied by.
    fn raise(
        &self,
        part: &Part,
        width: usize,
        scale: f32,
        state: &[(f32, f32)],
        scores: &mut Rows<f32>,
    ) -> ([f32; TILE], [f32; TILE]) {
        let (mut highest, mut fades) = ([0.0; TILE], [0.0; TILE]);
        math::vectorised(
            #[inline(always)]
            || {
                for (row, state) in state.iter().enumerate() {
                    let scores = &mut scores.row_mut(row)[..width];
                    highest[row] = highest_of(scores, part.admitted(row, self.window), scale).max(state.0);
                }
                for ((fade, highest), state) in fades.iter_mut().zip(&highest).zip(state.iter()) {
                    *fade = math::exp2(state.0 - highest);
                }
            },
        );
        (highest, fades)
    }

    /// Outputs over their sums.
    fn finish(&self, run: &Run, at: usize, kv_head: usize, attended: &mut Input<T>, scratch: &mut Scratch<T>) {
        let DecoderSpec { heads, kv_heads, head_dim, .. } = *self.spec;
        let group = heads / kv_heads;
        let padded = run.rows.len().next_multiple_of(TILE);
        let Scratch { output, state, row: quotient, .. } = scratch;
        quotient.resize(head_dim, 0.0);
        math::vectorised(
            #[inline(always)]
            || {
                for member in 0..group {
                    for row in 0..run.rows.len() {
                        let place = member * padded + row;
                        let inverse = 1.0 / state[place].1;
                        for (out, x) in quotient.iter_mut().zip(output.row(place)) {
                            *out = x * inverse;
                        }
                        attended.set(at + row, (kv_head * group + member) * head_dim, quotient);
                    }
                }
            },
        );
    }
}

/// `count` queries, the first at path `position` and at `tile` among the group's, and a block of keys.
struct Part {
    tile: usize,
    position: usize,
    count: usize,
    block: usize,
    /// It is the tile's first.
    is_first: bool,
}

impl Part {
    /// The keys of the block that query `row` sees.
    #[inline(always)]
    fn admitted(&self, row: usize, window: Option<usize>) -> (usize, usize) {
        let (position, start) = (self.position + row, self.block * KEY_BLOCK);
        let from = window.map_or(0, |w| (position + 1).saturating_sub(w).saturating_sub(start));
        (from, (position + 1).saturating_sub(start).min(KEY_BLOCK))
    }
}

/// Soft cap c tanh(s x / c) of scores that `scale` has not yet turned (Gemma 2).
fn cap_row(scores: &mut [f32], scale: f32, cap: f32) {
    math::vectorised(
        #[inline(always)]
        || {
            for x in scores.iter_mut() {
                *x = cap * math::tanh(*x * scale / cap);
            }
        },
    );
}

/// 2^(scale x − highest) of a query's scores, rounded into `weights`; gives their sum before rounding. Three loops: in one, the
/// compiler keeps the sum in memory, and each step waits for the one before.
#[inline(always)]
fn exponentials<T: Held>(scores: &mut [f32], scale: f32, highest: f32, weights: &mut [T]) -> f32 {
    for x in scores.iter_mut() {
        *x = math::exp2(x.mul_add(scale, -highest));
    }
    T::round(scores, weights);
    math::sum(scores, |x| x)
}

/// The highest of a query's scores in units of `scale`. Those of keys that it does not see get out of the way.
#[inline(always)]
fn highest_of(scores: &mut [f32], (from, to): (usize, usize), scale: f32) -> f32 {
    scores[..from.min(to)].fill(MASKED);
    scores[to..].fill(MASKED);
    math::max(scores) * scale
}
