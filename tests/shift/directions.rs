//! Which way round a KL is: a text sampled from P tells KL(P‖Q), not KL(Q‖P).

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::fixture::{Output, Sample, Token, sample, token, token_mean};

/// Distributions over three tokens, of which the directions differ twofold: Q all but excludes what P says now and then.
const P: [f64; 3] = [0.80, 0.15, 0.05];
const Q: [f64; 3] = [0.899, 0.10, 0.001];

fn kl(p: &[f64; 3], q: &[f64; 3]) -> f64 {
    p.iter().zip(q).map(|(p, q)| p * (p / q).ln()).sum()
}

/// What one model thinks of these tokens.
fn scored(texts: &[Vec<usize>], model: &[f64; 3]) -> Vec<Sample> {
    let entropy: f64 = model.iter().map(|p| -p * p.ln()).sum();
    let scored = |&id: &usize| Token { entropy: Some(entropy as f32), ..token(id as u32, model[id].ln() as f32) };
    texts.iter().zip(0..).map(|(ids, id)| sample(id, ids.iter().map(scored).collect())).collect()
}

#[test]
fn estimates_tell_the_directions_apart() {
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut draw = |_| {
        let u = f64::from(random.next_u32()) / 2f64.powi(32);
        P.iter()
            .scan(0.0, |sum, p| {
                *sum += p;
                Some(*sum)
            })
            .position(|sum| u < sum)
            .unwrap_or(2)
    };
    let texts: Vec<Vec<usize>> = (0..400).map(|_| (0..20).map(&mut draw).collect()).collect();
    let output = Output::new();
    output.model("base", &scored(&texts, &P));
    output.model("tuned", &scored(&texts, &Q));
    let pair = output.pair();
    let (forward, backward) = (kl(&P, &Q), kl(&Q, &P));
    assert!(forward > 2.0 * backward, "{forward} {backward}");
    assert!(!pair.not_kl_estimate);
    for measure in ["kl_k1", "kl_k3"] {
        let mean = token_mean(&pair, measure);
        let off = |exact: f64| (mean.value - exact).abs() / mean.stderr.unwrap();
        println!("{measure}: {:.2} errors from KL(P‖Q), {:.1} from KL(Q‖P)", off(forward), off(backward));
        assert!(off(forward) <= 3.0 && off(backward) > 5.0, "{measure}: {mean:?}, exact {forward}, {backward}");
    }
}
