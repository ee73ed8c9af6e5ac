//! Matrix products by dot products of bf16 pairs (AVX512-BF16).
//!
//! Owns the register tile: 12 rows by 32 outputs are 24 sums in flight, more than two units of latency 6 need. Not
//! here: other element types.

#![allow(unsafe_code, reason = "vectors read through pointers")]

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _MM_HINT_T1, _mm_prefetch, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_set1_epi32,
    _mm512_setzero_ps, _mm512_storeu_ps,
};

use half::bf16;

use crate::kernel::block::Checked;
use crate::kernel::{AHEAD, PANEL, TILE};

/// Rows in order, in steps of four, so that up to three more than there are, never more than 32: fewer at once would
/// wait for one another's sums.
pub fn multiply(block: &mut Checked<bf16>) {
    let mut row = 0;
    while row < block.rows {
        // SAFETY: only where `Set::Avx512Bf16` is chosen, and the rows are within the 32 of a checked block.
        unsafe {
            match block.rows - row {
                9..=12 | 17.. => row = tile::<12>(block, row),
                5..=8 | 13..=16 => row = tile::<8>(block, row),
                _ => row = tile::<4>(block, row),
            }
        }
    }
}

/// Rows `first..first + M`; returns the next.
///
/// # Safety
/// The processor has AVX512-BF16.
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn tile<const M: usize>(block: &mut Checked<bf16>, first: usize) -> usize {
    assert!(first + M <= TILE, "within the rows that were checked");
    let pairs = block.depth() / 2;
    // SAFETY: row r < M of A has `depth` numbers, the panel `pairs` lines of 32 pairs, C 32 numbers a row. Fetching
    // ahead may reach beyond `ahead`: it never faults.
    unsafe {
        let a = block.a.as_ptr().add(first * block.a_stride);
        let b = block.panel.as_ptr();
        let c_stride = block.c_stride;
        let c = block.c_mut().as_mut_ptr().add(first * c_stride);
        // Where there is nothing to fetch ahead, what is there already.
        let ahead = if block.ahead.is_empty() || first > 0 { b } else { block.ahead.as_ptr() };
        let mut sums = [[_mm512_setzero_ps(); 2]; M];
        if block.adds {
            for (r, sums) in sums.iter_mut().enumerate() {
                let c = c.add(r * c_stride);
                *sums = [_mm512_loadu_ps(c), _mm512_loadu_ps(c.add(16))];
            }
        }
        for pair in 0..pairs {
            // One line per four pairs: prefetching it each time costs less than a branch.
            _mm_prefetch::<_MM_HINT_T1>(ahead.wrapping_add(pair * (2 * PANEL / AHEAD)).cast());
            let b = b.add(pair * 2 * PANEL);
            let (low, high) = (load(b), load(b.add(PANEL)));
            for (r, sums) in sums.iter_mut().enumerate() {
                let pair = a.add(r * block.a_stride + 2 * pair).cast::<i32>().read_unaligned();
                let x = std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32(pair));
                sums[0] = _mm512_dpbf16_ps(sums[0], x, low);
                sums[1] = _mm512_dpbf16_ps(sums[1], x, high);
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            let c = c.add(r * c_stride);
            _mm512_storeu_ps(c, sums[0]);
            _mm512_storeu_ps(c.add(16), sums[1]);
        }
    }
    first + M
}

/// # Safety
/// 32 numbers can be read.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn load(numbers: *const bf16) -> __m512bh {
    // SAFETY: the caller's; any bits are numbers.
    unsafe { std::mem::transmute::<__m512, __m512bh>(_mm512_loadu_ps(numbers.cast())) }
}
