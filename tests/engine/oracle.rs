//! A second opinion on the decoder: candle-transformers' Qwen3, which shares no code with ours above tensor operations.

use std::path::Path;

use crate::common::{NEVER, made};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::qwen3;
use tokshift::decoder::{Backend, Body, Checkpoint};
use tokshift::forest::pack;
use tokshift::stop::Stop;

/// The fixture without windows: the other implementation has none.
const FIXTURE: &str = "tests/fixtures/models/qwen3-bias";
fn theirs() -> qwen3::Model {
    let mut tensors = std::collections::HashMap::new();
    for entry in std::fs::read_dir(FIXTURE).unwrap() {
        let path = entry.unwrap().path();
        let is_shard = path.file_name().unwrap().to_str().unwrap().starts_with("model-");
        if is_shard && path.extension().is_some_and(|e| e == "safetensors") {
            tensors.extend(candle_core::safetensors::load(path, &Device::Cpu).unwrap());
        }
    }
    let config = std::fs::read(Path::new(FIXTURE).join("config.json")).unwrap();
    let config: qwen3::Config = serde_json::from_slice(&config).unwrap();
    qwen3::Model::new(&config, VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu)).unwrap()
}

#[test]
fn hidden_rows_agree_with_candle_transformers() {
    let checkpoint = Checkpoint::open(Path::new(FIXTURE)).unwrap();
    let ours = Body::load(&checkpoint, DType::F32, &Device::Cpu, Backend::of(&Device::Cpu).unwrap()).unwrap();
    let stop = Stop::new(&NEVER);
    for length in [20_u32, 60, 120] {
        let ids: Vec<u32> = (0..length).map(|i| (i * i * 31 + length) % 307).collect();
        let want = theirs().forward(&Tensor::new(ids.as_slice(), &Device::Cpu).unwrap().unsqueeze(0).unwrap(), 0);
        let want: Vec<f32> = want.unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let sample = made::sample(0, ids, 1);
        let got =
            ours.forward(&pack(&[&sample], 4096)[0], &stop).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let gap = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let size = want.iter().map(|x| x.abs()).fold(0.0, f32::max);
        println!("{length} tokens: largest gap {gap:.2e} of {size:.2}");
        assert_eq!(got.len(), want.len());
        assert!(gap <= 2e-5 * size, "{length} tokens: {gap} of {size}");
    }
}
