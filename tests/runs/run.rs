//! `tokshift run` as people run it: whole studies, broken ones, and what a rerun does.

mod failures;
mod planned;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::common::{Said, Scene, fixture, rows};
use serde_json::{Value, json};

const TIED: &str = "qwen3-tied";
const SHIFTED: &str = "qwen3-shifted";

/// An experiment with its models, as NAME and source.
fn experiment(name: &str, tasks: &[&str], models: &[(&str, &str)], more: &str) -> String {
    let quoted = |text: &str| json!(text).to_string();
    let model = |(name, source): &(&str, &str)| {
        format!("[[experiment.model]]\nname = {}\nsource = {}\n", quoted(name), quoted(source))
    };
    let models: String = models.iter().map(model).collect();
    format!("[[experiment]]\nname = {}\ntasks = {}\n{more}\n{models}", quoted(name), json!(tasks))
}

fn source(name: &str) -> String {
    fixture(name).display().to_string()
}

/// Other responses to the same prompts.
fn others(rows: &[Value]) -> Vec<Value> {
    rows.iter().map(|row| json!({"input": row["input"], "output": "Something else."})).collect()
}

/// Datasets of two generation models for two tasks.
fn datasets(scene: &Scene) {
    for task in ["a", "b"] {
        let n = if task == "a" { 30 } else { 12 };
        scene.dataset(&format!("data/rl_{task}.jsonl"), &rows()[..n]);
        scene.dataset(&format!("data/sft_{task}.jsonl"), &others(&rows()[..n]));
    }
}

/// Two experiments over [`datasets`], each scored by both models.
fn study(scene: &Scene, output: &str, more: &str) {
    let (rl, sft) = (source(TIED), source(SHIFTED));
    let text = format!(
        "output = \"{output}\"\ndataset = \"data/{{experiment}}_{{task}}.jsonl\"\n{more}\n{}{}",
        experiment("rl", &["a", "b"], &[("rl", &rl), ("sft", &sft)], ""),
        experiment("sft", &["a", "b"], &[("sft", &sft), ("rl", &rl)], ""),
    );
    scene.write("study.toml", text);
}

/// Inode of every part: a file that is written again has another.
fn parts(scene: &Scene, output: &str) -> BTreeMap<String, u64> {
    let all = scene.files(output).into_keys().filter(|name| name.contains("part-"));
    all.map(|name| (name.clone(), scene.path(output).join(&name).metadata().unwrap().ino())).collect()
}

fn cells(said: &Said) -> Vec<Value> {
    serde_json::from_str::<Value>(&said.stdout).unwrap()["cells"].as_array().unwrap().clone()
}

fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

#[test]
fn a_study_is_scored_and_compared_and_a_rerun_does_nothing() {
    let scene = Scene::new();
    datasets(&scene);
    study(&scene, "out/{experiment}", "");
    let said = scene.run("run study.toml -v");
    said.expect(0, "");
    assert!(said.stdout.contains("8 cells: 8 done, 0 failed, 0 skipped"), "{}", said.stdout);
    assert!(said.stdout.contains("\na "), "{}", said.stdout);
    assert_eq!(count(&said.stderr, "loaded model="), 2, "each model once: {}", said.stderr);
    assert_eq!(count(&said.stderr, "rl on a: 60 ok samples"), 1, "both texts in one job: {}", said.stderr);
    for experiment in ["rl", "sft"] {
        let kl: Value =
            serde_json::from_slice(&scene.files("out")[&format!("{experiment}/comparison/kl.json")]).unwrap();
        assert_eq!(kl["pairs"].as_array().unwrap().len(), 2);
        assert!(scene.path(&format!("out/{experiment}/comparison/statistics.parquet")).exists());
        // The study's values are for those who ask for them.
        assert!(!scene.path(&format!("out/{experiment}/comparison/kl_divergence_results.json")).exists());
        let printed = scene.run(&format!("kl --quantiles --slices --json --data-dir out/{experiment}"));
        assert_eq!(serde_json::from_str::<Value>(&printed.stdout).unwrap(), kl);
    }
    let (files, inodes) = (scene.files("out"), parts(&scene, "out"));
    let again = scene.run("run study.toml -v");
    again.expect(0, "rl on a: already scored");
    assert_eq!(count(&again.stderr, "loaded model="), 0);
    assert_eq!(parts(&scene, "out"), inodes);
    assert!(scene.files("out") == files, "a rerun gives the same bytes");
}

#[test]
fn experiments_may_share_an_output() {
    let scene = Scene::new();
    datasets(&scene);
    study(&scene, "out", "top_k = 5");
    scene.run("run study.toml --engine mock").expect(0, "");
    let kl: Value = serde_json::from_slice(&scene.files("out")["comparison/kl.json"]).unwrap();
    assert_eq!(kl["pairs"].as_array().unwrap().len(), 4);
    scene.run("verify out").expect(0, "");
    assert!(scene.table("out", "tokens", "sft", "b", "rl").u32_lists("top_ids").iter().all(|list| list.len() == 5));
}

