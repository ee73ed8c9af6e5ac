use half::bf16;
use proptest::prelude::*;

use super::*;

/// Numbers in −1..1 without a pattern that a mistake could keep.
fn numbers(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// Panels that are multiplied together, with a rest of them in most cases below.
const TOGETHER: usize = 3;

/// All products of `rows` `[count, depth]` with a packed `[outputs, depth]`: `[count, outputs]`.
fn product<T: Element>(isa: Isa, rows: &[f32], weights: &[f32], depth: usize) -> Vec<f32> {
    let outputs = weights.len() / depth;
    let rounded: Vec<T> = weights.iter().map(|&x| T::from_f32(x)).collect();
    let packed = Packed::new(&rounded, outputs, depth);
    let mut operands = Rows::<T>::default();
    operands.fill(rows, depth);
    let count = operands.rows();
    let stride = TOGETHER * PANEL;
    let end = count.next_multiple_of(TILE) * stride;
    // Values behind the last tile, which no kernel may touch.
    let mut c = vec![f32::NAN; end + TILE * PANEL];
    c[end..].fill(7.0);
    let mut y = vec![0.0; count * outputs];
    for first in (0..packed.panels()).step_by(TOGETHER) {
        let panels = first..packed.panels().min(first + TOGETHER);
        let width = (outputs - first * PANEL).min(panels.len() * PANEL);
        packed.multiply(isa, &operands, panels, &mut c, stride);
        for row in 0..count {
            y[row * outputs + first * PANEL..][..width].copy_from_slice(&c[row * stride..][..width]);
        }
    }
    assert!(c[end..].iter().all(|x| *x == 7.0), "{isa}: rows behind the last tile");
    y
}

/// The same in f64 over what the element can hold, with the sum of the terms' sizes: what an error is measured by.
fn reference<T: Element>(rows: &[f32], weights: &[f32], depth: usize) -> Vec<(f64, f64)> {
    let held = |x: &f32| f64::from(T::from_f32(*x).to_f32());
    let dot = |a: &[f32], b: &[f32]| {
        let terms = a.iter().zip(b).map(|(a, b)| held(a) * held(b));
        terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()))
    };
    rows.chunks(depth).flat_map(|a| weights.chunks(depth).map(move |b| dot(a, b))).collect()
}

