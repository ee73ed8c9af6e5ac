//! Heads made of given weights.

use std::fs;
use std::path::Path;

use candle_core::{Device, Tensor};
use serde_json::{Value, json};
use tokshift::decoder::{Backend, Checkpoint, Head};

/// A tied head of `weight`, `[vocabulary, hidden]` in the dtype to compute in, by way of a checkpoint in `folder`.
pub fn head(folder: &Path, weight: Tensor) -> Head {
    fs::create_dir_all(folder).unwrap();
    let config = fs::read(super::fixture("qwen3-tied").join("config.json")).unwrap();
    let mut config: Value = serde_json::from_slice(&config).unwrap();
    let (vocab, hidden) = weight.dims2().unwrap();
    config["vocab_size"] = json!(vocab);
    config["hidden_size"] = json!(hidden);
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let dtype = weight.dtype();
    let tensors = [("model.embed_tokens.weight".to_owned(), weight)];
    candle_core::safetensors::save(&tensors.into(), folder.join("model.safetensors")).unwrap();
    let form = Backend::of(&Device::Cpu).unwrap();
    Head::load(&Checkpoint::open(folder).unwrap(), None, dtype, &Device::Cpu, form).unwrap()
}
