//! `score --keep-hidden` and `kl --exact` from end to end: every measure against float64, from the kept rows and from
//! Hugging Face, and what happens to files that do not belong together.

mod common;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use common::{Columns, Scene, fixture};
use serde_json::{Value, json};

const FOUR: [&str; 4] = ["kl", "kl_reverse", "js", "tv"];

/// The fixtures' reference rows as a dataset of token ids: the first id is the prompt.
fn ids_dataset(scene: &Scene) {
    let rows = (0..).map_while(|row| {
        let ids: Vec<i64> = reference("qwen3-tied").get(&format!("{row}.ids"))?.to_vec1().unwrap();
        Some(json!({"prompt_token_ids": ids[..1], "response_token_ids": ids[1..]}))
    });
    scene.dataset("g_ids.jsonl", &rows.collect::<Vec<_>>());
}

fn reference(name: &str) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(fixture(name).join("reference.safetensors"), &Device::Cpu).unwrap()
}

fn models(models: &[(&str, &str)]) -> String {
    models.iter().map(|(name, of)| format!("{name}={}", fixture(of).display())).collect::<Vec<_>>().join(",")
}

/// Scores both on the ids and compares them exactly.
#[track_caller]
fn exact(scene: &Scene, p: &str, q: &str, more: &str) -> Columns {
    let both = models(&[(p, p), (q, q)]);
    let tokenizer = fixture("qwen3-tied").join("tokenizer.json");
    let more_of_score = format!("--keep-hidden --tokenizer {}", tokenizer.display());
    scene.run(&format!("score --dataset g_ids.jsonl --models {both} --output-dir out {more_of_score}")).expect(0, "");
    let kl = format!("kl --data-dir out --reference {p} --exact --models {both} {more}");
    scene.run(&kl).expect(0, "exact: ");
    Columns::read(&scene.path(&pairs_folder(p, q)))
}

fn pairs_folder(p: &str, q: &str) -> String {
    format!("out/pairs/generation_model=g/task=ids/p={p}/q={q}")
}

