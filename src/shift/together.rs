//! What the tokens say of both models together: the ratio of their perplexities, how their log-probabilities go along.
//!
//! Owns the figures that are no plain means, and their errors by the derivative of what is done to a mean.

use super::comparison::Sides;
use super::measures::{LOGPROBS, SQUARES};
use super::stats::{Estimate, clustered_mean, shares};
use super::student::t95;
use super::sums::Sums;
use crate::error::Result;

/// e^m of the mean m of ln p − ln q: the pairing of tokens is in its error.
pub(super) fn perplexity_ratio(sums: &Sums) -> Result<Option<Estimate>> {
    Ok(sums.mean("kl_k1")?.map(|m| {
        let value = m.value.exp();
        let (low, high) = (m.low.map(f64::exp), m.high.map(f64::exp));
        Estimate { value, stderr: m.stderr.map(|e| e * value), low, high, ..m }
    }))
}

/// Perplexity of Q less that of P, from `both`: around their means, e⁻ᵇ − e⁻ᵃ moves by PPL(P) a − PPL(Q) b.
pub(super) fn perplexity_difference(sums: &Sums, both: &Sides) -> Result<Option<Estimate>> {
    let Some((p, q)) = both.p.zip(both.q) else { return Ok(None) };
    let (a, b) = (sums.of(LOGPROBS[0])?, sums.of(LOGPROBS[1])?);
    let moved = a.iter().zip(&b).map(|((a, n), (b, _))| (p.value * a - q.value * b, *n));
    let rows = sums.facts.iter().zip(moved).map(|(facts, (sum, n))| (facts.cluster, sum, n));
    let mean = clustered_mean(&shares(sums.clusters, rows)).filter(|_| p.n == q.n);
    Ok(mean.map(|m| Estimate::around(q.value - p.value, m.stderr, t95(m.clusters.saturating_sub(1)), m.clusters, m.n)))
}

/// √m of the mean m of (q − p)².
pub(super) fn rms_delta_p(sums: &Sums) -> Result<Option<Estimate>> {
    Ok(sums.mean(SQUARES[3])?.map(|m| {
        let value = m.value.sqrt();
        let end = |end: Option<f64>| end.map(|end| end.max(0.0).sqrt());
        // At 0 every term is 0.
        let stderr = m.stderr.map(|e| if value > 0.0 { e / (2.0 * value) } else { 0.0 });
        Estimate { value, stderr, low: end(m.low), high: end(m.high), ..m }
    }))
}

/// Absent where a log-probability is not finite, or all are equal.
pub(super) fn correlation(sums: &Sums) -> Result<Option<f64>> {
    let total = |name: &str| -> Result<(f64, u64)> {
        Ok(sums.of(name)?.into_iter().fold((0.0, 0), |(sum, n), (s, m)| (sum + s, n + m)))
    };
    let [(a, n), (b, _)] = [total(LOGPROBS[0])?, total(LOGPROBS[1])?];
    let [(aa, _), (bb, _), (ab, m)] = [total(SQUARES[0])?, total(SQUARES[1])?, total(SQUARES[2])?];
    if m != n || n < 2 {
        return Ok(None);
    }
    let n = n as f64;
    let (a, b) = (a / n, b / n);
    let found = (ab / n - a * b) / ((aa / n - a * a) * (bb / n - b * b)).sqrt();
    Ok(found.is_finite().then(|| found.clamp(-1.0, 1.0)))
}
