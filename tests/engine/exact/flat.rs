//! Rows that spread their probability over the whole vocabulary, of models that are hardly apart: f32 products alone lose the
//! promised digits there.

use std::cell::Cell;
use std::path::Path;

use candle_core::{Device, Tensor};
use tokshift::decoder::Head;
use tokshift::exact::{MeasureOptions, Side, Tiles};
use tokshift::stop::Stop;

use crate::common::{NEVER, heads};

const VOCAB: usize = 5_003;
const HIDDEN: usize = 256;
const ROWS: usize = 70;

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

/// A head of `[ids, HIDDEN]`.
fn head(folder: &Path, weight: &[f32]) -> Head {
    heads::head(folder, Tensor::from_slice(weight, (weight.len() / HIDDEN, HIDDEN), &Device::Cpu).unwrap())
}

thread_local! {
    /// A test has a thread of its own, so it draws the same numbers in every run.
    static DRAWS: Cell<u64> = const { Cell::new(0) };
}

/// `[rows, HIDDEN]` from −size to size, others with every call.
fn uniform(size: f32, rows: usize) -> Vec<f32> {
    let mut state = DRAWS.replace(DRAWS.get() + 1) << 32;
    let mut next = || {
        // SplitMix64 (Steele, Lea & Flood 2014).
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        size * (((mixed ^ (mixed >> 31)) >> 40) as f32 / (1_u64 << 23) as f32 - 1.0)
    };
    (0..rows * HIDDEN).map(|_| next()).collect()
}

/// All four measures of every row, to 1e-9 + 1e-5 of themselves.
#[track_caller]
fn must_keep_their_digits([p, q]: [&[f32]; 2], [x, y]: [&[f32]; 2], what: &str) {
    let folder = tempfile::tempdir().unwrap();
    let heads = [head(&folder.path().join("p"), p), head(&folder.path().join("q"), q)];
    let options = MeasureOptions { temperature: 1.0, stop: &[] };
    let targets = vec![Some(7); x.len() / HIDDEN];
    let mut tiles = Tiles::new([Side::Head(&heads[0]), Side::Head(&heads[1])]);
    let rows = tiles.compare(&[x.to_vec(), y.to_vec()], &targets, options, &Stop::new(&NEVER)).unwrap();
    for (row, (x, y)) in rows.iter().zip(x.chunks_exact(HIDDEN).zip(y.chunks_exact(HIDDEN))) {
        let expected = by_the_book(&log_softmax(p, x), &log_softmax(q, y));
        for (found, expected) in row.divergences.into_iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-9 + 1e-5 * expected, "{what}: {found} for {expected}");
        }
    }
}

/// Some ids change places and all others hardly move, so that most d lie where rounding turns their signs: the sum of |d| has
/// an edge there.
#[test]
fn ids_that_change_places_keep_the_digits_of_total_variation() {
    let p = uniform(0.05, 40_000);
    let mut q = p.clone();
    q[1000 * HIDDEN..1080 * HIDDEN].rotate_left(HIDDEN);
    let x = uniform(1.0, 8);
    for apart in [1e-7_f32, 3e-7] {
        let y: Vec<f32> = x.iter().enumerate().map(|(i, x)| x * (1.0 + apart * (i as f32 * 2.4).sin())).collect();
        must_keep_their_digits([&p, &q], [&x, &y], &format!("{apart}"));
    }
}

/// One id holds most of the probability, and more of it in Q: d has one sign there and the other everywhere else, so that
/// what the others' sum is off moves total variation twice.
#[test]
fn a_sharpened_top_token_keeps_the_digits_of_total_variation() {
    let mut p = uniform(0.3, VOCAB);
    let mut x = uniform(1.0, ROWS);
    x.chunks_exact_mut(HIDDEN).for_each(|row| row[0] = 4.0);
    for logit in [9.0_f32, 12.0, 14.0] {
        p[11 * HIDDEN] = logit / 4.0;
        for sharper in [1e-4, 1e-3, 0.05] {
            let mut q = p.clone();
            q[11 * HIDDEN] += sharper / 4.0;
            must_keep_their_digits([&p, &q], [&x, &x], &format!("{logit}, {sharper}"));
        }
    }
}

#[test]
fn flat_rows_hardly_apart_keep_their_digits() {
    let (p, hidden) = (uniform(0.3, VOCAB), uniform(1.0, ROWS));
    for size in [3e-8, 1e-6, 1e-5, 1e-4, 1e-2] {
        let q: Vec<f32> = p.iter().zip(uniform(size, VOCAB)).map(|(w, d)| w + d).collect();
        must_keep_their_digits([&p, &q], [&hidden, &hidden], &format!("{size}"));
    }
}