fn numbers(columns: &Columns, name: &str) -> Vec<f64> {
    columns.f64s(name).into_iter().map(Option::unwrap).collect()
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

/// Ids that one model alone has are left out of both, and what they held is in the table.
#[test]
fn heads_of_different_sizes_are_compared_over_what_both_have() {
    // Little of the probability is of those ids, or much.
    heads_of_different_sizes(0.5, false);
    heads_of_different_sizes(1.5, true);
}

/// Gives a copy of the tied fixture five ids more, some of its own times `scale`.
fn widen(model: &Path, scale: f64) {
    let config = fs::read_to_string(model.join("config.json")).unwrap();
    fs::write(model.join("config.json"), config.replace("\"vocab_size\": 307", "\"vocab_size\": 312")).unwrap();
    let path = model.join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let embedding = tensors.get_mut("model.embed_tokens.weight").unwrap();
    let more = embedding.narrow(0, 100, 5).unwrap().affine(scale, 0.0).unwrap();
    *embedding = Tensor::cat(&[&*embedding, &more], 0).unwrap();
    candle_core::safetensors::save(&tensors, &path).unwrap();
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
            scene.run(&kl).expect(1, "above 1e-3: --allow-removed compares what is left");
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

/// The bounds that lists of twenty give hold the exact value at every token.
#[test]
fn bounds_hold_the_exact_value_at_every_token() {
    let scene = Scene::new();
    ids_dataset(&scene);
    let (p, q) = ("qwen3-tied", "qwen3-shifted");
    let found = exact(&scene, p, q, "");
    let by_key: HashMap<_, _> =
        found.u32s("sample_id").into_iter().zip(found.u32s("position")).zip(numbers(&found, "kl")).collect();
    let [of_p, of_q] = [p, q].map(|model| Side::read(&scene, model));
    let keys = of_p.columns.u32s("sample_id").into_iter().zip(of_p.columns.u32s("position"));
    for (row, key) in keys.enumerate() {
        let (lower, upper) = bounds(&of_p, &of_q, row);
        let kl = by_key[&key];
        assert!(lower <= kl + 1e-6 && kl <= upper, "{key:?}: {lower} {kl} {upper}");
    }
}

struct Side {
    columns: Columns,
    ids: Vec<Vec<u32>>,
    logprobs: Vec<Vec<f32>>,
}

impl Side {
    fn read(scene: &Scene, model: &str) -> Self {
        let columns = scene.table("out", "tokens", "g", "ids", model);
        let (ids, logprobs) = (columns.u32_lists("top_ids"), columns.f32_lists("top_logprobs"));
        Self { columns, ids, logprobs }
    }

    fn at(&self, name: &str, row: usize) -> f64 {
        f64::from(self.columns.f32s(name)[row].unwrap())
    }

    /// Log-probabilities that are known at a row.
    fn known(&self, row: usize) -> HashMap<u32, f64> {
        let listed = self.ids[row].iter().copied().zip(self.logprobs[row].iter().map(|l| f64::from(*l)));
        let token = (self.columns.u32s("token_id")[row].unwrap(), self.at("logprob", row));
        listed.chain([token]).collect()
    }
}

/// KL of the distributions put together outside what both know, and with every unknown q at Q's least likely.
fn bounds(p: &Side, q: &Side, row: usize) -> (f64, f64) {
    let (known_p, known_q) = (p.known(row), q.known(row));
    let (mut lower, mut cross) = (0.0, -p.at("rest_logprob", row).exp() * q.at("min_logprob", row));
    let (mut rest_p, mut rest_q) = (p.at("rest_logprob", row).exp(), q.at("rest_logprob", row).exp());
    for (id, a) in &known_p {
        match known_q.get(id) {
            Some(b) => lower += a.exp() * (a - b),
            None => rest_p += a.exp(),
        }
        cross -= a.exp() * known_q.get(id).copied().unwrap_or(q.at("min_logprob", row));
    }
    rest_q += known_q.iter().filter(|(id, _)| !known_p.contains_key(id)).map(|(_, b)| b.exp()).sum::<f64>();
    lower += rest_p * (rest_p / rest_q).ln();
    (lower, cross - p.at("entropy", row) + 1e-5)
}

/// The statistics are those of the table's rows.
#[test]
fn the_figures_are_those_of_the_table() {
    let scene = Scene::new();
    ids_dataset(&scene);
    let (p, q) = ("qwen3-tied", "qwen3-shifted");
    let found = exact(&scene, p, q, "");
    let said = scene.run(&format!("kl --data-dir out --reference {p} --json --quantiles --slices"));
    let comparison: Value = serde_json::from_str(&said.expect(0, "").stdout).unwrap();
    let pair = &comparison["pairs"][0];
    let close = |found: &Value, expected: f64| {
        let found = found.as_f64().unwrap();
        assert!((found - expected).abs() <= 1e-9 * (1.0 + expected.abs()), "{found} for {expected}");
    };
    let tokens: Vec<usize> = (0..found.len()).filter(|row| found.u32s("token_id")[*row].is_some()).collect();
    let n = tokens.len() as f64;
    let of = |name: &str| tokens.iter().map(|row| found.f64s(name)[*row].unwrap()).collect::<Vec<f64>>();
    let measure = |name: &str| pair["measures"].as_array().unwrap().iter().find(|m| m["name"] == name).unwrap();
    for name in FOUR {
        close(&measure(name)["token_mean"]["value"], of(name).iter().sum::<f64>() / n);
    }
    let samples = 1 + found.u32s("sample_id").into_iter().flatten().max().unwrap();
    close(&measure("kl")["response_mean"]["value"], of("kl").iter().sum::<f64>() / f64::from(samples));
    let (mut sorted, delta) = (of("kl"), of("delta_logprob"));
    sorted.sort_by(f64::total_cmp);
    let quantiles = pair["quantiles"].as_array().unwrap().iter().find(|m| m["measure"] == "kl").unwrap();
    close(&quantiles["quantiles"][0]["value"], sorted[0]);
    close(&quantiles["quantiles"].as_array().unwrap().last().unwrap()["value"], sorted[sorted.len() - 1]);

    // What comes from the tokens tables' f32 numbers agrees with the pairs table to their digits.
    let near = |found: &Value, expected: f64| {
        let found = found.as_f64().unwrap();
        assert!((found - expected).abs() <= 1e-5 * (1.0 + expected.abs()), "{found} for {expected}");
    };
    near(&pair["perplexity_ratio"]["value"], (-delta.iter().sum::<f64>() / n).exp());
    let a = of("logprob_p");
    let b: Vec<f64> = a.iter().zip(&delta).map(|(a, d)| a + d).collect();
    let center = |x: &[f64]| x.iter().sum::<f64>() / n;
    let perplexity = |x: &[f64]| (-center(x)).exp();
    near(&pair["perplexity_difference"]["value"], perplexity(&b) - perplexity(&a));
    // A sample is a cluster here: the jackknife over them agrees with the derivative to first order.
    let without = |sample: u32| {
        let kept: Vec<usize> =
            (0..tokens.len()).filter(|i| found.u32s("sample_id")[tokens[*i]] != Some(sample)).collect();
        let of = |x: &[f64]| (-kept.iter().map(|i| x[*i]).sum::<f64>() / kept.len() as f64).exp();
        of(&b) - of(&a)
    };
    let left: Vec<f64> = (0..samples).map(without).collect();
    let (g, mean) = (left.len() as f64, left.iter().sum::<f64>() / left.len() as f64);
    let jackknife = ((g - 1.0) / g * left.iter().map(|x| (x - mean).powi(2)).sum::<f64>()).sqrt();
    let stderr = pair["perplexity_difference"]["stderr"].as_f64().unwrap();
    assert!((stderr / jackknife - 1.0).abs() < 0.25, "{stderr} for {jackknife}");
    let cov = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x1, y1)| (x1 - center(x)) * (y1 - center(y))).sum::<f64>();
    near(&pair["log_perplexity_correlation"], cov(&a, &b) / (cov(&a, &a) * cov(&b, &b)).sqrt());
    near(&pair["rms_delta_p"]["value"], (of("delta_p").iter().map(|d| d * d).sum::<f64>() / n).sqrt());

    let mut shifted: HashMap<u32, (u64, f64)> = HashMap::new();
    for row in &tokens {
        let token = shifted.entry(found.u32s("token_id")[*row].unwrap()).or_default();
        token.0 += u64::from(found.u32s("rank_of_top_p")[*row].unwrap() > 3);
        token.1 += found.f64s("kl")[*row].unwrap();
    }
    let most = &pair["exact"]["most_shifted"][0];
    assert_eq!(most["shifted"].as_u64(), shifted.values().map(|(n, _)| *n).max());
    close(&pair["exact"]["most_kl"][0]["kl"], shifted.values().map(|(_, kl)| *kl).fold(0.0, f64::max));
    assert!(pair["slices"].as_array().unwrap().iter().all(|slice| slice["measures"][0]["name"] == "kl"));
}

