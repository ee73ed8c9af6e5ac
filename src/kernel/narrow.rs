//! Rounding rows to bf16.
//!
//! Owns the instruction, where the processor has one. It gives the bits of [`Element::from_f32`]: what it sees
//! otherwise (NaN, and numbers too small for a full mantissa, which it takes for 0) goes through that formula.

#![allow(unsafe_code, reason = "vectors written through pointers")]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m512bh, __m512i, _mm512_cvtne2ps_pbh, _mm512_fpclass_ps_mask, _mm512_loadu_ps, _mm512_storeu_si512,
};

use half::bf16;

use crate::kernel::Element;
#[cfg(target_arch = "x86_64")]
use crate::kernel::math;

/// Rounds each of `values` into its place of `out`; the excess of the longer one is ignored. Called within
/// [`vectorised`](super::math::vectorised), and by the processor's instruction as that is, whatever `TOKSHIFT_CPU`
/// selects.
#[inline(always)]
pub fn round(values: &[f32], out: &mut [bf16]) {
    #[cfg(target_arch = "x86_64")]
    if math::has_64_bytes() && is_x86_feature_detected!("avx512bf16") {
        // SAFETY: the processor has what the function was compiled for.
        return unsafe { by_instruction(values, out) };
    }
    by_formula(values, out);
}

#[inline(always)]
fn by_formula(values: &[f32], out: &mut [bf16]) {
    for (out, x) in out.iter_mut().zip(values) {
        *out = Element::from_f32(*x);
    }
}

/// Two vectors at once.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512bf16")]
fn by_instruction(values: &[f32], out: &mut [bf16]) {
    /// Quiet NaN, signalling NaN, denormal.
    const SPECIAL: i32 = 0x01 | 0x80 | 0x20;
    let len = values.len().min(out.len());
    let (values, ends) = values[..len].as_chunks::<32>();
    let (out, out_ends) = out[..len].as_chunks_mut::<32>();
    for (values, out) in values.iter().zip(out) {
        // SAFETY: 16 numbers from each of the two pointers are within the 32.
        let (low, high) = unsafe { (_mm512_loadu_ps(values.as_ptr()), _mm512_loadu_ps(values.as_ptr().add(16))) };
        if (_mm512_fpclass_ps_mask::<SPECIAL>(low) | _mm512_fpclass_ps_mask::<SPECIAL>(high)) != 0 {
            by_formula(values, out);
            continue;
        }
        let rounded = _mm512_cvtne2ps_pbh(high, low);
        // SAFETY: `out` is the 64 bytes that are written, and vectors of the same size hold the same bits.
        unsafe {
            _mm512_storeu_si512(out.as_mut_ptr().cast(), std::mem::transmute::<__m512bh, __m512i>(rounded));
        }
    }
    by_formula(ends, out_ends);
}
