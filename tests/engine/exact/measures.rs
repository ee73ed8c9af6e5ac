//! Every measure of every token against float64: from the kept rows by the book, and from Hugging Face.

use std::fs;
use std::path::Path;

use candle_core::{DType, Device};
use serde_json::Value;

use super::runs::{FOUR, exact, ids_dataset, models, numbers, pairs_folder, widen};
use crate::common::{Columns, Scene, fixture};

/// Every row of the pairs table is the plain f64 computation from the same kept rows: one head scales its logits and the
/// other caps them, at a temperature too.
#[test]
fn every_number_is_that_of_a_float64_softmax_of_the_kept_rows() {
    for (p, q, temperature) in
        [("qwen3-tied", "qwen3-shifted", 1.0), ("granite", "gemma2", 1.0), ("granite", "gemma2", 0.7)]
    {
        let scene = Scene::new();
        ids_dataset(&scene);
        let found = exact(&scene, p, q, &format!("--temperature {temperature}"));
        let (x, y) = (plain_logits(&scene, p), plain_logits(&scene, q));
        assert_eq!((found.len(), x.len()), (y.len(), y.len()), "a row a token and one after each response");
        let columns = FOUR.map(|name| numbers(&found, name));
        let tokens = found.u32s("token_id");
        let (ln_p, delta) = (found.f64s("logprob_p"), found.f64s("delta_logprob"));
        for row in 0..x.len() {
            let (a, b) = (log_softmax(&x[row], temperature), log_softmax(&y[row], temperature));
            for (column, expected) in columns.iter().zip(plain_measures(&a, &b)) {
                let value = column[row];
                assert!(
                    value >= 0.0 && (value - expected).abs() <= 1e-9 + 1e-5 * expected,
                    "{p} {q} {row}: {value} for {expected}"
                );
            }
            assert!(columns[2][row] <= std::f64::consts::LN_2);
            let best = |x: &[f64]| (0..x.len()).fold(0, |best, id| if x[id] > x[best] { id } else { best });
            let top = best(&x[row]);
            assert_eq!(found.u32s("top_p")[row], Some(top as u32));
            assert_eq!(found.u32s("top_q")[row], Some(best(&y[row]) as u32));
            let rank = 1 + y[row].iter().filter(|other| **other > y[row][top]).count();
            assert_eq!(found.u32s("rank_of_top_p")[row], Some(rank as u32));
            let Some(token) = tokens[row] else {
                assert_eq!((ln_p[row], delta[row]), (None, None));
                continue;
            };
            let (a, b) = (a[token as usize], b[token as usize]);
            assert!((ln_p[row].unwrap() - a).abs() < 1e-5 && (delta[row].unwrap() - (b - a)).abs() < 1e-5);
        }
    }
}

/// f64 logits of every kept row of a model: the plain product, then its config's scale and cap.
fn plain_logits(scene: &Scene, model: &str) -> Vec<Vec<f64>> {
    logits_of(scene, model, &fixture(model))
}

fn logits_of(scene: &Scene, model: &str, directory: &Path) -> Vec<Vec<f64>> {
    let hidden = format!("out/hidden/generation_model=g/task=ids/model={model}/part-00000000.safetensors");
    let hidden = candle_core::safetensors::load(scene.path(&hidden), &Device::Cpu).unwrap().remove("hidden").unwrap();
    let weights = candle_core::safetensors::load(directory.join("model.safetensors"), &Device::Cpu).unwrap();
    let head = weights.get("lm_head.weight").unwrap_or_else(|| &weights["model.embed_tokens.weight"]);
    let config: Value = serde_json::from_slice(&fs::read(directory.join("config.json")).unwrap()).unwrap();
    let rows: Vec<Vec<f64>> = hidden.to_dtype(DType::F64).unwrap().to_vec2().unwrap();
    let head: Vec<Vec<f64>> = head.to_dtype(DType::F64).unwrap().to_vec2().unwrap();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let finish = |x: f64| {
        let x = x / config["logits_scaling"].as_f64().unwrap_or(1.0);
        config["final_logit_softcapping"].as_f64().map_or(x, |cap| cap * (x / cap).tanh())
    };
    rows.iter().map(|row| head.iter().map(|weights| finish(dot(row, weights))).collect()).collect()
}

fn log_softmax(logits: &[f64], temperature: f64) -> Vec<f64> {
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_sum = logits.iter().map(|x| ((x - max) / temperature).exp()).sum::<f64>().ln();
    logits.iter().map(|x| (x - max) / temperature - log_sum).collect()
}

/// The four measures of two rows of log-probabilities by the book.
fn plain_measures(a: &[f64], b: &[f64]) -> [f64; 4] {
    let kl = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a.exp() * (a - b)).sum::<f64>();
    let mean: Vec<f64> = a.iter().zip(b).map(|(a, b)| f64::midpoint(a.exp(), b.exp()).ln()).collect();
    let tv = a.iter().zip(b).map(|(a, b)| (a.exp() - b.exp()).abs()).sum::<f64>() / 2.0;
    [kl(a, b), kl(b, a), f64::midpoint(kl(a, &mean), kl(b, &mean)), tv]
}