/// Before the token that ends it, if that is the last, else after the last.
#[test]
fn the_probability_to_end_is_read_where_the_response_ended() {
    let scene = Scene::new();
    let (p, q) = ("qwen3-tied", "qwen3-shifted");
    let config: Value = serde_json::from_slice(&fs::read(fixture(p).join("config.json")).unwrap()).unwrap();
    let end = config["eos_token_id"].as_u64().unwrap();
    let responses = [vec![40, 41, end], vec![40, end, 42], vec![40, 41, 42, 43], vec![end, end]];
    let row = |response: &Vec<u64>| json!({"prompt_token_ids": [50, 51], "response_token_ids": response});
    scene.dataset("g_ids.jsonl", &responses.iter().map(row).collect::<Vec<_>>());
    let found = exact(&scene, p, q, "");
    let said = scene.run(&format!("kl --data-dir out --reference {p} --json"));
    let comparison: Value = serde_json::from_str(&said.expect(0, "").stdout).unwrap();
    let (samples, positions) = (found.u32s("sample_id"), found.u32s("position"));
    let at = |column: &str, place: (u32, u32)| {
        let row = (0..found.len()).find(|row| (samples[*row], positions[*row]) == (Some(place.0), Some(place.1)));
        found.f64s(column)[row.unwrap()].unwrap().exp()
    };
    let places = [(0, 2), (1, 3), (2, 4), (3, 1)];
    for (side, column) in [("p", "stop_p"), ("q", "stop_q")] {
        let expected = places.iter().map(|place| at(column, *place)).sum::<f64>() / places.len() as f64;
        let value = comparison["pairs"][0]["exact"]["stop"][side]["value"].as_f64().unwrap();
        assert!((value - expected).abs() <= 1e-12 * expected, "{value} for {expected}");
    }
}

