//! The unlikely ids, in f32: nearly all of a vocabulary, and little of its probability.
//!
//! Owns the same sums as `measures` over them. Differences of logits are computed before anything is rounded to f32. Not
//! here: the terms of the sums (`divergences`), and the ids that carry most of the probability, which are masked here and
//! computed by `measures`.

#![allow(clippy::inline_always, reason = "vectorised in its caller or not at all")]

use super::divergences::{COUNT, OfEach, terms_f32};
use super::kernel::{CHUNK, LANES, add_f32, exp_f32, total};
use crate::kernel::math::vectorised;

/// The logit of an id that is counted elsewhere: its probability is 0 here, and so is every term.
pub const MASKED: f32 = -1e30;

/// A number as the sum of two.
#[derive(Clone, Copy, Debug)]
struct Two {
    high: f32,
    low: f32,
}

impl Two {
    #[expect(clippy::cast_possible_truncation, reason = "what is cut off is the second number")]
    fn new(x: f64) -> Self {
        let high = x as f32;
        Self { high, low: (x - f64::from(high)) as f32 }
    }
}

/// Σ eᵘ and Σ u eᵘ with u = (x − max) · scale.
pub fn exps(logits: &[f32], max: f64, scale: f64) -> [f64; 2] {
    let (max, scale) = (Two::new(max), Two::new(scale));
    vectorised(
        #[inline(always)]
        || exps_in_lanes(logits, max, scale),
    )
}

/// Sums over ids.
#[derive(Clone, Copy, Debug)]
pub struct Sums {
    /// The terms of each divergence.
    pub terms: OfEach<f64>,
    /// Σ w² and Σ (w d)² with w the larger of p and q: how far errors of single logits reach into the values.
    pub squares: [f64; 2],
    /// Σ w (1 − |d| / near) over |d| below `near`: what lies so close to 0 that errors turn its sign.
    pub near: f64,
}

/// Of logits `x` and `y`, their maxima and the logarithms of Σ eᵘ; `near` is above 0.
pub fn terms([x, y]: [&[f32]; 2], max: [f64; 2], log_sum: [f64; 2], scale: f64, near: f32) -> Sums {
    let apart = (max[1] * scale + log_sum[1]) - (max[0] * scale + log_sum[0]);
    let of = Terms {
        logits: [x, y],
        max: max.map(Two::new),
        share: log_sum.map(|log_sum| Two::new((-log_sum).exp()).high),
        apart: Two::new(apart),
        scale: Two::new(scale),
        by_near: near.recip(),
    };
    vectorised(
        #[inline(always)]
        || of.sums(),
    )
}

/// How many logits are above `bound`.
pub fn above(logits: &[f32], bound: f64) -> u32 {
    let near = Two::new(bound).high;
    // The next number below, unless it is `bound` itself: whatever is above that is above `bound`.
    let bound = if f64::from(near) > bound { near.next_down() } else { near };
    logits.iter().map(|&x| u32::from(x > bound)).sum()
}

#[inline(always)]
fn exps_in_lanes(logits: &[f32], max: Two, scale: Two) -> [f64; 2] {
    let mut sums = [[0.0; LANES]; 2];
    for x in logits.chunks(CHUNK) {
        let x = padded(x);
        let (mut e, mut ue) = ([0.0; CHUNK], [0.0; CHUNK]);
        for i in 0..CHUNK {
            let above = x[i] - max.high;
            let u = above * scale.high;
            // The rounding errors of both (Knuth's two-sum, and the product's remainder), because the sums' logarithms
            // are subtracted from nearly equal values.
            let back = above - x[i];
            let lost = (x[i] - (above - back)) - (max.high + back) - max.low;
            let lost = lost.mul_add(scale.high, above.mul_add(scale.low, above.mul_add(scale.high, -u)));
            let of_u = exp_f32(u);
            e[i] = of_u.mul_add(lost, of_u);
            ue[i] = u * e[i];
        }
        add_f32(&mut sums[0], &e);
        add_f32(&mut sums[1], &ue);
    }
    sums.map(|lanes| total(&lanes))
}

struct Terms<'a> {
    logits: [&'a [f32]; 2],
    max: [Two; 2],
    /// 1 / Σ eᵘ.
    share: [f32; 2],
    /// What is taken off (y − x) · scale to give d.
    apart: Two,
    scale: Two,
    /// 1 / [`Sums::near`]'s `near`.
    by_near: f32,
}

