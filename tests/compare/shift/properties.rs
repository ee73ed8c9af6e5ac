//! What holds for any numbers.

use proptest::prelude::*;

use super::fixture::{Output, Sample, assert_close, named, sample, token, token_mean};

/// Log-probabilities of P and Q for a few samples in a few clusters.
fn models() -> impl Strategy<Value = Vec<(u8, Vec<(f32, f32)>)>> {
    let tokens = prop::collection::vec((-8.0f32..0.0, -8.0f32..0.0), 1..6);
    prop::collection::vec((0u8..4, tokens), 1..8)
}

type Rows = [(u8, Vec<(f32, f32)>)];

fn side(rows: &Rows, of: fn(&(f32, f32)) -> f32) -> Vec<Sample> {
    let build = |((cluster, tokens), id): (&(u8, Vec<_>), u32)| {
        let tokens = tokens.iter().zip(0..).map(|(t, id)| token(id, of(t))).collect();
        Sample { cluster: cluster.to_string(), ..sample(id, tokens) }
    };
    rows.iter().zip(0..).map(build).collect()
}

fn output(rows: &Rows) -> Output {
    let output = Output::new();
    output.model("base", &side(rows, |t| t.0));
    output.model("tuned", &side(rows, |t| t.1));
    output
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn means_are_those_of_plain_loops(rows in models()) {
        let pair = output(&rows).pair();
        let k1 = |t: &(f32, f32)| f64::from(t.0) - f64::from(t.1);
        let tokens: Vec<f64> = rows.iter().flat_map(|(_, t)| t.iter().map(k1)).collect();
        assert_close(token_mean(&pair, "kl_k1").value, tokens.iter().sum::<f64>() / tokens.len() as f64);
        let sample_means = rows.iter().map(|(_, t)| t.iter().map(k1).sum::<f64>() / t.len() as f64);
        let samples = named(&pair, "kl_k1").sample_mean.unwrap();
        assert_close(samples.value, sample_means.sum::<f64>() / rows.len() as f64);
        let k3: f64 = tokens.iter().map(|k1| (-k1).exp_m1() + k1).sum();
        assert_close(token_mean(&pair, "kl_k3").value, k3 / tokens.len() as f64);
        prop_assert!(token_mean(&pair, "kl_k3").value >= 0.0);
    }

    #[test]
    fn the_order_of_samples_does_not_matter(rows in models()) {
        let (one, other) = (output(&rows).pair(), output(&rows.iter().rev().cloned().collect::<Vec<_>>()).pair());
        for (a, b) in one.measures.iter().zip(&other.measures) {
            for (a, b) in [(a.token_mean, b.token_mean), (a.sample_mean, b.sample_mean)] {
                prop_assert_eq!(a.map(|m| (m.n, m.clusters)), b.map(|m| (m.n, m.clusters)));
                if let (Some(a), Some(b)) = (a, b) {
                    assert_close(a.value, b.value);
                    assert_close(a.stderr.unwrap_or(0.0), b.stderr.unwrap_or(0.0));
                }
            }
        }
    }
}
