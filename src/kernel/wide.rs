//! Products in f32 by whatever vectors there are.
//!
//! Owns one loop, compiled for each width; bf16 operands are widened block by block, which is exact. Refuses intrinsics:
//! the compiler finds the vectors.

#![allow(unsafe_code, reason = "calls of functions that are compiled for a processor")]
#![allow(clippy::inline_always, reason = "compiled for its caller's processor or not at all")]

use half::bf16;

use crate::kernel::{Block, DEPTH, Element, Isa, PANEL, TILE};

/// How much of k is widened at once.
const WIDENED: usize = 128;

/// f32 operands.
pub fn multiply(isa: Isa, mut block: Block<f32>) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Amx | Isa::Avx512Bf16 | Isa::Avx512 => {
            #[target_feature(enable = "avx512f")]
            fn compiled(block: &mut Block<f32>) {
                rows::<12, true>(block);
            }
            // SAFETY: these values exist only where AVX-512 does.
            unsafe { compiled(&mut block) }
        }
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => {
            #[target_feature(enable = "avx2,fma")]
            fn compiled(block: &mut Block<f32>) {
                rows::<3, true>(block);
            }
            // SAFETY: the value exists only where AVX2 and FMA do.
            unsafe { compiled(&mut block) }
        }
        _ => rows::<3, { cfg!(not(target_arch = "x86_64")) }>(&mut block),
    }
}

/// bf16 operands where no instruction multiplies them.
pub fn multiply_widened(isa: Isa, block: Block<bf16>) {
    let mut a = [0.0_f32; TILE * WIDENED];
    let mut panel = [0.0_f32; PANEL * WIDENED];
    for (step, pairs) in block.panel.chunks(PANEL * WIDENED).enumerate() {
        let depth = pairs.len() / PANEL;
        debug_assert!(depth.is_multiple_of(DEPTH));
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
        let (c, adds) = (&mut *block.c, block.adds || step > 0);
        let (rows, c_stride) = (block.rows, block.c_stride);
        multiply(isa, Block { a, a_stride: depth, rows, panel, c, c_stride, adds, ahead: &[] });
    }
}

#[inline(always)]
fn rows<const M: usize, const FUSED: bool>(block: &mut Block<f32>) {
    let mut row = 0;
    while row + M <= block.rows {
        tile::<M, FUSED>(block, row);
        row += M;
    }
    while row < block.rows {
        tile::<1, FUSED>(block, row);
        row += 1;
    }
}

/// Rows `first..first + M`, sums in registers. `FUSED` where the processor adds a product in one instruction: elsewhere
/// the library would compute it in software.
#[inline(always)]
fn tile<const M: usize, const FUSED: bool>(block: &mut Block<f32>, first: usize) {
    let depth = block.panel.len() / PANEL;
    let mut sums = [[0.0_f32; PANEL]; M];
    let a: [&[f32]; M] = std::array::from_fn(|r| &block.a[(first + r) * block.a_stride..][..depth]);
    if block.adds {
        for (r, sums) in sums.iter_mut().enumerate() {
            sums.copy_from_slice(&block.c[(first + r) * block.c_stride..][..PANEL]);
        }
    }
    for (k, weights) in block.panel.as_chunks::<PANEL>().0.iter().enumerate() {
        for r in 0..M {
            let x = a[r][k];
            for (sum, weight) in sums[r].iter_mut().zip(weights) {
                *sum = if FUSED { x.mul_add(*weight, *sum) } else { x * weight + *sum };
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        block.c[(first + r) * block.c_stride..][..PANEL].copy_from_slice(sums);
    }
}
