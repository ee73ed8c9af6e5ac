//! Files under another name than they were written for, and manifests that say something else.

use std::fs;

use serde_json::{Value, json};

use super::damage::{MODELS, copy, damaged, file, of_part, report, scored};
use crate::common::Scene;

#[test]
fn swapped_parts_are_told() {
    let scene = Scene::new();
    let many: Vec<Value> = (0..300).map(|i| json!({"input": "a", "output": format!("b {i}")})).collect();
    scene.dataset("rl_demo.jsonl", &many);
    scene.score("rl_demo.jsonl", &MODELS[..1], "out", "--engine mock").expect(0, "");
    assert_eq!(report(&scene, "out", 0)["checked"]["parts"], 2);
    let [first, second] = [0, 1].map(|part| scene.path(&file("tokens", "tied", part)));
    let aside = scene.path("aside");
    fs::rename(&first, &aside).unwrap();
    fs::rename(&second, &first).unwrap();
    fs::rename(&aside, &second).unwrap();
    let report = report(&scene, "out", 1);
    assert_eq!(report["problems"].as_array().unwrap().len(), 1, "{report:#}");
    assert_eq!(report["problems"][0]["kind"], "moved");
    let redo: Vec<String> =
        [0, 1].into_iter().flat_map(|part| [file("tokens", "tied", part), file("samples", "tied", part)]).collect();
    assert_eq!(report["redo"], json!(redo));
}

/// What would turn every sign: each file is whole, and stands under the other model's name.
#[test]
fn files_that_were_moved_are_told_and_not_compared() {
    let scene = Scene::new();
    copy(&scored().path("out"), &scene.path("out"));
    let folder =
        |table: &str, model: &str| scene.path(&format!("out/{table}/generation_model=rl/task=demo/model={model}"));
    for table in ["tokens", "samples"] {
        fs::rename(folder(table, "tied"), folder(table, "moving")).unwrap();
        fs::rename(folder(table, "shifted"), folder(table, "tied")).unwrap();
        fs::rename(folder(table, "moving"), folder(table, "shifted")).unwrap();
    }
    let report = report(&scene, "out", 1);
    let problems = report["problems"].as_array().unwrap();
    assert_eq!((problems.len(), &problems[0]["kind"]), (1, &json!("moved")), "{report}");
    let described = problems[0]["first"][0]["found"].as_str().unwrap();
    assert!(described.contains("part 0 of model `tied`, task `demo`, responses by `rl`"), "{described}");
    assert_eq!(problems[0]["count"], json!(report["redo"].as_array().unwrap().len()));
    scene.run("kl --data-dir out --reference shifted").expect(1, "was written as part 0 of model");
}

/// Manifests moved along: each part was written under the other's.
#[test]
fn whole_cells_that_change_names_are_told() {
    let scene = Scene::new();
    copy(&scored().path("out"), &scene.path("out"));
    for table in ["tokens", "samples", "runs"] {
        let folder = |model: &str| scene.path(&format!("out/{table}/generation_model=rl/task=demo/model={model}"));
        fs::rename(folder("tied"), folder("renamed")).unwrap();
    }
    let report = report(&scene, "out", 1);
    assert!(report["problems"].as_array().unwrap().iter().any(|problem| problem["kind"] == "moved"), "{report}");
}

/// A text's manifest that was edited is not the one that its models refer to.
#[test]
fn a_text_that_was_changed_is_told_by_all_its_models() {
    let text = "out/runs/generation_model=rl/task=demo/text.json";
    let edit = |change: &dyn Fn(String) -> Option<String>| {
        damaged(|scene| {
            let path = scene.path(text);
            match change(fs::read_to_string(&path).unwrap()) {
                Some(changed) => fs::write(path, changed).unwrap(),
                None => fs::remove_file(path).unwrap(),
            }
        })
    };
    for (change, of_models, own) in [
        (
            (&|was: String| Some(was.replace("\"joint\"", "\"separate\""))) as &dyn Fn(String) -> _,
            "files of two runs are mixed",
            0,
        ),
        (
            &|was: String| Some(was.replace("\"first_sample\": 0", "\"first_sample\": 7")),
            "files of two runs are mixed",
            1,
        ),
        (&|was: String| Some(was[1..].to_owned()), "not a tokshift manifest", 1),
        (&|_| None, "is missing, so which rows were scored is unknown", 0),
    ] {
        let report = edit(change);
        let problem = &report["problems"][0];
        assert_eq!((&problem["kind"], &problem["count"]), (&json!("manifest"), &json!(2 + own)), "{report:#}");
        assert!(problem["first"][0]["found"].as_str().unwrap().contains(of_models), "{report:#}");
        let redo: Vec<&str> = report["redo"].as_array().unwrap().iter().map(|file| file.as_str().unwrap()).collect();
        assert_eq!(redo.contains(&text), own == 1, "{report:#}");
        assert!(redo.iter().any(|file| file.ends_with("model=shifted/manifest.json")), "{report:#}");
    }
}

#[test]
fn manifests_that_are_broken_or_disagree_are_told() {
    let path = "out/runs/generation_model=rl/task=demo/model=tied/manifest.json";
    let edit = |from: &str, to: &str| {
        damaged(|scene| {
            let text = fs::read_to_string(scene.path(path)).unwrap();
            assert!(text.contains(from), "{text}");
            fs::write(scene.path(path), text.replacen(from, to, 1)).unwrap();
        })
    };
    let redo = [of_part("tied"), vec![path.to_owned()]].concat();
    for (from, to, found) in [
        ("\"generation_model\": \"rl\"", "\"generation_model\": \"sft\"", "folders have other names"),
        ("\"model\": \"tied\"", "\"model\": \"other\"", "folders have other names"),
    ] {
        let report = edit(from, to);
        // Its parts were written under what it was, besides.
        assert_eq!([0, 1].map(|index| &report["problems"][index]["kind"]), ["manifest", "moved"], "{report}");
        let first = &report["problems"][0]["first"][0];
        assert!(first["found"].as_str().unwrap().contains(found) && first["file"] == path, "{report}");
        let mut described: Vec<String> = serde_json::from_value(report["redo"].clone()).unwrap();
        described.sort();
        let mut expected = redo.clone();
        expected.sort();
        assert_eq!(described, expected);
    }
    let broken = edit("{", "");
    assert_eq!(broken["problems"][0]["kind"], "manifest");
    assert_eq!(broken["problems"][1]["kind"], "stray", "its tables are explained by nothing");
}