/// Two parts; one that is lost is made again with the same bytes, and nothing else is touched.
#[test]
fn a_lost_part_is_made_again() {
    let scene = Scene::new();
    scene.dataset("g_ids.jsonl", &common::many_rows(300));
    let (p, q) = ("qwen3-tied", "qwen3-shifted");
    let tables = exact(&scene, p, q, "");
    assert!(tables.len() > 300);
    let before = scene.files("out");
    let lost = format!("{}/part-00000001.parquet", pairs_folder(p, q));
    fs::remove_file(scene.path(&lost)).unwrap();
    let partly = scene.run(&format!("kl --data-dir out --reference {p}"));
    assert!(partly.expect(0, "").stdout.contains("the exact measures lack 1 of 2 parts"), "{}", partly.stdout);
    let both = models(&[(p, p), (q, q)]);
    scene.run(&format!("kl --data-dir out --reference {p} --exact --models {both}")).expect(0, "exact: ");
    assert!(scene.files("out") == before);
    let again = scene.run(&format!("kl --data-dir out --reference {p} --exact --models {both}"));
    assert!(!again.expect(0, "").stderr.contains("exact: "), "nothing was left to do");
    scene.run("verify out").expect(0, "");
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let scene = Scene::new();
    ids_dataset(&scene);
    let (p, q) = ("qwen3-tied", "qwen3-shifted");
    let both = models(&[(p, p), (q, q)]);
    let kl = |more: &str| scene.run(&format!("kl --data-dir out --reference {p} --exact --models {more}"));
    let score = |more: &str| scene.run(&format!("score --dataset g_ids.jsonl --models {both} --output-dir out {more}"));
    score("").expect(0, "");
    kl(&both).expect(1, "kept no hidden rows of `ids`: score it with --keep-hidden");
    score("--keep-hidden").expect(1, "engine.keep_hidden = null");
    fs::remove_dir_all(scene.path("out")).unwrap();
    score("--keep-hidden").expect(0, "hidden rows");
    kl(&models(&[(p, p)])).expect(1, "needs the head of `qwen3-shifted`");
    kl(&models(&[(p, q), (q, q)])).expect(1, "is not what scored `qwen3-tied`");
    kl(&both).expect(0, "exact: ");
    kl(&format!("{both} --temperature 2")).expect(1, "temperature = 1.0, this run has 2.0");

    let hidden = scene.path(&format!("out/hidden/generation_model=g/task=ids/model={q}/part-00000000.safetensors"));
    let pairs = scene.path(&pairs_folder(p, q)).join("part-00000000.parquet");
    fs::remove_file(&pairs).unwrap();
    let bytes = fs::read(&hidden).unwrap();
    for broken in [flipped(&bytes), bytes[..bytes.len() - 4].to_vec(), b"junk".to_vec()] {
        fs::write(&hidden, broken).unwrap();
        kl(&both).expect(1, "part-00000000.safetensors");
        let said = scene.run("verify out");
        assert!(said.code == Some(1) && said.stdout.contains("part-00000000.safetensors"), "{}", said.stdout);
    }
    assert!(!pairs.exists());
}

/// With its last bit turned.
fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    flipped
}

