//! The measures of two rows of logits.
//!
//! Owns the formulas (docs/measures.md: "Exact measures") and their accuracy: every sum is of terms that are not
//! negative, so that nothing cancels and two equal rows give exactly 0. Ids that carry most of the probability are
//! computed in f64 here, all others in f32 by `rest`; `doubt` says whether that was accurate enough. Not here: values
//! of one row alone (`softmax`), and where logits come from.

#![allow(clippy::inline_always, reason = "vectorised in its caller or not at all")]

use super::doubt::{self, Doubt, Verdict};
use super::kernel::{CHUNK, LANES, add, ln_1p, total};
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
    /// KL(P‖Q), KL(Q‖P), Jensen-Shannon divergence, total variation.
    pub kl: f64,
    /// KL(Q‖P), nats.
    pub kl_reverse: f64,
    /// Jensen-Shannon divergence, nats.
    pub js: f64,
    /// Total variation.
    pub tv: f64,
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
        match divergence {
            Divergence::Kl => self.kl,
            Divergence::KlReverse => self.kl_reverse,
            Divergence::Js => self.js,
            Divergence::Tv => self.tv,
        }
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

/// Below this |d| the terms are taken from their series, which keep the digits that differences lose.
const SMALL: f64 = 0.05;

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
pub fn measure(logits: Logits, target: Option<u32>, options: Options) -> Result<(Row, Verdict), Side> {
    let Logits { all: [p, q], likely, exact: [x, y], of_each, caps } = logits;
    let n = p.len().min(q.len());
    let scale = 1.0 / options.temperature;
    let ((p, only_p), (q, only_q)) = (p.split_at_mut(n), q.split_at_mut(n));
    let noise = doubt::noise([p, q], likely, [x, y], caps);
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
    let doubt = Doubt::new(noise, scale);
    let rest = rest::terms([p, q], [of_p.max, of_q.max], [of_p.log_sum, of_q.log_sum], scale, doubt.near());
    let of_likely = vectorised(
        #[inline(always)]
        || both.sums(),
    );
    let sums: [f64; 4] = std::array::from_fn(|i| of_likely[i] + rest.terms[i]);
    let (rank_of_top_p, rank) = both.rank_of_top_p(q, doubt.slack());
    let is_sure = doubt.allows(sums, rest, of_p.others.max(of_q.others))
        && [(x, of_p.max), (y, of_q.max)].into_iter().all(|(x, max)| doubt.is_top_known(x, max, of_each));
    let row = Row {
        kl: sums[0],
        kl_reverse: sums[1],
        js: sums[2],
        tv: sums[3] / 2.0,
        entropy: [of_p.entropy, of_q.entropy],
        top: [likely[of_p.top], likely[of_q.top]],
        rank_of_top_p,
        logprob: target.and_then(|id| both.logprobs(id)),
        stop: both.logprobs_of_any(options.stop),
        removed: [of_p.removed(only_p, scale), of_q.removed(only_q, scale)],
    };
    Ok((row, if is_sure { rank } else { Verdict::Unsure }))
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

    /// Q's rank of P's most likely id, with Q's logits of all other ids, and whether errors below `slack` leave it open.
    fn rank_of_top_p(&self, others: &[f32], slack: f64) -> (u32, Verdict) {
        let y = self.logits[1];
        let bound = y[self.sides[0].top];
        let [above, at_least] = [slack, -slack].map(|slack| rest::above(others, bound + slack));
        let rank = 1 + y.iter().map(|&other| u32::from(other > bound)).sum::<u32>() + above;
        (rank, if above == at_least { Verdict::Sure } else { Verdict::Open { bound, slack } })
    }

    /// The four sums over them, total variation twice over.
    #[inline(always)]
    fn sums(&self) -> [f64; 4] {
        let Self { logits: [x, y], sides: [of_p, of_q], scale, .. } = *self;
        let (exps_p, exps_q) = (&of_p.exps, &of_q.exps);
        let (share_p, share_q) = (1.0 / of_p.sum, 1.0 / of_q.sum);
        let logits = x.chunks(CHUNK).zip(y.chunks(CHUNK));
        let exps = exps_p.chunks(CHUNK).zip(exps_q.chunks(CHUNK));
        let mut sums = [[0.0; LANES]; 4];
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
            let (p, q) = (p_of, q_of);
            add(&mut sums[0], &divergences(&p, &q, &d));
            add(&mut sums[1], &divergences(&q, &p, &d.map(|d| -d)));
            add(&mut sums[2], &mean_divergences([&p, &q], [&a, &b], &d));
            let mut apart = [0.0; CHUNK];
            for i in 0..CHUNK {
                apart[i] = (p[i] - q[i]).abs();
            }
            add(&mut sums[3], &apart);
        }
        sums.map(|lanes| total(&lanes))
    }
}

/// Numbers of a chunk.
type Chunk = [f64; CHUNK];

/// p φ(d) = q − p − p d of each id, with φ(d) = eᵈ − 1 − d and d = ln q − ln p.
#[inline(always)]
fn divergences(p: &Chunk, q: &Chunk, d: &Chunk) -> Chunk {
    let mut terms = [0.0; CHUNK];
    for i in 0..CHUNK {
        let near = p[i] * phi_near(d[i]);
        let far = p[i].mul_add(-d[i], q[i] - p[i]);
        let term = if d[i].abs() < SMALL { near } else { far };
        // Where q has just become 0, the difference may lie a hair below it.
        terms[i] = if term > 0.0 { term } else { 0.0 };
    }
    terms
}

/// ½ p ln(p/m) + ½ q ln(q/m) of each id, m = (p + q) / 2: at p and q close together from the series in t² of
/// t = tanh(d / 2) = (q − p) / (q + p), times m.
#[inline(always)]
fn mean_divergences([p, q]: [&Chunk; 2], [a, b]: [&Chunk; 2], d: &Chunk) -> Chunk {
    let mut terms = [0.0; CHUNK];
    for i in 0..CHUNK {
        let (p, q, a, b, d) = (p[i], q[i], a[i], b[i], d[i]);
        let (high, low) = (if p > q { p } else { q }, if p > q { q } else { p });
        let floor = if high > f64::MIN_POSITIVE { high } else { f64::MIN_POSITIVE };
        let ln_mean = (if a > b { a } else { b }) + ln_1p(low / floor) - std::f64::consts::LN_2;
        let far = p.mul_add(a - ln_mean, q * (b - ln_mean)) * 0.5;
        let dd = d * d;
        let t = d * 0.5 * (1.0 - dd * (1.0 / 12.0) * (1.0 - dd * 0.1 * (1.0 - dd * (17.0 / 168.0))));
        let tt = t * t;
        let near = (p + q) * 0.5 * tt * (0.5 + tt * (1.0 / 12.0 + tt * (1.0 / 30.0 + tt * (1.0 / 56.0))));
        let term = if d.abs() < SMALL { near } else { far };
        terms[i] = if term > 0.0 { term } else { 0.0 };
    }
    terms
}

/// φ(d) by its series d²/2! + … + d⁹/9!, for |d| below [`SMALL`].
#[inline(always)]
fn phi_near(d: f64) -> f64 {
    const FACTORS: [f64; 7] = [1.0 / 9.0, 1.0 / 8.0, 1.0 / 7.0, 1.0 / 6.0, 1.0 / 5.0, 1.0 / 4.0, 1.0 / 3.0];
    let mut tail = 1.0;
    for factor in FACTORS {
        tail = (tail * factor).mul_add(d, 1.0);
    }
    d * d * 0.5 * tail
}

#[cfg(test)]
mod tests;
