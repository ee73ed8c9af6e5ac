//! Scalar functions that the measures share.
//!
//! Owns their accuracy near zero, where the naive forms cancel. Not here: columns (`expressions`).

use std::sync::LazyLock;

/// Below this |d| the difference e^d − 1 − d loses digits that its series keeps; above, it is right to 2e-15 of itself.
const SMALL: f64 = 0.5;

/// 1/2!, 1/3!, … 1/17!: what is left out is below 1e-17 of the first at [`SMALL`].
const SERIES: [f64; 16] = {
    let (mut series, mut factorial, mut n) = ([0.0; 16], 1.0, 2);
    while n < 18 {
        factorial *= n as f64;
        series[n - 2] = 1.0 / factorial;
        n += 1;
    }
    series
};

/// φ(d) = e^d − 1 − d: never negative, 0 at 0 (k3 of one token).
pub fn phi(d: f64) -> f64 {
    if d.abs() < SMALL { phi_near_zero(d) } else { d.exp() - 1.0 - d }
}

fn phi_near_zero(d: f64) -> f64 {
    // Neighbours first, then pairs of them (Estrin): a sum from the inside out would wait for each term.
    let square = d * d;
    let pairs: [f64; 8] = std::array::from_fn(|i| SERIES[2 * i] + SERIES[2 * i + 1] * d);
    let fours: [f64; 4] = std::array::from_fn(|i| pairs[2 * i] + pairs[2 * i + 1] * square);
    let fourth = square * square;
    let eighth = fourth * fourth;
    square * ((fours[0] + fours[1] * fourth) + (fours[2] + fours[3] * fourth) * eighth)
}

/// The study's ln(e^a + 1e-10): finite even for a token of probability 0.
pub fn study_log(logprob: f64) -> f64 {
    study_log_of(logprob.exp())
}

/// The same of a probability.
pub fn study_log_of(probability: f64) -> f64 {
    (probability + 1e-10).ln()
}

/// log2 of a rank: nearly all are small, and looked up.
pub fn log2_of_rank(rank: u32) -> f64 {
    static SMALL_RANKS: LazyLock<[f64; 256]> = LazyLock::new(|| std::array::from_fn(|rank| (rank as f64).log2()));
    SMALL_RANKS.get(rank as usize).copied().unwrap_or_else(|| f64::from(rank).log2())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{phi, study_log};

    #[test]
    fn phi_keeps_its_digits_near_zero() {
        assert_eq!(phi(0.0), 0.0);
        // mpmath: expm1(d) - d.
        for (d, expected) in [
            (1e-7, 5.000_000_166_666_670_6e-15),
            (-1e-7, 4.999_999_833_333_337e-15),
            (0.04, 8.107_741_923_882_268e-4),
            (-0.0499, 1.224_552_199_469_745_3e-3),
            (0.0501, 1.276_228_742_192_34e-3),
            (0.499, 0.148_073_373_515_345_16),
            (-0.4999, 0.106_491_315_811_359_08),
            (0.501, 0.149_370_816_606_319_2),
            (-0.501, 0.106_924_432_217_187_48),
            (3.0, 16.085_536_923_187_668),
            (-7.0, 6.000_911_881_965_554),
        ] {
            assert!((phi(d) / expected - 1.0).abs() < 1e-14, "{d}: {} for {expected}", phi(d));
        }
        assert_eq!(phi(f64::NEG_INFINITY), f64::INFINITY);
    }

    #[test]
    fn study_log_is_finite_for_the_impossible() {
        assert_eq!(study_log(f64::NEG_INFINITY), 1e-10_f64.ln());
    }

    proptest! {
        #[test]
        fn phi_is_never_negative(d in -50.0..50.0) {
            prop_assert!(phi(d) >= 0.0);
        }
    }
}
