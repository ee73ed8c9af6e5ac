//! One row of logits by itself: its maximum, the logarithm of its sum of exponentials, its entropy.
//!
//! Owns the softmax of a row whose likely ids are given in f64 and all others in f32. Not here: comparing rows
//! (`measures`).

#![allow(clippy::inline_always, reason = "vectorised in its caller or not at all")]

use super::kernel::{CHUNK, LANES, add, exp, total};
use super::rest;
use crate::kernel::math::vectorised;

/// What one row of logits says by itself.
#[derive(Clone, Debug)]
pub struct Softmax {
    /// The largest logit: the likely ids have it.
    pub max: f64,
    /// Place of the largest among the likely ids, the first of equal ones.
    pub top: usize,
    /// Σ e^((x − max) · scale), and its logarithm.
    pub sum: f64,
    pub log_sum: f64,
    /// In nats; never negative.
    pub entropy: f64,
    /// The share of the ids that are not likely.
    pub others: f64,
    /// The terms of the sum that are of likely ids.
    pub exps: Vec<f64>,
}

impl Softmax {
    /// Of the logits of likely ids, and of all others, each times `scale`.
    pub fn new(likely: &[f64], others: &[f32], scale: f64) -> Self {
        let max = likely.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let top = likely.iter().position(|&x| x == max).unwrap_or_default();
        let mut exps = vec![0.0; likely.len()];
        let of_likely = vectorised(
            #[inline(always)]
            || exps_in_lanes(likely, max, scale, &mut exps),
        );
        let of_others = rest::exps(others, max, scale);
        let [sum, weighted] = [0, 1].map(|i| of_likely[i] + of_others[i]);
        let others = of_others[0] / sum;
        let log_sum = sum.ln();
        let entropy = log_sum - weighted / sum;
        Self { max, top, sum, log_sum, entropy: if entropy < 0.0 { 0.0 } else { entropy }, others, exps }
    }

    /// Whether the logits were, and what follows from them.
    pub fn is_finite(&self) -> bool {
        self.max.is_finite() && self.sum.is_finite() && self.entropy.is_finite()
    }

    /// ln of the probability of an id with this logit.
    #[inline(always)]
    pub fn logprob(&self, logit: f64, scale: f64) -> f64 {
        (logit - self.max) * scale - self.log_sum
    }

    /// The share of `rest` in the probability of all ids, from 0 to 1: logits that are in neither of [`Self::new`]'s.
    pub fn removed(&self, rest: &[f32], scale: f64) -> f64 {
        let max = rest.iter().map(|&x| f64::from(x)).fold(self.max, f64::max);
        let rest: f64 = rest.iter().map(|&x| ((f64::from(x) - max) * scale).exp()).sum();
        let own = self.sum * ((self.max - max) * scale).exp();
        if rest == 0.0 { 0.0 } else { rest / (own + rest) }
    }
}

/// Σ eᵘ and Σ u eᵘ, u = (x − max) · scale; each eᵘ is kept.
#[inline(always)]
fn exps_in_lanes(logits: &[f64], max: f64, scale: f64, exps: &mut [f64]) -> [f64; 2] {
    let mut sums = [[0.0; LANES]; 2];
    for (x, exps) in logits.chunks(CHUNK).zip(exps.chunks_mut(CHUNK)) {
        let x = padded(x, f64::NEG_INFINITY);
        let (mut e, mut ue) = ([0.0; CHUNK], [0.0; CHUNK]);
        for i in 0..CHUNK {
            let u = (x[i] - max) * scale;
            e[i] = exp(u);
            ue[i] = u * e[i];
        }
        // What stands behind the last logit is −∞ · 0.
        ue[exps.len()..].fill(0.0);
        exps.copy_from_slice(&e[..exps.len()]);
        add(&mut sums[0], &e);
        add(&mut sums[1], &ue);
    }
    sums.map(|lanes| total(&lanes))
}

/// A chunk with `rest` behind it.
#[inline(always)]
pub fn padded<T: Copy>(chunk: &[T], rest: T) -> [T; CHUNK] {
    let mut whole = [rest; CHUNK];
    whole[..chunk.len()].copy_from_slice(chunk);
    whole
}
