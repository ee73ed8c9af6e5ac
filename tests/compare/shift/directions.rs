//! Which way round a KL is: a text sampled from P gives KL(P‖Q), not KL(Q‖P).

use tokshift::shift::KlEstimate;

use super::fixture::{Output, Three, drawn, scored, token_mean};

/// Distributions of which the directions differ twofold: Q all but excludes what P says now and then.
const P: Three = [0.80, 0.15, 0.05];
const Q: Three = [0.899, 0.10, 0.001];

fn kl(p: &Three, q: &Three) -> f64 {
    p.iter().zip(q).map(|(p, q)| p * (p / q).ln()).sum()
}

#[test]
fn estimates_tell_the_directions_apart() {
    let texts = drawn(400, &P);
    let output = Output::new();
    output.model("base", &scored(&texts, &P));
    output.model("tuned", &scored(&texts, &Q));
    let pair = output.pair();
    let (forward, backward) = (kl(&P, &Q), kl(&Q, &P));
    assert!(forward > 2.0 * backward, "{forward} {backward}");
    assert_eq!(pair.kl_estimate, KlEstimate::Yes);
    for measure in ["kl_k1", "kl_k3"] {
        let mean = token_mean(&pair, measure);
        let off = |exact: f64| (mean.value - exact).abs() / mean.stderr.unwrap();
        println!("{measure}: {:.2} errors from KL(P‖Q), {:.1} from KL(Q‖P)", off(forward), off(backward));
        assert!(off(forward) <= 3.0 && off(backward) > 5.0, "{measure}: {mean:?}, exact {forward}, {backward}");
    }
}
