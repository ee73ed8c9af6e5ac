//! A layer's keys and values as operands of attention's two products.
//!
//! Owns where they are packed, once for all queries. Not here: the products.

use rayon::prelude::*;

use super::plan::Plan;
use crate::decoder::DecoderSpec;
use crate::decoder::weight::Held;
use crate::forest::KEY_BLOCK;
use crate::kernel::{Buffer, PANEL, pack_row, panel_len};

/// Keys and values of one layer, packed for the two products of attention.
pub struct Keys<T> {
    /// `[blocks][kv_heads]` of: keys as weights `[128, head_dim]`, values as weights `[head_dim, 128]`.
    data: Buffer<T>,
    /// Numbers of one head's keys, and of its values.
    lens: (usize, usize),
    kv_heads: usize,
    head_dim: usize,
}

impl<T: Held> Keys<T> {
    /// Room for the blocks of `plan`. What no key is packed into is zero.
    pub fn new(plan: &Plan, spec: &DecoderSpec) -> Self {
        let (kv_heads, head_dim) = (spec.kv_heads, spec.head_dim);
        let lens = (KEY_BLOCK / PANEL * panel_len(head_dim), head_dim.div_ceil(PANEL) * panel_len(KEY_BLOCK));
        Self { data: Buffer::zeroed(plan.blocks.len() * kv_heads * (lens.0 + lens.1)), lens, kv_heads, head_dim }
    }

    /// Packs `kv`, `[rows][keys of all heads, values of all heads]`.
    pub fn pack(&mut self, plan: &Plan, kv: &[T]) {
        let Self { kv_heads, head_dim, lens, .. } = *self;
        let width = kv_heads * head_dim;
        self.data.par_chunks_exact_mut(kv_heads * (lens.0 + lens.1)).zip(&plan.blocks).for_each(|(block, rows)| {
            for (head, packed) in block.chunks_exact_mut(lens.0 + lens.1).enumerate() {
                let of = |row: u32, from: usize| &kv[row as usize * 2 * width + from + head * head_dim..][..head_dim];
                // For speed alone: keys are scattered over lines, which are in the cache then.
                packed.fill(T::from_f32(0.0));
                let (keys, values) = packed.split_at_mut(lens.0);
                for (panel, rows) in keys.chunks_exact_mut(panel_len(head_dim)).zip(rows.chunks(PANEL)) {
                    rows.iter().enumerate().for_each(|(lane, &row)| pack_row(panel, lane, of(row, 0)));
                }
                for (step, rows) in rows.chunks(T::PAIR).enumerate() {
                    pack_values(values, step, of(rows[0], width), rows.get(1).map(|&row| of(row, width)));
                }
            }
        });
    }

    /// Of one block and key head: keys as weights `[128, head_dim]`, values as weights `[head_dim, 128]`.
    pub fn of(&self, block: usize, head: usize) -> (&[T], &[T]) {
        let len = self.lens.0 + self.lens.1;
        self.data[(block * self.kv_heads + head) * len..][..len].split_at(self.lens.0)
    }
}

/// Writes the values of one step of keys, one of them or a pair, into panels of outputs whose depth is the keys.
fn pack_values<T: Held>(panels: &mut [T], step: usize, value: &[T], next: Option<&[T]>) {
    for (index, panel) in panels.chunks_exact_mut(panel_len(KEY_BLOCK)).enumerate() {
        let slots = &mut panel[step * PANEL * T::PAIR..][..PANEL * T::PAIR];
        let value = &value[index * PANEL..];
        match next {
            Some(next) => {
                let pairs = value.iter().zip(&next[index * PANEL..]);
                slots.as_chunks_mut::<2>().0.iter_mut().zip(pairs).for_each(|(slot, (a, b))| *slot = [*a, *b]);
            }
            None => slots.iter_mut().step_by(T::PAIR).zip(value).for_each(|(slot, x)| *slot = *x),
        }
    }
}
