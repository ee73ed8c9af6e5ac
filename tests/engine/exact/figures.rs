//! What `kl` makes of the pairs tables: bounds that hold, statistics, pairs and tasks.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokshift::shift::Document;

use super::runs::{FOUR, exact, ids_dataset, models, numbers, pairs_folder, score};
use crate::common::{Columns, Scene, fixture, held};

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
    let kl = format!("kl --data-dir out --reference {p} --json --quantiles --slices");
    let said = scene.run(&kl);
    let comparison: Value = serde_json::from_str(&said.expect(0, "").stdout).unwrap();
    held::read_back::<Document>(&said.stdout);
    // The queries give the same.
    let plain = scene.run(&format!("{kl} --plain"));
    held::assert_same(&comparison, &serde_json::from_str(&plain.expect(0, "").stdout).unwrap());
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
    // The digits are those of the two perplexities, whatever is left of them in the difference.
    let (of_p, of_q) = (perplexity(&a), perplexity(&b));
    let difference = pair["perplexity_difference"]["value"].as_f64().unwrap();
    assert!((difference - (of_q - of_p)).abs() <= 1e-5 * (of_p + of_q), "{difference} for {of_q} - {of_p}");
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

    let mut moved: HashMap<(u32, u32), (u64, f64)> = HashMap::new();
    for row in &tokens {
        let [from, to] = ["top_p", "top_q"].map(|name| found.u32s(name)[*row].unwrap());
        if from != to {
            let sum = moved.entry((from, to)).or_default();
            *sum = (sum.0 + 1, sum.1 + found.f64s("kl")[*row].unwrap());
        }
    }
    let most = &pair["exact"]["most_moved"][0];
    let id = |name: &str| most[name].as_u64().unwrap() as u32;
    let (places, kl) = moved[&(id("from_id"), id("to_id"))];
    assert_eq!(most["places"].as_u64(), Some(places));
    assert_eq!(kl, moved.values().map(|(_, kl)| *kl).fold(0.0, f64::max));
    close(&most["kl"], kl);
    close(&most["share_of_kl"], kl / of("kl").iter().sum::<f64>());
    // The example is one of its positions.
    let example = &most["example"];
    let [sample, position] = ["sample_id", "position"].map(|name| Some(example[name].as_u64().unwrap() as u32));
    let is_it = |row: &&usize| (found.u32s("sample_id")[**row], found.u32s("position")[**row]) == (sample, position);
    let row = *tokens.iter().find(is_it).unwrap();
    assert_eq!((found.u32s("top_p")[row], found.u32s("top_q")[row]), (Some(id("from_id")), Some(id("to_id"))));
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
    // One that a limit of tokens ended did not end.
    let mut rows: Vec<Value> = responses.iter().map(row).collect();
    rows.push(row(&vec![40, 42, 41]));
    rows[4]["finish_reason"] = json!("length");
    scene.dataset("g_ids.jsonl", &rows);
    let found = exact(&scene, p, q, "");
    let said = scene.run(&format!("kl --data-dir out --reference {p} --json"));
    let comparison: Value = serde_json::from_str(&said.expect(0, "").stdout).unwrap();
    let cut = &comparison["pairs"][0]["cut"];
    assert_eq!((&cut["samples"], &cut["share"]["value"]), (&json!(1), &json!(0.2)));
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
        assert_eq!(comparison["pairs"][0]["exact"]["stop"][side]["n"], 4);
    }
}

/// Every two models, and the pair besides P's own.
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
    let gate = format!("kl --data-dir out --reference {p} --fail-above kl=1000");
    scene.run(&gate).expect(5, "kl: is at temperature 0.7, not 1, so it is not known to be at most 1000");
}
