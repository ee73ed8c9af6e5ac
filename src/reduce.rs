//! From blocks of logits to what is stored of a token; a full row of logits never exists.
//!
//! Owns the incremental reduction over the vocabulary: log-sum-exp, rank, ties, entropy, minimum, top k and the
//! probability outside it. Not here: where logits come from. `Reducer` sees blocks of rows in ascending id order, and
//! any split of the vocabulary at multiples of [`CHUNK`] gives the same bits.

#![allow(clippy::inline_always, reason = "vectorised in its caller or not at all")]

use rayon::prelude::*;

use crate::kernel::math::{self, vectorised};
use crate::scores::TokenScores;

/// Ids that are reduced together. Small enough for the exponentials to stay in registers and first-level cache,
/// large enough that the test "can anything here enter the top-k?" is rare.
pub const CHUNK: usize = 64;

/// Logits that lie further than this below the maximum are summed apart: e⁻⁷⁰⁸ is the least that [`exp`] gives, and a sum
/// of it alone would be called nothing.
const FAR: f32 = -600.0;

/// A rest that would fall below it is summed apart too.
const LEAST: f64 = 1e-250;

/// Rows that a thread takes at least.
const MIN_ROWS: usize = 64;

/// Reduces rows of logits `[rows, vocabulary]` given block by block; each row has one target.
#[derive(Debug)]
pub struct Reducer {
    rows: Vec<Row>,
    k: usize,
}

impl Reducer {
    /// Row `i` has the target `targets[i]`, whose logit is `target_logits[i]` (bit-equal to what the blocks will
    /// hold: the same product with the same order of summation). `k` is at most the vocabulary's size.
    ///
    /// # Panics
    /// If the two slices differ in length.
    pub fn new(targets: &[u32], target_logits: &[f32], k: usize) -> Self {
        assert_eq!(targets.len(), target_logits.len(), "one logit a target");
        let rows = targets.iter().zip(target_logits).map(|(&target, &logit)| Row::new(target, logit, k)).collect();
        Self { rows, k }
    }

    /// Takes the logits of ids `first_id..first_id + width` of every row: `logits(row)` is `[width]`. Blocks come in
    /// ascending order without gaps, each beginning at a multiple of [`CHUNK`].
    pub fn push<'a>(&mut self, first_id: u32, logits: impl Fn(usize) -> &'a [f32] + Sync) {
        let rows = self.rows.par_iter_mut().enumerate().with_min_len(MIN_ROWS);
        rows.for_each(|(index, row)| {
            let logits = logits(index);
            vectorised(
                #[inline(always)]
                || {
                    let mut id = first_id;
                    for chunk in logits.chunks(CHUNK) {
                        row.push(id, chunk);
                        id += CHUNK as u32;
                    }
                },
            );
        });
    }

    /// The scores of every row, in order, and the rows among them whose logits are NaN, +∞ or all −∞ (their scores
    /// mean nothing).
    pub fn finish(self) -> (TokenScores, Vec<usize>) {
        let bad = (0..self.rows.len()).filter(|&i| !self.rows[i].is_finite()).collect();
        let mut scores = TokenScores { k: self.k, ..TokenScores::default() };
        for row in &self.rows {
            row.finish(&mut scores);
        }
        (scores, bad)
    }
}

/// The running state of one row. Sums are scaled by e^−max and kept in f64.
#[derive(Debug)]
struct Row {
    target: u32,
    target_logit: f32,
    k: usize,
    max: f32,
    min: f32,
    /// Σ x eˣ⁻ᵐᵃˣ over all entries.
    weighted: f64,
    /// Σ eˣ⁻ᵐᵃˣ over the entries that are neither the target nor in `top`: summed directly, never as a difference, so
    /// that a tiny rest next to a certain token keeps all its digits.
    rest: f64,
    /// What belongs to `rest` and is too small next to e^max for an f64.
    far: Far,
    above: u32,
    equal: u32,
    /// The best `k` so far as (logit, id), best first, equal ones by lower id.
    top: Vec<(f32, u32)>,
}

