//! Nothing is said of what is well, however awkward.

use serde_json::json;

use super::damage::{MODELS, copy, file, report, rewrite, scored};
use crate::common::{Columns, Scene, rows};

#[test]
fn what_is_well_is_well() {
    let report = report(scored(), "out", 0);
    assert_eq!((&report["problems"], &report["redo"]), (&json!([]), &json!([])));
    let checked = &report["checked"];
    assert_eq!((&checked["cells"], &checked["parts"], &checked["samples"]), (&json!(2), &json!(2), &json!(60)));
    let said = scored().run("verify out");
    assert!(
        said.stdout.contains("2 parts, 60 samples, ") && said.stdout.ends_with("no problem found\n"),
        "{}",
        said.stdout
    );
}

/// Rows that were not scored, truncated ones, ends of turns, tokens with nothing before them, no lists, kept fields.
#[test]
fn awkward_runs_are_well() {
    let scene = Scene::new();
    let mut rows = rows();
    rows.extend([json!({"input": "a", "output": ""}), json!({"input": "", "output": "b c"}), json!({"output": 1})]);
    rows.push(json!({"prompt_token_ids": [5, 6], "response_token_ids": [7, 8, 9]}));
    rows.push(json!({"input": "x".repeat(900), "output": "y".repeat(3000)}));
    scene.dataset("rl_demo.jsonl", &rows);
    for (output, more) in [
        ("ends", "--end 3 --too-long truncate"),
        ("none", "--top-k 0"),
        ("separate", "--boundary separate --limit 3"),
        ("mock", "--engine mock"),
        ("fields", "--keep-fields reward,group"),
        ("losses", "--out token-losses"),
    ] {
        let said = scene.score("rl_demo.jsonl", &MODELS, output, more);
        assert!([Some(0), Some(4)].contains(&said.code), "{}", said.stderr);
        report(&scene, output, 0);
    }
}

/// Tables of a version that did not write all of today's columns.
#[test]
fn tables_of_an_older_version_are_well() {
    let scene = Scene::new();
    copy(&scored().path("out"), &scene.path("out"));
    let kl = || scene.run("kl --data-dir out --reference shifted --json");
    let before = kl();
    for (table, column) in [("tokens", "straddles"), ("samples", "is_cut")] {
        let path = scene.path(&file(table, "tied", 0));
        let Columns(mut batch) = Columns::read(path.parent().unwrap());
        batch.remove_column(batch.schema().index_of(column).unwrap());
        rewrite(&path, table, &batch);
    }
    report(&scene, "out", 0);
    assert_eq!((kl().stdout, before.code), (before.stdout, Some(0)));
}

#[test]
fn an_import_is_well() {
    let scene = Scene::new();
    let token = |loss: f64| json!({"loss": loss, "token": "t", "rank": 1});
    let results = json!([null, {"token_losses": [token(0.5), token(1.25)]}, {"token_losses": [], "error": "oom"}]);
    for model in ["P", "Q"] {
        let file = json!({"model": model, "dataset": "P_task.jsonl", "results": results}).to_string();
        scene.write(&format!("{model}_P_task_token_losses.json"), file.replace("1.25", "Infinity"));
        scene.run(&format!("import {model}_P_task_token_losses.json --output-dir out")).expect(0, "");
    }
    report(&scene, "out", 0);
}
