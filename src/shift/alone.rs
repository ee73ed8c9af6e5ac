//! What the tokens say of each model alone: perplexities.
//!
//! Owns those figures (docs/measures.md: perplexity). Refuses differences between the models.

use super::comparison::Sides;
use super::measures::LOGPROBS;
use super::stats::{Estimate, clustered_mean, shares};
use super::sums::Sums;
use crate::error::Result;

/// exp(−m) of each side, m its mean log-probability over tokens: the ends of m's interval go through exp as m does,
/// the error by its derivative.
pub(super) fn perplexity(sums: &Sums) -> Result<Sides> {
    let of = |column| -> Result<_> {
        Ok(mean(sums, column, |sum, n| (sum, n))?.map(|m| {
            let value = (-m.value).exp();
            let end = |end: Option<f64>| end.map(|end| (-end).exp());
            Estimate { value, stderr: m.stderr.map(|e| e * value), low: end(m.high), high: end(m.low), ..m }
        }))
    };
    Ok(Sides { p: of(LOGPROBS[0])?, q: of(LOGPROBS[1])? })
}

/// Mean over samples of exp(−mean log-probability of the sample).
pub(super) fn mean_sample_perplexity(sums: &Sums) -> Result<Sides> {
    let of = |column| mean(sums, column, |sum, n| ((-sum / n as f64).exp(), 1));
    Ok(Sides { p: of(LOGPROBS[0])?, q: of(LOGPROBS[1])? })
}

fn mean(sums: &Sums, column: &str, of: fn(f64, u64) -> (f64, u64)) -> Result<Option<Estimate>> {
    let samples = sums.of(column)?;
    let rows = sums.facts.iter().zip(samples).filter(|(_, (_, n))| *n > 0).map(|(facts, (sum, n))| {
        let (sum, n) = of(sum, n);
        (facts.cluster, sum, n)
    });
    Ok(clustered_mean(&shares(sums.clusters, rows)))
}
