//! The difference of two means over the same clusters, each over rows of its own.
//!
//! Owns the estimate and its standard error (docs/measures.md: "Between two models"): what makes a cluster high in both
//! means cancels, however many rows each has of it. Not here: what the clusters and rows are.

use super::stats::{Estimate, Share, clustered_mean};
use super::student::t95;

/// Two means over the clusters that both have rows of, and the first minus the second.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Contrast {
    /// The mean of the first.
    pub model: Estimate,
    /// The mean that is subtracted.
    pub minus: Estimate,
    /// `model` − `minus`; its `n` counts the rows of both.
    pub difference: Estimate,
}

/// `m − m′` with `se = √(G/(G−1) · Σ_c ((s_c − m n_c)/Σn − (s′_c − m′ n′_c)/Σn′)²)` over the G clusters in which both
/// have a row; `None` if there are none.
pub fn contrast(clusters: &[[Share; 2]]) -> Option<Contrast> {
    let both: Vec<[Share; 2]> = clusters.iter().copied().filter(|both| both.iter().all(|share| share.n > 0)).collect();
    let side = |side: usize| clustered_mean(&both.iter().map(|both| both[side]).collect::<Vec<_>>());
    let (model, minus) = (side(0)?, side(1)?);
    let stderr = (both.len() > 1).then(|| {
        let moved = |share: Share, mean: &Estimate| (share.sum - mean.value * share.n as f64) / mean.n as f64;
        let squares: f64 = both.iter().map(|[a, b]| (moved(*a, &model) - moved(*b, &minus)).powi(2)).sum();
        let g = both.len() as f64;
        (g / (g - 1.0) * squares).sqrt()
    });
    let value = model.value - minus.value;
    let difference = Estimate::around(value, stderr, t95(model.clusters - 1), model.clusters, model.n + minus.n);
    Some(Contrast { model, minus, difference })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-12 * (1.0 + b.abs())
    }

    fn share(sum: f64, n: u64) -> Share {
        Share { sum, n }
    }

    #[test]
    fn clusters_that_only_one_has_are_in_neither_mean() {
        let both = [[share(1.0, 2), share(3.0, 1)], [share(2.0, 1), share(2.0, 4)]];
        let alone = [[share(9.0, 1), share(0.0, 0)], [share(0.0, 0), share(-7.0, 3)]];
        let (of_both, of_all) = (contrast(&both).unwrap(), contrast(&[both, alone].concat()).unwrap());
        assert_eq!(of_all, of_both);
        assert_eq!((of_both.model.value, of_both.minus.value, of_both.difference.clusters), (1.0, 1.0, 2));
        assert_eq!(contrast(&alone), None);
    }

    #[test]
    fn one_cluster_has_no_error() {
        let one = contrast(&[[share(1.0, 2), share(3.0, 1)]]).unwrap();
        assert_eq!((one.difference.value, one.difference.stderr), (-2.5, None));
    }

    proptest! {
        /// With the same rows on both sides it is the mean of the rows' differences, with that mean's error.
        #[test]
        fn equal_numbers_give_the_error_of_paired_differences(
            rows in prop::collection::vec((-5.0..5.0, -5.0..5.0, 1u64..9), 2..30),
        ) {
            let both: Vec<_> = rows.iter().map(|(a, b, n)| [share(*a, *n), share(*b, *n)]).collect();
            let less: Vec<_> = rows.iter().map(|(a, b, n)| share(a - b, *n)).collect();
            let (got, expected) = (contrast(&both).unwrap().difference, clustered_mean(&less).unwrap());
            prop_assert!(close(got.value, expected.value) && close(got.stderr.unwrap(), expected.stderr.unwrap()));
            prop_assert!(close(got.low.unwrap(), expected.low.unwrap()));
        }

        /// What is added to both at every row of a cluster, in a cluster of equal shares of both, moves nothing.
        #[test]
        fn what_both_have_in_common_cancels(
            rows in prop::collection::vec((-5.0..5.0, -5.0..5.0, 1u64..9, -3.0..3.0), 2..30),
            times in 1u64..4,
        ) {
            let both = |common: f64| -> Vec<_> {
                let of = |(a, b, n, more): &(f64, f64, u64, f64)| {
                    let other = n * times;
                    [share(a + common * more * *n as f64, *n), share(b + common * more * other as f64, other)]
                };
                rows.iter().map(of).collect()
            };
            let (without, with) = (contrast(&both(0.0)).unwrap().difference, contrast(&both(1.0)).unwrap().difference);
            prop_assert!((without.value - with.value).abs() < 1e-11);
            prop_assert!((without.stderr.unwrap() - with.stderr.unwrap()).abs() < 1e-11);
        }
    }
}