fn check<T: Element>(count: usize, outputs: usize, depth: usize, seed: u64) {
    let (rows, weights) = (numbers(count * depth, seed), numbers(outputs * depth, seed + 1));
    let expected = reference::<T>(&rows, &weights, depth);
    for isa in Isa::all() {
        let found = product::<T>(isa, &rows, &weights, depth);
        for (i, (found, (expected, size))) in found.iter().zip(&expected).enumerate() {
            let error = (f64::from(*found) - expected).abs();
            assert!(error <= 1e-6 * size, "{isa}, {count} x {depth} x {outputs}, at {i}: {found} for {expected}");
        }
        // In a product of its own, a row has the same bits.
        let row = count / 2;
        let single = product::<T>(isa, &rows[row * depth..][..depth], &weights, depth);
        assert_eq!(single, found[row * outputs..][..outputs], "{isa}, row {row} of {count}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn products_are_those_of_f64(count in 1..70_usize, outputs in 1..100_usize, depth in 1..200_usize, seed in 0..1000_u64) {
        check::<bf16>(count, outputs, depth, seed);
        check::<f32>(count, outputs, depth, seed);
    }

    #[test]
    fn elements_round_as_the_library_does(bits: u32) {
        let x = f32::from_bits(bits);
        let (found, expected) = (<bf16 as Element>::from_f32(x), bf16::from_f32(x));
        prop_assert!(found == expected || found.is_nan() && expected.is_nan(), "{x:?}");
    }

    /// Whatever is summed at once, the bits are the same.
    #[test]
    fn spans_change_no_bit(count in 1..70_usize, panels in 1..20_usize, depth in 1..300_usize, span in 1..5_usize, seed in 0..1000_u64) {
        spans_change_no_bit_of::<bf16>(count, panels, depth, span, seed);
        spans_change_no_bit_of::<f32>(count, panels, depth, span, seed);
    }

    #[test]
    fn functions_are_those_of_the_library(x in -87.0..20.0_f32, small in -1e-3..1e-3_f32) {
        let close = |found: f32, expected: f64| (f64::from(found) - expected).abs() <= 4e-7 * expected.abs() + 1e-30;
        for x in [x, small] {
            let y = f64::from(x);
            prop_assert!(close(math::exp(x), y.exp()), "exp {x}");
            prop_assert!(close(math::exp2(-x.abs()), (-y.abs()).exp2()), "exp2 {x}");
            prop_assert!(close(math::sigmoid(x), 1.0 / (1.0 + (-y).exp())), "sigmoid {x}");
            prop_assert!(close(math::silu(x), y / (1.0 + (-y).exp())), "silu {x}");
            prop_assert!(close(math::tanh(x), y.tanh()), "tanh {x}");
        }
    }
}

/// Of all panels but the first, whose sums have a place in `c` all the same.
fn spans_change_no_bit_of<T: Element>(count: usize, panels: usize, depth: usize, span: usize, seed: u64) {
    let outputs = (panels + 1) * PANEL - seed as usize % PANEL;
    let weights: Vec<T> = numbers(outputs * depth, seed).into_iter().map(T::from_f32).collect();
    let packed = Packed::new(&weights, outputs, depth);
    let mut rows = Rows::<T>::default();
    rows.fill(&numbers(count * depth, seed + 1), depth);
    let stride = panels * PANEL;
    for isa in Isa::all() {
        let sums = |span: usize| {
            let mut c = vec![0.0_f32; count.next_multiple_of(TILE) * stride];
            packed.multiply_by_spans(isa, &rows, 1..panels + 1, &mut c, stride, span);
            c[..count * stride].iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        };
        assert_eq!(sums(span * DEPTH), sums(WHOLE), "{isa}: {count} x {panels} panels x {depth} by {span}");
    }
}

/// Every instruction against the formula: what rounds up, down and to even in all binades and at their ends, and
/// numbers that the instruction sees otherwise, alone among those that it does not.
#[test]
fn rows_round_as_elements_do() {
    let highs = (0..=u16::MAX).map(u32::from);
    let lows = [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff];
    let all = highs.flat_map(|high| lows.map(|low| f32::from_bits(high << 16 | low)));
    let (special, plain): (Vec<f32>, Vec<f32>) = all.partition(|x| x.is_nan() || x.is_subnormal());
    let rounds = |values: &[f32], len: usize| {
        let mut out = vec![bf16::ONE; len];
        math::vectorised(
            #[inline(always)]
            || Element::round(values, &mut out),
        );
        for (place, found) in out.iter().enumerate() {
            let expected = values.get(place).map_or(bf16::ONE, |x| Element::from_f32(*x));
            assert_eq!(found.to_bits(), expected.to_bits(), "{:?} at {place}", values.get(place));
        }
    };
    plain.chunks(70).for_each(|values| rounds(values, values.len() + 1));
    for (index, special) in special.into_iter().enumerate() {
        let mut values = numbers(33, index as u64);
        values[index % 33] = special;
        rounds(&values, 33);
    }
}

/// What a manifest says of a processor: equal words, equal bits.
fn arithmetic_decides_the_bits_of<T: Element>() {
    let depth = 300;
    let (rows, weights) = (numbers(37 * depth, 5), numbers(40 * depth, 6));
    let mut found = std::collections::BTreeMap::new();
    for isa in Isa::all() {
        let sums: Vec<u32> = product::<T>(isa, &rows, &weights, depth).into_iter().map(f32::to_bits).collect();
        assert!(*found.entry(isa.arithmetic::<T>()).or_insert_with(|| sums.clone()) == sums, "{isa}");
    }
}

#[test]
fn arithmetic_decides_the_bits() {
    arithmetic_decides_the_bits_of::<bf16>();
    arithmetic_decides_the_bits_of::<f32>();
}

#[test]
fn a_score_that_is_no_number_has_a_weight_that_is_none() {
    for nan in [f32::NAN, -f32::NAN, f32::from_bits(0x7f80_0001), f32::from_bits(0xffff_ffff)] {
        assert!(math::exp2(nan).is_nan() && math::exp(nan).is_nan());
    }
    assert_eq!([math::exp2(f32::NEG_INFINITY), math::exp2(-127.0), math::exp2(0.0)], [0.0, 0.0, 1.0]);
}

/// Depths beyond one block of k, which is summed in parts.
#[test]
fn deep_products_are_summed_in_order() {
    check::<bf16>(33, 40, 1100, 7);
    check::<bf16>(5, 33, 4200, 8);
    check::<f32>(33, 40, 2200, 9);
}

#[test]
fn gelu_is_its_formula() {
    for i in -60..60 {
        let x = f64::from(i) / 10.0;
        let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
        let expected = 0.5 * x * (1.0 + u.tanh());
        assert!((f64::from(math::gelu(x as f32)) - expected).abs() <= 1e-6 * (1.0 + expected.abs()), "{x}");
    }
}

#[test]
fn what_is_packed_comes_out_again() {
    let weights: Vec<bf16> = numbers(45 * 37, 3).into_iter().map(bf16::from_f32).collect();
    let packed = Packed::new(&weights, 45, 37);
    let mut row = vec![bf16::ZERO; 37];
    for output in 0..45 {
        packed.row(output, &mut row);
        assert_eq!(row, weights[output * 37..][..37], "{output}");
    }
}

#[test]
fn less_can_be_asked_for_but_not_more() {
    assert_eq!(Isa::choose("portable").unwrap().to_string(), "portable");
    assert!(Isa::choose("fast").unwrap_err().contains("avx512bf16"));
    assert_eq!(Isa::all().next(), Some(Isa::best()));
    // What a manifest records can be requested.
    for isa in Isa::all() {
        let recorded = isa.arithmetic::<bf16>();
        assert_eq!(Isa::choose(recorded).unwrap().arithmetic::<bf16>(), recorded);
    }
}

/// Kernels read and write through pointers, so no block reaches one that its slices do not hold.
#[test]
fn a_block_that_its_slices_do_not_hold_is_rejected() {
    let (a, panel) = (vec![1.0_f32; TILE * DEPTH], vec![1.0_f32; PANEL * DEPTH]);
    let run = |a: &[f32], a_stride: usize, panel: &[f32], sums: usize, c_stride: usize, rows: usize| {
        let mut c = vec![0.0; sums];
        let run = || Block { a, a_stride, rows, panel, c: &mut c, c_stride, adds: false, ahead: &[] }.run(Isa::best());
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_ok()
    };
    assert!(run(&a, DEPTH, &panel, TILE * PANEL, PANEL, TILE));
    assert!(!run(&a[1..], DEPTH, &panel, TILE * PANEL, PANEL, TILE), "a row of operands is short");
    assert!(!run(&a, DEPTH, &panel, TILE * PANEL - 1, PANEL, TILE), "a row of sums is short");
    assert!(!run(&a, DEPTH - 1, &panel, TILE * PANEL, PANEL, TILE), "rows overlap");
    assert!(!run(&a, DEPTH, &panel[1..], TILE * PANEL, PANEL, TILE), "a panel is short");
    assert!(!run(&a, DEPTH, &[], TILE * PANEL, PANEL, TILE), "there is nothing to sum");
    assert!(!run(&a, DEPTH, &panel, TILE * PANEL, PANEL, TILE + 1), "there are more rows than a tile has");
    // 31 strides come to a small number where they overflow.
    let overflows = usize::MAX / 31 + 1;
    assert!(!run(&a, overflows, &panel, TILE * PANEL, PANEL, TILE));
    assert!(!run(&a, DEPTH, &panel, TILE * PANEL, overflows, TILE));
}
