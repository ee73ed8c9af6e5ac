//! Two models over several tasks.
//!
//! Owns how tasks are combined: pooled, or each with the same weight. Only a few moments of each task are kept: the
//! tables of all tasks are never in memory at once.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::shift::numbers::stats::{Estimate, InCommon, Share, clustered_mean, mean_of_tasks, shares};
use crate::shift::numbers::student::t95;
use crate::shift::pass::sums::Sums;
use crate::shift::result::comparison::NotCompared;
use crate::shift::result::kl_estimate::KlEstimate;
use crate::shift::result::means::{Overall, OverallMeasure};
use crate::shift::result::pair::Pair;
use crate::shift::tables::files::{PairTables, Weights};
use crate::shift::tables::shared_clusters::SharedClusters;
use crate::shift::token::measures::{self, is_of_pairs};

/// What pooling has to know of one task's clusters with sums s over n rows: r = s − m·n around the task's mean m.
/// Around any other mean the residual is r + (m − m′)·n, without the cancellation of raw squares.
#[derive(Clone, Debug)]
struct Moments {
    mean: Estimate,
    sum: f64,
    rr: f64,
    rn: f64,
    nn: f64,
    /// Of clusters that are in other tasks too, by their names' keys.
    shared: BTreeMap<u64, Share>,
}

impl Moments {
    /// `None` if the task has no row. `keys` are those of the clusters that are in other tasks too.
    fn of(shares: &[Share], keys: &[Option<u64>]) -> Option<Self> {
        let mean = clustered_mean(shares)?;
        let mut moments = Self { mean, sum: 0.0, rr: 0.0, rn: 0.0, nn: 0.0, shared: BTreeMap::new() };
        for (share, key) in shares.iter().zip(keys).filter(|(share, _)| share.n > 0) {
            moments.shared.extend(key.map(|key| (key, *share)));
            let n = share.n as f64;
            let r = share.sum - mean.value * n;
            moments.sum += share.sum;
            moments.rr += r * r;
            moments.rn += r * n;
            moments.nn += n * n;
        }
        Some(moments)
    }

    /// Σ (s − m′·n)² over the task's clusters.
    fn squares_around(&self, other: f64) -> f64 {
        let step = self.mean.value - other;
        self.rr + step * (2.0 * self.rn + step * self.nn)
    }
}

/// Over the clusters that several tasks have: how much larger the square of a cluster's sum of `terms` is than the sum of
/// their squares, and how many more clusters the tasks have one by one than together.
fn in_common(tasks: &[Moments], term: impl Fn(&Moments, Share) -> f64) -> InCommon {
    let mut found: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for task in tasks {
        for (key, share) in &task.shared {
            found.entry(*key).or_default().push(term(task, *share));
        }
    }
    let square_of = |terms: &Vec<f64>| terms.iter().sum::<f64>().powi(2);
    let squares_of = |terms: &Vec<f64>| terms.iter().map(|term| term * term).sum::<f64>();
    InCommon {
        covariance: found.values().map(|terms| square_of(terms) - squares_of(terms)).sum(),
        repeated: found.values().map(|terms| terms.len() as u64 - 1).sum(),
    }
}

/// Over tokens, and over samples.
type TaskMoments = [Option<Moments>; 2];

/// Of the exact measures.
fn temperature(pair: &Pair) -> Option<f64> {
    pair.exact.as_ref().map(|exact| exact.temperature)
}

/// The pairs so far, put together by generation model, P and Q.
pub struct Tasks {
    found: Vec<Found>,
    shared: SharedClusters,
}

struct Found {
    overall: Overall,
    /// What computed P's and Q's numbers.
    weights: [Weights; 2],
    /// Another task's were computed by others of the same name.
    is_mixed: bool,
    /// By measure, then by task.
    moments: Vec<Vec<TaskMoments>>,
    /// By task.
    kl_estimates: Vec<KlEstimate>,
}

impl Tasks {
    /// None yet; `shared` are the clusters that several of their tasks have.
    pub fn new(shared: SharedClusters) -> Self {
        Self { found: Vec::new(), shared }
    }

