//! `kl --noise-floor`: what of a shift is only how bf16 rounds.

use std::collections::HashMap;
use std::path::Path;

use crate::common::{Columns, Scene, held, rows};
use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use tokshift::shift::Document;

/// A model `p`, and `q` with every weight moved by about `step` of itself, each scored as it is and in f32.
fn scene(step: f64) -> Scene {
    let scene = Scene::new();
    // Thirty rows: fewer give no percentile worth the name.
    scene.dataset("p_t.jsonl", &rows());
    scene.model("p", "llama-bf16");
    move_weights(&scene.model("q", "llama-bf16"), step);
    let score = |models: &str, dtype: &str| {
        let said = scene.run(&format!(
            "score --dataset p_t.jsonl --models {models} --dtype {dtype} --output-dir out --keep-hidden"
        ));
        said.expect(0, "30 ok");
    };
    score("p=p,q=q", "bf16");
    score("p32=p,q32=q", "f32");
    scene
}

/// Every weight of a model by about `step` of itself.
fn move_weights(model: &Path, step: f64) {
    let path = model.join("model.safetensors");
    let tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let moved: HashMap<String, Tensor> =
        tensors.iter().map(|(name, tensor)| (name.clone(), moved(tensor, step))).collect();
    candle_core::safetensors::save(&moved, &path).unwrap();
}

fn moved(tensor: &Tensor, step: f64) -> Tensor {
    let values: Vec<f32> = tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    let wave = |(i, x): (usize, f32)| x * (1.0 + step as f32 * (i as f32 * 2.399).sin());
    let values: Vec<f32> = values.into_iter().enumerate().map(wave).collect();
    let moved = Tensor::from_vec(values, tensor.dims(), &Device::Cpu).unwrap();
    moved.to_dtype(tensor.dtype()).unwrap()
}

/// The pair of `p` and `q` as JSON.
fn compared(scene: &Scene, p: &str, q: &str) -> Value {
    let kl = "kl --data-dir out --exact --models p=p,q=q,p32=p,q32=q --reference p --noise-floor p=p32,q=q32 --json";
    let said = scene.run(kl);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let found: Value = serde_json::from_str(&said.stdout).unwrap();
    held::read_back::<Document>(&said.stdout);
    held::assert_same(&found, &serde_json::from_str(&scene.run(&format!("{kl} --plain")).stdout).unwrap());
    found["pairs"].as_array().unwrap().iter().find(|pair| pair["p"] == p && pair["q"] == q).unwrap().clone()
}

fn kls(scene: &Scene, p: &str, q: &str) -> Vec<f64> {
    let table = Columns::read(&scene.path(&format!("out/pairs/generation_model=p/task=t/p={p}/q={q}")));
    let of_tokens = table.u32s("token_id").into_iter().zip(table.f64s("kl"));
    of_tokens.filter_map(|(token, kl)| token.and(kl)).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Linear between the values around it.
fn quantile(values: &[f64], fraction: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let place = fraction * (values.len() - 1) as f64;
    let (low, high) = (values[place as usize], values[(place as usize + 1).min(values.len() - 1)]);
    low + (high - low) * place.fract()
}

#[test]
fn a_shift_stands_beside_what_rounding_alone_gives() {
    for (step, is_below) in [(1e-3, true), (0.5, false)] {
        let scene = scene(step);
        let pair = compared(&scene, "p", "q");
        let floor = &pair["noise_floor"];
        let close = |found: &Value, wanted: f64| {
            let found = found.as_f64().unwrap();
            assert!((found - wanted).abs() <= 1e-12 + 1e-9 * wanted, "{step}: {found}, not {wanted}");
        };
        let (of_p, of_q) = (kls(&scene, "p", "p32"), kls(&scene, "q", "q32"));
        close(&floor["p"]["value"], mean(&of_p));
        close(&floor["q"]["value"], mean(&of_q));
        close(&floor["in_f32"]["value"], mean(&kls(&scene, "p32", "q32")));
        let tail = quantile(&of_p, 0.99).max(quantile(&of_q, 0.99));
        let own = kls(&scene, "p", "q");
        close(&floor["tokens_below"], own.iter().filter(|kl| **kl < tail).count() as f64 / own.len() as f64);
        assert!(mean(&of_p) > 0.0, "bf16 rounds nothing here");
        assert_eq!(floor["is_below"], is_below, "{step}: {} next to {}", mean(&own), mean(&of_p));
        // A twin is as far from its model in both of its pairs.
        assert!(compared(&scene, "p", "p32")["noise_floor"].is_null());
    }
}

#[test]
fn a_floor_needs_the_twins() {
    let scene = Scene::new();
    scene.dataset("p_t.jsonl", &rows()[..2]);
    scene.model("p", "llama-bf16");
    let score = |models: &str, dtype: &str| {
        let options = format!("--models {models} --dtype {dtype} --output-dir out --keep-hidden");
        scene.run(&format!("score --dataset p_t.jsonl {options}")).expect(0, "2 ok");
    };
    score("p=p,q=p", "bf16");
    let kl = |more: &str| scene.run(&format!("kl --data-dir out --noise-floor p=p32,q=q32 {more}"));
    kl("--exact --models p=p,q=p").expect(1, "--noise-floor: no response set was scored by `p32`");
    score("p32=p,q32=p", "f32");
    // Without exact measures a note says so.
    let said = kl("--all");
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    said.expect_out("no noise floor: `kl --exact` has to compare `p` with `p32` first");
    // What is no twin makes no floor: other weights, other numbers than f32.
    move_weights(&scene.model("r", "llama-bf16"), 1e-3);
    score("other=r", "f32");
    score("half=p", "bf16");
    scene.run("kl --data-dir out --noise-floor p=other").expect(1, "`other` is not `p` in f32: its files are others");
    scene.run("kl --data-dir out --noise-floor p=half").expect(1, "`half` is not `p` in f32: it was scored in bf16");
    scene.run("kl --data-dir out --noise-floor p").expect(2, "expected MODEL=F32-MODEL");
}

fn pair<'a>(json: &'a Value, p: &str, q: &str) -> &'a Value {
    json["pairs"].as_array().unwrap().iter().find(|pair| pair["p"] == p && pair["q"] == q).unwrap()
}

