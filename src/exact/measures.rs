//! The measures of two rows of logits.
//!
//! Owns the measures of docs/measures.md ("Exact measures") except the terms of divergences (`divergences`). Ids that carry
//! most of the probability are computed in f64 here, all others in f32 by `rest`; `error_bound` says whether that was accurate
//! enough. Not here: values of one row alone (`softmax`), and where logits come from.

#![allow(clippy::inline_always, reason = "vectorised in its caller or not at all")]

use super::divergences::{self, COUNT, Ids, OfEach};
use super::error_bound::{self, Accuracy, ErrorBound};
use super::kernel::{CHUNK, LANES, add, total};
use super::rest::{self, MASKED};
use super::softmax::{Softmax, padded};
use crate::kernel::math::vectorised;
use crate::schema::Divergence;

/// How rows are compared.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// What logits are divided by.
    pub temperature: f64,
    /// Ids that end a response; those that are not in both rows are left out.
    pub stop: &'a [u32],
}

/// Two distributions at one position. Logarithms are natural, differences are Q − P.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// In the order of [`Divergence::ALL`].
    pub divergences: [f64; Divergence::ALL.len()],
    /// Entropies of P and Q, nats.
    pub entropy: [f64; 2],
    /// The most likely ids, the lowest of equal ones.
    pub top: [u32; 2],
    /// 1 + the number of ids that are more likely in Q than `top[0]`.
    pub rank_of_top_p: u32,
    /// Of the target, if there is one and both rows have it.
    pub logprob: Option<[f64; 2]>,
    /// Logarithm of the probability of the ids that end a response; −∞ for less than e⁻⁷⁰⁸.
    pub stop: Option<[f64; 2]>,
    /// Probability of the ids that only one row has, before they are left out.
    pub removed: [f64; 2],
}

impl Row {
    /// One of the divergences.
    pub fn divergence(&self, divergence: Divergence) -> f64 {
        self.divergences[divergence as usize]
    }
}

/// Two rows of logits.
#[derive(Debug)]
pub struct Logits<'a> {
    /// Of every id from 0, as f32 products give them. Those of likely ids are masked on the way.
    pub all: [&'a mut [f32]; 2],
    /// Ids that carry most of the probability, ascending, the target and the end tokens among them; in both rows.
    pub likely: &'a [u32],
    /// Theirs, from sums in f64.
    pub exact: [&'a [f64]; 2],
    /// So many of each model's most likely ids are among them, by f32.
    pub of_each: usize,
    /// Soft caps that the logits went through.
    pub caps: [Option<f64>; 2],
}

/// One of two models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    P,
    Q,
}

/// Compares P's and Q's logits; ids that only the longer row has are left out. The second result says whether the row
/// reaches the error target.
///
/// # Errors
/// Whose logits are not finite.
pub fn measure(logits: Logits, target: Option<u32>, options: Options) -> Result<(Row, Accuracy), Side> {
    let Logits { all: [p, q], likely, exact: [x, y], of_each, caps } = logits;
    let n = p.len().min(q.len());
    let scale = 1.0 / options.temperature;
    let ((p, only_p), (q, only_q)) = (p.split_at_mut(n), q.split_at_mut(n));
    let noise = error_bound::noise([p, q], likely, [x, y], caps);
    for &id in likely {
        (p[id as usize], q[id as usize]) = (MASKED, MASKED);
    }
    let (of_p, of_q) = (Softmax::new(x, p, scale), Softmax::new(y, q, scale));
    if !of_p.is_finite() {
        return Err(Side::P);
    }
    if !of_q.is_finite() {
        return Err(Side::Q);
    }
    let both = Likely { ids: likely, logits: [x, y], sides: [&of_p, &of_q], scale };
    let error_bound = ErrorBound::new(noise, scale);
    let rest = rest::terms([p, q], [of_p.max, of_q.max], [of_p.log_sum, of_q.log_sum], scale, error_bound.near());
    let of_likely = vectorised(
        #[inline(always)]
        || both.sums(),
    );
    let divergences = divergences::values(std::array::from_fn(|i| of_likely[i] + rest.terms[i]));
    let (rank_of_top_p, rank) = both.rank_of_top_p(q, error_bound.tolerance());
    let is_sure = error_bound.allows(divergences, &rest, of_p.others.max(of_q.others))
        && [(x, of_p.max), (y, of_q.max)].into_iter().all(|(x, max)| error_bound.is_top_known(x, max, of_each));
    let row = Row {
        divergences,
        entropy: [of_p.entropy, of_q.entropy],
        top: [likely[of_p.top], likely[of_q.top]],
        rank_of_top_p,
        logprob: target.and_then(|id| both.logprobs(id)),
        stop: both.logprobs_of_any(options.stop),
        removed: [of_p.removed(only_p, scale), of_q.removed(only_q, scale)],
    };
    Ok((row, if is_sure { rank } else { Accuracy::Missed }))
}

