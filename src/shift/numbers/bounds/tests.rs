//! Tests the bounds against sums over whole vocabularies.

use proptest::prelude::*;

use super::*;
use crate::scores::overlap;
use crate::shift::numbers::bounds;

fn kl_lower(t: u32, p: &Side, q: &Side) -> f64 {
    kl(t, p, q, 0.0, 0.0).0
}

fn kl_upper(t: u32, p: &Side, q: &Side, entropy_p: f64, min_q: f64) -> f64 {
    kl(t, p, q, entropy_p, min_q).1
}

fn binary(logprob: f64) -> Side<'static> {
    let rest = (-logprob.exp_m1()).ln();
    Side { ids: &[], logprobs: &[], logprob, mass: logprob.exp(), rest }
}

#[test]
fn without_lists_it_is_the_kl_of_t() {
    let (p, q) = (0.9f64, 0.6f64);
    let expected = p * (p / q).ln() + (1.0 - p) * ((1.0 - p) / (1.0 - q)).ln();
    let got = kl_lower(0, &binary(p.ln()), &binary(q.ln()));
    assert!((got - expected).abs() < 1e-6, "{got} for {expected}");
    assert_eq!(kl_lower(0, &binary(p.ln()), &binary(p.ln())), 0.0);
}

#[test]
fn probabilities_of_nothing_are_no_trouble() {
    let term = |ln_p: f64, ln_q| bounds::term(ln_p.exp(), ln_p, ln_q);
    assert_eq!(term(f64::NEG_INFINITY, 0.0), 1.0);
    assert_eq!(term(f64::NEG_INFINITY, f64::NEG_INFINITY), 0.0);
    assert_eq!(term(0.0, f64::NEG_INFINITY), f64::INFINITY);
    assert!((term(-700.0, -1e-3) - (-1e-3f64).exp()).abs() < 1e-12);
    assert_eq!(cost(0.0, f64::NEG_INFINITY), 0.0);
    assert!(cost(0.0, f64::NAN).is_nan());
}

/// Logits some thousand apart: what Q gives all other tokens together is nothing, or next to it.
#[test]
fn a_rest_of_next_to_nothing_is_no_infinite_bound() {
    let side = |ids, logprobs, logprob: f64, rest| Side { ids, logprobs, logprob, mass: logprob.exp(), rest };
    let mass = (-0.9f64).exp();
    for (rest, least) in [(f64::NEG_INFINITY, 690.0), (-1500.0, 1500.0)] {
        for (ids, of_p, of_q) in [(&[][..], &[][..], &[][..]), (&[3, 4], &[-1.5, -9.0], &[-2000.0, -0.1])] {
            let (p, q) = (side(ids, of_p, -0.9, -0.9), side(ids, of_q, -1e-9, rest));
            let listed: f64 = of_p.iter().zip(of_q).map(|(p, q)| f64::from(p - q) * f64::from(*p).exp()).sum();
            let (lower, expected) = (kl_lower(0, &p, &q), mass * least + listed);
            assert!((lower / expected - 1.0).abs() < 0.02, "{lower} for {expected}");
        }
    }
    let none_left = side(&[], &[], 0.0, f64::NEG_INFINITY);
    assert_eq!(kl_lower(0, &none_left, &none_left), 0.0);
    assert!(kl_lower(0, &none_left, &side(&[], &[], -1.0, f64::NAN)).is_nan());
}

#[test]
fn places_count_from_one() {
    assert_eq!(place(&[7], &[1, 7, 3]), 2.0);
    assert_eq!(place(&[9], &[1, 7, 3]), f64::INFINITY);
    assert!(place(&[7], &[7, 1]).is_nan() && place(&[], &[1, 2, 3]).is_nan());
    assert_eq!(overlap(&[1, 2, 3], &[3, 9]), Some(0.0));
    assert_eq!(overlap(&[1, 2], &[2, 1]), Some(1.0));
    assert_eq!(overlap(&[], &[1]), None);
}

/// A whole distribution and what a table keeps of it.
struct Whole {
    ln: Vec<f64>,
    ids: Vec<u32>,
    logprobs: Vec<f32>,
}

