//! Files of one part that two processes wrote, half each: every one of them is whole and says that it is of this part.

use std::fs;

use arrow::array::StringArray;
use serde_json::json;
use std::sync::Arc;

use super::damage::{change, copy, expect, file, of_part, report, scored};
use crate::common::{Scene, fixture, rows};
use tokshift::store::ResultFile;

/// The samples table as another run of the same cell would have it: with other prompts, say.
fn other_prompts(scene: &Scene) {
    change(scene, "samples", "prompt", |batch, _| Arc::new(StringArray::from(vec!["x"; batch.num_rows()])));
}

#[test]
fn samples_of_another_run_are_told_and_not_compared() {
    let scene = Scene::new();
    copy(&scored().path("out"), &scene.path("out"));
    let (samples, tokens) = (file("samples", "tied", 0), file("tokens", "tied", 0));
    let (of_one, tokens_of_one) = (fs::read(scene.path(&samples)).unwrap(), fs::read(scene.path(&tokens)).unwrap());
    other_prompts(&scene);
    report(&scene, "out", 0);
    for (path, bytes) in [(&samples, of_one), (&tokens, tokens_of_one)] {
        let of_other = fs::read(scene.path(path)).unwrap();
        fs::write(scene.path(path), bytes).unwrap();
        let report = report(&scene, "out", 1);
        let described =
            format!("was made with another `{samples}` than the one that is here: files of two runs are mixed");
        expect(&report, "mixed", 1, &tokens, &described, &of_part("tied"));
        scene.run("kl --data-dir out --reference shifted").expect(1, &described);
        fs::write(scene.path(path), of_other).unwrap();
    }
}

/// A pairs part of the tables as they were before one of them was scored again, and hidden states of before.
#[test]
fn what_was_made_of_other_tokens_is_told_and_not_used() {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &rows()[..4]);
    let models = [("tied", "qwen3-tied"), ("shifted", "qwen3-shifted")];
    scene.score("rl_demo.jsonl", &models, "out", "--keep-hidden").expect(0, "");
    let named = models.map(|(name, of)| format!("{name}={}", fixture(of).display())).join(",");
    let kl = |more: &str| scene.run(&format!("kl --data-dir out --reference tied {more}"));
    let exact = || kl(&format!("--exact --models {named}"));
    exact().expect(0, "exact: KL(tied‖shifted)");
    let tokens = file("tokens", "tied", 0);
    let hidden = tokens.replace("/tokens/", "/hidden/").replace(".parquet", ".safetensors");
    let hidden = hidden.replace("out/tokens/", "out/hidden/");
    let pairs = "out/pairs/generation_model=rl/task=demo/p=tied/q=shifted/part-00000000.parquet";
    let before = [&tokens, &file("samples", "tied", 0)].map(|path| (path.clone(), fs::read(scene.path(path)).unwrap()));

    other_prompts(&scene);
    assert_ne!(ResultFile::at(scene.path(&tokens)).footer().unwrap().1.unwrap().len(), 0);
    let report = report(&scene, "out", 1);
    let problem = &report["problems"][0];
    assert_eq!((&problem["kind"], &problem["count"]), (&json!("mixed"), &json!(2)), "{report:#}");
    let files: Vec<_> = (0..2).map(|i| problem["first"][i]["file"].as_str().unwrap()).collect();
    assert_eq!(files, [hidden.as_str(), pairs]);
    let redo: Vec<&str> = report["redo"].as_array().unwrap().iter().map(|file| file.as_str().unwrap()).collect();
    assert_eq!(redo, [tokens.as_str(), &file("samples", "tied", 0), &hidden, pairs]);
    let described =
        format!("`{pairs}`: was made with another `{tokens}` than the one that is here: files of two runs are mixed");
    kl("").expect(1, &described).expect(1, "delete it, and `kl --exact` recomputes it");
    fs::remove_file(scene.path(pairs)).unwrap();
    kl("").expect(0, "");
    exact().expect(1, &format!("`{hidden}`: was made with another `{tokens}`"));
    assert!(!scene.path(pairs).exists());
    for (path, bytes) in before {
        fs::write(scene.path(&path), bytes).unwrap();
    }
    exact().expect(0, "exact: KL(tied‖shifted)");
    scene.run("verify out").expect_out("no problem found");
}
