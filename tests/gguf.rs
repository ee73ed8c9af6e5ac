//! GGUF files: the same numbers as the checkpoint that llama.cpp's converter made them of, the same ids as the
//! `tokenizer.json`, and every hostile header an error.

mod common;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use candle_core::{DType, Device};
use common::{Scene, converted, fixture};
use serde_json::{Value, json};
use tokshift::decoder::Checkpoint;
use tokshift::engine::local::{Local, LocalOptions};
use tokshift::engine::{Engine, Job, JobSample, TokenScores};
use tokshift::gguf::Header;
use tokshift::sample::{ResponseToken, Sample, Status};
use tokshift::stop::Stop;
use tokshift::tokenize::TextTokenizer;

/// Largest |Δ log-probability| against the safetensors, which are within as much of transformers.
const TOLERANCE: f32 = 1e-4;
static NEVER: AtomicBool = AtomicBool::new(false);

/// What GGUF cannot say of a fixture, as the converter's files and llama.cpp have it instead.
fn lost(name: &str) -> Value {
    match name {
        "gemma2" => json!({"query_pre_attn_scalar": 8}),
        "gemma3" => json!({"query_pre_attn_scalar": 8, "layer_types": null, "sliding_window_pattern": 6}),
        "mixtral" => json!({"sliding_window": null}),
        "smollm3" => json!({"no_rope_layers": [1, 1, 1], "layer_types": null, "use_sliding_window": false}),
        "qwen3-tied" => json!({"use_sliding_window": false, "layer_types": null}),
        _ => json!({}),
    }
}

/// A copy of the fixture with what GGUF says of it.
fn source(scene: &Scene, name: &str) -> PathBuf {
    let folder = scene.model(name, name);
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for (field, value) in lost(name).as_object().unwrap() {
        config[field] = value.clone();
    }
    std::fs::write(path, config.to_string()).unwrap();
    folder
}

fn gguf(scene: &Scene, name: &str) -> PathBuf {
    let path = scene.path(&format!("{name}.gguf"));
    converted::write(name, &path);
    path
}

/// Log-probabilities of a text of 96 ids.
fn logprobs(path: &Path) -> (Checkpoint, Vec<f32>) {
    let checkpoint = Checkpoint::open(path).unwrap();
    let dtype = DType::F32;
    let options = LocalOptions { name: "model".to_owned(), dtype, device: Device::Cpu, batch_tokens: 4096, top_k: 5 };
    let engine = Local::load(&checkpoint, options).unwrap();
    let token = |index| ResponseToken { index, start: 0, end: 0, straddles: false, is_end: false };
    let sample = Sample {
        sample_id: 0,
        row: 0,
        row_id: None,
        turn: 0,
        cluster_id: String::new(),
        prompt: String::new(),
        response: String::new(),
        ids: (0..96).map(|i| (i * i * 37 + 11) % 307).collect(),
        tokens: (1..96).map(token).collect(),
        prompt_tokens_alone: 1,
        kept: Vec::new(),
        status: Status::Ok,
        reason: None,
    };
    let mut scores = TokenScores::default();
    let job = Job { part: 0, samples: vec![JobSample { dataset: 0, sample }], stop: &Stop::new(&NEVER) };
    let keep = &mut |scored: tokshift::engine::Scored| {
        scores = scored.scores.unwrap();
        Ok(())
    };
    engine.score(&job, keep).unwrap();
    (checkpoint, scores.logprob)
}

#[test]
fn converted_checkpoints_score_as_their_sources() {
    let scene = Scene::new();
    let names = converted::names();
    assert!(names.len() >= 13, "{names:?}");
    for name in names {
        let (checkpoint, got) = logprobs(&gguf(&scene, &name));
        assert!(checkpoint.unread().is_empty(), "{name}: {:?}", checkpoint.unread());
        let (_, want) = logprobs(&source(&scene, &name));
        let gap = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{name:14} {gap:.1e}");
        assert!(gap <= TOLERANCE, "{name} is off by {gap}");
    }
}

#[test]
fn every_type_is_dequantised_as_the_gguf_package_does() {
    let path = fixture("../gguf/kinds.gguf");
    let expected = candle_core::safetensors::load(fixture("../gguf/kinds.safetensors"), &Device::Cpu).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert_eq!(expected.len(), tokshift::gguf::KINDS.len());
    for (name, want) in &expected {
        let got = checkpoint.tensor(name, want.dims(), DType::F32, &Device::Cpu).unwrap();
        let [got, want] = [&got, want].map(|x| x.flatten_all().unwrap().to_vec1::<f32>().unwrap());
        for (got, want) in got.iter().zip(&want) {
            assert!((got - want).abs() <= 1e-6 * want.abs(), "{name}: {got}, not {want}");
        }
    }
    assert_eq!(checkpoint.stored_dtype(), DType::F32);
}
