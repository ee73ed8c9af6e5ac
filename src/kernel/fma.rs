//! Matrix products in f32 by fused multiply-add (AVX-512F, or AVX2 with FMA).
//!
//! Owns the register tiles: 12 rows by 32 outputs, and 6 rows by 16. Each keeps more sums in flight than two units of
//! latency 4 need. Not here: other element types.

#![allow(unsafe_code, reason = "vectors read through pointers")]

use std::arch::x86_64::{
    _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps, _mm512_fmadd_ps,
    _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

use crate::kernel::block::Checked;
use crate::kernel::{PANEL, TILE};

/// Rows in order, in steps of four, so that up to three more than there are, never more than 32: fewer at once would wait
/// for one another's sums.
///
/// # Safety
/// The processor has AVX-512F.
pub unsafe fn multiply_by_64_bytes(block: &mut Checked<f32>) {
    let mut row = 0;
    while row < block.rows {
        // SAFETY: the caller's; the rows are within the 32 of a checked block.
        unsafe {
            match block.rows - row {
                9..=12 | 17.. => row = tile_64::<12>(block, row),
                5..=8 | 13..=16 => row = tile_64::<8>(block, row),
                _ => row = tile_64::<4>(block, row),
            }
        }
    }
}

/// Rows in order, as many at once as there are.
///
/// # Safety
/// The processor has AVX2 and FMA.
pub unsafe fn multiply_by_32_bytes(block: &mut Checked<f32>) {
    let mut row = 0;
    while row < block.rows {
        // SAFETY: as above.
        unsafe {
            match block.rows - row {
                6.. => row = tile_32::<6>(block, row),
                4.. => row = tile_32::<4>(block, row),
                _ => row = tile_32::<1>(block, row),
            }
        }
    }
}

/// Rows `first..first + M`; returns the next.
///
/// # Safety
/// The processor has AVX-512F.
#[target_feature(enable = "avx512f")]
unsafe fn tile_64<const M: usize>(block: &mut Checked<f32>, first: usize) -> usize {
    assert!(first + M <= TILE, "within the rows that were checked");
    // SAFETY: row r < M of A has `depth` numbers, the panel `depth` lines of 32, C 32 numbers a row.
    unsafe {
        let a = block.a.as_ptr().add(first * block.a_stride);
        let b = block.panel.as_ptr();
        let c_stride = block.c_stride;
        let c = block.c_mut().as_mut_ptr().add(first * c_stride);
        let mut sums = [[_mm512_setzero_ps(); 2]; M];
        if block.adds {
            for (r, sums) in sums.iter_mut().enumerate() {
                let c = c.add(r * c_stride);
                *sums = [_mm512_loadu_ps(c), _mm512_loadu_ps(c.add(16))];
            }
        }
        for k in 0..block.depth() {
            let b = b.add(k * PANEL);
            let (low, high) = (_mm512_loadu_ps(b), _mm512_loadu_ps(b.add(16)));
            for (r, sums) in sums.iter_mut().enumerate() {
                let x = _mm512_set1_ps(*a.add(r * block.a_stride + k));
                sums[0] = _mm512_fmadd_ps(x, low, sums[0]);
                sums[1] = _mm512_fmadd_ps(x, high, sums[1]);
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

/// As [`tile_64`], 16 outputs at a time.
///
/// # Safety
/// The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
unsafe fn tile_32<const M: usize>(block: &mut Checked<f32>, first: usize) -> usize {
    assert!(first + M <= TILE, "within the rows that were checked");
    for half in [0, PANEL / 2] {
        // SAFETY: as there.
        unsafe {
            let a = block.a.as_ptr().add(first * block.a_stride);
            let b = block.panel.as_ptr().add(half);
            let c_stride = block.c_stride;
            let c = block.c_mut().as_mut_ptr().add(first * c_stride + half);
            let mut sums = [[_mm256_setzero_ps(); 2]; M];
            if block.adds {
                for (r, sums) in sums.iter_mut().enumerate() {
                    let c = c.add(r * c_stride);
                    *sums = [_mm256_loadu_ps(c), _mm256_loadu_ps(c.add(8))];
                }
            }
            for k in 0..block.depth() {
                let b = b.add(k * PANEL);
                let (low, high) = (_mm256_loadu_ps(b), _mm256_loadu_ps(b.add(8)));
                for (r, sums) in sums.iter_mut().enumerate() {
                    let x = _mm256_set1_ps(*a.add(r * block.a_stride + k));
                    sums[0] = _mm256_fmadd_ps(x, low, sums[0]);
                    sums[1] = _mm256_fmadd_ps(x, high, sums[1]);
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                let c = c.add(r * c_stride);
                _mm256_storeu_ps(c, sums[0]);
                _mm256_storeu_ps(c.add(8), sums[1]);
            }
        }
    }
    first + M
}
