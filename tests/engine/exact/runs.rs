//! What the tests share: a dataset of token ids, runs of `score` and `kl --exact` over it, the tables that they make.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use candle_core::{Device, Tensor};
use serde_json::json;

use crate::common::{self, Columns, Scene, fixture};

/// The columns of the divergences.
pub const FOUR: [&str; 4] = ["kl", "kl_reverse", "js", "tv"];

/// The fixtures' reference rows as a dataset of token ids: the first id is the prompt.
pub fn ids_dataset(scene: &Scene) {
    let rows = (0..).map_while(|row| {
        let ids: Vec<i64> = reference("qwen3-tied").get(&format!("{row}.ids"))?.to_vec1().unwrap();
        Some(json!({"prompt_token_ids": ids[..1], "response_token_ids": ids[1..]}))
    });
    scene.dataset("g_ids.jsonl", &rows.collect::<Vec<_>>());
}

fn reference(name: &str) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(fixture(name).join("reference.safetensors"), &Device::Cpu).unwrap()
}

/// Names and the fixtures that they stand for, as `--models` takes them.
pub fn models(models: &[(&str, &str)]) -> String {
    models.iter().map(|(name, of)| format!("{name}={}", fixture(of).display())).collect::<Vec<_>>().join(",")
}

/// Scores both on the ids and compares them exactly.
#[track_caller]
pub fn exact(scene: &Scene, p: &str, q: &str, more: &str) -> Columns {
    let both = models(&[(p, p), (q, q)]);
    let tokenizer = fixture("qwen3-tied").join("tokenizer.json");
    let more_of_score = format!("--keep-hidden --tokenizer {}", tokenizer.display());
    scene.run(&format!("score --dataset g_ids.jsonl --models {both} --output-dir out {more_of_score}")).expect(0, "");
    let kl = format!("kl --data-dir out --reference {p} --exact --models {both} {more}");
    scene.run(&kl).expect(0, "exact: ");
    Columns::read(&scene.path(&pairs_folder(p, q)))
}

/// `score` of the ids' dataset or another by fixtures, into a directory.
pub fn score(scene: &Scene, dataset: &str, named: &[(&str, &str)], output: &str, more: &str) -> common::Said {
    let tokenizer = fixture("qwen3-tied").join("tokenizer.json");
    let options = format!("--models {} --tokenizer {} --output-dir {output}", models(named), tokenizer.display());
    scene.run(&format!("score --dataset {dataset} {options} {more}"))
}

/// Where the pairs tables of P and Q on the ids are.
pub fn pairs_folder(p: &str, q: &str) -> String {
    format!("out/pairs/generation_model=g/task=ids/p={p}/q={q}")
}

/// A column without nulls.
pub fn numbers(columns: &Columns, name: &str) -> Vec<f64> {
    columns.f64s(name).into_iter().map(Option::unwrap).collect()
}

/// Gives a copy of the tied fixture five ids more, some of its own times `scale`.
pub fn widen(model: &Path, scale: f64) {
    let config = fs::read_to_string(model.join("config.json")).unwrap();
    fs::write(model.join("config.json"), config.replace("\"vocab_size\": 307", "\"vocab_size\": 312")).unwrap();
    let path = model.join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let embedding = tensors.get_mut("model.embed_tokens.weight").unwrap();
    let more = embedding.narrow(0, 100, 5).unwrap().affine(scale, 0.0).unwrap();
    *embedding = Tensor::cat(&[&*embedding, &more], 0).unwrap();
    candle_core::safetensors::save(&tensors, &path).unwrap();
}