#[test]
fn options_of_an_experiment_and_of_a_model_stand_before_those_above() {
    let scene = Scene::new();
    datasets(&scene);
    let tied = source(TIED);
    let text = experiment("rl", &["a"], &[("rl", &tied), ("wide", &tied)], "limit = 3\nend = 304\ntop_k = 2");
    scene.write(
        "study.toml",
        format!(
            "dataset = \"data/{{experiment}}_{{task}}.jsonl\"\nlimit = 9\ndtype = \"bf16\"\n{text}dtype = \"f32\"\n"
        ),
    );
    scene.run("run study.toml").expect(0, "");
    let manifest = |file: &str| -> Value {
        let path = format!("rl/runs/generation_model=rl/task=a/{file}.json");
        serde_json::from_slice(&scene.files("ppl_data")[&path]).unwrap()
    };
    let (text, rl, wide) = (manifest("text"), manifest("model=rl/manifest"), manifest("model=wide/manifest"));
    assert_eq!(text["dataset"]["limit"], 3);
    assert_eq!(text["tokens"]["end"], 304);
    assert_eq!((&rl["engine"]["dtype"], &wide["engine"]["dtype"]), (&json!("bf16"), &json!("f32")));
    assert_eq!(wide["engine"]["top_k"], 2);
}

/// A signal is no failure of a cell: it ends everything, and the same command goes on from there.
#[test]
fn a_signal_ends_the_whole_run_and_a_rerun_finishes_it() {
    let scene = Scene::new();
    let many: Vec<Value> = (0..900).map(|i| rows()[i % 30].clone()).collect();
    for name in ["rl_a", "rl_b", "sft_a", "sft_b"] {
        scene.dataset(&format!("data/{name}.jsonl"), &many);
    }
    study(&scene, "out", "top_k = 2");
    let mut running = scene.start("run study.toml");
    running.until(|| scene.parts("out") > 0);
    running.signal(&["INT"]);
    let said = running.end();
    said.expect(130, "stopped before the end");
    assert!(said.stdout.is_empty() && scene.parts("out") < 32, "{}", said.stdout);
    let before = parts(&scene, "out");
    scene.run("run study.toml").expect(0, "");
    let after = parts(&scene, "out");
    assert!(before.iter().filter(|(name, _)| name.starts_with("tokens/")).all(|(name, inode)| after[name] == *inode));
    study(&scene, "whole", "top_k = 2");
    scene.run("run study.toml").expect(0, "");
    assert!(scene.files("out") == scene.files("whole"));
}

/// One model and task, but other ids: such texts must not go through the pipeline together.
#[test]
fn experiments_with_other_ids_keep_them() {
    let scene = Scene::new();
    datasets(&scene);
    let tied = source(TIED);
    let models = [("rl", tied.as_str()), ("sft", &tied)];
    let text = experiment("rl", &["a"], &models, "end = 304")
        + &experiment("sft", &["a"], &[models[1], models[0]], "boundary = \"separate\"");
    scene.write("study.toml", format!("output = \"out\"\ndataset = \"data/{{experiment}}_{{task}}.jsonl\"\n{text}"));
    let said = scene.run("run study.toml -v");
    said.expect(0, "");
    assert_eq!(count(&said.stderr, "loaded model="), 1, "one source, one load: {}", said.stderr);
    for (generation_model, ends) in [("rl", 30), ("sft", 0)] {
        let tokens = scene.table("out", "tokens", generation_model, "a", "rl");
        assert_eq!(tokens.bools("is_end").iter().filter(|end| **end == Some(true)).count(), ends);
    }
}

/// Models are moved away when they were scored, and an end token that a model lacks would fail every row.
#[test]
fn a_finished_study_stands_without_its_models() {
    let scene = Scene::new();
    datasets(&scene);
    let away = [scene.model("rl-model", TIED), scene.model("base-model", SHIFTED)];
    let text = experiment("rl", &["a"], &[("rl", "rl-model"), ("base", "base-model")], "");
    let study =
        |more: &str| format!("dataset = \"data/{{experiment}}_{{task}}.jsonl\"\noutput = \"out\"\n{more}{text}");
    scene.write("study.toml", study("end = 4000000\n"));
    scene.run("run study.toml").expect(1, "").expect_out("--end 4000000: `rl` has no token 4000000");
    scene.write("study.toml", study(""));
    scene.run("run study.toml").expect(0, "30 ok");
    let files = scene.files("out");
    for path in away {
        std::fs::remove_dir_all(path).unwrap();
    }
    let again = scene.run("run study.toml");
    again.expect(0, "base on a: the model cannot be used (");
    again.expect_out("2 cells: 2 done, 0 failed, 0 skipped");
    assert!(scene.files("out") == files, "and is compared as before");
    scene.write("study.toml", study("limit = 3\n"));
    scene.run("run study.toml").expect(1, "").expect_out("no such directory");
}

