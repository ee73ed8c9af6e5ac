//! The distribution of weights, with standard errors clustered by prompt.
//!
//! Owns means, effective sample sizes and χ², whose errors are by the delta method on the sums of clusters. Not here:
//! which weights they are of.

use super::sequence::{FAR, Sequence};
use crate::shift::numbers::stats::{Estimate, Share, clustered_mean};
use crate::shift::numbers::student::t95;
use crate::shift::result::weights::WeightLevel;

/// A cluster with more than this share of Σw² makes errors unreliable.
const LARGE: f64 = 0.05;

/// Sums of log-weights that are all further from 0 than this are shifted before e is raised to them, so that squares neither
/// overflow nor become 0.
const LARGE_LOG: f64 = 100.0;

/// Sums of one cluster's weights; those of w and w² are divided by e^scale and its square.
#[derive(Clone, Copy, Debug, Default)]
struct Cluster {
    n: u64,
    w: f64,
    w_squared: f64,
    capped: f64,
    capped_squared: f64,
    far: u64,
    above_cap: u64,
}

/// Sums by cluster, and what of the weights is no sum.
struct Sums {
    clusters: Vec<Cluster>,
    /// ln of what weights were divided by.
    scale: f64,
    min: f64,
    max: f64,
}

/// The weights e^d of every token; `clusters` is how many clusters are numbered.
pub fn of_tokens(sequences: &[Sequence], clusters: usize) -> Option<WeightLevel> {
    let mut sums = Sums::new(clusters, 0.0);
    for one in sequences.iter().filter(|one| one.n > 0) {
        let cluster = &mut sums.clusters[one.cluster as usize];
        cluster.n += one.n;
        cluster.w += one.w;
        cluster.w_squared += one.w_squared;
        cluster.capped += one.capped;
        cluster.capped_squared += one.capped_squared;
        cluster.far += one.low + one.high;
        cluster.above_cap += one.above_cap;
        sums.min = sums.min.min(one.d_min.exp());
        sums.max = sums.max.max(one.d_max.exp());
    }
    sums.level()
}

/// The weight e^x of every sample whose tokens are all added up, x by `log_weight`.
pub fn of_samples(
    sequences: &[Sequence],
    clusters: usize,
    cap: f64,
    log_weight: fn(&Sequence) -> f64,
) -> Option<WeightLevel> {
    let whole = || sequences.iter().filter(|one| one.is_whole());
    let highest = whole().map(log_weight).fold(f64::NEG_INFINITY, f64::max);
    let mut sums = Sums::new(clusters, if highest.is_finite() && highest.abs() > LARGE_LOG { highest } else { 0.0 });
    for one in whole() {
        let x = log_weight(one);
        let (scaled, w) = ((x - sums.scale).exp(), x.exp());
        let capped = w.min(cap);
        let cluster = &mut sums.clusters[one.cluster as usize];
        cluster.n += 1;
        cluster.w += scaled;
        cluster.w_squared += scaled * scaled;
        cluster.capped += capped;
        cluster.capped_squared += capped * capped;
        cluster.far += u64::from(!(FAR[0]..=FAR[1]).contains(&w));
        cluster.above_cap += u64::from(w > cap);
        sums.min = sums.min.min(w);
        sums.max = sums.max.max(w);
    }
    sums.level()
}

impl Sums {
    fn new(clusters: usize, scale: f64) -> Self {
        let clusters = vec![Cluster::default(); clusters];
        Self { clusters, scale, min: f64::INFINITY, max: f64::NEG_INFINITY }
    }

    fn mean(&self, of: fn(&Cluster) -> f64) -> Option<Estimate> {
        let shares: Vec<Share> = self.clusters.iter().map(|one| Share { sum: of(one), n: one.n }).collect();
        clustered_mean(&shares)
    }

    /// `value` of the means m₁ of `first` and m₂ of `second`, with the error of its derivatives by them.
    fn derived(&self, value: f64, [first, second]: [fn(&Cluster) -> f64; 2], by: [f64; 2]) -> Option<Estimate> {
        let (first_mean, second_mean) = (self.mean(first)?.value, self.mean(second)?.value);
        let moved = |one: &Cluster| {
            let n = one.n as f64;
            by[0] * (first(one) - first_mean * n) + by[1] * (second(one) - second_mean * n)
        };
        let shares: Vec<Share> = self.clusters.iter().map(|one| Share { sum: moved(one), n: one.n }).collect();
        let mean = clustered_mean(&shares)?;
        Some(Estimate::around(value, mean.stderr, t95(mean.clusters.saturating_sub(1)), mean.clusters, mean.n))
    }

    /// m₁²/m₂ of weights and their squares: the effective sample size as a share of their number.
    fn ess(&self, of: [fn(&Cluster) -> f64; 2]) -> Option<Estimate> {
        let (m1, m2) = (self.mean(of[0])?.value, self.mean(of[1])?.value);
        self.derived(m1 * m1 / m2, of, [2.0 * m1 / m2, -(m1 / m2).powi(2)])
    }

    fn level(self) -> Option<WeightLevel> {
        const OF: [fn(&Cluster) -> f64; 2] = [|one| one.w, |one| one.w_squared];
        let (m1, m2) = (self.mean(OF[0])?, self.mean(OF[1])?);
        let squares: f64 = self.clusters.iter().map(OF[1]).sum();
        let largest_cluster = self.clusters.iter().map(OF[1]).fold(0.0, f64::max) / squares;
        let of_ess = m2.value / m1.value.powi(2) - 1.0;
        let by = [-2.0 * m2.value / m1.value.powi(3), m1.value.powi(-2)];
        Some(WeightLevel {
            mean: scaled(m1, self.scale.exp(), 0.0),
            min: self.min,
            max: self.max,
            share_outside: self.mean(|one| one.far as f64)?,
            share_above_cap: self.mean(|one| one.above_cap as f64)?,
            ess: self.ess(OF)?,
            mean_capped: self.mean(|one| one.capped)?,
            ess_capped: self.ess([|one| one.capped, |one| one.capped_squared])?,
            chi2: scaled(m2, (2.0 * self.scale).exp(), -1.0),
            chi2_of_ess: self.derived(of_ess, OF, by)?,
            largest_cluster,
            is_reliable: largest_cluster <= LARGE,
        })
    }
}

/// An estimate times `by`, plus `plus`.
fn scaled(of: Estimate, by: f64, plus: f64) -> Estimate {
    let value = of.value * by + plus;
    let t = t95(of.clusters.saturating_sub(1));
    Estimate::around(value, of.stderr.map(|error| error * by), t, of.clusters, of.n)
}