impl Row {
    fn new(target: u32, target_logit: f32, k: usize) -> Self {
        Self {
            target,
            target_logit,
            k,
            max: f32::NEG_INFINITY,
            min: f32::INFINITY,
            weighted: 0.0,
            rest: 0.0,
            far: Far::default(),
            above: 0,
            equal: 0,
            top: Vec::with_capacity(k + 1),
        }
    }

    #[inline(always)]
    fn push(&mut self, first_id: u32, chunk: &[f32]) {
        let mut logits = [f32::NEG_INFINITY; CHUNK];
        logits[..chunk.len()].copy_from_slice(chunk);
        let high = math::max(&logits);
        self.min = self.min.min(-math::max_of(chunk, |x| -x));
        if high > self.max {
            self.raise_max(high);
        }
        // Before the first entry that is not masked there is no maximum to subtract.
        let base = if self.max == f32::NEG_INFINITY { 0.0 } else { self.max };
        let mut exps = [0.0; CHUNK];
        for (e, x) in exps.iter_mut().zip(&logits) {
            *e = exp(x - base);
        }
        self.weighted +=
            sum_lanes(|i| exps[i] * f64::from(if logits[i] == f32::NEG_INFINITY { 0.0 } else { logits[i] }));
        for x in &logits {
            self.above += u32::from(*x > self.target_logit);
            self.equal += u32::from(*x == self.target_logit);
        }
        if self.target_logit == f32::NEG_INFINITY {
            // What fills up a short chunk has that logit too.
            self.equal -= (CHUNK - chunk.len()) as u32;
        }
        let holds_target = (first_id..first_id + chunk.len() as u32).contains(&self.target);
        if holds_target || self.admits(high) {
            self.push_each(first_id, chunk, &exps);
        } else if high - self.max < FAR {
            for x in chunk {
                self.far.add(f64::from(*x));
            }
        } else {
            self.rest += sum_lanes(|i| exps[i]);
        }
    }

    /// The slow path for a chunk that contains the target or a candidate for the top k.
    fn push_each(&mut self, first_id: u32, chunk: &[f32], exps: &[f64]) {
        for (id, (&x, &e)) in (first_id..).zip(chunk.iter().zip(exps)) {
            if id == self.target {
                // Neither above itself nor equal to itself.
                self.above -= u32::from(x > self.target_logit);
                self.equal -= u32::from(x == self.target_logit);
            }
            if self.admits(x) {
                let place = self.top.partition_point(|&(logit, _)| logit >= x);
                self.top.insert(place, (x, id));
                if self.top.len() > self.k
                    && let Some((logit, id)) = self.top.pop()
                    && id != self.target
                {
                    self.add_to_rest(logit, exp(logit - self.max));
                }
            } else if id != self.target {
                self.add_to_rest(x, e);
            }
        }
    }

    /// `exp` is e^(logit − max).
    fn add_to_rest(&mut self, logit: f32, exp: f64) {
        if logit - self.max < FAR {
            self.far.add(f64::from(logit));
        } else {
            self.rest += exp;
        }
    }

    /// Whether a later entry with this logit enters the top-k: an equal one does not, its id is higher.
    fn admits(&self, logit: f32) -> bool {
        self.top.len() < self.k || self.top.last().is_some_and(|&(worst, _)| logit > worst)
    }

    fn raise_max(&mut self, max: f32) {
        if self.max > f32::NEG_INFINITY {
            let scale = (f64::from(self.max) - f64::from(max)).exp();
            if self.rest > 0.0 && self.rest * scale < LEAST {
                self.far.add(self.rest.ln() + f64::from(self.max));
                self.rest = 0.0;
            }
            self.rest *= scale;
            self.weighted *= scale;
        }
        self.max = max;
    }

    /// ln of the rest's sum, scaled by e^−max.
    fn log_rest(&self) -> f64 {
        match self.far.log_sum() {
            None => self.rest.ln(),
            Some(far) => {
                let far = far - f64::from(self.max);
                // It is negligible next to a rest that an f64 can represent; of two that it cannot represent, only one is set.
                (self.rest + far.exp()).ln().max(far)
            }
        }
    }