    pub fn add(&mut self, tables: &PairTables, pair: &Pair, sums: &Sums) -> Result<()> {
        let weights = [&tables.p, &tables.q].map(|table| table.weights.clone());
        let names = [&pair.generation_model, &pair.p, &pair.q];
        let index = self.found.iter().position(|f| names_of(&f.overall) == names).unwrap_or_else(|| {
            self.found.push(Found::new(pair, weights.clone()));
            self.found.len() - 1
        });
        let found = &mut self.found[index];
        found.is_mixed |= found.weights != weights;
        found.overall.temperature =
            found.overall.temperature.filter(|_| found.overall.temperature == temperature(pair));
        found.overall.tasks.push(pair.task.clone());
        found.overall.partial_tasks.extend(pair.partial.is_some().then(|| pair.task.clone()));
        found.kl_estimates.push(pair.kl_estimate.clone());
        let keys = self.shared.of(&pair.generation_model, &sums.cluster_keys);
        for (measure, tasks) in measures::ALL.iter().zip(&mut found.moments) {
            tasks.push(of_task(sums, measure.name, &keys)?);
        }
        Ok(())
    }

    /// Everything with more than one task. A name that means one model in one task and another in the next has no
    /// statistics over both, which a note says.
    pub fn finish(self, pairs: &mut [Pair], not_compared: &[NotCompared]) -> Vec<Overall> {
        let (mixed, mut whole): (Vec<_>, Vec<_>) = self.found.into_iter().partition(|f| f.is_mixed);
        for Found { overall, .. } in mixed {
            let of_it = |pair: &&mut Pair| [&pair.generation_model, &pair.p, &pair.q] == names_of(&overall);
            for pair in pairs.iter_mut().filter(of_it) {
                let tasks = overall.tasks.join("`, `");
                pair.notes.push(format!(
                    "tasks `{tasks}` are not pooled: the files or the dtype of a model differ between them"
                ));
            }
        }
        for Found { overall, .. } in &mut whole {
            let of_it = |pair: &&NotCompared| [&pair.generation_model, &pair.p, &pair.q] == names_of(overall);
            overall.missing_tasks = not_compared.iter().filter(of_it).map(|pair| pair.task.clone()).collect();
        }
        let several = whole.into_iter().filter(|f| f.overall.tasks.len() > 1);
        several.map(Found::finish).collect()
    }
}

/// What pairs of several tasks are put together by: generation model, P and Q.
fn names_of(overall: &Overall) -> [&String; 3] {
    [&overall.generation_model, &overall.p, &overall.q]
}

impl Found {
    fn new(pair: &Pair, weights: [Weights; 2]) -> Self {
        let overall = Overall {
            generation_model: pair.generation_model.clone(),
            p: pair.p.clone(),
            q: pair.q.clone(),
            temperature: temperature(pair),
            tasks: Vec::new(),
            partial_tasks: Vec::new(),
            missing_tasks: Vec::new(),
            kl_estimate: KlEstimate::Yes,
            measures: Vec::new(),
        };
        let moments = vec![Vec::new(); measures::ALL.len()];
        Self { overall, weights, is_mixed: false, moments, kl_estimates: Vec::new() }
    }

    fn finish(mut self) -> Overall {
        let measure = |(measure, tasks): (&measures::Measure, &Vec<TaskMoments>)| {
            let [tokens, samples] = [0, 1].map(|i| tasks.iter().filter_map(|t| t[i].clone()).collect::<Vec<_>>());
            OverallMeasure {
                name: measure.name.to_owned(),
                unit: measure.unit.to_owned(),
                token_mean: pooled(&tokens),
                sample_mean: pooled(&samples),
                mean_of_token_means: mean_of(&tokens),
                mean_of_sample_means: mean_of(&samples),
            }
        };
        let all = measures::ALL.iter().zip(&self.moments).map(measure);
        let tasks = self.overall.tasks.iter().map(String::as_str);
        self.overall.kl_estimate = KlEstimate::of_all(&tasks.zip(&self.kl_estimates).collect::<Vec<_>>());
        let has_exact = self.overall.temperature.is_some();
        self.overall.measures = all.filter(|m| has_exact || !is_of_pairs(&m.name)).collect();
        self.overall
    }
}

