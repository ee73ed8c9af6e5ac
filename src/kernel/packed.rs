//! Weights in panels of 32 outputs.
//!
//! Owns the layout that all instruction sets share, `[outputs / 32][k / PAIR][32][PAIR]`: a tile of AMX, a vector of
//! pairs and a vector of f32 are each consecutive in it. Holds a weight once, in the type it is multiplied in.

use std::ops::Range;

use rayon::prelude::*;

use crate::kernel::{AHEAD, Block, Buffer, DEPTH, Element, Isa, PANEL, Rows, TILE, WHOLE};

/// Panels that a span of k goes through before the next one: their sums stay in second-level cache.
const GROUP: usize = 8;

/// A matrix `[outputs, depth]`, padded with zeros to whole panels and steps.
pub struct Packed<T> {
    data: Buffer<T>,
    outputs: usize,
    depth: usize,
}

/// Numbers in a panel of this depth.
pub const fn panel_len(depth: usize) -> usize {
    PANEL * depth.next_multiple_of(DEPTH)
}

impl<T: Element> Packed<T> {
    /// Packs `weights`, `[outputs, depth]` row-major.
    pub fn new(weights: &[T], outputs: usize, depth: usize) -> Self {
        let mut packed = Self { data: Buffer::zeroed(outputs.div_ceil(PANEL) * panel_len(depth)), outputs, depth };
        let panels = packed.data.par_chunks_exact_mut(panel_len(depth)).zip(weights.par_chunks(PANEL * depth));
        panels.for_each(|(panel, rows)| {
            for (output, row) in rows.chunks_exact(depth).enumerate() {
                pack_row(panel, output, row);
            }
        });
        packed
    }

    /// Number of outputs (rows of the matrix).
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Length of k, without padding.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Number of panels.
    pub fn panels(&self) -> usize {
        self.outputs.div_ceil(PANEL)
    }

    /// Panel `index`, `[depth / PAIR][32][PAIR]`.
    pub fn panel(&self, index: usize) -> &[T] {
        let len = panel_len(self.depth);
        &self.data[index * len..][..len]
    }

    /// The weights of one output, `[depth]`.
    pub fn row(&self, output: usize, row: &mut [T]) {
        let panel = self.panel(output / PANEL);
        let at = output % PANEL * T::PAIR;
        let steps = panel.chunks_exact(PANEL * T::PAIR);
        if T::PAIR == 1 {
            steps.zip(row).for_each(|(step, x)| *x = step[at]);
            return;
        }
        let (pairs, last) = row.as_chunks_mut::<2>();
        if let [last] = last {
            *last = panel[pairs.len() * PANEL * T::PAIR + at];
        }
        steps.zip(pairs).for_each(|(step, pair)| *pair = [step[at], step[at + 1]]);
    }

    /// The sums of `panels` for all rows: `c` is `[rows, up to whole tiles][panels, 32]` at `c_stride`.
    pub fn multiply(&self, isa: Isa, rows: &Rows<T>, panels: Range<usize>, c: &mut [f32], c_stride: usize) {
        // What is read once need not stay in a cache.
        let span = if rows.rows() > TILE { T::span(isa) } else { WHOLE };
        self.multiply_by_spans(isa, rows, panels, c, c_stride, span);
    }

    /// As [`Packed::multiply`], `span` of k at a time. A span goes through some panels before the next one does, so that
    /// what is read again and again stays in the caches nearest to a kernel: the same sums in the same order.
    pub(super) fn multiply_by_spans(
        &self,
        isa: Isa,
        rows: &Rows<T>,
        panels: Range<usize>,
        c: &mut [f32],
        c_stride: usize,
        span: usize,
    ) {
        assert_eq!(rows.depth(), self.depth, "rows are as deep as the weights");
        let starts = (0..self.depth.next_multiple_of(DEPTH)).step_by(span);
        let groups = panels.clone().step_by(GROUP).map(|first| first..panels.end.min(first + GROUP));
        let pieces =
            groups.flat_map(|group| starts.clone().flat_map(move |k| group.clone().map(move |panel| (panel, k))));
        let mut pieces = pieces.peekable();
        while let Some((panel, k)) = pieces.next() {
            let weights = self.piece(panel, k, span);
            // The next piece comes into the cache while this one is multiplied, a share with each tile.
            let next = pieces.peek().copied().or((panels.end < self.panels()).then_some((panels.end, 0)));
            let next = next.map_or(&[] as &[T], |(panel, k)| self.piece(panel, k, span));
            let mut shares = next.chunks(weights.len() / AHEAD);
            for tile in (0..rows.rows()).step_by(TILE) {
                let block = Block {
                    a: &rows.from(tile)[k..],
                    a_stride: rows.stride(),
                    rows: (rows.rows() - tile).min(TILE),
                    panel: weights,
                    c: &mut c[tile * c_stride + (panel - panels.start) * PANEL..],
                    c_stride,
                    adds: k > 0,
                    ahead: shares.next().unwrap_or_default(),
                };
                block.run(isa);
            }
        }
    }

    /// The span of k that begins at `k`, of one panel.
    fn piece(&self, panel: usize, k: usize, span: usize) -> &[T] {
        let panel = &self.panel(panel)[k * PANEL..];
        &panel[..panel.len().min(span.saturating_mul(PANEL))]
    }
}

/// Writes one output of a panel.
pub fn pack_row<T: Element>(panel: &mut [T], output: usize, row: &[T]) {
    let at = output * T::PAIR;
    let steps = panel.chunks_exact_mut(PANEL * T::PAIR);
    if T::PAIR == 1 {
        steps.zip(row).for_each(|(step, x)| step[at] = *x);
        return;
    }
    let pairs = row.as_chunks::<2>();
    for (step, pair) in steps.zip(pairs.0) {
        (step[at], step[at + 1]) = (pair[0], pair[1]);
    }
    if let [last] = pairs.1 {
        panel[pairs.0.len() * PANEL * T::PAIR + at] = *last;
    }
}

const _: () = assert!(<half::bf16 as Element>::PAIR == 2 && <f32 as Element>::PAIR == 1, "what `pack_row` knows");
