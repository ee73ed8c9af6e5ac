//! Products in f32 by whatever vectors there are.
//!
//! Owns a loop for processors that no kernel was written for, in which the compiler finds the vectors; bf16 operands are
//! widened block by block, which is exact.

#![allow(unsafe_code, reason = "calls of kernels that need their processor")]

use half::bf16;

use crate::kernel::block::{Block, Checked};
#[cfg(target_arch = "x86_64")]
use crate::kernel::fma;
use crate::kernel::isa::Set;
use crate::kernel::{DEPTH, Element, Isa, PANEL, TILE};

/// How much of k is widened at once.
const WIDENED: usize = 4 * DEPTH;

/// f32 operands.
pub fn multiply(isa: Isa, block: &mut Checked<f32>) {
    match isa.set() {
        // SAFETY: these values exist only where AVX-512 does.
        #[cfg(target_arch = "x86_64")]
        Set::Amx | Set::Avx512Bf16 | Set::Avx512 => unsafe { fma::multiply_by_64_bytes(block) },
        // SAFETY: the value exists only where AVX2 and FMA do.
        #[cfg(target_arch = "x86_64")]
        Set::Avx2 => unsafe { fma::multiply_by_32_bytes(block) },
        _ => rows(block),
    }
}

/// bf16 operands where no instruction multiplies them.
pub fn multiply_widened(isa: Isa, block: &mut Checked<bf16>) {
    let mut a = [0.0_f32; TILE * WIDENED];
    let mut panel = [0.0_f32; PANEL * WIDENED];
    let pairs = block.panel;
    for (step, pairs) in pairs.chunks(PANEL * WIDENED).enumerate() {
        let depth = pairs.len() / PANEL;
        for (wide, pair) in panel.chunks_exact_mut(2 * PANEL).zip(pairs.chunks_exact(2 * PANEL)) {
            let (even, odd) = wide.split_at_mut(PANEL);
            for ((even, odd), pair) in even.iter_mut().zip(odd).zip(pair.chunks_exact(2)) {
                (*even, *odd) = (Element::to_f32(pair[0]), Element::to_f32(pair[1]));
            }
        }
        for row in 0..block.rows {
            let narrow = &block.a[row * block.a_stride + step * WIDENED..][..depth];
            for (wide, narrow) in a[row * depth..][..depth].iter_mut().zip(narrow) {
                *wide = Element::to_f32(*narrow);
            }
        }
        let (a, panel) = (&a[..TILE * depth], &panel[..pairs.len()]);
        let (rows, c_stride, adds) = (block.rows, block.c_stride, block.adds || step > 0);
        Block { a, a_stride: depth, rows, panel, c: block.c_mut(), c_stride, adds, ahead: &[] }.run(isa);
    }
}

/// Rows together, so that a panel's line is read once for them.
const ROWS: usize = 4;

fn rows(block: &mut Checked<f32>) {
    let mut row = 0;
    while row + ROWS <= block.rows {
        tile::<ROWS>(block, row);
        row += ROWS;
    }
    while row < block.rows {
        tile::<1>(block, row);
        row += 1;
    }
}

/// Rows `first..first + M`.
fn tile<const M: usize>(block: &mut Checked<f32>, first: usize) {
    let depth = block.panel.len() / PANEL;
    let mut sums = [[0.0_f32; PANEL]; M];
    let (operands, stride, panel) = (block.a, block.a_stride, block.panel);
    let a: [&[f32]; M] = std::array::from_fn(|r| &operands[(first + r) * stride..][..depth]);
    if block.adds {
        for (r, sums) in sums.iter_mut().enumerate() {
            sums.copy_from_slice(&block.c[(first + r) * block.c_stride..][..PANEL]);
        }
    }
    for (k, weights) in panel.as_chunks::<PANEL>().0.iter().enumerate() {
        for r in 0..M {
            let x = a[r][k];
            for (sum, weight) in sums[r].iter_mut().zip(weights) {
                // Two instructions where a processor has no third: the library would fuse them in software.
                *sum = if cfg!(target_arch = "x86_64") { x * weight + *sum } else { x.mul_add(*weight, *sum) };
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        let start = (first + r) * block.c_stride;
        block.c_mut()[start..][..PANEL].copy_from_slice(sums);
    }
}
