//! What each divergence is: the term that an id adds, in f64 and in f32, and how far rounding may move its value.
//!
//! Owns everything about a divergence except its name and columns (`schema`). Terms are never negative, so that nothing
//! cancels, and 0 for equal rows. In f32 a term is right to 3e-6 of itself. Not here: which ids are computed in which
//! precision (`measures`, `rest`), and how large rounding errors are (`error_bound`).

#![allow(clippy::inline_always, reason = "vectorised in its caller or not at all")]

use super::kernel::{CHUNK, ln_1p, ln_1p_f32};
use crate::schema::Divergence;

/// How many there are.
pub const COUNT: usize = Divergence::ALL.len();

/// A number of each of [`Divergence::ALL`], in its order.
pub type OfEach<T> = [T; COUNT];

/// A chunk of ids in f64: probabilities of P and Q, their logarithms a and b, and d = b − a.
pub struct Ids<'a> {
    pub p: &'a [f64; CHUNK],
    pub q: &'a [f64; CHUNK],
    pub a: &'a [f64; CHUNK],
    pub b: &'a [f64; CHUNK],
    pub d: &'a [f64; CHUNK],
}

/// The terms of a chunk of ids.
#[inline(always)]
pub fn terms(ids: &Ids) -> OfEach<[f64; CHUNK]> {
    let Ids { p, q, d, .. } = ids;
    [divergences(p, q, d), divergences(q, p, &d.map(|d| -d)), mean_divergences(ids), variations(p, q)]
}

/// The terms of a chunk of ids in f32, by p, q and d = ln q − ln p.
#[inline(always)]
pub fn terms_f32(p: &[f32; CHUNK], q: &[f32; CHUNK], d: &[f32; CHUNK]) -> OfEach<[f32; CHUNK]> {
    [
        divergences_f32(p, q, d),
        divergences_f32(q, p, &d.map(|d| -d)),
        mean_divergences_f32(p, q, d),
        variations_f32(p, q, d),
    ]
}

/// The values of which all ids' terms add up to `sums`.
pub fn values(sums: OfEach<f64>) -> OfEach<f64> {
    Divergence::ALL.map(|divergence| {
        let sum = sums[divergence as usize];
        match divergence {
            Divergence::Kl | Divergence::KlReverse | Divergence::Js => sum,
            Divergence::Tv => sum / 2.0,
        }
    })
}

/// How far errors e of d move Σ w |d + e| / 2 and Σ w (d + e)² / 2, w the larger of p and q.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    pub of_sizes: f64,
    pub of_squares: f64,
}

/// How far the value of a divergence may be off. The slope of JS in d is at most a quarter of w |d|.
pub fn off(divergence: Divergence, reach: Reach) -> f64 {
    match divergence {
        Divergence::Kl | Divergence::KlReverse => reach.of_squares,
        Divergence::Js => reach.of_squares / 4.0,
        Divergence::Tv => reach.of_sizes,
    }
}

/// Below this |d| the terms are taken from their series, which keep the digits that differences lose.
const SMALL: f64 = 0.05;
/// The same in f32, which loses the digits of differences early.
const SMALL_F32: f32 = 0.5;
/// The same for terms against the mean, which lose more of them.
const SMALL_TO_MEAN_F32: f32 = 0.7;

/// p φ(d) = q − p − p d of each id, with φ(d) = eᵈ − 1 − d and d = ln q − ln p.
#[inline(always)]
fn divergences(p: &[f64; CHUNK], q: &[f64; CHUNK], d: &[f64; CHUNK]) -> [f64; CHUNK] {
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
fn mean_divergences(Ids { p, q, a, b, d }: &Ids) -> [f64; CHUNK] {
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

/// |p − q| of each id.
#[inline(always)]
fn variations(p: &[f64; CHUNK], q: &[f64; CHUNK]) -> [f64; CHUNK] {
    let mut terms = [0.0; CHUNK];
    for i in 0..CHUNK {
        terms[i] = (p[i] - q[i]).abs();
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

/// [`divergences`] in f32.
#[inline(always)]
fn divergences_f32(p: &[f32; CHUNK], q: &[f32; CHUNK], d: &[f32; CHUNK]) -> [f32; CHUNK] {
    let mut terms = [0.0; CHUNK];
    for i in 0..CHUNK {
        let near = p[i] * phi_near_f32(d[i]);
        let far = p[i].mul_add(-d[i], q[i] - p[i]);
        let term = if d[i].abs() < SMALL_F32 { near } else { far };
        terms[i] = if term > 0.0 { term } else { 0.0 };
    }
    terms
}

/// ½ p ln(p/m) + ½ q ln(q/m) of each id, m = (p + q) / 2. Far apart, with r the smaller over the larger and
/// g = ln 2 − ln(1 + r): half of larger · g + smaller · (g − |d|). Close together from the series in t² of t = tanh(d / 2),
/// times m.
#[inline(always)]
fn mean_divergences_f32(p: &[f32; CHUNK], q: &[f32; CHUNK], d: &[f32; CHUNK]) -> [f32; CHUNK] {
    let mut terms = [0.0; CHUNK];
    for i in 0..CHUNK {
        let (p, q, d) = (p[i], q[i], d[i]);
        let (high, low) = (if p > q { p } else { q }, if p > q { q } else { p });
        let floor = if high > f32::MIN_POSITIVE { high } else { f32::MIN_POSITIVE };
        let g = std::f32::consts::LN_2 - ln_1p_f32(low / floor);
        let far = high.mul_add(g, low * (g - d.abs())) * 0.5;
        let dd = d * d;
        let mut t: f32 = 31.0 / 362_880.0;
        for c in [-17.0 / 20_160.0, 1.0 / 120.0, -1.0 / 12.0, 1.0] {
            t = dd.mul_add(t, c);
        }
        let t = t * d * 0.5;
        let tt = t * t;
        let mut series: f32 = 1.0 / 90.0;
        for c in [1.0 / 56.0, 1.0 / 30.0, 1.0 / 12.0, 0.5] {
            series = tt.mul_add(series, c);
        }
        let near = (p + q) * 0.5 * (tt * series);
        let term = if d.abs() < SMALL_TO_MEAN_F32 { near } else { far };
        terms[i] = if term > 0.0 { term } else { 0.0 };
    }
    terms
}

/// |q − p| = p |eᵈ − 1| of each id.
#[inline(always)]
fn variations_f32(p: &[f32; CHUNK], q: &[f32; CHUNK], d: &[f32; CHUNK]) -> [f32; CHUNK] {
    let mut terms = [0.0; CHUNK];
    for i in 0..CHUNK {
        let near = p[i] * (d[i] + phi_near_f32(d[i]));
        let term = if d[i].abs() < SMALL_F32 { near } else { q[i] - p[i] };
        terms[i] = term.abs();
    }
    terms
}

/// φ(d) by its series d²/2! + … + d¹⁰/10!, for |d| below [`SMALL_F32`].
#[inline(always)]
fn phi_near_f32(d: f32) -> f32 {
    /// Of one term to the next.
    const FACTORS: [f32; 8] = [1.0 / 10.0, 1.0 / 9.0, 1.0 / 8.0, 1.0 / 7.0, 1.0 / 6.0, 1.0 / 5.0, 1.0 / 4.0, 1.0 / 3.0];
    let mut tail = 1.0;
    for factor in FACTORS {
        tail = (tail * factor).mul_add(d, 1.0_f32);
    }
    d * d * 0.5 * tail
}
