//! Exponentials and logarithms of many numbers at once.
//!
//! Owns branch-free functions in f64 and f32, which compilers turn into whatever vectors the processor has. Every lane
//! is computed alike: the same numbers give the same bits on every processor. Not here: formulas (`measures`).

#![allow(clippy::inline_always, reason = "vectorised in its caller or not at all")]

/// Numbers that are computed together: small enough for the first-level cache, a multiple of every vector's length.
pub const CHUNK: usize = 64;
/// Running sums of a chunk's numbers, so that adding up is vectors' work too, in one fixed order.
pub const LANES: usize = 8;

/// eˣ for x ≤ 0 as a function without a branch: x = n ln 2 + r, and the Taylor series of eʳ.
macro_rules! exponential {
    ($(#[$doc:meta])* $name:ident: $float:ident, ln 2 = $high:literal + $low:literal, rounding by $round:literal,
     0 below $lowest:literal, exponent $bias:literal << $place:literal, series $series:expr) => {
        $(#[$doc])*
        #[inline(always)]
        pub fn $name(x: $float) -> $float {
            /// Adding it leaves the nearest integer in the low bits of a number.
            const ROUND: $float = $round;
            let clamped = x.max($lowest);
            let shifted = clamped.mul_add(std::$float::consts::LOG2_E, ROUND);
            let n = shifted - ROUND;
            let r = n.mul_add(-$low, n.mul_add(-$high, clamped));
            let series = $series;
            let mut tail: $float = series[0];
            for c in &series[1..] {
                tail = tail.mul_add(r, *c);
            }
            let mantissa = (tail * r).mul_add(r, r) + 1.0;
            // The low bits contain the integer n; an exponent has a bias.
            let n = shifted.to_bits().wrapping_sub(ROUND.to_bits());
            let power = $float::from_bits(n.wrapping_add($bias) << $place);
            if x < $lowest { 0.0 } else { mantissa * power }
        }
    };
}

exponential! {
    /// eˣ for x ≤ 0, to 2 units in the last place; 0 below e⁻⁷⁰⁸, the smallest ordinary f64.
    exp: f64, ln 2 = 6.931_471_803_691_238e-1 + 1.908_214_929_270_587_7e-10, rounding by 6_755_399_441_055_744.0,
    0 below -708.0, exponent 1023 << 52, series [
        // 1/13!, 1/12!, …, 1/2!.
        1.605_904_383_682_161_3e-10,
        2.087_675_698_786_81e-9,
        2.505_210_838_544_172e-8,
        2.755_731_922_398_589e-7,
        2.755_731_922_398_589_3e-6,
        2.480_158_730_158_73e-5,
        1.984_126_984_126_984e-4,
        1.388_888_888_888_889e-3,
        8.333_333_333_333_333e-3,
        4.166_666_666_666_666_4e-2,
        1.666_666_666_666_666_6e-1,
        0.5,
    ]
}

exponential! {
    /// [`exp`] in f32: to 4 units in the last place; 0 below e⁻⁸⁷.
    exp_f32: f32, ln 2 = 0.693_359_4 + -2.121_944_4e-4, rounding by 12_582_912.0,
    0 below -87.0, exponent 127 << 23, series [
        // 1/7!, 1/6!, …, 1/2!.
        1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5,
    ]
}

/// ln(1 + w) for 0 ≤ w ≤ 1 as 2 artanh z at z = w / (2 + w) ≤ ⅓, by its series to the power 2 · `$terms` + 1.
macro_rules! logarithm {
    ($(#[$doc:meta])* $name:ident: $float:ident, $terms:literal terms) => {
        $(#[$doc])*
        #[inline(always)]
        pub fn $name(w: $float) -> $float {
            /// 1/(2 · `$terms` + 1), …, 1/5, 1/3.
            const SERIES: [$float; $terms] = {
                let mut series = [0.0; $terms];
                let mut i = 0;
                while i < $terms {
                    series[i] = 1.0 / (2 * ($terms - i) + 1) as $float;
                    i += 1;
                }
                series
            };
            let z = w / (2.0 + w);
            let zz = z * z;
            let mut tail = SERIES[0];
            for c in &SERIES[1..] {
                tail = tail.mul_add(zz, *c);
            }
            2.0 * z.mul_add(zz * tail, z)
        }
    };
}

logarithm! {
    /// ln(1 + w) for 0 ≤ w ≤ 1, to 4 units in the last place: what is left out is below 3⁻³⁴.
    ln_1p: f64, 16 terms
}

logarithm! {
    /// [`ln_1p`] in f32: what is left out is below 3⁻¹⁶.
    ln_1p_f32: f32, 7 terms
}

/// Adds a chunk to the lanes.
#[inline(always)]
pub fn add(lanes: &mut [f64; LANES], values: &[f64; CHUNK]) {
    for step in 0..CHUNK / LANES {
        for lane in 0..LANES {
            lanes[lane] += values[step * LANES + lane];
        }
    }
}

/// Adds a chunk of f32 to the lanes: eight at a time in f32, their sums in f64.
#[inline(always)]
pub fn add_f32(lanes: &mut [f64; LANES], values: &[f32; CHUNK]) {
    let mut sums = [0.0_f32; LANES];
    for step in 0..CHUNK / LANES {
        for lane in 0..LANES {
            sums[lane] += values[step * LANES + lane];
        }
    }
    for lane in 0..LANES {
        lanes[lane] += f64::from(sums[lane]);
    }
}

/// The lanes' sum, pairwise.
pub fn total(lanes: &[f64; LANES]) -> f64 {
    let pairs: [f64; LANES / 2] = std::array::from_fn(|i| lanes[2 * i] + lanes[2 * i + 1]);
    (pairs[0] + pairs[1]) + (pairs[2] + pairs[3])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{exp, exp_f32, ln_1p, ln_1p_f32};

    fn close(found: f64, expected: f64) -> bool {
        (found - expected).abs() <= 8.0 * f64::EPSILON * expected.abs()
    }

    #[test]
    fn ends_are_exact() {
        assert_eq!((exp(0.0), exp(-0.0), exp(f64::NEG_INFINITY), exp(-709.0)), (1.0, 1.0, 0.0, 0.0));
        assert!(exp(-708.0) > 0.0);
        assert_eq!(ln_1p(0.0), 0.0);
        assert!(close(ln_1p(1.0), std::f64::consts::LN_2));
    }

    proptest! {
        #[test]
        fn they_are_what_the_library_says(x in -708.0..0.0_f64, w in 0.0..1.0_f64, small in 0.0..1e-6_f64) {
            prop_assert!(close(exp(x), x.exp()), "{x}");
            prop_assert!(close(ln_1p(w), w.ln_1p()), "{w}");
            prop_assert!(close(ln_1p(small), small.ln_1p()), "{small}");
        }

        #[test]
        fn so_they_are_in_f32(x in -87.0..0.0_f32, w in 0.0..1.0_f32) {
            let close = |found: f32, expected: f64| (f64::from(found) - expected).abs() <= 4.0 * f64::from(f32::EPSILON) * expected;
            prop_assert!(close(exp_f32(x), f64::from(x).exp()), "{x}");
            prop_assert!(close(ln_1p_f32(w), f64::from(w).ln_1p()), "{w}");
            prop_assert_eq!((exp_f32(0.0), exp_f32(f32::NEG_INFINITY), ln_1p_f32(0.0)), (1.0, 0.0, 0.0));
        }
    }
}
