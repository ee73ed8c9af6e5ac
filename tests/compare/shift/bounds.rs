//! Bounds, classes and perplexities against whole distributions, through the tables.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;
use tokshift::shift::{Limit, Options, Pair};

use super::fixture::{Output, Sample, Token, assert_close, exceeded, named, sample, token_mean};

/// A row of the tokens table for token `t` of a distribution given by its logits, and the exact log-probabilities.
fn row(logits: &[f64], t: usize, k: usize) -> (Token, Vec<f64>) {
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_sum = logits.iter().map(|x| (x - max).exp()).sum::<f64>().ln();
    let ln: Vec<f64> = logits.iter().map(|x| x - max - log_sum).collect();
    let mut order: Vec<usize> = (0..ln.len()).collect();
    order.sort_by(|a, b| ln[*b].total_cmp(&ln[*a]));
    let top = &order[..k.min(ln.len())];
    let rest: f64 = order[top.len()..].iter().filter(|i| **i != t).map(|i| ln[*i].exp()).sum();
    let token = Token {
        id: Some(t as u32),
        logprob: Some(ln[t] as f32),
        rank: Some(1 + ln.iter().filter(|x| **x > ln[t]).count() as u32),
        entropy: Some(-ln.iter().map(|x| x.exp() * x).sum::<f64>() as f32),
        top: top.iter().map(|i| *i as u32).collect(),
        top_logprobs: top.iter().map(|i| ln[*i] as f32).collect(),
        rest: Some(rest.ln() as f32),
        min: Some(ln[order[ln.len() - 1]] as f32),
        ..Token::default()
    };
    (token, ln)
}

fn exact_kl(p: &[f64], q: &[f64]) -> f64 {
    p.iter().zip(q).map(|(p, q)| p.exp() * (p - q)).sum()
}

fn bounds(pair: &Pair) -> (f64, f64) {
    (token_mean(pair, "kl_lower").value, token_mean(pair, "kl_upper").value)
}

