//! Rows of operands, laid out for tiles.
//!
//! Owns the stride: an odd number of cache lines, so that the rows of a tile do not fall into one set of a cache.

use crate::kernel::{Buffer, DEPTH, Element, TILE, math};

/// `[rows, depth]`, row-major, padded to whole tiles of rows and whole steps of depth. Padding along k is zero;
/// padding rows contain arbitrary values. Grows, never shrinks: made once, used for every chunk.
pub struct Rows<T> {
    data: Buffer<T>,
    count: usize,
    depth: usize,
    stride: usize,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { data: Buffer::default(), count: 0, depth: 0, stride: 0 }
    }
}

impl<T: Element> Rows<T> {
    /// Becomes `[rows, depth]`; the numbers are whatever was there.
    pub fn reset(&mut self, rows: usize, depth: usize) {
        let line = 64 / size_of::<T>();
        self.count = rows;
        self.depth = depth;
        self.stride = (depth.next_multiple_of(DEPTH).div_ceil(line) | 1) * line;
        self.data.reserve(rows.next_multiple_of(TILE) * self.stride);
        if !depth.is_multiple_of(DEPTH) {
            for row in self.data.chunks_exact_mut(self.stride).take(rows) {
                row[depth..].fill(T::from_f32(0.0));
            }
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.count
    }

    /// Length of a row.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Numbers from one row to the next.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Row `row`.
    pub fn row(&self, row: usize) -> &[T] {
        &self.data[row * self.stride..][..self.depth]
    }

    /// Row `row`, to be written.
    pub fn row_mut(&mut self, row: usize) -> &mut [T] {
        &mut self.data[row * self.stride..][..self.depth]
    }

    /// From `row` on to the end of the last tile, at [`Rows::stride`].
    pub fn from(&self, row: usize) -> &[T] {
        &self.data[row * self.stride..]
    }

    /// As [`Rows::from`].
    pub fn from_mut(&mut self, row: usize) -> &mut [T] {
        &mut self.data[row * self.stride..]
    }

    /// Rounds `values` `[rows, depth]` into it.
    pub fn fill(&mut self, values: &[f32], depth: usize) {
        self.reset(values.len() / depth, depth);
        math::vectorised(
            #[inline(always)]
            || {
                for (row, values) in values.chunks_exact(depth).enumerate() {
                    T::round(values, self.row_mut(row));
                }
            },
        );
    }
}