fn of_task(sums: &Sums, measure: &str, keys: &[Option<u64>]) -> Result<TaskMoments> {
    let samples = sums.of(measure)?;
    let rows = || sums.facts.iter().zip(&samples).filter(|(_, (_, n))| *n > 0);
    let by_token = shares(sums.clusters, rows().map(|(facts, (sum, n))| (facts.cluster, *sum, *n)));
    let by_sample = shares(sums.clusters, rows().map(|(facts, (sum, n))| (facts.cluster, sum / *n as f64, 1)));
    Ok([Moments::of(&by_token, keys), Moments::of(&by_sample, keys)])
}

/// Every task with the same weight.
fn mean_of(tasks: &[Moments]) -> Option<Estimate> {
    // As in each task's own error.
    let correction = |g: u64| if g > 1 { (g as f64 / (g - 1) as f64).sqrt() } else { 0.0 };
    let term = |t: &Moments, share: Share| {
        let residual = share.sum - t.mean.value * share.n as f64;
        correction(t.mean.clusters) * residual / t.mean.n as f64
    };
    mean_of_tasks(tasks.iter().map(|t| t.mean), in_common(tasks, term))
}

/// The mean and error that `clustered_mean` gives for the clusters of all tasks, of which those of one name are one.
fn pooled(tasks: &[Moments]) -> Option<Estimate> {
    let n: u64 = tasks.iter().map(|t| t.mean.n).sum();
    if n == 0 {
        return None;
    }
    let value = tasks.iter().map(|t| t.sum).sum::<f64>() / n as f64;
    let common = in_common(tasks, |_, share| share.sum - value * share.n as f64);
    let clusters = tasks.iter().map(|t| t.mean.clusters).sum::<u64>() - common.repeated;
    let squares: f64 = tasks.iter().map(|t| t.squares_around(value)).sum::<f64>() + common.covariance;
    let g = clusters as f64;
    let stderr = (clusters > 1).then(|| (g / (g - 1.0) * squares).max(0.0).sqrt() / n as f64);
    Some(Estimate::around(value, stderr, t95(clusters - 1), clusters, n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pooling_is_one_mean_over_the_clusters_of_all_tasks() {
        let first = shares(2, [(0, 1.5, 3), (1, 0.25, 1)]);
        let second = shares(3, [(0, -4.0, 2), (1, 7.0, 9), (2, 0.5, 1)]);
        let tasks: Vec<_> = [&first, &second].into_iter().map(|s| Moments::of(s, &[None; 3]).unwrap()).collect();
        let (got, expected) = (pooled(&tasks).unwrap(), clustered_mean(&[first, second].concat()).unwrap());
        let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(close(got.value, expected.value) && close(got.stderr.unwrap(), expected.stderr.unwrap()));
        assert!(close(got.low.unwrap(), expected.low.unwrap()));
        assert_eq!((got.clusters, got.n), (5, 16));
    }

    /// One prompt in two tasks is one cluster: its rows of both move together.
    #[test]
    fn a_cluster_of_two_tasks_is_one() {
        let first = shares(3, [(0, 1.5, 3), (1, 0.25, 1), (2, 2.0, 2)]);
        let second = shares(3, [(0, -4.0, 2), (1, 7.0, 9), (2, 0.5, 1)]);
        let keys = [[Some(7), None, Some(9)], [None, Some(9), Some(7)]];
        let tasks: Vec<_> = [(&first, keys[0]), (&second, keys[1])]
            .into_iter()
            .map(|(shares, keys)| Moments::of(shares, &keys).unwrap())
            .collect();
        // Clusters 7 and 9 of both together, and one of each task's own.
        let together = shares(4, [(0, 1.5, 3), (0, 0.5, 1), (1, 2.0, 2), (1, 7.0, 9), (2, 0.25, 1), (3, -4.0, 2)]);
        let (got, expected) = (pooled(&tasks).unwrap(), clustered_mean(&together).unwrap());
        let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(close(got.value, expected.value) && close(got.stderr.unwrap(), expected.stderr.unwrap()));
        assert!(close(got.high.unwrap(), expected.high.unwrap()));
        assert_eq!((got.clusters, got.n), (4, 18));
        // Of each task with the same weight: the error of twice the same is that of one, not less.
        let same = Moments::of(&first, &[Some(1), Some(2), Some(3)]).unwrap();
        let mean = mean_of(&[same.clone(), same.clone()]).unwrap();
        assert!(close(mean.stderr.unwrap(), same.mean.stderr.unwrap()) && mean.clusters == 3);
        assert!(close(mean.high.unwrap(), same.mean.high.unwrap()));
    }
}
