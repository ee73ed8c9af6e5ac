//! Files and models that do not belong together.

use std::fs;

use super::runs::{ids_dataset, models, pairs_folder, widen};
use crate::common::{self, Scene, fixture};

#[test]
fn what_does_not_belong_together_is_rejected() {
    let scene = Scene::new();
    ids_dataset(&scene);
    let (p, q) = ("qwen3-tied", "qwen3-shifted");
    let both = models(&[(p, p), (q, q)]);
    let kl = |more: &str| scene.run(&format!("kl --data-dir out --reference {p} --exact --models {more}"));
    let score = |more: &str| scene.run(&format!("score --dataset g_ids.jsonl --models {both} --output-dir out {more}"));
    score("").expect(0, "");
    kl(&both).expect(1, "on `ids`: rescore it with --keep-hidden");
    score("--keep-hidden").expect(1, "--keep-hidden = none, this run has ");
    fs::remove_dir_all(scene.path("out")).unwrap();
    score("--keep-hidden").expect(0, " of hidden states");
    kl(&models(&[(p, p)])).expect(1, "needs the head of `qwen3-shifted`");
    kl(&models(&[(p, q), (q, q)])).expect(1, "is not the file that scored `qwen3-tied`");
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

/// P gives ids a probability that one model does not have: that pair has no exact measures, and no upper bound.
#[test]
fn a_pair_that_cannot_be_compared_exactly_ends_no_other() {
    let scene = Scene::new();
    ids_dataset(&scene);
    widen(&scene.model("wide", "qwen3-tied"), 1.5);
    let named = format!("wide=wide,narrow={},wider=wide", fixture("qwen3-tied").display());
    scene.run(&format!("score --dataset g_ids.jsonl --models {named} --output-dir out --keep-hidden")).expect(0, "");
    let kl = |more: &str| scene.run(&format!("kl --data-dir out --reference wide {more}"));
    kl(&format!("--exact --models {named}"))
        .expect(1, "use --allow-removed to compare the common ids")
        .expect(1, "exact: KL(wide");
    let is_there = |q: &str| scene.path(&pairs_folder("wide", q)).join("part-00000000.parquet").exists();
    assert_eq!([is_there("narrow"), is_there("wider")], [false, true]);
    let why = "Q = `narrow` on `ids` by `g`: kl_upper: P gives 312 ids a probability, Q 307, so that KL(P‖Q) has no upper bound: \
               `kl --exact` compares the ids of both, so it is not known to be at most 15";
    kl("--fail-above kl_upper=15").expect(5, why);
    let json: serde_json::Value = serde_json::from_str(&kl("--json").stdout).unwrap();
    assert_eq!(json["pairs"][0]["heads"], serde_json::json!({"p": 312, "q": 307}));
    assert!(json["pairs"][1]["heads"].is_null());
}

/// With its last bit turned.
fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    flipped
}

/// Files that were put elsewhere would turn figures without a trace.
#[test]
fn files_of_other_models_and_pairs_are_rejected() {
    let scene = Scene::new();
    ids_dataset(&scene);
    let all = ["qwen3-tied", "qwen3-shifted", "llama3"];
    let named = models(&all.map(|name| (name, name)));
    scene.run(&format!("score --dataset g_ids.jsonl --models {named} --output-dir out --keep-hidden")).expect(0, "");
    let kl = format!("kl --data-dir out --reference {} --exact --models {named}", all[0]);
    let rejected = |file: &str, from: &str| {
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
    rejected(&hidden(all[1]), &hidden(all[0]));
    scene.run(&kl).expect(0, "exact: ");
    let pairs = |q: &str| format!("{}/part-00000000.parquet", pairs_folder(all[0], q));
    rejected(&pairs(all[1]), &pairs(all[2]));
    scene.run(&kl).expect(0, "");
}

#[test]
fn an_adapter_on_the_head_is_rejected_before_anything_is_scored() {
    let scene = Scene::new();
    scene.dataset("g_t.jsonl", &common::rows()[..2]);
    let (base, tuned) = (fixture("llama3"), fixture("lora-llama3"));
    let models = format!("base={0},tuned={0}+{1}", base.display(), tuned.display());
    scene
        .run(&format!("score --dataset g_t.jsonl --models {models} --output-dir out --exact"))
        .expect(1, "the adapter of `tuned` is on the head");
    assert!(!scene.path("out").exists());
}
