//! Every statistic of the weights of some samples.
//!
//! Owns which there are. Not here: the distribution of weights (`level`), and limits on it (`alarms`).

use super::alarms::alarms;
use super::level;
use super::sequence::Sequence;
use crate::shift::numbers::stats::{Estimate, clustered_mean, shares};
use crate::shift::result::weights::WeightFigures;

/// The statistics of samples, whose clusters are numbered below `clusters`; `None` if no token has a finite difference.
pub fn figures(sequences: &[Sequence], clusters: usize, cap: f64) -> Option<WeightFigures> {
    let mean = |of: fn(&Sequence) -> f64| -> Option<Estimate> {
        let rows = sequences.iter().map(|one| (one.cluster, of(one), one.n));
        clustered_mean(&shares(clusters, rows))
    };
    let kl_k1 = mean(|one| -one.d)?;
    let mut figures = WeightFigures {
        tokens: kl_k1.n,
        tokens_left_out: sequences.iter().map(|one| one.left_out).sum(),
        samples: sequences.iter().filter(|one| one.is_whole()).count() as u64,
        samples_left_out: sequences.iter().filter(|one| one.left_out > 0).count() as u64,
        token: level::of_tokens(sequences, clusters)?,
        sequence: level::of_samples(sequences, clusters, cap, |one| one.d),
        sequence_mean: level::of_samples(sequences, clusters, cap, Sequence::mean_d),
        kl_k1,
        kl_k2: mean(|one| one.k2)?,
        kl_k3: mean(|one| one.k3)?,
        abs_delta_logprob: mean(|one| one.abs)?,
        exp_abs_delta_logprob: mean(|one| one.exp_abs)?,
        probability_correlation: correlation(sequences),
        perplexity_p: mean(|one| -one.a)?.exp(),
        perplexity_q: mean(|one| -one.b)?.exp(),
        perplexity_ratio: kl_k1.exp(),
        alarms: Vec::new(),
    };
    figures.alarms = alarms(&figures);
    Some(figures)
}

/// Pearson's correlation of p(t) and q(t) over tokens.
pub fn correlation(sequences: &[Sequence]) -> Option<f64> {
    let n = sequences.iter().map(|one| one.n).sum::<u64>() as f64;
    let mean = |of: fn(&Sequence) -> f64| sequences.iter().map(of).sum::<f64>() / n;
    let (p, q) = (mean(|one| one.p), mean(|one| one.q));
    let variance = (mean(|one| one.p_squared) - p * p) * (mean(|one| one.q_squared) - q * q);
    let found = (mean(|one| one.product) - p * q) / variance.sqrt();
    found.is_finite().then(|| found.clamp(-1.0, 1.0))
}