/// Names are data: whatever they are, nothing appears outside of the output.
#[test]
fn hostile_names_stay_inside() {
    let scene = Scene::new();
    let tied = source(TIED);
    let names = ["../x", "/abs", "a\0b", "..", "%2e", "x/../../y", "\u{1b}[2J", "é"];
    let mut text = "output = \"deep/out/{experiment}\"\ndataset = \"rows.jsonl\"\nlimit = 2\n".to_owned();
    for name in names {
        text += &experiment(name, &[name], &[(name, &tied), ("other", &tied)], "");
    }
    scene.dataset("rows.jsonl", &rows());
    scene.write("study.toml", text);
    let before: Vec<String> = top(&scene);
    let said = scene.run("run study.toml --engine mock");
    said.expect(0, "");
    assert!(!said.stdout.contains('\u{1b}'), "control characters are printed escaped, not obeyed");
    let mut after = top(&scene);
    after.retain(|name| !before.contains(name));
    assert_eq!(after, ["deep"]);
    assert_eq!(std::fs::read_dir(scene.path("deep")).unwrap().count(), 1);
    assert_eq!(std::fs::read_dir(scene.path("deep/out")).unwrap().count(), names.len());
    assert!(!Path::new("/abs").exists());
    scene.run("run study.toml --engine mock --dry-run").expect(0, "");
}

fn top(scene: &Scene) -> Vec<String> {
    let entries = std::fs::read_dir(scene.path(".")).unwrap().flatten();
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

/// The demo's models and data: the same tables, byte for byte, as `score` makes.
#[test]
fn run_gives_the_tables_of_score() {
    let scene = Scene::new();
    let demo = std::env::current_dir().unwrap().join("assets/demo");
    let path = |name: &str| demo.join(name).display().to_string();
    let texts = ["rl_arithmetic", "rl_chat", "rl_greedy", "sft_arithmetic", "sft_chat"]
        .map(|name| path(&format!("{name}.jsonl")));
    let options = "--end auto --keep-fields kind --batch-tokens 1000";
    let models = ["rl", "sft", "base"].map(|name| format!("{name}={}", path(name))).join(",");
    let tokenizer = path("tokenizer.json");
    let command = format!(
        "score --dataset {} --models {models} --tokenizer {tokenizer} --output-dir score {options}",
        texts.join(",")
    );
    scene.run(&command).expect(0, "");

    let (rl, sft, base) = (path("rl"), path("sft"), path("base"));
    let head = format!(
        "output = \"run\"\ndataset = \"{}/{{experiment}}_{{task}}.jsonl\"\ntokenizer = \"{tokenizer}\"\nend = \"auto\"\n\
         keep_fields = [\"kind\"]\n",
        demo.display()
    );
    let study = head
        + &experiment("rl", &["arithmetic", "chat", "greedy"], &[("rl", &rl), ("sft", &sft), ("base", &base)], "")
        + &experiment("sft", &["arithmetic", "chat"], &[("sft", &sft), ("rl", &rl), ("base", &base)], "");
    scene.write("demo.toml", study);
    let said = scene.run("run demo.toml -v");
    said.expect(0, "");
    assert_eq!(count(&said.stderr, "loaded model="), 3);
    let (score, mut run) = (scene.files("score"), scene.files("run"));
    run.retain(|name, _| !name.starts_with("comparison/"));
    assert_eq!(score.len(), 51);
    assert!(score == run);
}

#[test]
fn logs_are_lines_of_json_if_asked_for() {
    let scene = Scene::new();
    datasets(&scene);
    study(&scene, "out", "");
    let said = scene.run("run study.toml --engine mock -v --log-format json");
    let logged: Vec<Value> = said.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(logged.iter().any(|line| line["fields"]["message"] == "loaded"), "{}", said.stderr);
    assert_eq!(logged.len(), said.stderr.lines().count(), "every line is JSON: {}", said.stderr);
    let described: Vec<&str> = logged.iter().filter_map(|line| line["fields"]["message"].as_str()).collect();
    assert!(described.iter().any(|line| line.starts_with("rl on a: 60 ok samples")), "{described:?}");
    let failed = scene.run("run nowhere.toml --log-format json");
    let error: Value = serde_json::from_str(failed.stderr.trim()).unwrap();
    assert_eq!((&error["level"], failed.code), (&Value::from("ERROR"), Some(1)));
    assert!(scene.run("run study.toml --engine mock").stderr.lines().all(|line| !line.contains("loaded")));
}
