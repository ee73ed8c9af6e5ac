//! Which of a directory's files and tensors are a model's, in copies of fixtures that were saved over.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::Checkpoint;

mod names;

const TIED: &str = "tests/fixtures/models/qwen3-tied";
const SHARDED: &str = "tests/fixtures/models/qwen3-bias";
const BF16: &str = "tests/fixtures/models/llama-bf16";
const INDEX: &str = "model.safetensors.index.json";
const EMBEDDING: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

type Tensors = HashMap<String, Tensor>;

fn copy(fixture: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture).unwrap().flatten() {
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

fn load(path: &Path) -> Tensors {
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

fn save(tensors: &Tensors, path: impl AsRef<Path>) {
    candle_core::safetensors::save(tensors, path).unwrap();
}

/// The files of an index, in order.
fn shards(folder: &Path) -> Vec<PathBuf> {
    let index: Map<String, Value> = serde_json::from_slice(&fs::read(folder.join(INDEX)).unwrap()).unwrap();
    let names: std::collections::BTreeSet<&str> =
        index["weight_map"].as_object().unwrap().values().map(|name| name.as_str().unwrap()).collect();
    names.into_iter().map(|name| folder.join(name)).collect()
}

fn set(folder: &Path, field: &str, value: Value) {
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config[field] = value;
    fs::write(path, config.to_string()).unwrap();
}

fn numbers(checkpoint: &Checkpoint, name: &str) -> Vec<f32> {
    let spec = checkpoint.spec();
    let tensor = checkpoint.tensor(name, &[spec.vocab, spec.hidden], DType::F32, &Device::Cpu).unwrap();
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn renamed(tensors: &Tensors, name: impl Fn(&str) -> String) -> Tensors {
    tensors.iter().map(|(own, tensor)| (name(own), tensor.clone())).collect()
}

fn described(folder: &Path) -> String {
    Checkpoint::open(folder).unwrap_err().to_string()
}

/// As transformers 4.57 and 5.24.
#[test]
fn one_file_comes_before_an_index() {
    let folder = copy(TIED);
    let path = folder.path();
    let want = numbers(&Checkpoint::open(path).unwrap(), EMBEDDING);
    let old: Tensors =
        load(&path.join("model.safetensors")).into_iter().map(|(name, x)| (name, (x * 1.5).unwrap())).collect();
    let map: Map<String, Value> =
        old.keys().map(|name| (name.clone(), json!("model-00001-of-00001.safetensors"))).collect();
    save(&old, path.join("model-00001-of-00001.safetensors"));
    fs::write(path.join(INDEX), json!({"metadata": {}, "weight_map": map}).to_string()).unwrap();
    for has_shard in [true, false] {
        let checkpoint = Checkpoint::open(path).unwrap();
        assert_eq!(numbers(&checkpoint, EMBEDDING), want);
        assert_eq!(checkpoint.files(), [path.join("config.json"), path.join("model.safetensors")]);
        assert!(checkpoint.notes()[0].contains("`model.safetensors.index.json` next to it is passed over"));
        if has_shard {
            fs::remove_file(path.join("model-00001-of-00001.safetensors")).unwrap();
        }
    }
    fs::remove_file(path.join("model.safetensors")).unwrap();
    assert!(
        described(path)
            .contains("names the shard `model-00001-of-00001.safetensors`, but 1 of its 1 files are not there")
    );
    fs::write(path.join(INDEX), "{}").unwrap();
    assert!(described(path).ends_with("not an index: no `weight_map`"));
}

#[test]
fn a_tensor_in_two_shards_is_the_same_in_both() {
    let folder = copy(SHARDED);
    let shards = shards(folder.path());
    assert!(shards.len() > 1);
    let (mut first, last) = (load(&shards[0]), load(shards.last().unwrap()));
    let (name, tensor) = last.iter().min_by_key(|(name, _)| (*name).clone()).unwrap();
    first.insert(name.clone(), tensor.clone());
    save(&first, &shards[0]);
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert!(checkpoint.notes().is_empty() && checkpoint.tensors().iter().any(|(listed, _)| listed == name));
    first.insert(name.clone(), (tensor * 2.0).unwrap());
    save(&first, &shards[0]);
    let error = described(folder.path());
    let file = shards.last().unwrap().file_name().unwrap().to_str().unwrap();
    assert!(error.contains(&format!("tensor `{name}` stands in `{}` too, with other values", shards[0].display())));
    assert!(error.contains(&format!("the index says `{file}`")), "{error}");
}

/// As transformers 5.24: equal, and the head is the embedding; other, and it is the head.
#[test]
fn a_tied_flag_beside_a_head() {
    let folder = copy(TIED);
    let weights = folder.path().join("model.safetensors");
    let mut tensors = load(&weights);
    assert!(!tensors.contains_key(HEAD));
    let embedding = tensors[EMBEDDING].clone();
    tensors.insert(HEAD.to_owned(), embedding.clone());
    save(&tensors, &weights);
    let equal = Checkpoint::open(folder.path()).unwrap();
    assert!(equal.spec().tied_head && equal.notes().is_empty());
    assert!(!equal.unread().contains(&HEAD.to_owned()));

    tensors.insert(HEAD.to_owned(), (&embedding * 1.01).unwrap());
    save(&tensors, &weights);
    let other = Checkpoint::open(folder.path()).unwrap();
    assert!(!other.spec().tied_head);
    assert!(other.notes()[0].contains("`lm_head.weight` is the head, as in transformers 5"), "{:?}", other.notes());
    assert_ne!(numbers(&other, HEAD), numbers(&other, EMBEDDING));

    // The embedding may be left out instead.
    tensors.remove(EMBEDDING);
    save(&tensors, &weights);
    let head_alone = Checkpoint::open(folder.path()).unwrap();
    assert!(head_alone.spec().tied_head && head_alone.embedding_name() == HEAD);
    set(folder.path(), "tie_word_embeddings", json!(false));
    assert_eq!(Checkpoint::open(folder.path()).unwrap().embedding_name(), EMBEDDING);
}

#[test]
fn one_matrix_in_f32_makes_the_model_f32() {
    let folder = copy(BF16);
    let weights = folder.path().join("model.safetensors");
    let dtype = || {
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        (checkpoint.stored_dtype(), checkpoint.why_stored_dtype())
    };
    assert_eq!(dtype(), (DType::BF16, "every matrix is BF16".to_owned()));
    let tensors = load(&weights);
    let with = |name: &str, kind: DType| {
        let mut changed = tensors.clone();
        let tensor = changed.get(name).cloned().unwrap_or_else(|| tensors[EMBEDDING].clone());
        changed.insert(name.to_owned(), tensor.to_dtype(kind).unwrap());
        save(&changed, &weights);
        dtype()
    };
    for (name, kind, called) in [
        (HEAD, DType::F32, "F32"),
        ("model.layers.1.mlp.down_proj.weight", DType::F32, "F32"),
        ("model.layers.0.self_attn.q_proj.weight", DType::F16, "F16"),
    ] {
        let why = format!("not every matrix is of one type, `{name}` is {called}");
        assert_eq!(with(name, kind), (DType::F32, why));
    }
    // Norms are f32 whatever they are stored as; layers beyond the last belong to no part of the model.
    assert_eq!(with("model.norm.weight", DType::F32).0, DType::BF16);
    assert_eq!(with("model.layers.99.mlp.down_proj.weight", DType::F32).0, DType::BF16);
}

/// A model saved without its head has none unless it is tied.
#[test]
fn a_missing_head_is_told() {
    let folder = copy(BF16);
    let weights = folder.path().join("model.safetensors");
    let mut tensors = load(&weights);
    tensors.remove(HEAD);
    save(&renamed(&tensors, |name| name.trim_start_matches("model.").to_owned()), &weights);
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let shape = [checkpoint.spec().vocab, checkpoint.spec().hidden];
    let error = checkpoint.tensor(HEAD, &shape, DType::F32, &Device::Cpu).unwrap_err().to_string();
    assert!(
        error.contains("no tensor `lm_head.weight`") && error.ends_with(": a model that was saved without its head?")
    );
}

#[test]
fn f64_is_rounded_to_f32() {
    let folder = copy(TIED);
    let weights = folder.path().join("model.safetensors");
    let wide = |tensors: &Tensors| -> Tensors {
        tensors.iter().map(|(name, x)| (name.clone(), x.to_dtype(DType::F64).unwrap())).collect()
    };
    let want = numbers(&Checkpoint::open(folder.path()).unwrap(), EMBEDDING);
    let mut tensors = wide(&load(&weights));
    save(&tensors, &weights);
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(numbers(&checkpoint, EMBEDDING), want);
    assert_eq!((checkpoint.stored_dtype(), &*checkpoint.why_stored_dtype()), (DType::F32, "every matrix is F64"));
    // To the nearest, and never to an infinity.
    let (rows, columns) = tensors[EMBEDDING].dims2().unwrap();
    for (number, rounded) in [(1.0 + 1e-9, Some(1.0)), (1e39, None)] {
        let all = Tensor::full(number, (rows, columns), &Device::Cpu).unwrap();
        tensors.insert(EMBEDDING.to_owned(), all);
        save(&tensors, &weights);
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        if let Some(rounded) = rounded {
            assert!(numbers(&checkpoint, EMBEDDING).iter().all(|x| *x == rounded));
        } else {
            let error = checkpoint.tensor(EMBEDDING, &[rows, columns], DType::F32, &Device::Cpu).unwrap_err();
            assert!(error.to_string().contains("holds inf at element 0"), "{error}");
        }
    }
}