/// The likely ids, by both rows.
struct Likely<'a> {
    /// Ascending.
    ids: &'a [u32],
    logits: [&'a [f64]; 2],
    sides: [&'a Softmax; 2],
    scale: f64,
}

impl Likely<'_> {
    /// Log-probabilities of `id`, if it is one of them.
    fn logprobs(&self, id: u32) -> Option<[f64; 2]> {
        let at = self.ids.binary_search(&id).ok()?;
        Some([0, 1].map(|side| self.sides[side].logprob(self.logits[side][at], self.scale)))
    }

    /// Logarithm of the probability of those of `ids` that are among them, if any is.
    fn logprobs_of_any(&self, ids: &[u32]) -> Option<[f64; 2]> {
        let each = ids.iter().filter_map(|&id| self.logprobs(id)).map(|ln| ln.map(f64::exp));
        each.reduce(|a, b| [a[0] + b[0], a[1] + b[1]]).map(|sum| sum.map(f64::ln))
    }

    /// Q's rank of P's most likely id, with Q's logits of all other ids, and whether errors below `tolerance` leave it open.
    fn rank_of_top_p(&self, others: &[f32], tolerance: f64) -> (u32, Accuracy) {
        let y = self.logits[1];
        let bound = y[self.sides[0].top];
        let [above, at_least] = [tolerance, -tolerance].map(|tolerance| rest::above(others, bound + tolerance));
        let rank = 1 + y.iter().map(|&other| u32::from(other > bound)).sum::<u32>() + above;
        (rank, if above == at_least { Accuracy::Reached } else { Accuracy::Open { bound, tolerance } })
    }

    /// The sum of each divergence's terms over them.
    #[inline(always)]
    fn sums(&self) -> OfEach<f64> {
        let Self { logits: [x, y], sides: [of_p, of_q], scale, .. } = *self;
        let (exps_p, exps_q) = (&of_p.exps, &of_q.exps);
        let (share_p, share_q) = (1.0 / of_p.sum, 1.0 / of_q.sum);
        let logits = x.chunks(CHUNK).zip(y.chunks(CHUNK));
        let exps = exps_p.chunks(CHUNK).zip(exps_q.chunks(CHUNK));
        let mut sums = [[0.0; LANES]; COUNT];
        for ((x, y), (p, q)) in logits.zip(exps) {
            // Behind the last id: probabilities of 0, which add nothing.
            let (x, y, p, q) = (padded(x, 0.0), padded(y, 0.0), padded(p, 0.0), padded(q, 0.0));
            let (mut a, mut b, mut d) = ([0.0; CHUNK], [0.0; CHUNK], [0.0; CHUNK]);
            let (mut p_of, mut q_of) = ([0.0; CHUNK], [0.0; CHUNK]);
            for i in 0..CHUNK {
                a[i] = of_p.logprob(x[i], scale);
                b[i] = of_q.logprob(y[i], scale);
                d[i] = b[i] - a[i];
                p_of[i] = p[i] * share_p;
                q_of[i] = q[i] * share_q;
            }
            let terms = divergences::terms(&Ids { p: &p_of, q: &q_of, a: &a, b: &b, d: &d });
            (sums.iter_mut().zip(&terms)).for_each(|(sums, terms)| add(sums, terms));
        }
        sums.map(|lanes| total(&lanes))
    }
}

#[cfg(test)]
mod tests;