fn has_note(pair: &Value, note: &str) -> bool {
    pair["notes"].as_array().unwrap().iter().any(|found| found.as_str().unwrap().contains(note))
}

#[test]
fn f32_is_its_own_floor() {
    let scene = scene(1e-3);
    let exact = "kl --data-dir out --exact --models p=p,q=q,p32=p,q32=q --reference p --json";
    let json = |floors: &str| -> Value {
        let said = scene.run(&format!("{exact} {floors}"));
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        serde_json::from_str(&said.stdout).unwrap()
    };
    let found = json("--noise-floor p=p32");
    let floor = &pair(&found, "p", "q32")["noise_floor"];
    assert_eq!((&floor["q"]["value"], &floor["q"]["stderr"]), (&Value::from(0.0), &Value::from(0.0)));
    assert_eq!(floor["p"]["value"].as_f64().unwrap(), mean(&kls(&scene, "p", "p32")));
    assert!((floor["in_f32"]["value"].as_f64().unwrap() - mean(&kls(&scene, "p32", "q32"))).abs() < 1e-12);
    // One that has neither is listed; a model and its own version need no floor.
    assert!(pair(&found, "p", "q")["noise_floor"].is_null());
    assert!(has_note(
        pair(&found, "p", "q"),
        "no noise floor: `q` was not computed in f32, and --noise-floor names no f32"
    ));
    assert!(!has_note(pair(&found, "p", "p32"), "no noise floor"));
}

#[test]
fn rounding_is_told_of() {
    let scene = scene(1e-3);
    let said = scene.run("kl --data-dir out --exact --models p=p,q=q,p32=p,q32=q --reference p --all-pairs --json");
    let found: Value = serde_json::from_str(&said.expect(0, "").stdout).unwrap();
    let rounding = ["the same weights", "P was computed in", "both models were computed in bf16"];
    for (p, q, note) in [
        ("p", "q", Some("both models were computed in bf16: rounding alone can be much of that")),
        ("p", "q32", Some("P was computed in bf16, Q in f32: KL contains what rounding alone gives")),
        ("p", "p32", Some("P and Q are the same weights, in bf16 and in f32: what differs is rounding alone")),
        ("p32", "q32", None),
    ] {
        let pair = pair(&found, p, q);
        assert!(note.is_none_or(|note| has_note(pair, note)), "{p} {q}: {}", pair["notes"]);
        let notes = rounding.iter().filter(|note| has_note(pair, note)).count();
        assert_eq!(notes, usize::from(note.is_some()), "{p} {q}: {}", pair["notes"]);
    }
    // The floor says more than the note; a large KL needs neither.
    let floor = scene.run("kl --data-dir out --reference p --noise-floor p=p32,q=q32 --json");
    assert!(!has_note(pair(&serde_json::from_str(&floor.stdout).unwrap(), "p", "q"), rounding[2]));
    // Twice the same weights.
    let twice = "--models p=p,again=p --dtype bf16 --output-dir twice";
    scene.run(&format!("score --dataset p_t.jsonl {twice}")).expect(0, "30 ok");
    let said = scene.run("kl --data-dir twice --json");
    let found: Value = serde_json::from_str(&said.stdout).unwrap();
    let note = "P and Q are the same weights in the same dtype (their files are equal), so that";
    assert!(has_note(pair(&found, "p", "again"), note), "{}", found["pairs"]);
}

#[test]
fn a_large_kl_is_no_matter_of_rounding() {
    let scene = scene(0.5);
    let said = scene.run("kl --data-dir out --exact --models p=p,q=q,p32=p,q32=q --reference p --json");
    let found: Value = serde_json::from_str(&said.stdout).unwrap();
    let kl = pair(&found, "p", "q")["measures"][0]["token_mean"]["value"].as_f64().unwrap();
    assert!(kl > 0.01, "{kl}");
    assert!(!has_note(pair(&found, "p", "q"), "both models were computed in bf16"));
    assert!(has_note(pair(&found, "p", "q32"), "P was computed in bf16, Q in f32"));
}

/// `score --noise-floor`: the same figures as those of the models that are scored by hand.
#[test]
fn a_floor_is_measured_with_the_scores() {
    let scene = scene(1e-3);
    let said =
        scene.run("score --dataset p_t.jsonl --models p=p,q=q --dtype bf16 --output-dir plain --noise-floor floor");
    said.expect(0, "p-f32: 30 ok").expect_out("noise floor, KL(model‖itself in f32): P ");
    let expected = compared(&scene, "p", "q")["noise_floor"].clone();
    let found = scene.run("kl --data-dir floor --noise-floor p=p-f32,q=q-f32 --json");
    let found: Value = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!(pair(&found, "p", "q")["noise_floor"], expected);
    // The scores are those of a run without it, and have no further model.
    scene.run("score --dataset p_t.jsonl --models p=p,q=q --dtype bf16 --output-dir without").expect(0, "30 ok");
    assert!(scene.files("plain") == scene.files("without"));
    let said =
        scene.run("score --dataset p_t.jsonl --models p=p,q=q --dtype f32 --output-dir f32 --noise-floor floor32");
    said.expect(0, "30 ok").expect_out("noise floor 0: all models are computed in f32");
}