/// Every two models, and the pair beside P's own.
#[test]
fn all_pairs_are_compared_on_request() {
    let scene = Scene::new();
    ids_dataset(&scene);
    let all = ["qwen3-tied", "qwen3-shifted", "llama3"];
    let named = models(&all.map(|name| (name, name)));
    scene.run(&format!("score --dataset g_ids.jsonl --models {named} --output-dir out --keep-hidden")).expect(0, "");
    let said =
        scene.run(&format!("kl --data-dir out --reference {} --all-pairs --json --exact --models {named}", all[0]));
    let comparison: Value = serde_json::from_str(&said.expect(0, "").stdout).unwrap();
    let pairs: Vec<_> =
        comparison["pairs"].as_array().unwrap().iter().map(|pair| (pair["p"].as_str(), pair["q"].as_str())).collect();
    assert_eq!(pairs, [(Some(all[0]), Some(all[2])), (Some(all[0]), Some(all[1])), (Some(all[2]), Some(all[1]))]);
    let folders: Vec<PathBuf> =
        pairs.iter().map(|(p, q)| Path::new(&pairs_folder(p.unwrap(), q.unwrap())).to_owned()).collect();
    assert!(folders.iter().all(|folder| scene.path(folder.to_str().unwrap()).is_dir()));
    // Only two of the three pairs share P.
    let differences = comparison["differences"].as_array().unwrap();
    let names: Vec<_> = differences.iter().map(|d| [&d["p"], &d["q"], &d["minus"]].map(Value::as_str)).collect();
    assert_eq!(names, [[Some(all[0]), Some(all[2]), Some(all[1])]]);
}

