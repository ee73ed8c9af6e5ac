//! Perplexities, and the correlation of both models' log-probabilities.
//!
//! Owns the statistics that are not plain means, with standard errors by the derivative (docs/measures.md:
//! "Perplexity").

use crate::error::Result;
use crate::shift::numbers::stats::{Estimate, clustered_mean, shares};
use crate::shift::numbers::student::t95;
use crate::shift::pass::sums::Sums;
use crate::shift::result::means::Sides;
use crate::shift::token::measures::{LOGPROBS, SQUARES};

/// exp(−m) of each side, m its mean log-probability over tokens: the ends of m's interval go through exp as m does,
/// the error by its derivative.
pub fn perplexity(sums: &Sums) -> Result<Sides> {
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
pub fn mean_sample_perplexity(sums: &Sums) -> Result<Sides> {
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

/// e^m of the mean m of ln p − ln q: the pairing of tokens is in its error.
pub fn perplexity_ratio(sums: &Sums) -> Result<Option<Estimate>> {
    Ok(sums.mean("kl_k1")?.map(Estimate::exp))
}

/// Perplexity of Q less that of P, from `both`: around their means, e⁻ᵇ − e⁻ᵃ moves by PPL(P) a − PPL(Q) b.
pub fn perplexity_difference(sums: &Sums, both: &Sides) -> Result<Option<Estimate>> {
    let Some((p, q)) = both.p.zip(both.q) else { return Ok(None) };
    let (a, b) = (sums.of(LOGPROBS[0])?, sums.of(LOGPROBS[1])?);
    let moved = a.iter().zip(&b).map(|((a, n), (b, _))| (p.value * a - q.value * b, *n));
    let rows = sums.facts.iter().zip(moved).map(|(facts, (sum, n))| (facts.cluster, sum, n));
    let mean = clustered_mean(&shares(sums.clusters, rows)).filter(|_| p.n == q.n);
    Ok(mean.map(|m| Estimate::around(q.value - p.value, m.stderr, t95(m.clusters.saturating_sub(1)), m.clusters, m.n)))
}

/// √m of the mean m of (q − p)².
pub fn rms_delta_p(sums: &Sums) -> Result<Option<Estimate>> {
    Ok(sums.mean(SQUARES[3])?.map(|m| {
        let value = m.value.sqrt();
        let end = |end: Option<f64>| end.map(|end| end.max(0.0).sqrt());
        // At 0 every term is 0.
        let stderr = m.stderr.map(|e| if value > 0.0 { e / (2.0 * value) } else { 0.0 });
        Estimate { value, stderr, low: end(m.low), high: end(m.high), ..m }
    }))
}

/// Absent where a log-probability is not finite, or all are equal.
pub fn correlation(sums: &Sums) -> Result<Option<f64>> {
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
