//! Adapters on the command line: a model is `BASE+ADAPTER`, the base is held once, and whatever is not plain LoRA is named.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::common::{Said, Scene, fixture, rows};
use candle_core::{DType, Device, Tensor};
use serde_json::{Value, json};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
/// What the log says of a model whose base was there.
const SHARED: &str = "shares weights";
const Q: &str = "base_model.model.model.layers.0.self_attn.q_proj";

/// A folder with a good dataset, a base and an adapter on it.
fn scene() -> Scene {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &rows()[..5]);
    scene.model("base", "llama3");
    scene.model("tuned", "lora-llama3");
    scene
}

#[track_caller]
fn score(scene: &Scene, models: &str, output: &str, more: &str) -> Said {
    scene.run(&format!("score --dataset rl_demo.jsonl --models {models} --output-dir {output} {more}"))
}

fn logprobs(scene: &Scene, output: &str, model: &str) -> Vec<Option<f32>> {
    scene.table(output, "tokens", "rl", "demo", model).f32s("logprob")
}

fn manifest(scene: &Scene, output: &str, model: &str) -> Value {
    let path = scene.path(output).join(format!("runs/generation_model=rl/task=demo/model={model}/manifest.json"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn edit_config(folder: &Path, field: &str, value: Value) {
    let path = folder.join(CONFIG);
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config[field] = value;
    fs::write(&path, config.to_string()).unwrap();
}

fn edit_weights(folder: &Path, edit: impl Fn(&mut HashMap<String, Tensor>)) {
    let path = folder.join(WEIGHTS);
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    edit(&mut tensors);
    candle_core::safetensors::save(&tensors, &path).unwrap();
}

#[test]
fn a_base_is_held_once_for_itself_and_what_is_tuned_from_it() {
    let scene = scene();
    let said = score(&scene, "base,base+tuned,again=base", "together", "-v");
    said.expect(0, "tuned: 5 ok samples; ");
    assert_eq!(said.stderr.matches(SHARED).count(), 2, "{}", said.stderr);
    for (model, source) in [("base", "base"), ("tuned", "base+tuned"), ("again", "base")] {
        score(&scene, &format!("{model}={source}"), "apart", "").expect(0, "5 ok samples; ");
    }
    assert!(scene.files("together") == scene.files("apart"), "neighbours change nothing");
    assert_eq!(logprobs(&scene, "together", "base"), logprobs(&scene, "together", "again"));
    let moved =
        logprobs(&scene, "together", "base").iter().zip(logprobs(&scene, "together", "tuned")).any(|(a, b)| *a != b);
    assert!(moved);
    // Another dtype is another base.
    let said = scene.run("score --dataset rl_demo.jsonl --models base,base+tuned --dtype bf16 --output-dir bf16 -v");
    assert_eq!(said.expect(0, "tuned: 5 ok").stderr.matches(SHARED).count(), 1);
}

/// In bf16 rounding can exceed what an adapter changes; its base must be in the same dtype.
#[test]
fn adapters_and_their_base_are_in_f32_unless_told_otherwise() {
    let scene = scene();
    let path = scene.path("base/model.safetensors");
    let tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let in_bf16: HashMap<String, Tensor> =
        tensors.into_iter().map(|(name, tensor)| (name, tensor.to_dtype(DType::BF16).unwrap())).collect();
    candle_core::safetensors::save(&in_bf16, &path).unwrap();
    let dtype = |output: &str, model: &str| manifest(&scene, output, model)["engine"]["dtype"].clone();
    score(&scene, "base,tuned=base+tuned", "both", "").expect(0, "5 ok");
    assert_eq!([dtype("both", "base"), dtype("both", "tuned")], ["f32", "f32"]);
    score(&scene, "base", "alone", "").expect(0, "5 ok");
    assert_eq!(dtype("alone", "base"), "bf16");
    score(&scene, "base,tuned=base+tuned", "described", "--dtype bf16").expect(0, "5 ok");
    assert_eq!([dtype("described", "base"), dtype("described", "tuned")], ["bf16", "bf16"]);
    // So does `run`.
    let study = "output = \"study\"\ndataset = \"rl_demo.jsonl\"\n[[experiment]]\nname = \"base\"\ntasks = [\"demo\"]\n\
                 [[experiment.model]]\nname = \"base\"\nsource = \"base\"\n\
                 [[experiment.model]]\nname = \"tuned\"\nsource = \"base+tuned\"\n";
    fs::write(scene.path("study.toml"), study).unwrap();
    scene.run("run study.toml").expect(0, "5 ok");
    let of_run =
        scene.files("study").keys().filter(|path| path.ends_with("manifest.json")).cloned().collect::<Vec<_>>();
    assert_eq!(of_run.len(), 2, "{of_run:?}");
    for path in of_run {
        let manifest: Value = serde_json::from_slice(&fs::read(scene.path("study").join(path)).unwrap()).unwrap();
        assert_eq!(manifest["engine"]["dtype"], "f32");
    }
}

#[test]
fn the_manifest_knows_the_adapter() {
    let scene = scene();
    score(&scene, "m=base+tuned", "out", "").expect(0, "m: 5 ok samples; ");
    let files = manifest(&scene, "out", "m")["engine"]["files"].clone();
    let names: Vec<&String> = files.as_object().unwrap().keys().collect();
    let (config, weights) = (format!("adapter/{CONFIG}"), format!("adapter/{WEIGHTS}"));
    assert_eq!(names, [&config, &weights, "config.json", "model.safetensors"]);
    score(&scene, "m=base+tuned", "out", "").expect(0, "m: already scored\n");
    score(&scene, "m=base", "out", "").expect(1, "was made with the model's file adapter/");
    edit_config(&scene.path("tuned"), "lora_alpha", json!(4));
    score(&scene, "m=base+tuned", "out", "").expect(1, &format!("was made with the model's file {config} = "));
}

#[test]
fn a_directory_with_a_plus_in_its_name_is_that_directory() {
    let scene = scene();
    scene.model("a+b", "llama3");
    score(&scene, "a+b,tuned=a+b+tuned", "out", "").expect(0, "a+b: 5 ok samples; ").expect(0, "tuned: 5 ok samples; ");
    score(&scene, "base+gone", "out", "")
        .expect(1, "error: model `gone`: no such directory; expected the directory of an adapter");
    fs::write(scene.path("tuned").join("adapter_model.bin"), "pickle").unwrap();
    fs::remove_file(scene.path("tuned").join(WEIGHTS)).unwrap();
    score(&scene, "base+tuned", "out", "")
        .expect(1, "`tuned`: no `adapter_model.safetensors`: tokshift reads safetensors\n");
    score(&scene, "base+base", "out", "").expect(1, "cannot read `base/adapter_config.json`");
}

/// PEFT writes the base's name into an adapter's directory: where that is here, the directory alone is a model.
#[test]
fn an_adapter_alone_finds_its_base_or_asks_for_it() {
    let scene = scene();
    let tuned = scene.path("tuned");
    edit_config(&tuned, "base_model_name_or_path", json!("base"));
    score(&scene, "base,tuned", "alone", "").expect(0, "tuned: 5 ok samples; ");
    score(&scene, "base,base+tuned", "both", "").expect(0, "tuned: 5 ok samples; ");
    assert!(scene.files("alone") == scene.files("both"));
    let said = scene.run("inspect tuned");
    said.expect(0, "").expect_out("adapter      tuned, ").expect_out("LoRA of rank ");
    assert_eq!(scene.run("inspect base+tuned").stdout, said.stdout);
    let found: Value = serde_json::from_str(&scene.run("inspect tuned --json").stdout).unwrap();
    assert!(found["adapter"]["maps"].as_u64().unwrap() > 0 && found["adapter"]["files"][WEIGHTS].is_u64());
    edit_config(&tuned, "base_model_name_or_path", json!("Org/Base"));
    let elsewhere =
        "`tuned` is an adapter of `Org/Base`, which is not on this machine under that name: use m=BASE+tuned";
    score(&scene, "m=tuned", "out", "").expect(1, elsewhere);
    scene.run("inspect tuned").expect(1, "is an adapter of `Org/Base`");
    edit_config(&tuned, "base_model_name_or_path", json!(null));
    score(&scene, "m=tuned", "out", "")
        .expect(1, "`tuned` is an adapter, and its config does not name its base: use m=BASE+tuned");
}

#[test]
fn a_study_shares_the_base_too() {
    let scene = scene();
    let study = r#"
output = "out"
dataset = "rl_demo.jsonl"

[[experiment]]
name = "rl"
tasks = ["demo"]

[[experiment.model]]
name = "rl"
source = "base+tuned"

[[experiment.model]]
name = "base"
source = "base"
"#;
    scene.write("study.toml", study);
    let plan = scene.run("run study.toml --dry-run");
    assert!(plan.expect(0, "").stdout.contains("2 to do"), "{}", plan.stdout);
    let said = scene.run("run study.toml -v");
    assert_eq!(said.expect(0, "rl on demo: 5 ok samples; ").stderr.matches(SHARED).count(), 1, "{}", said.stderr);
    assert_ne!(logprobs(&scene, "out", "rl"), logprobs(&scene, "out", "base"));
    edit_config(&scene.path("tuned"), "use_dora", json!(true));
    scene.write("study.toml", study.replace("\"out\"", "\"new\""));
    let plan = scene.run("run study.toml --dry-run");
    assert!(plan.stdout.contains("`use_dora` is true") && plan.stdout.contains("1 would fail"), "{}", plan.stdout);
}

#[test]
fn what_is_not_plain_lora_is_named() {
    let scene = scene();
    let tuned = scene.path("tuned");
    let rejected = |what: &str| {
        score(&scene, "base+tuned", "out", "").expect(1, what);
        scene.model("tuned", "lora-llama3");
    };
    for (field, value) in [
        ("use_dora", json!(true)),
        ("bias", json!("all")),
        ("modules_to_save", json!(["lm_head"])),
        ("init_lora_weights", json!("pissa")),
        ("r", json!(u64::MAX)),
        ("something_new", json!(1)),
    ] {
        edit_config(&tuned, field, value);
        rejected(&format!("`tuned/{CONFIG}`: `{field}` is "));
    }
    edit_config(&tuned, "r", json!(5));
    rejected(&format!("tensor `{Q}.lora_A.weight` has shape [4, 30], model and config ask for [5, 30]\n"));
    edit_config(&tuned, "target_modules", json!(["lm_head", "down_proj"]));
    rejected(&format!(
        "tensor `{Q}.lora_A.weight` is of a module that `target_modules` and its restrictions do not name\n"
    ));
    fs::write(tuned.join(CONFIG), "[]").unwrap();
    rejected(&format!("`tuned/{CONFIG}`: not a JSON object: "));
}

#[test]
fn every_tensor_of_an_adapter_is_used_or_an_error() {
    let scene = scene();
    let tuned = scene.path("tuned");
    let rejected = |edit: &dyn Fn(&mut HashMap<String, Tensor>), what: &str| {
        edit_weights(&tuned, edit);
        score(&scene, "base+tuned", "out", "").expect(1, what);
        scene.model("tuned", "lora-llama3");
    };
    let (a, b) = (format!("{Q}.lora_A.weight"), format!("{Q}.lora_B.weight"));
    let zeros = |shape: (usize, usize)| Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu).unwrap();
    rejected(&|tensors| drop(tensors.remove(&b)), &format!("tensor `{b}` is missing, its other half is there\n"));
    rejected(&|tensors| drop(tensors.remove(&a)), &format!("tensor `{a}` is missing, its other half is there\n"));
    let turned = format!("tensor `{b}` has shape [4, 96], model and config ask for [96, 4]\n");
    rejected(&|tensors| drop(tensors.insert(b.clone(), zeros((4, 96)))), &turned);
    let nan = |tensors: &mut HashMap<String, Tensor>| {
        tensors.insert(a.clone(), (zeros((4, 30)) / 0.0).unwrap());
    };
    rejected(&nan, &format!("tensor `{a}` holds NaN at element 0: the weights are broken\n"));
    for (name, what) in [
        (
            "base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight",
            "is of a module that the model does not have",
        ),
        ("base_model.model.model.vision.q_proj.lora_A.weight", "is of a module that the model does not have"),
        ("base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector", "is not read: of an adapter, "),
        (
            "base_model.model.model.embed_tokens.lora_embedding_A",
            "is of a module that `target_modules` and its restrictions do not name",
        ),
        ("base_model.model.model.layers.0.self_attn.q_proj.base_layer.weight", "is not read: of an adapter, "),
        ("base_model.model.lm_head.weight", "is not the base's own, in whose place PEFT puts it: merge the adapter"),
        ("model.layers.0.self_attn.q_proj.lora_A.weight", "is not read: of an adapter, "),
    ] {
        let what = format!("tensor `{name}` {what}");
        rejected(&|tensors| drop(tensors.insert(name.to_owned(), zeros((4, 30)))), &what);
    }
    rejected(&HashMap::clear, "holds no tensors of LoRA: an adapter that adds nothing\n");
    score(&scene, "base+tuned", "out", "").expect(0, "tuned: 5 ok samples; ");
}

const EMBEDDING: &str = "base_model.model.model.embed_tokens";

/// Numbers between -0.1 and 0.1.
fn numbers(shape: (usize, usize)) -> Tensor {
    let some = (0..shape.0 * shape.1).map(|place| (place as f32 * 0.7).sin() * 0.1).collect::<Vec<_>>();
    Tensor::from_vec(some, shape, &Device::Cpu).unwrap()
}

/// Some fixtures have none, and all are of one vocabulary.
fn give_tokenizer(scene: &Scene, model: &str) {
    fs::copy(fixture("llama3").join("tokenizer.json"), scene.path(model).join("tokenizer.json")).unwrap();
}

/// The base and the adapter's config for the embedding alone, of rank 3 and scale 2.
fn on_the_embedding(base: &str) -> (Scene, Tensor, Tensor, Tensor) {
    let scene = scene();
    scene.model("base", base);
    give_tokenizer(&scene, "base");
    let tensors = candle_core::safetensors::load(scene.path("base").join("model.safetensors"), &Device::Cpu).unwrap();
    let embedding = tensors["model.embed_tokens.weight"].to_dtype(DType::F32).unwrap();
    let (vocab, hidden) = embedding.dims2().unwrap();
    let config = json!({"peft_type": "LORA", "r": 3, "lora_alpha": 6, "target_modules": ["embed_tokens"]});
    fs::write(scene.path("tuned").join(CONFIG), config.to_string()).unwrap();
    let (a, b) = (numbers((3, vocab)), numbers((hidden, 3)));
    edit_weights(&scene.path("tuned"), |tensors| {
        tensors.clear();
        tensors.insert(format!("{EMBEDDING}.lora_embedding_A"), a.clone());
        tensors.insert(format!("{EMBEDDING}.lora_embedding_B"), b.clone());
    });
    (scene, embedding, a, b)
}

/// As PEFT 0.21: of a head that is tied to the embedding the adapter changes nothing.
#[test]
fn an_adapter_may_be_on_the_embedding() {
    for base in ["llama3", "qwen3-tied", "gemma3"] {
        let (scene, embedding, a, b) = on_the_embedding(base);
        let merged = (&embedding + (b.matmul(&a).unwrap() * 2.0).unwrap().t().unwrap()).unwrap();
        scene.model("merged", base);
        give_tokenizer(&scene, "merged");
        let path = scene.path("merged").join("model.safetensors");
        let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
        tensors.entry("lm_head.weight".to_owned()).or_insert(embedding);
        tensors.insert("model.embed_tokens.weight".to_owned(), merged);
        candle_core::safetensors::save(&tensors, &path).unwrap();
        score(&scene, "base,base+tuned,merged", "out", "--dtype f32").expect(0, "tuned: 5 ok samples; ");
        let [before, tuned, merged] = ["base", "tuned", "merged"].map(|model| logprobs(&scene, "out", model));
        let apart = |a: &[Option<f32>], b: &[Option<f32>]| {
            a.iter().zip(b).filter_map(|(a, b)| Some((a.as_ref()? - b.as_ref()?).abs())).fold(0.0, f32::max)
        };
        assert!(apart(&tuned, &merged) < 2e-5 && apart(&before, &tuned) > 1e-2, "{base}");
        score(&scene, "base+tuned", "bf16", "--dtype bf16").expect(0, "tuned: 5 ok samples; ");
        assert!(apart(&tuned, &logprobs(&scene, "bf16", "tuned")) < 0.5, "{base}");
    }
}

/// PEFT saves embedding and head of the base along where an adapter is on them, or `save_embedding_layers` says so.
#[test]
fn copies_of_the_bases_embedding_and_head_are_passed_over() {
    let (scene, embedding, ..) = on_the_embedding("qwen3-tied");
    let tuned = scene.path("tuned");
    score(&scene, "base+tuned", "without", "").expect(0, "tuned: 5 ok samples; ");
    for name in ["base_model.model.lm_head.base_layer.weight", "base_model.model.lm_head.weight"] {
        let copy = format!("{EMBEDDING}.base_layer.weight");
        edit_weights(&tuned, |tensors| {
            tensors.insert(copy.clone(), embedding.clone());
            tensors.insert(name.to_owned(), embedding.clone());
        });
        let output = name.rsplit('.').nth(1).unwrap();
        score(&scene, "base+tuned", output, "").expect(0, "tuned: 5 ok samples; ");
        assert_eq!(logprobs(&scene, output, "tuned"), logprobs(&scene, "without", "tuned"));
        for (name, other) in [(&copy[..], (&embedding * 1.001).unwrap()), (name, embedding.narrow(0, 0, 300).unwrap())]
        {
            edit_weights(&tuned, |tensors| drop(tensors.insert(name.to_owned(), other.contiguous().unwrap())));
            let what = format!("tensor `{name}` is not the base's own, in whose place PEFT puts it");
            score(&scene, "base+tuned", "other", "").expect(1, &what);
            edit_weights(&tuned, |tensors| drop(tensors.insert(name.to_owned(), embedding.clone())));
        }
    }
}
