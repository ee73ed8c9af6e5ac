//! Weights of simulated tokens: errors that cover what they say, limits, and weights too large for squares.

use super::alarms::{LEAST_ESS, MOST_EXP_ABS, MOST_KL, alarms};
use super::figures::figures;
use super::sequence::{FAR, Sequence};
use crate::shift::numbers::stats::Estimate;
use crate::shift::result::weights::WeightFigures;

const CAP: f64 = 2.0;

/// Normal numbers by Box and Muller, of a counter that is mixed (`splitmix64`).
struct Normal(u64);

impl Normal {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn next(&mut self) -> f64 {
        let (radius, angle) = (1.0 - self.uniform(), self.uniform());
        (-2.0 * radius.ln()).sqrt() * (2.0 * std::f64::consts::PI * angle).cos()
    }
}

/// Tokens of 50 prompts with four responses each. d has this standard deviation, of whose square a tenth is the prompt's, and
/// a mean that makes that of e^d 1.
fn simulated(normal: &mut Normal, deviation: f64, tokens: usize) -> Vec<Sequence> {
    let mut found = Vec::new();
    for prompt in 0..50 {
        let of_prompt = 0.1_f64.sqrt() * normal.next();
        for response in 0..4 {
            let mut one = Sequence::new(4 * prompt + response, prompt);
            for _ in 0..tokens {
                let d = deviation * (of_prompt + 0.9_f64.sqrt() * normal.next()) - deviation * deviation / 2.0;
                one.add(-3.0, -3.0 + d, None, CAP);
            }
            found.push(one);
        }
    }
    found
}

fn covers(estimate: Estimate, truth: f64) -> bool {
    estimate.low.is_some_and(|low| low <= truth) && estimate.high.is_some_and(|high| truth <= high)
}

/// The shares of 95% intervals that cover the truth; docs/measures.md has them.
#[test]
fn intervals_of_token_means_cover_what_they_say() {
    const TRIALS: usize = 1500;
    for deviation in [0.05, 0.2, 0.5] {
        let mut normal = Normal(7);
        let kl = deviation * deviation / 2.0;
        let mut covered = [0; 4];
        for _ in 0..TRIALS {
            let found = figures(&simulated(&mut normal, deviation, 10), 50, CAP).unwrap();
            let each = [
                (found.token.mean, 1.0),
                (found.kl_k1, kl),
                (found.kl_k3, kl),
                (found.token.chi2, (2.0 * kl).exp_m1()),
            ];
            each.iter().zip(&mut covered).for_each(|((mean, truth), n)| *n += usize::from(covers(*mean, *truth)));
        }
        let shares = covered.map(|n| n as f64 / TRIALS as f64);
        for share in &shares {
            assert!((0.93..=0.97).contains(share), "sd(d) = {deviation}: {shares:?}");
        }
    }
}

/// Sequence weights are heavy-tailed: intervals of their mean cover less and less, and the mark of unreliable errors says so.
#[test]
fn errors_of_sequence_weights_are_marked_where_they_are_too_small() {
    const TRIALS: usize = 2000;
    let mut shares = Vec::new();
    for variance in [0.1_f64, 1.0, 4.0] {
        let mut normal = Normal(9);
        let (mut covered, mut marked) = (0_u32, 0_u32);
        for _ in 0..TRIALS {
            let one = |id: u32, normal: &mut Normal| {
                let mut one = Sequence::new(id, id / 4);
                one.add(-3.0, -3.0 + variance.sqrt() * normal.next() - variance / 2.0, None, CAP);
                one
            };
            let sequences: Vec<Sequence> = (0..200).map(|id| one(id, &mut normal)).collect();
            let level = figures(&sequences, 50, CAP).unwrap().sequence.unwrap();
            covered += u32::from(covers(level.mean, 1.0));
            marked += u32::from(!level.is_reliable);
        }
        shares.push([covered, marked].map(|n| (100.0 * f64::from(n) / TRIALS as f64).round()));
    }
    // Percent of the trials, as docs/measures.md has them.
    assert_eq!(shares, [[95.0, 10.0], [92.0, 100.0], [78.0, 100.0]]);
}

