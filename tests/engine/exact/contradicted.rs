//! k1 that is away from the exact KL is no estimate of it.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::runs::{models, score};
use crate::common::Scene;

const P: &str = "qwen3-tied";
const Q: &str = "qwen3-shifted";
const PROMPTS: u32 = 40;
const VOCAB: u32 = 307;
/// Less than 1% of the entropy: whatever the errors, it says nothing.
const USUAL: f64 = 0.05;

/// What both models think of each token after each prompt of one id.
struct Thoughts {
    /// ln p, ln q and the entropy of P, by prompt and token.
    of: HashMap<(u32, u32), [f64; 3]>,
}

impl Thoughts {
    fn new() -> Self {
        let scene = Scene::new();
        let all = (0..PROMPTS).flat_map(|prompt| (0..VOCAB).map(move |id| (prompt, id)));
        let rows: Vec<Value> = all.clone().map(row).collect();
        scene.dataset("g_all.jsonl", &rows);
        score(&scene, "g_all.jsonl", &[(P, P), (Q, Q)], "all", "").expect(0, "");
        let [of_p, of_q] = [P, Q].map(|model| scene.table("all", "tokens", "g", "all", model));
        let number = |columns: &crate::common::Columns, name: &str| -> Vec<f64> {
            columns.f32s(name).into_iter().map(|x| f64::from(x.unwrap())).collect()
        };
        let (a, b, entropy) = (number(&of_p, "logprob"), number(&of_q, "logprob"), number(&of_p, "entropy"));
        Self { of: all.enumerate().map(|(row, key)| (key, [a[row], b[row], entropy[row]])).collect() }
    }

    /// A token that P might have said at `u` of its distribution.
    fn drawn(&self, prompt: u32, u: f64) -> u32 {
        let mut sum = 0.0;
        let reached = (0..VOCAB).find(|id| {
            sum += self.of[&(prompt, *id)][0].exp();
            u < sum
        });
        reached.unwrap_or(VOCAB - 1)
    }

    /// For each prompt a token that speaks for P against Q, so that P gives all of them together about as much as it does on
    /// average.
    fn chosen(&self) -> Vec<(u32, u32)> {
        let mut off = 0.0;
        let choose = |prompt| {
            let merit = |id: u32| {
                let [a, b, entropy] = self.of[&(prompt, id)];
                a - b - 10.0 * (off + a + entropy).abs()
            };
            let best = (0..VOCAB).max_by(|x, y| merit(*x).total_cmp(&merit(*y))).unwrap();
            let [a, _, entropy] = self.of[&(prompt, best)];
            off += a + entropy;
            (prompt, best)
        };
        (0..PROMPTS).map(choose).collect()
    }
}

fn row((prompt, id): (u32, u32)) -> Value {
    json!({"prompt_token_ids": [prompt], "response_token_ids": [id]})
}

/// What is found of one token after each prompt, compared with the exact KL. Bounds of no lists are wide, and show nothing.
fn compared(tokens: impl Iterator<Item = (u32, u32)>) -> Value {
    let scene = Scene::new();
    scene.dataset("g_ids.jsonl", &tokens.map(row).collect::<Vec<_>>());
    score(&scene, "g_ids.jsonl", &[(P, P), (Q, Q)], "out", "--keep-hidden --top-k 0").expect(0, "");
    let heads = models(&[(P, P), (Q, Q)]);
    let said = scene.run(&format!("kl --data-dir out --own-text {P} --exact --models {heads} --json"));
    serde_json::from_str::<Value>(&said.expect(0, "exact: ").stdout).unwrap()["pairs"][0].clone()
}

#[test]
fn what_the_exact_kl_contradicts_is_no_estimate() {
    let thoughts = Thoughts::new();
    let at = |prompt: u32| (f64::from(prompt) + 0.5) / f64::from(PROMPTS);
    let own = compared((0..PROMPTS).map(|prompt| (prompt, thoughts.drawn(prompt, at(prompt)))));
    assert_eq!(own["kl_estimate"]["answer"], "yes", "{}", own["kl_estimate"]);

    let chosen = compared(thoughts.chosen().into_iter());
    let mean = |name: &str| {
        let of = chosen["measures"].as_array().unwrap().iter().find(|measure| measure["name"] == name).unwrap();
        of["token_mean"]["value"].as_f64().unwrap()
    };
    // Nothing else speaks against it.
    assert!(mean("logprob_plus_entropy_p").abs() <= USUAL);
    assert!(mean("kl_lower") < mean("kl_k1") && mean("kl_k1") < mean("kl_upper"));
    assert!(mean("kl_k1") > 2.0 * mean("kl"));
    let estimate = &chosen["kl_estimate"];
    let reason = estimate["reason"].as_str().unwrap();
    assert!(
        estimate["answer"] == "no"
            && reason.starts_with("the mean of kl_k1 lies ")
            && reason.ends_with(" errors from the exact KL"),
        "{estimate}"
    );
}
