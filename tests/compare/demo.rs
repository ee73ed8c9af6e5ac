//! `tokshift demo`, and what its figures must say: the models' exact divergence is known, because they are small.

use std::path::Path;

use crate::common::{NEVER, made};
use assert_cmd::Command;
use candle_core::{DType, Device};
use serde_json::Value;
use tokshift::decoder::{Backend, Body, Checkpoint, Head, LogitBlock};
use tokshift::forest::pack;
use tokshift::stop::Stop;

/// Rows of logits at the position before each response token of a demo dataset, in order; f64 log-probabilities.
fn log_probabilities(model: &str, dataset: &str) -> Vec<Vec<f64>> {
    let checkpoint = Checkpoint::open(&Path::new("assets/demo").join(model)).unwrap();
    let body = Body::load(&checkpoint, DType::F32, &Device::Cpu, Backend::of(&Device::Cpu).unwrap()).unwrap();
    let head =
        Head::load(&checkpoint, Some(body.embedding()), DType::F32, &Device::Cpu, Backend::of(&Device::Cpu).unwrap())
            .unwrap();
    let stop = Stop::new(&NEVER);
    let text = std::fs::read_to_string(format!("assets/demo/{dataset}.jsonl")).unwrap();
    let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of_row = |row: Value| {
        let ids = |name: &str| row[name].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
        let (mut prompt, response): (Vec<u32>, Vec<u32>) = (ids("prompt_token_ids"), ids("response_token_ids"));
        let from = prompt.len();
        prompt.extend(response);
        let sample = made::sample(0, prompt, from as u32);
        let hidden = body.forward(&pack(&[&sample], 4096)[0], &stop).unwrap();
        let hidden = hidden.narrow(0, 0, sample.tokens.len()).unwrap();
        let mut logits = vec![Vec::new(); sample.tokens.len()];
        let gather = |block: LogitBlock| {
            for (index, row) in logits.iter_mut().enumerate() {
                row.extend(block.row(index).iter().map(|&x| f64::from(x)));
            }
        };
        head.for_each_block(&hidden, &stop, gather).unwrap();
        for row in &mut logits {
            let log_sum = row.iter().map(|x| x.exp()).sum::<f64>().ln();
            for x in row {
                *x -= log_sum;
            }
        }
        logits
    };
    rows.flat_map(of_row).collect()
}

/// Mean over tokens of KL(P‖Q), from the full distributions.
fn exact(p: &[Vec<f64>], q: &[Vec<f64>]) -> f64 {
    let kl = |(p, q): (&Vec<f64>, &Vec<f64>)| p.iter().zip(q).map(|(a, b)| a.exp() * (a - b)).sum::<f64>();
    p.iter().zip(q).map(kl).sum::<f64>() / p.len() as f64
}

fn pair<'a>(comparison: &'a Value, task: &str, p: &str, q: &str) -> &'a Value {
    let is_it = |pair: &&Value| pair["task"] == task && pair["p"] == p && pair["q"] == q;
    comparison["pairs"].as_array().unwrap().iter().find(is_it).unwrap()
}

/// Token mean and standard error of a measure.
fn estimate(pair: &Value, measure: &str) -> (f64, f64) {
    let measures = pair["measures"].as_array().unwrap();
    let found = &measures.iter().find(|m| m["name"] == measure).unwrap()["token_mean"];
    (found["value"].as_f64().unwrap(), found["stderr"].as_f64().unwrap())
}

#[test]
fn the_demo_estimates_what_can_be_computed() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::cargo_bin("tokshift").unwrap().current_dir(&directory).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let screen = run(&["demo"]);
    assert!(screen.contains("\nall 3 tasks  rl") && screen.contains("exact mean over tokens"), "{screen}");
    let comparison: Value = serde_json::from_str(&run(&["kl", "--json", "--data-dir", "tokshift-demo/out"])).unwrap();

    for (p, q) in [("rl", "base"), ("sft", "base"), ("sft", "rl"), ("base", "sft"), ("base", "rl")] {
        let dataset = format!("{p}_arithmetic");
        let (of_p, of_q) = (log_probabilities(p, &dataset), log_probabilities(q, &dataset));
        let (forward, backward) = (exact(&of_p, &of_q), exact(&of_q, &of_p));
        let pair = pair(&comparison, "arithmetic", p, q);
        let own = &pair["kl_estimate"];
        assert_eq!(own["answer"], "yes", "{p} wrote this at temperature 1: {own}");
        for measure in ["kl_k1", "kl_k3"] {
            let (value, error) = estimate(pair, measure);
            println!("{p} {q} {measure} {value:.4} ± {error:.4}, exact {forward:.4}, the other way {backward:.4}");
            assert!((value - forward).abs() <= 3.0 * error, "{p} {q} {measure}: {value} ± {error}, exact {forward}");
        }
        if (p, q) == ("rl", "base") {
            // The two directions differ nearly twofold here, and the estimate tells them apart.
            let (value, error) = estimate(pair, "kl_k1");
            assert!(backward > 1.8 * forward && (value - backward).abs() > 5.0 * error);
        }
        let ((lower, _), (upper, _)) = (estimate(pair, "kl_lower"), estimate(pair, "kl_upper"));
        assert!(lower <= forward + 1e-3 && forward <= upper + 1e-3, "{p} {q}: {lower} {forward} {upper}");
    }
    assert_eq!(pair(&comparison, "greedy", "rl", "base")["kl_estimate"]["answer"], "no");
}