fn calm() -> WeightFigures {
    let found = figures(&simulated(&mut Normal(3), 0.01, 10), 50, CAP).unwrap();
    assert_eq!(found.alarms, []);
    found
}

/// Changes one statistic.
type Set = fn(&mut WeightFigures, f64);

#[test]
fn alarms_are_raised_beyond_their_limits_and_not_at_them() {
    let cases: [(&str, &str, Set, f64, f64); 8] = [
        ("verl", "token.mean", |of, x| of.token.mean.value = x, FAR[0], -1.0),
        ("verl", "token.mean", |of, x| of.token.mean.value = x, FAR[1], 1.0),
        ("verl", "token.ess", |of, x| of.token.ess.value = x, LEAST_ESS, -1.0),
        ("verl", "sequence.mean", |of, x| of.sequence.as_mut().unwrap().mean.value = x, FAR[0], -1.0),
        ("verl", "sequence.mean", |of, x| of.sequence.as_mut().unwrap().mean.value = x, FAR[1], 1.0),
        ("verl", "sequence.ess", |of, x| of.sequence.as_mut().unwrap().ess.value = x, LEAST_ESS, -1.0),
        ("nemo-rl", "exp_abs_delta_logprob", |of, x| of.exp_abs_delta_logprob.value = x, MOST_EXP_ABS, 1.0),
        ("nemo-rl", "kl_k3", |of, x| of.kl_k3.value = x, MOST_KL, 1.0),
    ];
    assert_eq!((FAR, LEAST_ESS, MOST_EXP_ABS, MOST_KL), ([0.5, 2.0], 0.3, 1.05, 1e-3));
    for (framework, statistic, set, limit, direction) in cases {
        let mut figures = calm();
        set(&mut figures, limit);
        assert_eq!(alarms(&figures), [], "{statistic} at {limit}");
        set(&mut figures, limit * (1.0 + direction * 1e-12));
        let found = alarms(&figures);
        assert_eq!(found.len(), 1, "{statistic}");
        assert_eq!((found[0].framework.as_str(), found[0].statistic.as_str()), (framework, statistic));
        // The interval is still that of the calm tokens.
        assert!(!found[0].is_clear);
    }
}

#[test]
fn tokens_without_a_probability_are_left_out_and_counted() {
    let mut one = Sequence::new(0, 0);
    one.add(-1.0, f64::NEG_INFINITY, None, CAP);
    one.add(-1.0, -0.5, None, CAP);
    let mut other = Sequence::new(1, 1);
    other.add(-1.0, -1.5, None, CAP);
    let found = figures(&[one, other], 2, CAP).unwrap();
    assert_eq!((found.tokens, found.tokens_left_out, found.samples, found.samples_left_out), (2, 1, 1, 1));
    assert!((found.token.mean.value - 0.5_f64.exp().midpoint((-0.5_f64).exp())).abs() < 1e-15);
    assert_eq!(found.sequence.unwrap().mean.value, (-0.5_f64).exp());
    let mut none = Sequence::new(0, 0);
    none.add(f64::NEG_INFINITY, f64::NEG_INFINITY, None, CAP);
    assert!(figures(&[none], 1, CAP).is_none());
}

#[test]
fn weights_beyond_all_numbers_have_an_effective_sample_size() {
    let sequence = |id: u32, d: f64| {
        let mut one = Sequence::new(id, id);
        (0..400).for_each(|_| one.add(-2.0, -2.0 + d, None, CAP));
        one
    };
    let found = figures(&[sequence(0, 2.0), sequence(1, 0.0), sequence(2, -1.0)], 3, CAP).unwrap();
    let level = found.sequence.unwrap();
    // e^800 has no f64: the one weight is all there is.
    assert!(level.mean.value.is_infinite() && level.max.is_infinite() && level.chi2.value.is_infinite());
    assert!((level.ess.value - 1.0 / 3.0).abs() < 1e-12 && (level.chi2_of_ess.value - 2.0).abs() < 1e-12);
    assert!((level.mean_capped.value - 1.0).abs() < 1e-12 && !level.is_reliable);
}