    fn is_finite(&self) -> bool {
        self.max.is_finite() && self.weighted.is_finite() && self.rest.is_finite()
    }

    fn finish(&self, scores: &mut TokenScores) {
        let exp_of = |logit: f32| exp(logit - self.max);
        let top: f64 = self.top.iter().map(|&(logit, _)| exp_of(logit)).sum();
        let target_in_top = self.top.iter().any(|&(_, id)| id == self.target);
        let target = if target_in_top { 0.0 } else { exp_of(self.target_logit) };
        let sum = self.rest + top + target;
        let log_sum = sum.ln();
        let logprob = |logit: f32| (f64::from(logit) - f64::from(self.max) - log_sum).min(0.0) as f32;
        scores.logprob.push(logprob(self.target_logit));
        scores.logit.push(self.target_logit);
        scores.rank.push(1 + self.above);
        scores.ties.push(self.equal);
        scores.entropy.push((log_sum + f64::from(self.max) - self.weighted / sum).max(0.0) as f32);
        scores.rest_logprob.push((self.log_rest() - log_sum).min(0.0) as f32);
        scores.min_logprob.push(logprob(self.min));
        scores.top_ids.extend(self.top.iter().map(|&(_, id)| id));
        scores.top_logprobs.extend(self.top.iter().map(|&(logit, _)| logprob(logit)));
    }
}

/// Σ eˣ of logits x that lie too far below the row's maximum: scaled by their own maximum.
#[derive(Debug, Default)]
struct Far {
    /// The maximum, and Σ eˣ⁻ᵐᵃˣ; none before the first.
    sum: Option<(f64, f64)>,
}

impl Far {
    fn add(&mut self, x: f64) {
        self.sum = match self.sum {
            _ if x == f64::NEG_INFINITY => return,
            None => Some((x, 1.0)),
            Some((max, sum)) if x > max => Some((x, sum * (max - x).exp() + 1.0)),
            Some((max, sum)) => Some((max, sum + (x - max).exp())),
        }
    }

    /// ln Σ eˣ, if there is anything.
    fn log_sum(&self) -> Option<f64> {
        self.sum.map(|(max, sum)| max + sum.ln())
    }
}

/// Σ f(i) over a chunk in eight interleaved lanes, added pairwise: a fixed order that a vector unit can follow.
#[inline(always)]
fn sum_lanes(f: impl Fn(usize) -> f64) -> f64 {
    let mut lanes = [0.0_f64; 8];
    for i in (0..CHUNK).step_by(8) {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += f(i + lane);
        }
    }
    let pairs: [f64; 4] = std::array::from_fn(|i| lanes[2 * i] + lanes[2 * i + 1]);
    (pairs[0] + pairs[1]) + (pairs[2] + pairs[3])
}

/// eˣ for x ≤ 0 with a relative error below 2⁻²³, branch-free so that it vectorises: Cody-Waite reduction
/// x = n ln 2 + r and the polynomial of the Cephes library's `expf` in f32, scaled by 2ⁿ in f64, whose exponent
/// reaches down to e⁻⁷⁰⁸ (an f32 would end at e⁻⁸⁷ and call a finite rest −∞).
#[inline(always)]
fn exp(x: f32) -> f64 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    /// Adding and subtracting it rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    let clamped = x.max(-708.0);
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = clamped - n * LN2_HIGH - n * LN2_LOW;
    let mut p = 1.987_569_1e-4;
    for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p * r + c;
    }
    let mantissa = p * r * r + r + 1.0;
    // The integer n stands in the low bits of the shifted number; 1023 is the bias of an f64's exponent.
    let integer = shifted.to_bits() as i32 - ROUND.to_bits() as i32;
    let power = f64::from_bits(((integer + 1023) as u64) << 52);
    if x < -708.0 { 0.0 } else { f64::from(mantissa) * power }
}

#[cfg(test)]
mod tests;
