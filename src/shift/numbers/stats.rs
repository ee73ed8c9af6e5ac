//! Means with standard errors that are clustered, because rows of one cluster are not independent.
//!
//! Owns the estimate, its standard error and its interval. Not here: tables and names. Numbers in, numbers out.

use super::json::number;
use super::student::t95;

/// Below this many clusters the normal theory behind the interval is doubtful, and summaries say so.
pub const FEW_CLUSTERS: u64 = 30;

/// A mean with its 95% interval.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Estimate {
    /// The mean, in the unit of its measure. Infinite or NaN if a row was (JSON: `null`, which is read as NaN).
    #[serde(deserialize_with = "number")]
    pub value: f64,
    /// Standard error, clustered; absent with fewer than two clusters, and of what is no finite number.
    pub stderr: Option<f64>,
    /// Ends of the 95% interval: Student's t with `clusters` − 1 degrees.
    pub low: Option<f64>,
    /// Upper end of the 95% interval.
    pub high: Option<f64>,
    /// G: clusters that have a row.
    pub clusters: u64,
    /// What was averaged over: tokens or samples.
    pub n: u64,
}

impl Estimate {
    /// `t` standard errors to either side of `value`.
    pub fn around(value: f64, stderr: Option<f64>, t: f64, clusters: u64, n: u64) -> Self {
        let stderr = stderr.filter(|_| value.is_finite());
        let reach = stderr.map(|se| se * t);
        let (low, high) = (reach.map(|r| value - r), reach.map(|r| value + r));
        Self { value, stderr, low, high, clusters, n }
    }

    /// e to the power of it: the ends of the interval go through exp as the value does, the standard error by its
    /// derivative.
    #[must_use]
    pub fn exp(self) -> Self {
        let value = self.value.exp();
        let (low, high) = (self.low.map(f64::exp), self.high.map(f64::exp));
        Self { value, stderr: self.stderr.map(|e| e * value), low, high, ..self }
    }
}

/// What one cluster adds to a mean: the sum of its rows and how many they are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Share {
    /// Sum of the values.
    pub sum: f64,
    /// Number of values.
    pub n: u64,
}

/// Shares by cluster number, from `(cluster, sum, n)` in any grouping; sums are taken in the order given.
pub fn shares(clusters: usize, rows: impl IntoIterator<Item = (u32, f64, u64)>) -> Vec<Share> {
    let mut shares = vec![Share::default(); clusters];
    for (cluster, sum, n) in rows {
        let share = &mut shares[cluster as usize];
        share.sum += sum;
        share.n += n;
    }
    shares
}

/// `m = Σ s_c / Σ n_c` with `se = √(G/(G−1) · Σ_c (s_c − m n_c)²) / Σ n_c` over the G clusters that have a row
/// (docs/measures.md: two models); `None` if none has.
pub fn clustered_mean(shares: &[Share]) -> Option<Estimate> {
    let rows = || shares.iter().filter(|s| s.n > 0);
    let clusters = rows().count() as u64;
    let n: u64 = rows().map(|s| s.n).sum();
    if n == 0 {
        return None;
    }
    let value = rows().map(|s| s.sum).sum::<f64>() / n as f64;
    let stderr = (clusters > 1).then(|| {
        let squares: f64 = rows().map(|s| (s.sum - value * s.n as f64).powi(2)).sum();
        let g = clusters as f64;
        (g / (g - 1.0) * squares).sqrt() / n as f64
    });
    Some(Estimate::around(value, stderr, t95(clusters - 1), clusters, n))
}

/// What tasks have in common because of clusters that are in several of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct InCommon {
    /// Sum of the covariances of every two tasks' means, both ways round.
    pub covariance: f64,
    /// How many more clusters the tasks have one by one than together.
    pub repeated: u64,
}

