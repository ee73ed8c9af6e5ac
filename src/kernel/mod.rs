//! The arithmetic of the hot path on a CPU: products of packed matrices, and functions that vectorise.
//!
//! Owns instruction sets, panel layouts and all unsafe code; each unsafe block states the condition that makes it
//! sound. An instruction set is one function, which multiplies a block of 32 rows by a panel of 32 outputs; all code
//! above it is the same for every instruction set. Sums run along k in order, whatever the number of rows. Not here:
//! models and tensors.

#![allow(clippy::inline_always, reason = "vectorised in its caller or not at all")]

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod block;
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

pub use self::block::Block;
use self::block::Checked;
pub use self::buffer::Buffer;
pub use self::isa::Isa;
use self::isa::Set;
pub use self::packed::{Packed, pack_row, panel_len};
pub use self::rows::Rows;

/// Rows of a block.
pub const TILE: usize = 32;
/// Outputs of a panel.
pub const PANEL: usize = 32;
/// The depth of a product is padded to a multiple of it with zeros: the part of k that one AMX tile contains.
pub const DEPTH: usize = 32;
/// Tiles that share the work of fetching what comes after a panel, or after a span of one.
const AHEAD: usize = 8;
/// A span of k that is all of it.
const WHOLE: usize = usize::MAX / DEPTH * DEPTH;

/// What operands are made of: bf16 or f32, and nothing else, because kernels trust what these say of themselves. Sums are
/// f32 of both.
pub trait Element: Pod + Send + Sync + sealed::Sealed {
    /// Neighbours along k that lie together in a panel, `[k / PAIR][32][PAIR]`.
    const PAIR: usize;

    /// Rounded to nearest, ties to even.
    fn from_f32(x: f32) -> Self;
    /// The value as f32, exactly.
    fn to_f32(self) -> f32;
    /// Each of `values` by [`Element::from_f32`]. Called within [`math::vectorised`].
    fn round(values: &[f32], out: &mut [Self]);
    /// How much of k is best summed at once, a multiple of [`DEPTH`].
    fn span(isa: Isa) -> usize;
}

mod sealed {
    use super::{Checked, Isa};

    /// Kept from other crates: what multiplies trusts its block.
    pub trait Sealed: Sized {
        /// The block's sums, by the instructions of `isa`.
        fn multiply(isa: Isa, block: &mut Checked<Self>);
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
}

impl sealed::Sealed for f32 {
    fn multiply(isa: Isa, block: &mut Checked<Self>) {
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
}

impl sealed::Sealed for bf16 {
    fn multiply(isa: Isa, block: &mut Checked<Self>) {
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
