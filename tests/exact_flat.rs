//! Rows that spread their probability over the whole vocabulary, of models that are hardly apart: f32 products alone lose the
//! promised digits there.

mod common;

use std::sync::atomic::AtomicBool;

use candle_core::{Device, Tensor};
use tokshift::exact::{MeasureOptions, Tiles};
use tokshift::stop::Stop;

use common::heads;

const VOCAB: usize = 5_003;
const HIDDEN: usize = 256;
const ROWS: usize = 70;

static NEVER: AtomicBool = AtomicBool::new(false);

fn log_softmax(weight: &[f32], hidden: &[f32]) -> Vec<f64> {
    let dot = |w: &[f32]| w.iter().zip(hidden).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum::<f64>();
    let x: Vec<f64> = weight.chunks_exact(HIDDEN).map(dot).collect();
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_sum = x.iter().map(|x| (x - max).exp()).sum::<f64>().ln();
    x.iter().map(|x| x - max - log_sum).collect()
}

/// KL, reversed KL, JS and total variation: p φ(d) with φ(d) = eᵈ − 1 − d, whose sums do not cancel.
fn by_the_book(a: &[f64], b: &[f64]) -> [f64; 4] {
    let phi = |d: f64| if d.abs() < 1e-3 { d * d * (0.5 + d * (1.0 / 6.0 + d / 24.0)) } else { d.exp_m1() - d };
    let kl = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a.exp() * phi(b - a)).sum::<f64>();
    let tv = a.iter().zip(b).map(|(a, b)| (a.exp() * (b - a).exp_m1()).abs()).sum::<f64>() / 2.0;
    let mean: Vec<f64> = a.iter().zip(b).map(|(a, b)| a + ((b - a).exp_m1() / 2.0).ln_1p()).collect();
    [kl(a, b), kl(b, a), f64::midpoint(kl(a, &mean), kl(b, &mean)), tv]
}

/// Some ids change places and all others hardly move, so that most d lie where rounding turns their signs: the sum of |d| has
/// an edge there.
#[test]
fn ids_that_change_places_keep_the_digits_of_total_variation() {
    const IDS: usize = 40_000;
    const SWAPPED: usize = 80;
    let folder = tempfile::tempdir().unwrap();
    let weight = Tensor::rand(-0.05_f32, 0.05, (IDS, HIDDEN), &Device::Cpu).unwrap();
    let p: Vec<f32> = weight.flatten_all().unwrap().to_vec1().unwrap();
    let mut q = p.clone();
    q[1000 * HIDDEN..(1000 + SWAPPED) * HIDDEN].rotate_left(HIDDEN);
    let hidden = Tensor::rand(-1.0_f32, 1.0, (8, HIDDEN), &Device::Cpu).unwrap();
    let of_p: Vec<f32> = hidden.flatten_all().unwrap().to_vec1().unwrap();
    let of = |name: &str, weight: &[f32]| {
        heads::head(&folder.path().join(name), Tensor::from_slice(weight, (IDS, HIDDEN), &Device::Cpu).unwrap())
    };
    let heads = [of("p", &p), of("q", &q)];
    for apart in [1e-7_f32, 3e-7] {
        let of_q: Vec<f32> = of_p.iter().enumerate().map(|(i, x)| x * (1.0 + apart * (i as f32 * 2.4).sin())).collect();
        let options = MeasureOptions { temperature: 1.0, stop: &[] };
        let both = [of_p.clone(), of_q.clone()];
        let rows =
            Tiles::new([&heads[0], &heads[1]]).compare(&both, &[Some(7); 8], options, &Stop::new(&NEVER)).unwrap();
        for (row, (x, y)) in rows.iter().zip(of_p.chunks_exact(HIDDEN).zip(of_q.chunks_exact(HIDDEN))) {
            let expected = by_the_book(&log_softmax(&p, x), &log_softmax(&q, y));
            for (found, expected) in [row.kl, row.kl_reverse, row.js, row.tv].into_iter().zip(expected) {
                assert!((found - expected).abs() <= 1e-9 + 1e-5 * expected, "{apart}: {found} for {expected}");
            }
        }
    }
}

#[test]
fn flat_rows_hardly_apart_keep_their_digits() {
    let folder = tempfile::tempdir().unwrap();
    let uniform = |size: f32, shape: (usize, usize)| -> Vec<f32> {
        Tensor::rand(-size, size, shape, &Device::Cpu).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    };
    let (p, hidden) = (uniform(0.3, (VOCAB, HIDDEN)), uniform(1.0, (ROWS, HIDDEN)));
    let of = |name: &str, weight: &[f32]| {
        heads::head(&folder.path().join(name), Tensor::from_slice(weight, (VOCAB, HIDDEN), &Device::Cpu).unwrap())
    };
    for size in [3e-8, 1e-6, 1e-5, 1e-4, 1e-2] {
        let q: Vec<f32> = p.iter().zip(uniform(size, (VOCAB, HIDDEN))).map(|(w, d)| w + d).collect();
        let heads = [of("p", &p), of("q", &q)];
        let mut tiles = Tiles::new([&heads[0], &heads[1]]);
        let options = MeasureOptions { temperature: 1.0, stop: &[] };
        let both = [hidden.clone(), hidden.clone()];
        let rows = tiles.compare(&both, &[Some(7); ROWS], options, &Stop::new(&NEVER)).unwrap();
        for (row, hidden) in rows.iter().zip(hidden.chunks_exact(HIDDEN)) {
            let expected = by_the_book(&log_softmax(&p, hidden), &log_softmax(&q, hidden));
            for (found, expected) in [row.kl, row.kl_reverse, row.js, row.tv].into_iter().zip(expected) {
                assert!((found - expected).abs() <= 1e-9 + 1e-5 * expected, "{size}: {found} for {expected}");
            }
        }
    }
}