impl Whole {
    fn new(logits: &[f64], k: usize) -> Self {
        let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let log_sum = logits.iter().map(|x| (x - max).exp()).sum::<f64>().ln();
        let ln: Vec<f64> = logits.iter().map(|x| x - max - log_sum).collect();
        let mut ids: Vec<u32> = (0..ln.len() as u32).collect();
        ids.sort_by(|a, b| ln[*b as usize].total_cmp(&ln[*a as usize]));
        ids.truncate(k);
        let logprobs = ids.iter().map(|id| ln[*id as usize] as f32).collect();
        Self { ln, ids, logprobs }
    }

    fn side(&self, t: u32) -> Side<'_> {
        let outside = (0..self.ln.len() as u32).filter(|id| *id != t && !self.ids.contains(id));
        let rest = outside.map(|id| self.ln[id as usize].exp()).sum::<f64>().ln();
        let f32 = |x: f64| f64::from(x as f32);
        let logprob = f32(self.ln[t as usize]);
        Side { ids: &self.ids, logprobs: &self.logprobs, logprob, mass: logprob.exp(), rest: f32(rest) }
    }

    fn entropy(&self) -> f64 {
        -self.ln.iter().map(|ln| ln.exp() * ln).sum::<f64>()
    }

    fn min(&self) -> f64 {
        self.ln.iter().copied().fold(0.0, f64::min)
    }

    fn kl(&self, q: &Self) -> f64 {
        self.ln.iter().zip(&q.ln).map(|(p, q)| term(p.exp(), *p, *q)).sum()
    }
}

/// What is odd about a pair of distributions.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Independent,
    /// P is all but certain: above 0.9999.
    Certain,
    /// P's most likely token is Q's least likely one.
    Opposed,
    Close,
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![2 => Just(Kind::Certain), 2 => Just(Kind::Opposed), 1 => Just(Kind::Independent), 1 => Just(Kind::Close)]
}

fn logits() -> impl Strategy<Value = Vec<(f64, f64)>> {
    let scales = || prop_oneof![Just(0.0), Just(0.3), Just(3.0), Just(12.0), Just(40.0)];
    let unit = prop::collection::vec((-1.0..1.0, -1.0..1.0), 50..300);
    (unit, scales(), scales()).prop_map(|(x, p, q)| x.into_iter().map(|(a, b)| (a * p, b * q)).collect())
}

fn distributions(logits: &[(f64, f64)], kind: Kind, ks: (usize, usize)) -> (Whole, Whole) {
    let (mut p, mut q): (Vec<f64>, Vec<f64>) = logits.iter().copied().unzip();
    let top = (0..p.len()).max_by(|a, b| p[*a].total_cmp(&p[*b])).unwrap();
    match kind {
        Kind::Independent => (),
        Kind::Certain => p[top] += 16.0,
        Kind::Opposed => q[top] = q.iter().copied().fold(0.0, f64::min) - 1.0,
        Kind::Close => q = p.iter().zip(&q).map(|(p, q)| p + 1e-3 * q).collect(),
    }
    (Whole::new(&p, ks.0), Whole::new(&q, ks.1))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn the_exact_kl_lies_between(logits in logits(), kind in kind(), k in 0usize..24, more in 0usize..4, t in 0usize..50) {
        let (p, q) = distributions(&logits, kind, (k, k + more * k / 2));
        // The realised token is often P's first choice, else anything.
        let t = if t < 25 { p.ids.first().copied().unwrap_or(0) } else { t as u32 };
        let (exact, top) = (p.kl(&q), p.ln.iter().copied().fold(f64::MIN, f64::max).exp());
        prop_assert!(kind != Kind::Certain || top > 0.9999);
        let (of_p, of_q) = (p.side(t), q.side(t));
        let lower = kl_lower(t, &of_p, &of_q);
        let upper = kl_upper(t, &of_p, &of_q, f64::from(p.entropy() as f32), f64::from(q.min() as f32));
        prop_assert!(lower >= 0.0 && lower <= exact + 1e-6, "{lower} is no lower bound of {exact}");
        prop_assert!(exact <= upper, "{upper} is no upper bound of {exact}");
        prop_assert_eq!(kl_lower(t, &of_p, &of_p), 0.0);
        prop_assert!(kl_upper(t, &of_p, &of_p, p.entropy(), p.min()) >= 0.0);
    }
}
