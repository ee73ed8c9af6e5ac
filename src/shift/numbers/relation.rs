//! How one number of a row goes with another: slope and correlation, with clustered errors.
//!
//! Owns both estimates (docs/measures.md: "Kept fields against KL"). Not here: what the rows are.

use super::stats::Estimate;
use super::student::t95;

/// Least squares of y on x, and Pearson's correlation.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Relation {
    /// Of y by x.
    pub slope: Estimate,
    /// Absent if all y are equal. The ends of its interval are Fisher's: they stay within −1 and 1.
    pub correlation: Option<Estimate>,
}

/// A row's cluster, x and y.
pub type Point = (u32, f64, f64);

/// `None` unless there are two different x, and every number is finite.
///
/// slope b = Sxy / Sxx with `se = √(G/(G−1) · Σ_c (Σ_{i∈c} (xᵢ − x̄) eᵢ)²) / Sxx`, e the residuals. Correlation r of the
/// standardised u and v with `se = √(G/(G−1) · Σ_c (Σ_{i∈c} uᵢvᵢ − r (uᵢ² + vᵢ²)/2)²) / n`.
pub fn relation(clusters: usize, points: &[Point]) -> Option<Relation> {
    let n = points.len() as f64;
    let mean = |of: fn(&Point) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x_mean, y_mean) = (mean(|point| point.1), mean(|point| point.2));
    let centred: Vec<Point> = points.iter().map(|(cluster, x, y)| (*cluster, x - x_mean, y - y_mean)).collect();
    let sum = |of: fn(&Point) -> f64| centred.iter().map(of).sum::<f64>();
    let (xx, yy, xy) = (sum(|(_, x, _)| x * x), sum(|(_, _, y)| y * y), sum(|(_, x, y)| x * y));
    if !(xx > 0.0 && xx.is_finite() && yy.is_finite() && xy.is_finite()) {
        return None;
    }
    let slope = xy / xx;
    let error = Errors::new(clusters, &centred);
    let (of_slope, g) = error.of(|x, y| x * (y - slope * x));
    let around = |value, stderr| Estimate::around(value, stderr, t95(g.saturating_sub(1)), g, points.len() as u64);
    let correlation = (yy > 0.0).then(|| {
        let r = (xy / (xx * yy).sqrt()).clamp(-1.0, 1.0);
        let (sx, sy) = ((xx / n).sqrt(), (yy / n).sqrt());
        let (of_r, _) = error.of(|x, y| x / sx * (y / sy) - r * ((x / sx).powi(2) + (y / sy).powi(2)) / 2.0);
        fisher(around(r, of_r.map(|error| error / n)), t95(g.saturating_sub(1)))
    });
    Some(Relation { slope: around(slope, of_slope.map(|error| error / xx)), correlation })
}

/// The ends of the interval by atanh r, whose error is that of r by 1 − r²; none where r is 1 or −1.
fn fisher(r: Estimate, t: f64) -> Estimate {
    let reach = r.stderr.map(|error| t * error / (1.0 - r.value * r.value)).filter(|reach| reach.is_finite());
    let end = |sign: f64| reach.map(|reach| (r.value.atanh() + sign * reach).tanh());
    Estimate { low: end(-1.0), high: end(1.0), ..r }
}

/// Centred points, whose influences are added up by cluster.
struct Errors<'a> {
    clusters: usize,
    points: &'a [Point],
}

impl<'a> Errors<'a> {
    fn new(clusters: usize, points: &'a [Point]) -> Self {
        Self { clusters, points }
    }

    /// `√(G/(G−1) · Σ_c U_c²)`, absent with fewer than two clusters, and G.
    fn of(&self, influence: impl Fn(f64, f64) -> f64) -> (Option<f64>, u64) {
        let mut sums = vec![None; self.clusters];
        for (cluster, x, y) in self.points {
            *sums[*cluster as usize].get_or_insert(0.0) += influence(*x, *y);
        }
        let sums: Vec<f64> = sums.into_iter().flatten().collect();
        let g = sums.len() as f64;
        let error = (sums.len() > 1).then(|| (g / (g - 1.0) * sums.iter().map(|u| u * u).sum::<f64>()).sqrt());
        (error, sums.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-9 * (1.0 + b.abs())
    }

    #[test]
    fn what_does_not_vary_has_no_relation() {
        assert_eq!(relation(2, &[]), None);
        assert_eq!(relation(2, &[(0, 1.0, 2.0), (1, 1.0, 3.0)]), None);
        assert_eq!(relation(2, &[(0, 1.0, f64::INFINITY), (1, 2.0, 3.0)]), None);
        let flat = relation(2, &[(0, 1.0, 2.0), (1, 3.0, 2.0)]).unwrap();
        assert_eq!((flat.slope.value, flat.slope.stderr, flat.correlation), (0.0, Some(0.0), None));
    }

    #[test]
    fn a_line_is_found() {
        let line: Vec<Point> = (0..10).map(|i| (i / 2, f64::from(i), 3.0 - 0.5 * f64::from(i))).collect();
        let found = relation(5, &line).unwrap();
        assert!(close(found.slope.value, -0.5) && close(found.correlation.unwrap().value, -1.0));
        assert_eq!((found.slope.clusters, found.slope.n), (5, 10));
    }

    proptest! {
        /// Units of x and y move slopes as they must and correlations not at all; so do their errors.
        #[test]
        fn units_do_not_matter(
            points in prop::collection::vec((0u32..6, -5.0..5.0, -5.0..5.0), 4..40),
            a in 0.1f64..9.0,
            b in 0.1f64..9.0,
        ) {
            let moved: Vec<Point> = points.iter().map(|(c, x, y)| (*c, a * x + 7.0, 3.0 - b * y)).collect();
            let (one, other) = (relation(6, &points), relation(6, &moved));
            let (Some(one), Some(other)) = (one, other) else { return Ok(()) };
            prop_assert!(close(other.slope.value, -b / a * one.slope.value));
            prop_assert!(close(other.slope.stderr.unwrap_or(0.0), b / a * one.slope.stderr.unwrap_or(0.0)));
            if let Some((one, other)) = one.correlation.zip(other.correlation) {
                prop_assert!(close(other.value, -one.value));
                prop_assert!(close(other.stderr.unwrap_or(0.0), one.stderr.unwrap_or(0.0)));
                prop_assert!(other.low.is_none_or(|low| (-1.0..=1.0).contains(&low) && low <= other.value));
            }
        }
    }
}
