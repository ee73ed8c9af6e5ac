//! Scalar functions that the measures share.
//!
//! Owns their accuracy near zero, where the naive forms cancel. Refuses columns.

use std::sync::LazyLock;

/// Below this |d| the difference e^d − 1 − d loses digits that its series keeps.
const SMALL: f64 = 0.05;

/// φ(d) = e^d − 1 − d: never negative, 0 at 0 (k3 of one token).
pub fn phi(d: f64) -> f64 {
    if d.abs() >= SMALL {
        return d.exp_m1() - d;
    }
    // d²/2! + d³/3! + … + d⁹/9!, from the inside out; the next term is below 1e-16 of the first.
    let series = (3..=9).rev().fold(1.0, |tail, n| 1.0 + tail * d / f64::from(n));
    d * d / 2.0 * series
}

/// The study's ln(e^a + 1e-10): finite for a token that a model holds impossible.
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
        ] {
            assert!((phi(d) / expected - 1.0).abs() < 1e-13, "{d}: {} for {expected}", phi(d));
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