/// `Σ m_k / K` of each task's mean, with the error `√(Σ se_k² + Σ cov_kl) / K`, in which only tasks with common clusters
/// have a covariance; Student's t with the degrees of Welch and Satterthwaite, rounded down, but with common clusters at
/// most one less than all tasks have together. No error if a task has none; `None` without tasks.
pub fn mean_of_tasks(tasks: impl Iterator<Item = Estimate>, common: InCommon) -> Option<Estimate> {
    let tasks: Vec<Estimate> = tasks.collect();
    if tasks.is_empty() {
        return None;
    }
    let k = tasks.len() as f64;
    let value = tasks.iter().map(|t| t.value).sum::<f64>() / k;
    let clusters = tasks.iter().map(|t| t.clusters).sum::<u64>() - common.repeated;
    let errors = tasks.iter().map(|t| Some((t.stderr?.powi(2), t.clusters - 1)));
    let errors: Option<Vec<(f64, u64)>> = errors.collect();
    let variance = errors.as_ref().map(|e| e.iter().map(|(v, _)| v).sum::<f64>());
    let degrees = errors.zip(variance).map_or(0, |(errors, variance)| {
        let shares: f64 = errors.iter().map(|(v, degrees)| (v / variance).powi(2) / *degrees as f64).sum();
        // No variance at all: any number of degrees gives the same interval.
        if shares > 0.0 { ((1.0 / shares) as u64).max(1) } else { 1 }
    });
    let degrees = if common.repeated > 0 { degrees.min(clusters.saturating_sub(1)).max(1) } else { degrees };
    let stderr = variance.map(|v| (v + common.covariance).max(0.0).sqrt() / k);
    Some(Estimate::around(value, stderr, t95(degrees), clusters, tasks.iter().map(|t| t.n).sum()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-12 * (1.0 + b.abs())
    }

    #[test]
    fn error_is_that_of_numpy() {
        // x = [0.1, 0.2, -0.3, 0.5, 0, 0.25] in clusters [0, 0, 0, 1, 2, 2], interval with scipy's t of 2 degrees.
        let rows = [(0, 0.1, 1), (0, 0.2, 1), (0, -0.3, 1), (1, 0.5, 1), (2, 0.0, 1), (2, 0.25, 1)];
        let mean = clustered_mean(&shares(3, rows)).unwrap();
        assert!(close(mean.value, 0.125) && close(mean.stderr.unwrap(), 0.108_253_175_473_054_84));
        assert!(
            close(mean.low.unwrap(), -0.340_775_820_953_186_87) && close(mean.high.unwrap(), 0.590_775_820_953_186_8)
        );
        assert_eq!((mean.clusters, mean.n), (3, 6));
    }

    #[test]
    fn nothing_has_no_mean_and_one_cluster_no_error() {
        assert_eq!(clustered_mean(&shares(3, [])), None);
        let one = clustered_mean(&shares(2, [(1, 3.0, 2)])).unwrap();
        assert_eq!(one, Estimate { value: 1.5, stderr: None, low: None, high: None, clusters: 1, n: 2 });
    }

    #[test]
    fn every_task_weighs_the_same() {
        let one = clustered_mean(&shares(2, [(0, 1.0, 1), (1, 3.0, 1)])).unwrap();
        let mean = mean_of_tasks([one, one].into_iter(), InCommon::default()).unwrap();
        // Two errors of 1 with one degree each: √2 / 2 with two degrees.
        assert_eq!((mean.value, mean.stderr), (2.0, Some(0.5f64.sqrt())));
        assert!((mean.high.unwrap() - 2.0 - 0.5f64.sqrt() * t95(2)).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn clusters_of_one_give_the_iid_error(x in prop::collection::vec(-5.0..5.0, 2..50)) {
            let n = x.len() as f64;
            let mean = clustered_mean(&shares(x.len(), x.iter().enumerate().map(|(i, x)| (i as u32, *x, 1)))).unwrap();
            let center = x.iter().sum::<f64>() / n;
            let variance = x.iter().map(|x| (x - center).powi(2)).sum::<f64>() / (n - 1.0);
            prop_assert!(close(mean.value, center) && close(mean.stderr.unwrap(), (variance / n).sqrt()));
        }

        #[test]
        fn the_order_of_clusters_does_not_matter(
            rows in prop::collection::vec((0u32..6, -5.0..5.0, 1u64..9), 1..40),
            turn in 0u32..6,
        ) {
            let turned = rows.iter().rev().map(|(c, s, n)| ((c + turn) % 6, *s, *n));
            let (a, b) = (clustered_mean(&shares(6, rows.clone())), clustered_mean(&shares(6, turned)));
            let (a, b) = (a.unwrap(), b.unwrap());
            prop_assert!(close(a.value, b.value) && (a.clusters, a.n) == (b.clusters, b.n));
            prop_assert!(close(a.stderr.unwrap_or(0.0), b.stderr.unwrap_or(0.0)));
        }
    }
}