/// Ids that one model alone has are left out of both, and what they held is in the table.
#[test]
fn heads_of_different_sizes_are_compared_over_what_both_have() {
    // Little of the probability is of those ids, or much.
    heads_of_different_sizes(0.5, false);
    heads_of_different_sizes(1.5, true);
}

fn heads_of_different_sizes(scale: f64, is_much: bool) {
    let scene = Scene::new();
    ids_dataset(&scene);
    let wide = scene.model("wide", "qwen3-tied");
    widen(&wide, scale);
    let both = format!("wide={},small={}", wide.display(), fixture("qwen3-shifted").display());
    let tokenizer = fixture("qwen3-tied").join("tokenizer.json");
    let options = format!("--models {both} --tokenizer {} --output-dir out --keep-hidden", tokenizer.display());
    scene.run(&format!("score --dataset g_ids.jsonl {options}")).expect(0, "");
    for (p, q) in [("wide", "small"), ("small", "wide")] {
        let kl = format!("kl --data-dir out --reference {p} --exact --models {both}");
        if is_much {
            scene.run(&kl).expect(1, "above 1e-3: use --allow-removed to compare the common ids");
            scene.run(&format!("{kl} --allow-removed")).expect(0, "exact: ");
        } else {
            scene.run(&kl).expect(0, "exact: ");
        }
        let found = Columns::read(&scene.path(&pairs_folder(p, q)));
        let logits = |model| match model {
            "wide" => logits_of(&scene, "wide", &wide),
            model => logits_of(&scene, model, &fixture("qwen3-shifted")),
        };
        let (x, y) = (logits(p), logits(q));
        let removed = ["removed_p", "removed_q"].map(|name| numbers(&found, name));
        for row in 0..x.len() {
            let (a, b) = (log_softmax(&x[row][..307], 1.0), log_softmax(&y[row][..307], 1.0));
            for (name, expected) in FOUR.into_iter().zip(plain_measures(&a, &b)) {
                let value = numbers(&found, name)[row];
                assert!((value - expected).abs() <= 1e-9 + 1e-5 * expected, "{p} {row} {name}: {value} for {expected}");
            }
            for (removed, logits) in removed.iter().zip([&x[row], &y[row]]) {
                let mass: f64 = log_softmax(logits, 1.0).iter().skip(307).map(|ln| ln.exp()).sum();
                assert!((removed[row] - mass).abs() <= 1e-9 + 1e-5 * mass, "{p} {row}: {} for {mass}", removed[row]);
            }
        }
        fs::remove_dir_all(scene.path("out/pairs")).unwrap();
    }
}

/// End to end: Hugging Face's own float64 divergences of the two models' whole distributions.
#[test]
fn the_divergences_are_those_of_hugging_face() {
    let golden = candle_core::safetensors::load(fixture("pairs.safetensors"), &Device::Cpu).unwrap();
    for (p, q) in [("qwen3-tied", "qwen3-shifted"), ("llama3", "qwen3-bias")] {
        let scene = Scene::new();
        ids_dataset(&scene);
        let found = exact(&scene, p, q, "");
        let keep: Vec<bool> = found.u32s("token_id").iter().map(Option::is_some).collect();
        for name in FOUR {
            let expected = (0..).map_while(|row| golden.get(&format!("{p}.{q}.{row}.{name}")));
            let expected: Vec<f64> = expected.flat_map(|tensor| tensor.to_vec1::<f64>().unwrap()).collect();
            let values: Vec<f64> = numbers(&found, name)
                .into_iter()
                .zip(&keep)
                .filter(|(_, keep)| **keep)
                .map(|(value, _)| value)
                .collect();
            assert_eq!(values.len(), expected.len());
            for (value, expected) in values.iter().zip(&expected) {
                assert!((value - expected).abs() <= 1e-5 + 1e-4 * expected, "{p} {q} {name}: {value} for {expected}");
            }
        }
    }
}

#[test]
fn separate_runs_of_one_model_are_nothing_apart() {
    for (model, dtype) in [("qwen3-tied", "f32"), ("llama-bf16", "bf16")] {
        let scene = Scene::new();
        ids_dataset(&scene);
        for (name, more) in [("once", "--threads 1 --batch-tokens 40"), ("again", "--threads 2")] {
            let model = models(&[(name, model)]);
            let score = format!(
                "score --dataset g_ids.jsonl --models {model} --output-dir out --keep-hidden {more} --dtype {dtype}"
            );
            scene.run(&score).expect(0, "");
        }
        let both = models(&[("once", model), ("again", model)]);
        scene.run(&format!("kl --data-dir out --reference once --exact --models {both}")).expect(0, "");
        let found = Columns::read(&scene.path(&pairs_folder("once", "again")));
        for name in FOUR {
            assert!(numbers(&found, name).iter().all(|value| *value == 0.0), "{model} {name}");
        }
        let hidden = |name: &str| {
            let path = format!("out/hidden/generation_model=g/task=ids/model={name}/part-00000000.safetensors");
            let rows =
                candle_core::safetensors::load(scene.path(&path), &Device::Cpu).unwrap().remove("hidden").unwrap();
            // Widened, which is exact.
            rows.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        let bits = |name: &str| hidden(name).into_iter().map(f32::to_bits).collect::<Vec<_>>();
        assert!(bits("once") == bits("again"), "the same bits whatever the batches");
    }
}
