//! One block of rows and one panel, with the bounds check that every kernel relies on.
//!
//! Owns the bounds. Kernels read and write through pointers; they take a [`Checked`] block, which can only be built if
//! its slices have the lengths that it states. Not here: arithmetic.

use std::ops::Deref;

use crate::kernel::{DEPTH, Element, Isa, PANEL, TILE};

/// C (+)= A · panelᵀ: up to 32 rows by the 32 outputs of a panel.
pub struct Block<'a, T> {
    /// `[32, depth]` at `a_stride`, of which `rows` count; the rest may hold anything.
    pub a: &'a [T],
    /// Elements from one row of `a` to the next.
    pub a_stride: usize,
    /// Number of rows.
    pub rows: usize,
    /// `[depth / PAIR][32][PAIR]`: a panel, or a span of one.
    pub panel: &'a [T],
    /// `[32][32]` at `c_stride`; a kernel may leave anything in rows beyond `rows`.
    pub c: &'a mut [f32],
    /// Elements from one row of `c` to the next.
    pub c_stride: usize,
    /// Adds to what stands in `c`.
    pub adds: bool,
    /// What will be multiplied soon: fetched from memory meanwhile, about an eighth of what comes next.
    pub ahead: &'a [T],
}

impl<T: Element> Block<'_, T> {
    /// Computes it.
    ///
    /// # Panics
    /// If a slice is too short for what it is said to hold.
    pub fn run(self, isa: Isa) {
        T::multiply(isa, &mut Checked::new(self));
    }
}

/// A block whose slices hold 32 rows of operands and of sums, and whole steps of k.
pub struct Checked<'a, T>(Block<'a, T>);

impl<'a, T> Checked<'a, T> {
    /// # Panics
    /// As [`Block::run`].
    pub(super) fn new(block: Block<'a, T>) -> Self {
        let depth = block.panel.len() / PANEL;
        assert!(depth.is_multiple_of(DEPTH) && block.panel.len() == depth * PANEL, "whole steps of k");
        assert!(depth > 0, "at least one of them: kernels count steps down");
        assert!(holds(block.a.len(), block.a_stride, depth), "32 rows of operands");
        assert!(holds(block.c.len(), block.c_stride, PANEL), "32 rows of sums");
        assert!(block.rows <= TILE, "at most 32 rows");
        Self(block)
    }

    /// How many k it sums over.
    pub(super) fn depth(&self) -> usize {
        self.panel.len() / PANEL
    }

    /// The sums, to be written.
    pub(super) fn c_mut(&mut self) -> &mut [f32] {
        self.0.c
    }
}

impl<'a, T> Deref for Checked<'a, T> {
    type Target = Block<'a, T>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// Whether `len` numbers hold 32 rows of `width` at `stride`.
fn holds(len: usize, stride: usize, width: usize) -> bool {
    let needed = (TILE - 1).checked_mul(stride).and_then(|last| last.checked_add(width));
    stride >= width && needed.is_some_and(|needed| len >= needed)
}
