//! The arithmetic of the hot path on a CPU: products of packed matrices, and functions that vectorise.
//!
//! Owns instruction sets, panel layouts and all unsafe code, each piece with the condition that makes it sound. One
//! function an instruction set multiplies a block of 32 rows by a panel of 32 outputs; everything above it is alike
//! everywhere. The order of every sum is that of k, whatever the number of rows. Refuses models and
//! tensors.

#![allow(clippy::inline_always, reason = "vectorised in its caller or not at all")]

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod buffer;
#[cfg(target_arch = "x86_64")]
mod fma;
mod isa;
pub mod math;
mod narrow;
mod packed;
mod rows;
mod wide;

use bytemuck::Pod;
use half::bf16;

pub use self::buffer::Buffer;
pub use self::isa::Isa;
use self::isa::Set;
pub use self::packed::{Packed, pack_row, panel_len};
pub use self::rows::Rows;

/// Rows of a block.
pub const TILE: usize = 32;
/// Outputs of a panel.
pub const PANEL: usize = 32;
/// The depth of a product is padded to a multiple of it with zeros: what one AMX tile holds of k.
pub const DEPTH: usize = 32;
/// Tiles that share the work of fetching what comes after a panel, or after a span of one.
const AHEAD: usize = 8;
/// A span of k that is all of it.
const WHOLE: usize = usize::MAX / DEPTH * DEPTH;

/// What operands are made of: bf16 or f32. Sums are f32 of both.
pub trait Element: Pod + Send + Sync {
    /// Neighbours along k that lie together in a panel, `[k / PAIR][32][PAIR]`.
    const PAIR: usize;

    /// Rounded to nearest, ties to even.
    fn from_f32(x: f32) -> Self;
    fn to_f32(self) -> f32;
    /// Each of `values` by [`Element::from_f32`]. Called within [`math::vectorised`].
    fn round(values: &[f32], out: &mut [Self]);
    /// How much of k is best summed at once, a multiple of [`DEPTH`].
    fn span(isa: Isa) -> usize;
    /// The block's sums, by the instructions of `isa`.
    fn multiply(isa: Isa, block: &mut Block<Self>);
}

/// C (+)= A · panelᵀ: up to 32 rows by the 32 outputs of a panel.
pub struct Block<'a, T> {
    /// `[32, depth]` at `a_stride`, of which `rows` count; the rest may hold anything.
    pub a: &'a [T],
    pub a_stride: usize,
    pub rows: usize,
    /// `[depth / PAIR][32][PAIR]`: a panel, or a span of one.
    pub panel: &'a [T],
    /// `[32][32]` at `c_stride`; what rows beyond `rows` become is nobody's business.
    pub c: &'a mut [f32],
    pub c_stride: usize,
    /// Adds to what stands in `c`.
    pub adds: bool,
    /// What will be multiplied soon: fetched from memory meanwhile, about an eighth of what comes next.
    pub ahead: &'a [T],
}

impl<T: Element> Block<'_, T> {
    /// How many k it sums over.
    fn depth(&self) -> usize {
        self.panel.len() / PANEL
    }

    /// Computes it.
    ///
    /// # Panics
    /// If a slice is too short for what it is said to hold: the kernels below rely on it.
    pub fn run(mut self, isa: Isa) {
        let depth = self.depth();
        assert!(depth.is_multiple_of(DEPTH) && self.panel.len() == depth * PANEL, "whole steps of k");
        assert!(depth > 0, "at least one of them: kernels count steps down");
        assert!(self.a.len() >= (TILE - 1) * self.a_stride + depth && self.a_stride >= depth, "32 rows of operands");
        assert!(self.c.len() >= (TILE - 1) * self.c_stride + PANEL && self.c_stride >= PANEL, "32 rows of sums");
        assert!(self.rows <= TILE, "at most 32 rows");
        T::multiply(isa, &mut self);
    }
}

impl Element for f32 {
    const PAIR: usize = 1;

    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        x
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }

    #[inline(always)]
    fn round(values: &[f32], out: &mut [Self]) {
        out.iter_mut().zip(values).for_each(|(out, x)| *out = *x);
    }

    fn span(_: Isa) -> usize {
        WHOLE
    }

    fn multiply(isa: Isa, block: &mut Block<Self>) {
        wide::multiply(isa, block);
    }
}

impl Element for bf16 {
    const PAIR: usize = 2;

    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        let bits = x.to_bits();
        let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
        // A NaN stays one, whatever rounding would make of its bits.
        Self::from_bits(if x.is_nan() { 0x7fc0 } else { rounded as u16 })
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }

    #[inline(always)]
    fn round(values: &[f32], out: &mut [Self]) {
        narrow::round(values, out);
    }

    fn span(isa: Isa) -> usize {
        match isa.set() {
            #[cfg(target_arch = "x86_64")]
            Set::Amx => amx::SPAN,
            _ => WHOLE,
        }
    }

    fn multiply(isa: Isa, block: &mut Block<Self>) {
        match isa.set() {
            #[cfg(target_arch = "x86_64")]
            Set::Amx => amx::multiply(block),
            #[cfg(target_arch = "x86_64")]
            Set::Avx512Bf16 => avx512::multiply(block),
            _ => wide::multiply_widened(isa, block),
        }
    }
}

#[cfg(test)]
mod tests;