/// A task without exact measures takes them away from the figures over all tasks, and nothing else.
#[test]
fn tasks_are_pooled_whether_all_have_exact_measures_or_not() {
    let scene = Scene::new();
    ids_dataset(&scene);
    let (p, q) = ("qwen3-tied", "qwen3-shifted");
    exact(&scene, p, q, "--temperature 0.7");
    fs::copy(scene.path("g_ids.jsonl"), scene.path("g_more.jsonl")).unwrap();
    score(&scene, "g_more.jsonl", &[(p, p), (q, q)], "out", "--keep-hidden").expect(0, "");
    let pooled = || {
        let said = scene.run(&format!("kl --data-dir out --reference {p} --json"));
        let comparison: Value = serde_json::from_str(&said.expect(0, "").stdout).unwrap();
        let measures = comparison["overall"][0]["measures"].as_array().unwrap();
        measures.iter().map(|m| m["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let names = pooled();
    assert!(names.contains(&"kl_k1".to_owned()) && !names.contains(&"kl".to_owned()), "{names:?}");
    let both = models(&[(p, p), (q, q)]);
    let kl = format!("kl --data-dir out --reference {p} --exact --models {both} --temperature 0.7");
    scene.run(&kl).expect(0, "exact: ");
    assert!(pooled().contains(&"kl".to_owned()));
}

/// Whatever order models are named in: `score` compares what `kl` then asks for.
#[test]
fn score_compares_the_pairs_that_kl_shows() {
    let scene = Scene::new();
    ids_dataset(&scene);
    let of = |name: &'static str| (name, if name == "b" { "qwen3-shifted" } else { "qwen3-tied" });
    for (output, order, reference) in [("one", ["r", "c", "b"], "r"), ("two", ["c", "g", "b"], "g")] {
        score(&scene, "g_ids.jsonl", &order.map(of), output, "--exact").expect(0, "exact: ");
        let kl = |more: &str| scene.run(&format!("kl --data-dir {output} --reference {reference} --json {more}"));
        let comparison: Value = serde_json::from_str(&kl("--all-pairs").expect(0, "").stdout).unwrap();
        let pairs = comparison["pairs"].as_array().unwrap();
        assert!(pairs.len() == 3 && pairs.iter().all(|pair| !pair["exact"].is_null()), "{pairs:?}");
    }
    let said = scene.run("kl --data-dir one --reference b");
    said.expect_out("exact measures are there of `r` as P beside `b` alone: --reference r shows them");
}

/// A model that keeps its hidden rows beside one that does not.
#[test]
fn kept_and_lent_rows_go_together() {
    let scene = Scene::new();
    ids_dataset(&scene);
    let (p, q) = (("p", "qwen3-tied"), ("q", "qwen3-shifted"));
    score(&scene, "g_ids.jsonl", &[p], "out", "--keep-hidden").expect(0, "");
    score(&scene, "g_ids.jsonl", &[q], "out", "").expect(0, "");
    let kl = format!("kl --data-dir out --reference p --exact --models {}", models(&[p, q]));
    scene.run(&kl).expect(1, "both models with `score --exact`");
    score(&scene, "g_ids.jsonl", &[p, q], "out", "--exact").expect(0, "exact: p beside q");
    let hidden: Vec<String> = scene.files("out").into_keys().filter(|name| name.starts_with("hidden/")).collect();
    assert_eq!(hidden, ["hidden/generation_model=g/task=ids/model=p/part-00000000.safetensors"]);
    scene.run("verify out").expect_out("all is well");
}

/// Files that were put elsewhere would turn figures without a trace.
#[test]
fn files_of_other_models_and_pairs_are_refused() {
    let scene = Scene::new();
    ids_dataset(&scene);
    let all = ["qwen3-tied", "qwen3-shifted", "llama3"];
    let named = models(&all.map(|name| (name, name)));
    scene.run(&format!("score --dataset g_ids.jsonl --models {named} --output-dir out --keep-hidden")).expect(0, "");
    let kl = format!("kl --data-dir out --reference {} --exact --models {named}", all[0]);
    let refused = |file: &str, from: &str| {
        let path = scene.path(file);
        let own = fs::read(&path).unwrap();
        fs::copy(scene.path(from), &path).unwrap();
        scene.run(&kl).expect(1, "files were moved");
        let said = scene.run("verify out");
        assert!(said.code == Some(1) && said.stdout.contains("files were moved"), "{}", said.stdout);
        fs::write(&path, own).unwrap();
    };
    let hidden =
        |model: &str| format!("out/hidden/generation_model=g/task=ids/model={model}/part-00000000.safetensors");
    refused(&hidden(all[1]), &hidden(all[0]));
    scene.run(&kl).expect(0, "exact: ");
    let pairs = |q: &str| format!("{}/part-00000000.parquet", pairs_folder(all[0], q));
    refused(&pairs(all[1]), &pairs(all[2]));
    scene.run(&kl).expect(0, "");
}

/// `score` of the ids' dataset or another by fixtures, into a directory.
fn score(scene: &Scene, dataset: &str, named: &[(&str, &str)], output: &str, more: &str) -> common::Said {
    let tokenizer = fixture("qwen3-tied").join("tokenizer.json");
    let options = format!("--models {} --tokenizer {} --output-dir {output}", models(named), tokenizer.display());
    scene.run(&format!("score --dataset {dataset} {options} {more}"))
}

/// Without the pairs and their manifests.
fn tables(scene: &Scene, output: &str) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut files = scene.files(output);
    files.retain(|name, _| !name.starts_with("pairs/") && !name.contains("/p="));
    files
}

/// In one go: the tables of `score`, the pairs tables of `kl --exact`, and no hidden rows left.
#[test]
fn score_can_compare_exactly_and_leave_nothing_behind() {
    let scene = Scene::new();
    ids_dataset(&scene);
    let (p, q) = (("qwen3-tied", "qwen3-tied"), ("qwen3-shifted", "qwen3-shifted"));
    exact(&scene, p.0, q.0, "");
    let run = |output: &str, more: &str| score(&scene, "g_ids.jsonl", &[p, q], output, more);
    run("plain", "").expect(0, "");
    run("at-once", "--exact").expect(0, "exact: qwen3-tied beside qwen3-shifted");
    // Their footers differ: one is of runs that keep hidden rows.
    let pairs = |output: &str| {
        let folder = pairs_folder(p.0, q.0).replace("out/", &format!("{output}/"));
        Columns::read(&scene.path(&folder)).0
    };
    assert_eq!(tables(&scene, "at-once"), scene.files("plain"));
    assert_eq!(pairs("at-once"), pairs("out"));
    let whole = scene.files("at-once");
    scene.run("verify at-once").expect_out("all is well");
    run("at-once", "--exact").expect(0, "qwen3-tied: already scored");
    run("at-once", "").expect(0, "qwen3-tied: already scored");
    assert_eq!(scene.files("at-once"), whole);

    // Where tables are there and hidden rows are not, they are made again and the tables stay.
    run("plain", "--exact").expect(0, "exact: qwen3-tied beside qwen3-shifted");
    assert_eq!(scene.files("plain"), whole);
    // What is kept on request stays, also beside what is new.
    let kept = scene.files("out");
    run("out", "--exact").expect(0, "already scored");
    assert_eq!(scene.files("out"), kept);
    score(&scene, "g_ids.jsonl", &[p, q, ("twin", "qwen3-tied")], "out", "--exact")
        .expect(0, "exact: qwen3-tied beside twin");
    let hidden = |scene: &Scene| scene.files("out").into_keys().filter(|name| name.starts_with("hidden/")).count();
    assert_eq!(hidden(&scene), 2, "the twin's were on loan");

    run("at-once", "--exact --out jsonl").expect(1, "--exact needs tables of Parquet");
    score(&scene, "g_ids.jsonl", &[p], "one", "--exact").expect(1, "--exact compares models with one another");
}

/// Whatever is lost of it, and whoever joins, the same command makes it whole, and nothing else is touched.
#[test]
fn what_is_missing_of_an_exact_comparison_is_made_again() {
    let scene = Scene::new();
    scene.dataset("g_t.jsonl", &common::many_rows(300));
    let (p, q, r) = (("p", "qwen3-tied"), ("q", "qwen3-shifted"), ("r", "granite"));
    let run = |models: &[(&str, &str)]| score(&scene, "g_t.jsonl", models, "out", "--exact");
    run(&[p, q]).expect(0, "exact: p beside q");
    let whole = scene.files("out");
    let lose = |file: &str| fs::remove_file(scene.path(&format!("out/{file}/part-00000001.parquet"))).unwrap();
    let (tokens, pairs) = ("tokens/generation_model=g/task=t/model=q", "pairs/generation_model=g/task=t/p=p/q=q");
    for lost in [vec![tokens], vec![pairs], vec![tokens, pairs]] {
        for file in &lost {
            lose(file);
        }
        run(&[p, q]).expect(0, "p: 44 ok").expect(0, "q: 44 ok");
        assert_eq!(scene.files("out"), whole, "{lost:?}");
    }
    // A third model needs the rows of the others again; what they had stays as it is.
    run(&[p, q, r]).expect(0, "exact: q beside r");
    let after = scene.files("out");
    assert!(whole.iter().all(|(name, bytes)| after.get(name) == Some(bytes)));
    assert!(!after.keys().any(|name| name.starts_with("hidden/")), "{:?}", after.keys());
    let pairs = after.keys().filter(|name| name.starts_with("pairs/")).count();
    assert_eq!(pairs, 6, "two parts of three pairs");
    scene.run("verify out").expect_out("all is well");
}

/// Loans of a run that ended before it compared are used by the next one, and are no damage.
#[test]
fn loans_outlive_a_run_that_is_stopped() {
    let scene = Scene::new();
    scene.dataset("g_t.jsonl", &common::many_rows(300));
    let (p, wide) = (("p", "qwen3-tied"), scene.model("wide", "qwen3-tied"));
    // Its head gives what the other lacks too much: it is scored, and not compared.
    widen(&wide, 1.5);
    let both = format!("{},wide={}", models(&[p]), wide.display());
    let score =
        |more: &str| scene.run(&format!("score --dataset g_t.jsonl --models {both} --output-dir out --exact {more}"));
    score("").expect(1, "--allow-removed compares what is left");
    let loans = || scene.files("out").keys().filter(|name| name.ends_with(".loan.safetensors")).count();
    assert_eq!(loans(), 4);
    scene.run("verify out").expect_out("all is well");
    scene.run(&format!("score --dataset g_t.jsonl --models {both} --output-dir out")).expect(0, "p: already scored");
    score("--allow-removed").expect(0, "p: already scored").expect(0, "exact: p beside wide");
    assert_eq!(loans(), 0);
}

#[test]
fn an_adapter_on_the_head_is_refused_before_anything_is_scored() {
    let scene = Scene::new();
    scene.dataset("g_t.jsonl", &common::rows()[..2]);
    let (base, tuned) = (fixture("llama3"), fixture("lora-llama3"));
    let models = format!("base={0},tuned={0}+{1}", base.display(), tuned.display());
    scene
        .run(&format!("score --dataset g_t.jsonl --models {models} --output-dir out --exact"))
        .expect(1, "the adapter of `tuned` is on the head");
    assert!(!scene.path("out").exists());
}
