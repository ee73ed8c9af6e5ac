//! The CPU implementation against the plain one, with every set of instructions that this processor has.
//!
//! What is plain is tested against Hugging Face in `golden`; here are the fused steps, whose mistakes would look like
//! rounding there.

use std::collections::HashMap;
use std::path::Path;

use crate::common::{CHECKPOINTS, NEVER, made};
use candle_core::{DType, Device, Tensor};
use tokshift::decoder::{Backend, Body, Checkpoint, Head};
use tokshift::forest::{Forest, pack_apart};
use tokshift::kernel::Isa;
use tokshift::sample::Sample;
use tokshift::stop::Stop;

fn sample(sample_id: u32, ids: Vec<u32>) -> Sample {
    let mut sample = made::sample(sample_id, ids, 1);
    // Some are read and some are not, in pieces.
    sample.tokens.retain(|token| token.index % 9 != 0 && !(20..115).contains(&token.index));
    sample
}

/// Two answers to one prompt, which part in the middle of a block of keys, and a text of its own.
fn forests(checkpoint: &Checkpoint) -> Vec<Forest> {
    let vocab = checkpoint.spec().vocab as u32;
    let ids = |seed: u32, length: u32| (0..length).map(move |i| (i * i * 31 + i * seed + seed) % vocab);
    let rows: Vec<Vec<u32>> =
        vec![ids(3, 150).chain(ids(5, 40)).collect(), ids(3, 150).chain(ids(7, 90)).collect(), ids(11, 61).collect()];
    let limit = checkpoint.spec().max_tokens.min(240);
    let cut = |(index, mut row): (usize, Vec<u32>)| {
        row.truncate(limit);
        sample(index as u32, row)
    };
    let samples: Vec<Sample> = rows.into_iter().enumerate().map(cut).collect();
    pack_apart(&samples.iter().collect::<Vec<_>>(), 4096, checkpoint.spec().short_tokens())
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Hidden states and the logits of the last of them.
fn compute(checkpoint: &Checkpoint, dtype: DType, backend: Backend) -> (Vec<f32>, Vec<f32>) {
    let stop = Stop::new(&NEVER);
    let body = Body::load(checkpoint, dtype, &Device::Cpu, backend).unwrap();
    let head = Head::load(checkpoint, Some(body.embedding()), dtype, &Device::Cpu, backend).unwrap();
    let (mut hidden, mut logits) = (Vec::new(), Vec::new());
    for forest in forests(checkpoint) {
        let rows = body.forward(&forest, &stop).unwrap();
        let last = rows.narrow(0, rows.dim(0).unwrap() - 3, 3).unwrap();
        let mut row = Vec::new();
        head.for_each_block(&last, &stop, |block| {
            assert_eq!(block.first as usize, row.len());
            row.extend_from_slice(block.row(2));
        })
        .unwrap();
        assert_eq!(row.len(), head.vocab());
        let target = head.target_logits(&last, &[0, 5, 7]).unwrap();
        assert_eq!(target[2].to_bits(), row[7].to_bits(), "a target's logit is its entry in the blocks");
        hidden.extend(numbers(&rows));
        logits.extend(row);
    }
    (hidden, logits)
}

/// Root of the mean square of the differences, over that of the numbers.
fn distance(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let square = |x: f32| f64::from(x) * f64::from(x);
    let difference: f64 = found.iter().zip(expected).map(|(a, b)| square(a - b)).sum();
    (difference / expected.iter().map(|x| square(*x)).sum::<f64>()).sqrt()
}

/// Both forms, with every set of instructions.
fn compare(name: &str, checkpoint: &Checkpoint) {
    for (dtype, limit) in [(DType::F32, 3e-6), (DType::BF16, 1e-2)] {
        let expected = compute(checkpoint, dtype, Backend::Reference);
        for isa in Isa::all() {
            let found = compute(checkpoint, dtype, Backend::Cpu(isa));
            let (hidden, logits) = (distance(&found.0, &expected.0), distance(&found.1, &expected.1));
            println!("{name:14} {dtype:?} {isa:10} hidden {hidden:.1e} logits {logits:.1e}");
            assert!(hidden <= limit && logits <= limit, "{name}, {dtype:?}, {isa}");
        }
    }
}

#[test]
fn fused_steps_compute_what_plain_operations_do() {
    for fixture in CHECKPOINTS {
        compare(fixture, &Checkpoint::open(&Path::new("tests/fixtures/models").join(fixture)).unwrap());
    }
}

/// Heads of two and a half panels, more columns than are finished at once, a window that ends in a block of keys: what the
/// fixtures are too small for. Its weights are random, its truth is the plain backend.
#[test]
fn wide_models_compute_what_plain_operations_do() {
    let directory = tempfile::tempdir().unwrap();
    let config = serde_json::json!({
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_act": "silu", "vocab_size": 307,
        "hidden_size": 288, "intermediate_size": 352, "num_hidden_layers": 2, "num_attention_heads": 6,
        "num_key_value_heads": 2, "head_dim": 80, "rms_norm_eps": 1e-6, "max_position_embeddings": 512,
        "rope_theta": 20000.0, "tie_word_embeddings": true, "use_sliding_window": true, "sliding_window": 100,
        "layer_types": ["full_attention", "sliding_attention"],
    });
    std::fs::write(directory.path().join("config.json"), config.to_string()).unwrap();
    let tensors = tensors(&[288, 480, 160, 80, 352, 307]);
    candle_core::safetensors::save(&tensors, directory.path().join("model.safetensors")).unwrap();
    compare("wide", &Checkpoint::open(directory.path()).unwrap());
}

/// Of a Qwen3 of two layers, by its sizes: hidden, queries, keys, head, feed-forward, vocabulary.
fn tensors(&[hidden, query, key, head, ffn, vocab]: &[usize; 6]) -> HashMap<String, Tensor> {
    let mut state = 1_u64;
    let mut random = |shape: &[usize], mean: f32, size: f32| {
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            mean + size * ((state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0)
        };
        let numbers: Vec<f32> = (0..shape.iter().product()).map(|_| next()).collect();
        Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap()
    };
    let mut tensors = HashMap::new();
    tensors.insert("model.embed_tokens.weight".to_owned(), random(&[vocab, hidden], 0.0, 0.2));
    tensors.insert("model.norm.weight".to_owned(), random(&[hidden], 1.0, 0.5));
    for layer in 0..2 {
        let mut add = |name: &str, tensor| tensors.insert(format!("model.layers.{layer}.{name}.weight"), tensor);
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            add(norm, random(&[hidden], 1.0, 0.5));
        }
        for norm in ["self_attn.q_norm", "self_attn.k_norm"] {
            add(norm, random(&[head], 1.5, 0.5));
        }
        for (name, outputs, inputs) in [
            ("self_attn.q_proj", query, hidden),
            ("self_attn.k_proj", key, hidden),
            ("self_attn.v_proj", key, hidden),
            ("self_attn.o_proj", hidden, query),
            ("mlp.gate_proj", ffn, hidden),
            ("mlp.up_proj", ffn, hidden),
            ("mlp.down_proj", hidden, ffn),
        ] {
            add(name, random(&[outputs, inputs], 0.0, (3.0 / inputs as f32).sqrt()));
        }
    }
    tensors
}
