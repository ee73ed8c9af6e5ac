use proptest::prelude::*;

use super::{Logits, OfEach, Options, Row};
use crate::exact::position::LIKELY;
use crate::schema::Divergence::{self, Js, Kl, Tv};

const ONE: Options = Options { temperature: 1.0, stop: &[] };

/// With every id a likely one, and so all in f64.
fn measure(p: &[f32], q: &[f32], target: Option<u32>, options: Options) -> Option<Row> {
    measure_with(&|_| true, p, q, target, options)
}

fn measure_with(
    is_likely: &dyn Fn(u32) -> bool,
    p: &[f32],
    q: &[f32],
    target: Option<u32>,
    options: Options,
) -> Option<Row> {
    let likely: Vec<u32> = (0..p.len().min(q.len()) as u32).filter(|id| is_likely(*id)).collect();
    let exact = |logits: &[f32]| likely.iter().map(|id| f64::from(logits[*id as usize])).collect::<Vec<f64>>();
    let (x, y) = (exact(p), exact(q));
    let (mut p, mut q) = (p.to_vec(), q.to_vec());
    let (exact, of_each, caps) = ([x.as_slice(), &y], likely.len(), [None; 2]);
    let logits = Logits { all: [&mut p, &mut q], likely: &likely, exact, of_each, caps };
    super::measure(logits, target, options).map(|(row, _)| row).ok()
}

/// The most likely of both, as many of each as are taken first.
fn best(p: &[f32], q: &[f32]) -> Vec<u32> {
    let of = |x: &[f32]| {
        let mut ids: Vec<u32> = (0..x.len() as u32).collect();
        ids.sort_by(|a, b| x[*b as usize].total_cmp(&x[*a as usize]).then(a.cmp(b)));
        ids.truncate(LIKELY[0]);
        ids
    };
    [of(p), of(q)].concat()
}

/// Log-probabilities by the book.
fn log_softmax(logits: &[f32], temperature: f64) -> Vec<f64> {
    let x: Vec<f64> = logits.iter().map(|&x| f64::from(x) / temperature).collect();
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_sum = x.iter().map(|x| (x - max).exp()).sum::<f64>().ln();
    x.iter().map(|x| x - max - log_sum).collect()
}

/// Every divergence by the book.
fn plain(p: &[f32], q: &[f32], temperature: f64) -> OfEach<f64> {
    let (a, b) = (log_softmax(p, temperature), log_softmax(q, temperature));
    let kl = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a.exp() * (a - b)).sum::<f64>();
    let mean: Vec<f64> = a.iter().zip(&b).map(|(a, b)| f64::midpoint(a.exp(), b.exp()).ln()).collect();
    Divergence::ALL.map(|divergence| match divergence {
        Divergence::Kl => kl(&a, &b),
        Divergence::KlReverse => kl(&b, &a),
        Divergence::Js => f64::midpoint(kl(&a, &mean), kl(&b, &mean)),
        Divergence::Tv => a.iter().zip(&b).map(|(a, b)| (a.exp() - b.exp()).abs()).sum::<f64>() / 2.0,
    })
}

/// Logits of 1 to 200 ids, and others that differ from them by up to `by`.
fn two(by: f32) -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
    prop::collection::vec((-30.0..30.0_f32, -by..by), 1..200)
        .prop_map(|both| both.into_iter().map(|(x, d)| (x, x + d)).unzip())
}

proptest! {
    #[test]
    fn measures_are_those_of_the_book((p, q) in two(20.0), temperature in 0.3..3.0_f64) {
        let row = measure(&p, &q, Some(0), Options { temperature, stop: &[] }).unwrap();
        for (found, expected) in row.divergences.into_iter().zip(plain(&p, &q, temperature)) {
            prop_assert!((found - expected).abs() <= 1e-12 + 1e-12 * expected.abs(), "{found} for {expected}");
        }
        let (a, b) = (log_softmax(&p, temperature), log_softmax(&q, temperature));
        let [ln_p, ln_q] = row.logprob.unwrap();
        prop_assert!((ln_p - a[0]).abs() < 1e-12 * (1.0 + a[0].abs()) && (ln_q - b[0]).abs() < 1e-12 * (1.0 + b[0].abs()));
        let entropy = -a.iter().map(|a| a * a.exp()).sum::<f64>();
        prop_assert!((row.entropy[0] - entropy).abs() < 1e-12 * (1.0 + entropy));
    }

    /// Near each other, where the book's own sums cancel: KL is then half of the variance of d under P, to first order.
    #[test]
    fn small_shifts_keep_their_digits((p, q) in two(1e-4)) {
        let row = measure(&p, &q, None, ONE).unwrap();
        let (a, b) = (log_softmax(&p, 1.0), log_softmax(&q, 1.0));
        let expected = a.iter().zip(&b).map(|(a, b)| a.exp() * (b - a).powi(2)).sum::<f64>() / 2.0;
        prop_assert!((row.divergence(Kl) - expected).abs() <= 1e-3 * expected + 1e-22, "{row:?} for {expected}");
        prop_assert!((row.divergence(Js) - expected / 4.0).abs() <= 1e-3 * expected + 1e-22, "{row:?} for {expected}");
    }

    #[test]
    fn nothing_is_negative_and_js_at_most_ln_2((p, q) in two(60.0)) {
        let row = measure(&p, &q, None, ONE).unwrap();
        prop_assert!(row.divergences.into_iter().all(|value| value >= 0.0), "{row:?}");
        let (js, tv) = (row.divergence(Js), row.divergence(Tv));
        prop_assert!(js <= std::f64::consts::LN_2 * (1.0 + 1e-12) && tv <= 1.0 + 1e-12);
        let back = measure(&q, &p, None, ONE).unwrap();
        prop_assert!((back.divergence(Js) - js).abs() <= 1e-13 * js, "{back:?} and {js}");
    }

    #[test]
    fn equal_rows_are_nothing_apart((p, _) in two(1.0), temperature in 0.3..3.0_f64) {
        let row = measure(&p, &p, Some(0), Options { temperature, stop: &[0] }).unwrap();
        prop_assert_eq!(row.divergences, [0.0; Divergence::ALL.len()]);
        prop_assert_eq!((row.rank_of_top_p, row.removed), (1, [0.0; 2]));
        prop_assert_eq!(row.logprob.unwrap()[0], row.logprob.unwrap()[1]);
        prop_assert!((row.stop.unwrap()[0] - row.logprob.unwrap()[0]).abs() < 1e-14 * (1.0 + row.stop.unwrap()[0].abs()));
    }
}