impl Terms<'_> {
    #[inline(always)]
    fn sums(&self) -> Sums {
        let Self { logits: [x, y], max, share, apart, scale, by_near } = *self;
        let (mut sums, mut reached) = ([[0.0; LANES]; COUNT], [[0.0; LANES]; 3]);
        for (x, y) in x.chunks(CHUNK).zip(y.chunks(CHUNK)) {
            let (x, y) = (padded(x), padded(y));
            let (mut p, mut q, mut d) = ([0.0; CHUNK], [0.0; CHUNK], [0.0; CHUNK]);
            for i in 0..CHUNK {
                p[i] = exp_f32(((x[i] - max[0].high) - max[0].low) * scale.high) * share[0];
                q[i] = exp_f32(((y[i] - max[1].high) - max[1].low) * scale.high) * share[1];
                let by = y[i] - x[i];
                let scaled = by * scale.high;
                // What rounding took off the difference and the product.
                let back = by - y[i];
                let lost = (y[i] - (by - back)) - (x[i] + back);
                let lost = lost.mul_add(scale.high, by.mul_add(scale.low, by.mul_add(scale.high, -scaled)));
                d[i] = (scaled - apart.high) - (apart.low - lost);
            }
            let (terms, reaches) = (terms_f32(&p, &q, &d), reaches(&p, &q, &d, by_near));
            (sums.iter_mut().zip(&terms)).for_each(|(sums, terms)| add_f32(sums, terms));
            (reached.iter_mut().zip(&reaches)).for_each(|(sums, terms)| add_f32(sums, terms));
        }
        let [w, wd, near] = reached.map(|lanes| total(&lanes));
        Sums { terms: sums.map(|lanes| total(&lanes)), squares: [w, wd], near }
    }
}

/// Numbers of a chunk.
type Chunk = [f32; CHUNK];

/// A chunk with masked ids behind it.
#[inline(always)]
fn padded(rest: &[f32]) -> Chunk {
    let mut whole = [MASKED; CHUNK];
    whole[..rest.len()].copy_from_slice(rest);
    whole
}

/// w², (w d)² and w (1 − |d| / near) of each id, the last if it is above 0; w = max(p, q).
#[inline(always)]
fn reaches(p: &Chunk, q: &Chunk, d: &Chunk, by_near: f32) -> [Chunk; 3] {
    let (mut of_w, mut of_wd, mut of_near) = ([0.0; CHUNK], [0.0; CHUNK], [0.0; CHUNK]);
    for i in 0..CHUNK {
        let w = if p[i] > q[i] { p[i] } else { q[i] };
        let wd = w * d[i];
        of_w[i] = w * w;
        of_wd[i] = wd * wd;
        let near = d[i].abs().mul_add(-by_near, 1.0);
        of_near[i] = if near > 0.0 { w * near } else { 0.0 };
    }
    [of_w, of_wd, of_near]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{MASKED, above, terms};

    /// The four sums' terms of one id by the book, at log-probabilities a and b.
    fn plain(a: f64, b: f64) -> [f64; 4] {
        let (p, q, d) = (a.exp(), b.exp(), b - a);
        let phi = |d: f64| d.exp_m1() - d;
        // ln(m/p) = ln(1 + (eᵈ − 1) / 2). Of p ln(p/m) + q ln(q/m) the parts m − p and m − q are nothing together: φ is left.
        let to_mean = |d: f64| (d.exp_m1() / 2.0).ln_1p();
        let js = 0.5 * (p * phi(to_mean(d)) + q * phi(to_mean(-d)));
        [p * phi(d), q * phi(-d), js, (q - p).abs()]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        /// Each term by itself, from hardly apart to far: nothing averages out here.
        #[test]
        fn each_term_is_that_of_the_book(x in -12.0..0.0_f32, size in -3.0..0.9_f32, up in any::<bool>()) {
            let d = if up { 10_f32.powf(size) } else { -(10_f32.powf(size)) };
            let y = x + d;
            let found = terms([&[x], &[y]], [0.0, 0.0], [1.0, 1.0], 1.0, 1.0).terms;
            let expected = plain(f64::from(x) - 1.0, f64::from(y) - 1.0);
            for (found, expected) in found.into_iter().zip(expected) {
                prop_assert!((found - expected).abs() <= 3e-6 * expected, "{x} {y}: {found} for {expected}");
            }
        }

        #[test]
        fn what_is_above_is_counted_exactly(x in -5.0..5.0_f32, bound in -5.0..5.0_f64) {
            let near = [x, bound as f32, (bound as f32).next_up(), (bound as f32).next_down(), MASKED];
            let expected = near.iter().filter(|x| f64::from(**x) > bound).count() as u32;
            prop_assert_eq!(above(&near, bound), expected);
        }
    }
}
