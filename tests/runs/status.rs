//! `tokshift status`: what it says of whole, partial and damaged directories.

use crate::common::{Scene, rows};
use serde_json::{Value, json};

const TIED: (&str, &str) = ("tied", "qwen3-tied");

fn status(scene: &Scene) -> Value {
    let said = scene.run("status out --json");
    said.expect(0, "");
    serde_json::from_str::<Value>(&said.stdout).unwrap()["cells"].take()
}

#[test]
fn every_cell_is_told_with_its_options_and_its_cost() {
    let scene = Scene::new();
    let mut data: Vec<Value> = (0..300).map(|i| rows()[i % 30].clone()).collect();
    data[7] = json!({"input": "no output"});
    scene.dataset("rl_demo.jsonl", &data);
    scene.score("rl_demo.jsonl", &[TIED], "out", "--top-k 5 --limit 290 --dtype f32").expect(4, "289 ok");
    let before = scene.files("out");
    let found = status(&scene);
    let cell = &found[0];
    assert_eq!(found.as_array().unwrap().len(), 1);
    let described = json!({
        "generation_model": "rl", "task": "demo", "model": "tied", "parts_done": 2, "parts": 2,
        "samples": {"ok": 289, "failed": 1}, "dtype": "f32", "device": "cpu", "top_k": 5, "limit": 290, "failed": null,
    });
    for (field, value) in described.as_object().unwrap() {
        assert_eq!(&cell[field], value, "{field}");
    }
    let size: usize = before.iter().filter(|(name, _)| name.contains("part-")).map(|(_, bytes)| bytes.len()).sum();
    assert_eq!(cell["bytes"], size);
    assert!(cell["seconds"].as_f64().unwrap() > 0.0 && cell["tokens_per_second"].as_f64().unwrap() > 0.0);
    let table = scene.run("status out").stdout;
    assert!(table.contains("demo by rl") && table.contains("2/2") && table.contains("1 failed, 289 ok"), "{table}");
    assert!(scene.files("out") == before, "looking changes nothing");
}

#[test]
fn parts_that_are_missing_and_logs_that_were_deleted_are_told() {
    let scene = Scene::new();
    let data: Vec<Value> = (0..300).map(|i| rows()[i % 30].clone()).collect();
    scene.dataset("rl_demo.jsonl", &data);
    scene.score("rl_demo.jsonl", &[TIED], "out", "--engine mock").expect(0, "300 ok");
    std::fs::remove_file(scene.path("out/tokens/generation_model=rl/task=demo/model=tied/part-00000001.parquet"))
        .unwrap();
    let cell = &status(&scene)[0];
    assert_eq!((&cell["parts_done"], &cell["parts"], &cell["samples"]["ok"]), (&json!(1), &json!(2), &json!(256)));
    std::fs::remove_dir_all(scene.path("out/logs")).unwrap();
    let cell = &status(&scene)[0];
    assert_eq!((&cell["seconds"], &cell["tokens_per_second"]), (&Value::Null, &Value::Null));
    scene.run("status nowhere").expect(1, "no such directory");
}

/// A log contains this run's parts only, and of a failure until a later run has none.
#[test]
fn a_failed_run_is_told_until_it_is_made_good() {
    let scene = Scene::new();
    let mut data: Vec<Value> = (0..300).map(|i| rows()[i % 30].clone()).collect();
    data[299] = json!({"input": "no output"});
    scene.dataset("rl_demo.jsonl", &data);
    scene.score("rl_demo.jsonl", &[TIED], "out", "--engine mock --on-error fail").expect(1, "line 300");
    if let Some(cell) = status(&scene).get(0) {
        assert!(cell["failed"].as_str().unwrap().contains("line 300"), "{cell}");
    }
    scene.score("rl_demo.jsonl", &[TIED], "out", "--engine mock").expect(4, "1 failed");
    assert_eq!(status(&scene)[0]["failed"], Value::Null);
    let logs: Vec<_> = std::fs::read_dir(scene.path("out/logs")).unwrap().collect();
    assert_eq!(logs.len(), 2, "one a process");
}

/// A damaged cell is listed as such, with what is known of it, and does not hide the others.
#[test]
fn what_cannot_be_read_is_told_beside_the_rest() {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &rows());
    scene.score("rl_demo.jsonl", &[TIED, ("other", "qwen3-shifted")], "out", "--engine mock").expect(0, "30 ok");
    let samples = scene.path("out/samples/generation_model=rl/task=demo/model=other/part-00000000.parquet");
    std::fs::remove_file(&samples).unwrap();
    let said = scene.run("status out --json");
    said.expect(1, "");
    let cells = serde_json::from_str::<Value>(&said.stdout).unwrap()["cells"].take();
    assert!(cells[0]["damaged"][0].as_str().unwrap().contains("part-00000000.parquet"), "{cells}");
    assert_eq!(
        (&cells[0]["parts_done"], &cells[0]["samples"], &cells[0]["dtype"]),
        (&json!(1), &json!({}), &json!("f32"))
    );
    assert_eq!((&cells[1]["samples"]["ok"], &cells[1]["damaged"]), (&json!(30), &json!([])));
    std::fs::write(&samples, "no table").unwrap();
    std::fs::write(scene.path("out/runs/generation_model=rl/task=demo/model=tied/manifest.json"), "{").unwrap();
    let said = scene.run("status out");
    said.expect(1, "");
    let described: Vec<_> = said.stdout.lines().filter(|line| line.starts_with("damaged: ")).collect();
    assert!(
        described.len() == 2 && described[0].contains("other on demo by rl") && described[1].contains("tied"),
        "{described:?}"
    );
}
