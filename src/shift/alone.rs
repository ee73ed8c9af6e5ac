//! What the tokens say of each model alone: perplexities, and whether P can have written the text.
//!
//! Owns those figures (MEASURES: is this text P's, perplexity). Refuses differences between the models.

use super::comparison::{Measure, Sides};
use super::measures::{LOGPROBS, OWN_TEXT};
use super::stats::{Estimate, clustered_mean, shares};
use super::sums::Sums;
use crate::error::Result;

/// Standard errors from which the text is held not to be P's at temperature 1.
const FOREIGN: f64 = 3.0;

/// What to say if the mean of ln p + H(P) lies more than three standard errors from 0.
pub(super) fn foreign_text(measures: &[Measure]) -> Option<String> {
    let mean = measures.iter().find(|m| m.name == OWN_TEXT)?.token_mean?;
    let error = mean.stderr?;
    if mean.value.abs() <= FOREIGN * error || mean.value.is_nan() {
        return None;
    }
    let (how, sign) = if mean.value > 0.0 { ("sharper", '+') } else { ("flatter", '−') };
    let size = mean.value.abs();
    Some(format!(
        "kl_k1 and kl_k3 are not a KL estimate: the text is {how} ({sign}) than P at temperature 1 \
         (mean of logprob + entropy of P: {sign}{size:.4} ± {error:.4} nats/token)"
    ))
}

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
