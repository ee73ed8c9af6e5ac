use proptest::prelude::*;

use super::*;

/// The reference implementation: everything from the whole row in f64.
struct Plain {
    logprob: f64,
    rank: u32,
    ties: u32,
    entropy: f64,
    rest: f64,
    min: f64,
    top: Vec<u32>,
}

fn plain(row: &[f32], target: usize, k: usize) -> Plain {
    let max = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = row.iter().map(|&x| (f64::from(x) - max).exp()).sum();
    let logprob = |i: usize| f64::from(row[i]) - max - sum.ln();
    let mut ids: Vec<usize> = (0..row.len()).collect();
    ids.sort_by(|&a, &b| row[b].total_cmp(&row[a]).then(a.cmp(&b)));
    let rest: Vec<f64> = ids[k..].iter().filter(|&&i| i != target).map(|&i| logprob(i)).collect();
    let high = rest.iter().copied().fold(f64::MIN, f64::max);
    let rest = rest.iter().map(|x| (x - high).exp()).sum::<f64>().ln() + high;
    Plain {
        logprob: logprob(target),
        rank: 1 + row.iter().filter(|&&x| x > row[target]).count() as u32,
        ties: row.iter().filter(|&&x| x == row[target]).count() as u32 - 1,
        entropy: -(0..row.len()).map(logprob).filter(|x| x.is_finite()).map(|x| x.exp() * x).sum::<f64>(),
        rest,
        min: (0..row.len()).map(logprob).fold(f64::INFINITY, f64::min),
        top: ids[..k].iter().map(|&i| i as u32).collect(),
    }
}

/// Reduces one row cut into blocks of `chunks` chunks each; `None` if its logits are not finite.
fn reduce(row: &[f32], target: usize, k: usize, chunks: usize) -> Option<TokenScores> {
    let mut reducer = Reducer::new(&[target as u32], &[row[target]], k);
    for (i, block) in row.chunks(chunks * CHUNK).enumerate() {
        reducer.push((i * chunks * CHUNK) as u32, |_| block);
    }
    let (scores, bad) = reducer.finish();
    bad.is_empty().then_some(scores)
}

fn close(a: f32, b: f64) -> bool {
    f64::from(a) == b || (f64::from(a) - b).abs() <= 1e-6 + 1e-6 * b.abs()
}

/// Rows with ties, certainties, masked entries and logits far apart.
fn row_and_target() -> impl Strategy<Value = (Vec<f32>, usize, usize)> {
    let near = prop_oneof![4 => -12.0_f32..12.0, 2 => (-4_i8..4).prop_map(f32::from), 1 => -300.0_f32..40.0];
    // More than an f64's exponents apart, as of a quantisation that went wrong.
    let far = prop_oneof![2 => -3000.0_f32..-2000.0, 1 => -1500.0_f32..40.0, 1 => Just(f32::NEG_INFINITY)];
    let row = prop_oneof![
        3 => proptest::collection::vec(near, 1..700),
        1 => proptest::collection::vec(far, 1..700).prop_map(|mut row| {
            let place = row.len() / 2;
            row[place] = row[place].max(-9.0);
            row
        }),
    ];
    row.prop_flat_map(|row| {
        let n = row.len();
        (Just(row), 0..n, 0..=n.min(25))
    })
}

proptest! {
    #[test]
    fn agrees_with_the_plain_form((row, target, k) in row_and_target()) {
        let want = plain(&row, target, k);
        let got = reduce(&row, target, k, 1).unwrap();
        prop_assert!(close(got.logprob[0], want.logprob), "{} {}", got.logprob[0], want.logprob);
        prop_assert_eq!(got.rank[0], want.rank);
        prop_assert_eq!(got.ties[0], want.ties);
        prop_assert!(close(got.entropy[0], want.entropy), "{} {}", got.entropy[0], want.entropy);
        prop_assert!(close(got.min_logprob[0], want.min));
        prop_assert_eq!(&got.top_ids, &want.top);
        prop_assert!(f64::from(got.rest_logprob[0]) == want.rest || close(got.rest_logprob[0], want.rest),
            "{} {}", got.rest_logprob[0], want.rest);
        if let Some(place) = want.top.iter().position(|&id| id == target as u32) {
            prop_assert_eq!(got.top_logprobs[place].to_bits(), got.logprob[0].to_bits());
        }
    }

    #[test]
    fn any_cut_gives_the_same_bits((row, target, k) in row_and_target(), chunks in 1_usize..6) {
        prop_assert_eq!(reduce(&row, target, k, chunks).unwrap(), reduce(&row, target, k, 100).unwrap());
    }

    #[test]
    fn exp_keeps_f32_precision(x in -700.0_f32..=0.0) {
        let want = f64::from(x).exp();
        prop_assert!((exp(x) / want - 1.0).abs() < 1.2e-7, "e^{x} = {} not {want}", exp(x));
    }
}

#[test]
fn a_tiny_rest_beside_a_certain_token_keeps_its_digits() {
    let mut row = vec![-100.0_f32; 300];
    row[7] = 60.0;
    let got = reduce(&row, 7, 1, 1).unwrap();
    assert_eq!(got.logprob[0], 0.0);
    assert!(close(got.rest_logprob[0], 299_f64.ln() - 160.0), "{}", got.rest_logprob[0]);
}

#[test]
fn a_rest_too_small_for_an_f64_has_its_logarithm() {
    for row in [[0.0_f32, -900.0, -900.5, -2000.0], [-900.0, -900.5, -1400.0, 0.0], [-900.0, -300.0, -901.0, 600.0]] {
        let top = row.iter().position(|&x| x >= 0.0).unwrap();
        let got = reduce(&row, top, 1, 1).unwrap();
        assert!(close(got.rest_logprob[0], plain(&row, top, 1).rest), "{}", got.rest_logprob[0]);
    }
}

/// What fills up the last chunk has no logit.
#[test]
fn a_masked_target_ties_with_masked_entries_alone() {
    for (row, ties) in [(vec![0.0, f32::NEG_INFINITY, 0.0], 0), (vec![f32::NEG_INFINITY, f32::NEG_INFINITY, 0.0], 1)] {
        let got = reduce(&row, 1, 2, 1).unwrap();
        assert_eq!((got.ties[0], got.rank[0]), (ties, 3 - ties));
    }
}

#[test]
fn nothing_left_is_minus_infinity_and_masked_entries_have_no_mass() {
    let masked = [0.0, f32::NEG_INFINITY, 0.0];
    let got = reduce(&masked, 0, 2, 1).unwrap();
    assert_eq!(got.rest_logprob[0], f32::NEG_INFINITY);
    assert!(close(got.entropy[0], 2_f64.ln()));
}

#[test]
fn rows_that_are_not_finite_are_named() {
    for bad in [f32::NAN, f32::INFINITY] {
        for place in [0, 5, 99] {
            let mut row = vec![1.0; 100];
            row[place] = bad;
            assert_eq!(reduce(&row, 3, 5, 1), None, "{bad} at {place}");
        }
    }
    assert_eq!(reduce(&[f32::NEG_INFINITY; 70], 3, 5, 1), None);
}