/// Logits of both models at one position, with what is odd about them: P certain, or P's first choice Q's last.
fn position() -> impl Strategy<Value = (Vec<f64>, Vec<f64>, usize)> {
    let scale = || prop_oneof![Just(0.5), Just(4.0), Just(20.0)];
    let unit = prop::collection::vec((-1.0..1.0, -1.0..1.0), 50..300);
    (unit, scale(), scale(), 0..3u8, 0..100usize).prop_map(|(unit, of_p, of_q, odd, t)| {
        let (mut p, mut q): (Vec<f64>, Vec<f64>) = unit.into_iter().map(|(p, q)| (p * of_p, q * of_q)).unzip();
        let top = (0..p.len()).max_by(|a, b| p[*a].total_cmp(&p[*b])).unwrap();
        match odd {
            0 => p[top] += 16.0,
            1 => q[top] = -of_q - 1.0,
            _ => (),
        }
        let t = if t < 50 { top } else { t % p.len() };
        (p, q, t)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Every position is a text of its own, so that each has its own pair.
    #[test]
    fn bounds_hold_at_every_position(
        positions in prop::collection::vec(position(), 1..8),
        k in prop_oneof![Just(0), Just(1), Just(5), Just(20)],
    ) {
        let output = Output::new();
        let mut exact = Vec::new();
        for (i, (p, q, t)) in positions.iter().enumerate() {
            let ((of_p, p), (of_q, q)) = (row(p, *t, k), row(q, *t, k));
            exact.push((exact_kl(&p, &q), of_p.top.first().map(|top| of_q.top.iter().position(|id| id == top))));
            let task = format!("task{i}");
            output.parts("base", &task, "base", &[&[sample(0, vec![of_p])]]);
            output.parts("base", &task, "tuned", &[&[sample(0, vec![of_q])]]);
        }
        let pairs = output.compare().unwrap().pairs;
        prop_assert_eq!(pairs.len(), exact.len());
        for (pair, (exact, place)) in pairs.iter().zip(exact) {
            let (lower, upper) = bounds(pair);
            prop_assert!((0.0..=exact + 1e-6).contains(&lower), "{} is no lower bound of {}", lower, exact);
            prop_assert!(exact <= upper, "{} is no upper bound of {}", upper, exact);
            let class = place.filter(|_| k >= 3).map(|place| match place {
                Some(0) => [1.0, 0.0, 0.0],
                Some(1 | 2) => [0.0, 1.0, 0.0],
                _ => [0.0, 0.0, 1.0],
            });
            let names = ["shift_class.unshifted", "shift_class.marginal", "shift_class.shifted"];
            let found = names.map(|name| named(pair, name).token_mean.map(|mean| mean.value));
            prop_assert_eq!(found, class.map_or([None; 3], |class| class.map(Some)));
        }
    }

    #[test]
    fn a_model_against_itself_did_not_shift(positions in prop::collection::vec(position(), 1..30)) {
        let tokens = positions.iter().map(|(p, _, t)| row(p, *t, 20).0).collect();
        let samples = [sample(0, tokens)];
        let output = Output::new();
        output.model("base", &samples);
        output.model("copy", &samples);
        let pair = output.pair();
        let mean = |name: &str| named(&pair, name).token_mean.map(|mean| mean.value);
        prop_assert_eq!(mean("kl_lower"), Some(0.0));
        prop_assert!(mean("kl_upper") >= Some(0.0));
        for (name, share) in [("unshifted", 1.0), ("marginal", 0.0), ("shifted", 0.0)] {
            prop_assert_eq!(mean(&format!("shift_class.{name}")), Some(share));
            let by_token = mean(&format!("shift_class_token.{name}"));
            prop_assert!(by_token.is_none_or(|found| found == share));
        }
        prop_assert_eq!((mean("overlap"), mean("log2_rank_ratio")), (Some(1.0), Some(0.0)));
    }
}

fn tensors(file: &str) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(Path::new("tests/fixtures/models").join(file), &Device::Cpu).unwrap()
}

fn numbers(tensors: &HashMap<String, Tensor>, name: &str) -> Vec<f64> {
    tensors[name].to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// A row of a fixture's reference as a sample: every number rounded to f32, as `score` writes it.
fn reference(tensors: &HashMap<String, Tensor>, row: u32) -> Sample {
    let column = |name: &str| numbers(tensors, &format!("{row}.{name}"));
    let f32s = |name| column(name).into_iter().map(|x| x as f32).collect::<Vec<_>>();
    let (ids, ranks, top, top_logprobs) = (column("ids"), column("rank"), column("top_ids"), f32s("top_logprobs"));
    let [logprob, entropy, rest, min] = ["logprob", "entropy", "rest_logprob", "min_logprob"].map(f32s);
    let token = |i: usize| Token {
        id: Some(ids[i + 1] as u32),
        logprob: Some(logprob[i]),
        rank: Some(ranks[i] as u32),
        entropy: Some(entropy[i]),
        top: top[20 * i..20 * (i + 1)].iter().map(|id| *id as u32).collect(),
        top_logprobs: top_logprobs[20 * i..20 * (i + 1)].to_vec(),
        rest: Some(rest[i]),
        min: Some(min[i]),
        ..Token::default()
    };
    sample(row, (0..logprob.len()).map(token).collect())
}

#[test]
fn bounds_hold_between_the_fixtures() {
    let exact = tensors("pairs.safetensors");
    for (p, q) in [("qwen3-tied", "qwen3-shifted"), ("llama3", "qwen3-bias")] {
        let [of_p, of_q] = [p, q].map(|model| tensors(&format!("{model}/reference.safetensors")));
        let rows = (0..6).filter(|row| exact.contains_key(&format!("{p}.{q}.{row}.kl")));
        let output = Output::new();
        let mut kl = Vec::new();
        for row in rows {
            let task = format!("row{row}");
            output.parts("base", &task, "base", &[&[reference(&of_p, row)]]);
            output.parts("base", &task, "tuned", &[&[reference(&of_q, row)]]);
            kl.push(numbers(&exact, &format!("{p}.{q}.{row}.kl")));
        }
        let pairs = output.compare_with(&Options::default()).unwrap().pairs;
        assert!(pairs.len() == kl.len() && pairs.len() >= 2);
        for (pair, kl) in pairs.iter().zip(kl) {
            assert_eq!(pair.tokens, kl.len() as u64);
            let (exact, (lower, upper)) = (kl.iter().sum::<f64>() / kl.len() as f64, bounds(pair));
            println!("{p} {q} {}: {lower:.6} <= {exact:.6} <= {upper:.6} over {} tokens", pair.task, pair.tokens);
            assert!(lower <= exact + 1e-6 && exact <= upper);
        }
    }
}

#[test]
fn classes_overlap_and_perplexities_by_hand() {
    let full = |logprob, rank, top: &[u32]| Token {
        id: Some(1),
        logprob: Some(logprob),
        rank: Some(rank),
        top: top.to_vec(),
        ..Token::default()
    };
    let output = Output::new();
    let lists: [&[u32]; 4] = [&[1, 2, 3, 4], &[1, 2, 3, 4], &[1, 2, 3, 4], &[5, 6, 7, 8]];
    let of_p = [(-0.5, 1), (-0.5, 1), (-0.5, 1), (-2.0, 4)];
    let p: Vec<Token> = of_p.iter().zip(lists).map(|((l, r), top)| full(*l, *r, top)).collect();
    let others: [&[u32]; 4] = [&[1, 2, 3, 9], &[4, 3, 1, 2], &[4, 3, 2, 1], &[1, 2, 3, 4]];
    let of_q = [(-0.25, 1), (-1.5, 3), (-1.75, 4), (-0.5, 1)];
    let q: Vec<Token> = of_q.iter().zip(others).map(|((l, r), top)| full(*l, *r, top)).collect();
    let halves = |t: &[Token]| [sample(0, t[..1].to_vec()), sample(1, t[1..].to_vec())];
    output.model("base", &halves(&p));
    output.model("tuned", &halves(&q));
    let pair = output.pair();
    let mean = |name| token_mean(&pair, name).value;
    assert_close(mean("shift_class.unshifted"), 0.25);
    assert_close(mean("shift_class.marginal"), 0.25);
    assert_close(mean("shift_class.shifted"), 0.5);
    for class in ["unshifted", "marginal", "shifted"] {
        let mean = token_mean(&pair, &format!("shift_class_token.{class}"));
        assert_close(mean.value, 1.0 / 3.0);
        assert_eq!(mean.n, 3);
    }
    assert_close(mean("shift_class_token.unclassed"), 0.25);
    assert_close(mean("overlap"), (0.75 + 1.0 + 1.0 + 0.0) / 4.0);
    assert_close(mean("log2_rank_ratio"), (0.0 + 3f64.log2() + 2.0 - 2.0) / 4.0);
    assert_close(pair.perplexity.p.unwrap().value, (3.5f64 / 4.0).exp());
    assert_close(pair.perplexity.q.unwrap().value, 1f64.exp());
    assert_close(pair.mean_sample_perplexity.q.unwrap().value, f64::midpoint(0.25f64.exp(), 1.25f64.exp()));
    // No entropy, rest or minimum, so no bounds.
    assert_eq!([named(&pair, "kl_lower").token_mean, named(&pair, "kl_upper").token_mean], [None, None]);
}

/// Samples whose log-probability and entropy add up to `excess` ± `around`.
fn text(excess: f32, around: f32) -> Vec<Sample> {
    let token = |i: u32| Token {
        id: Some(i),
        logprob: Some(-1.0),
        entropy: Some(1.0 + excess + if i.is_multiple_of(2) { around } else { -around }),
        ..Token::default()
    };
    (0..32).map(|i| sample(i, vec![token(i)])).collect()
}

#[test]
fn a_text_that_p_did_not_write_is_marked() {
    // The last one is many errors from 0, and less than 1% of the entropy.
    for (excess, around, how) in [
        (0.1, 0.01, Some("sharper (+)")),
        (-0.1, 0.01, Some("flatter (−)")),
        (0.001, 0.01, None),
        (0.009, 0.0001, None),
    ] {
        let output = Output::new();
        output.model("base", &text(excess, around));
        output.model("tuned", &text(excess, around));
        let comparison = output.compare().unwrap();
        let pair = &comparison.pairs[0];
        assert!((token_mean(pair, "logprob_plus_entropy_p").value - f64::from(excess)).abs() < 1e-6);
        assert_eq!(pair.kl_estimate.answer(), if how.is_some() { "no" } else { "yes" });
        let note = pair.notes.iter().find(|note| note.contains("not a KL estimate"));
        assert_eq!(note.map(|note| note.contains(how.unwrap())), how.map(|_| true));
        let table = tokshift::shift::table(&comparison, 200);
        assert_eq!(
            (table.contains("kl_k1 (not KL)"), table.contains("kl_k3 (not KL)")),
            (how.is_some(), how.is_some())
        );
    }
}

/// P gives ids that Q does not have a probability: no number is an upper bound.
#[test]
fn a_larger_head_of_p_has_no_upper_bound() {
    let output = Output::new();
    let (p, q) = (row(&[0.0, -1.0, -2.0, 1.0], 1, 2).0, row(&[0.5, -1.0, -2.0], 1, 2).0);
    output.model("base", &[sample(0, vec![p.clone(), p])]);
    output.model("tuned", &[sample(0, vec![q.clone(), q])]);
    for (model, vocab) in [("base", 4), ("tuned", 3)] {
        output.manifest(model, |manifest| manifest["engine"]["vocab"] = vocab.into());
    }
    let options = Options { slices: true, ..Options::default() };
    let comparison = output.compare_with(&options).unwrap();
    let pair = &comparison.pairs[0];
    assert_eq!(named(pair, "kl_upper").token_mean, None);
    assert!(token_mean(pair, "kl_lower").value > 0.0);
    let why =
        "P gives 4 ids a probability, Q 3, so that KL(P‖Q) has no upper bound: `kl --exact` compares the ids of both";
    assert!(pair.notes.iter().any(|note| note == why), "{:?}", pair.notes);
    let described = exceeded(&comparison, &[Limit::at_most("kl_upper", 15.0).unwrap()]);
    let title = "P = `base`, Q = `tuned` on `task` by `base`";
    assert_eq!(described, [format!("{title}: kl_upper: {why}, so it is not known to be at most 15")]);
    for slice in &pair.slices {
        assert_eq!(slice.measures.iter().find(|m| m.name == "kl_upper").unwrap().token_mean, None);
    }
    // The other way round every id has a probability.
    let turned = Options { reference: Some("tuned".to_owned()), ..Options::default() };
    let turned = output.compare_with(&turned).unwrap();
    assert!(token_mean(&turned.pairs[0], "kl_upper").value > 0.0);
}