#[test]
fn far_apart_is_finite() {
    let row = measure(&[0.0, -2000.0], &[-2000.0, 0.0], Some(0), ONE).unwrap();
    assert_eq!(row.divergence(Kl), 2000.0 - 1.0 + 1.0 - 0.0);
    assert!((row.divergence(Js) - std::f64::consts::LN_2).abs() < 1e-12 && row.divergence(Tv) == 1.0);
    assert_eq!(row.logprob, Some([0.0, -2000.0]));
}

#[test]
fn what_only_one_has_is_taken_away() {
    let p: Vec<f32> = (0..70).map(|i| (i % 7) as f32).collect();
    let q: Vec<f32> = p[..66].iter().map(|x| x * 0.9).collect();
    let row = measure(&p, &q, Some(3), Options { temperature: 1.0, stop: &[5, 68] }).unwrap();
    let cut = measure(&p[..66], &q, Some(3), Options { temperature: 1.0, stop: &[5] }).unwrap();
    let whole = log_softmax(&p, 1.0);
    let removed: f64 = whole[66..].iter().map(|x| x.exp()).sum();
    assert!((row.removed[0] - removed).abs() < 1e-14 && row.removed[1] == 0.0);
    assert_eq!(Row { removed: [0.0; 2], ..row }, cut);
    assert_eq!(measure(&p, &q, Some(66), ONE).unwrap().logprob, None, "a target that Q does not have");
}

#[test]
fn ranks_and_tops_count_what_is_likelier() {
    let row = measure(&[1.0, 3.0, 3.0, 0.0], &[5.0, 2.0, 5.0, 9.0], None, ONE).unwrap();
    assert_eq!((row.top, row.rank_of_top_p), ([1, 3], 4));
}

#[test]
fn logits_that_are_not_finite_are_told() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for n in [2, 70] {
            let mut p = vec![0.5; n];
            p[n - 1] = bad;
            assert_eq!(measure(&p, &vec![0.5; n], None, ONE), None, "{bad}");
            assert_eq!(measure(&vec![0.5; n], &p, None, ONE), None, "{bad}");
        }
    }
    assert_eq!(measure(&[], &[], None, ONE), None);
}

proptest! {
    /// The rest in f32 compared with all of it in f64, at every size of shift, in flat rows and sharp ones.
    #[test]
    fn what_is_not_likely_keeps_its_digits_in_f32(
        both in prop::collection::vec((-10.0..10.0_f32, -10.0..10.0_f32), 100..600),
        (sharpness, size) in (0.1..3.0_f32, -4..1_i32),
        temperature in 0.5..2.0_f64,
    ) {
        let p: Vec<f32> = both.iter().map(|(x, _)| x * sharpness).collect();
        let q: Vec<f32> = p.iter().zip(&both).map(|(x, (_, d))| x + d * 10_f32.powi(size)).collect();
        let likely = best(&p, &q);
        let options = Options { temperature, stop: &[] };
        let whole = measure(&p, &q, None, options).unwrap();
        let row = measure_with(&|id| likely.contains(&id), &p, &q, None, options).unwrap();
        for (found, expected) in row.divergences.into_iter().zip(whole.divergences) {
            prop_assert!(found >= 0.0 && (found - expected).abs() <= 1e-9 + 1e-5 * expected, "{found} for {expected}");
        }
        for (found, expected) in row.entropy.iter().zip(whole.entropy) {
            prop_assert!((found - expected).abs() <= 1e-6 * (1.0 + expected), "{found} for {expected}");
        }
        prop_assert_eq!((row.top, row.rank_of_top_p), (whole.top, whole.rank_of_top_p));
    }

    #[test]
    fn equal_rows_are_nothing_apart_in_f32((p, _) in two(1.0), temperature in 0.3..3.0_f64) {
        let likely = best(&p, &p);
        let options = Options { temperature, stop: &[] };
        let row = measure_with(&|id| likely.contains(&id), &p, &p, Some(likely[0]), options).unwrap();
        prop_assert_eq!((row.divergences, row.rank_of_top_p), ([0.0; Divergence::ALL.len()], 1));
    }
}

#[test]
fn what_is_not_finite_is_told_wherever_it_stands() {
    for bad in [f32::NAN, f32::NEG_INFINITY] {
        let mut p = vec![0.5; 70];
        p[69] = bad;
        let is_first = |id| id == 0;
        assert_eq!(measure_with(&is_first, &p, &[0.5; 70], None, ONE), None, "{bad}");
        assert_eq!(measure_with(&is_first, &[0.5; 70], &p, None, ONE), None, "{bad}");
    }
}
