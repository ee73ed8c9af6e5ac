//! What `score` and `run` print before anything is computed: writer, task and P of each response set; and that `kl` goes by it.

use crate::common::{Scene, fixture, rows};
use serde_json::Value;

const TIED: &str = "qwen3-tied";
const SHIFTED: &str = "qwen3-shifted";

/// P and Q of every pair that `kl` shows.
fn pairs(scene: &Scene, more: &str) -> Vec<(String, String, String)> {
    let said = scene.run(&format!("kl --data-dir out --json {more}"));
    let found: Value = serde_json::from_str(&said.expect(0, "").stdout).unwrap();
    let text = |pair: &Value, name: &str| pair[name].as_str().unwrap().to_owned();
    let pair = |pair: &Value| (text(pair, "task"), text(pair, "p"), text(pair, "q"));
    found["pairs"].as_array().unwrap().iter().map(pair).collect()
}

fn of(task: &str, p: &str, q: &str) -> (String, String, String) {
    (task.to_owned(), p.to_owned(), q.to_owned())
}

#[test]
fn a_file_named_after_a_model_is_by_that_model() {
    let scene = Scene::new();
    scene.dataset("step_10_math.jsonl", &rows());
    scene.dataset("step_10.jsonl", &rows());
    let models = [("base", TIED), ("step_10", SHIFTED)];
    let score = |file: &str, models: &[(&str, &str)], more: &str| scene.score(file, models, "out", more);
    let line = "math by step_10 (a model that the file is named after): 30 rows; P = step_10, which wrote them; 1 pair, Q = base\n";
    let said = score("step_10_math.jsonl", &models, "--engine mock");
    said.expect(0, line);
    assert!(!said.stderr.contains("warning"), "{}", said.stderr);
    let whole = "`step_10.jsonl` is named like the model `step_10` and names no task: use --task";
    score("step_10.jsonl", &models, "--engine mock").expect(1, whole);
    score("step_10.jsonl", &models, "--engine mock --task other").expect(0, "other by step_10 (");
    // A model that the directory knows is one, whether it scores now or not.
    let said = score("step_10_math.jsonl", &[("third", TIED)], "--engine mock");
    said.expect(0, "P = step_10, which wrote them; 2 pairs, Q = third, base\n");
    assert_eq!(pairs(&scene, "--task math"), [of("math", "step_10", "base"), of("math", "step_10", "third")]);
}

#[test]
fn a_writer_that_is_none_of_the_models_is_a_warning_and_blocks_nothing() {
    let scene = Scene::new();
    scene.dataset("step_10_math.jsonl", &rows());
    scene.dataset("z_math.jsonl", &rows());
    let said = scene.score("step_10_math.jsonl", &[("z", TIED), ("a", SHIFTED)], "out", "--engine mock");
    said.expect(0, "10_math by step (from the file's name): 30 rows; P = z, the first of the models; 1 pair, Q = a\n");
    said.expect(0, "warning: `step`, which wrote the responses for `10_math`, is none of the models: the others are compared with `z`");
    said.expect(0, "`step_10_math.jsonl` is split at its first `_`");
    scene.score("z_math.jsonl", &[("z", TIED), ("a", SHIFTED)], "out", "--engine mock").expect(0, "math by z");
    assert_eq!(pairs(&scene, ""), [of("10_math", "z", "a"), of("math", "z", "a")]);
    // A text that the requested P did not score is left out with a line.
    scene.score("z_math.jsonl", &[("b", SHIFTED)], "out", "--engine mock").expect(0, "");
    assert_eq!(pairs(&scene, "--reference b"), [of("math", "b", "a"), of("math", "b", "z")]);
    let said = scene.run("kl --data-dir out --reference b");
    said.expect(0, "10_math");
    assert!(said.stderr.contains("`b` was not scored on it"), "{}", said.stderr);
}

#[test]
fn p_is_the_requested_model_else_the_writer_else_the_first_given() {
    let scene = Scene::new();
    scene.dataset("human_chat.jsonl", &rows());
    let score = |models: &[(&str, &str)], output: &str, more: &str| {
        scene.score("human_chat.jsonl", models, output, &format!("--engine mock {more}"))
    };
    score(&[("q8", TIED), ("bf16", SHIFTED)], "out", "--reference bf16")
        .expect(0, "P = bf16, as requested; 1 pair, Q = q8\n");
    assert_eq!(pairs(&scene, ""), [of("chat", "bf16", "q8")]);
    // It stays, whatever comes later.
    let later = "P = bf16, as requested by an earlier run; 2 pairs, Q = q4, q8\n";
    score(&[("q4", TIED)], "out", "").expect(0, later);
    assert_eq!(pairs(&scene, ""), [of("chat", "bf16", "q4"), of("chat", "bf16", "q8")]);
    score(&[("q4", TIED)], "out", "--reference none")
        .expect(1, "--reference: `none` is none of the models: use one of `q4`");
    // The writer wins over the first as soon as it is scored.
    score(&[("q8", TIED), ("bf16", SHIFTED)], "first", "").expect(0, "P = q8, the first of the models");
    score(&[("human", TIED)], "first", "").expect(0, "P = human, which wrote them; 2 pairs, Q = ");
    let manifest = &scene.files("out")["runs/generation_model=human/task=chat/text.json"];
    let manifest: Value = serde_json::from_slice(manifest).unwrap();
    assert_eq!(manifest["reference"], serde_json::json!({"requested": "bf16", "first_model": "q8"}));
}

/// Manifests of versions that recorded no P are read, by the rule of those versions.
#[test]
fn a_directory_without_a_recorded_p_keeps_its_rule() {
    let scene = Scene::new();
    scene.dataset("rl_math.jsonl", &rows());
    scene.score("rl_math.jsonl", &[("b", TIED), ("a", SHIFTED)], "out", "--engine mock").expect(0, "");
    assert_eq!(pairs(&scene, ""), [of("math", "b", "a")]);
    let path = "out/runs/generation_model=rl/task=math/text.json";
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(scene.path(path)).unwrap()).unwrap();
    manifest.as_object_mut().unwrap().remove("reference").unwrap();
    scene.write(path, serde_json::to_vec_pretty(&manifest).unwrap());
    scene.run("verify out").expect(0, "");
    scene.run("kl --data-dir out").expect(1, "P would be `rl`, which did not score `math` by `rl`");
    assert_eq!(pairs(&scene, "--reference a"), [of("math", "a", "b")]);
    scene.score("rl_math.jsonl", &[("b", TIED), ("a", SHIFTED)], "out", "--engine mock").expect(0, "already scored");
}

#[test]
fn several_files_of_one_task_are_named_before_the_files() {
    let scene = Scene::new();
    for step in ["5", "40", "100"] {
        scene.dataset(&format!("dump/{step}/math.jsonl"), &rows());
    }
    let model = |name: &str| format!("{name}={}", fixture(TIED).display());
    let models = ["step_100", "step_40", "step_5"].map(model).join(" ");
    let files = "step_100=dump/100/math.jsonl,step_40=dump/40/math.jsonl step_5=dump/5/math.jsonl";
    let said = scene.run(&format!("score --dataset {files} --models {models} --output-dir out --engine mock"));
    said.expect(0, "math by step_40 (named before the file): 30 rows; P = step_40, which wrote them; 2 pairs, Q = ");
    // Steps come in their order wherever they are listed.
    let order = |text: &str, names: [&str; 3]| {
        let places = names.map(|name| text.find(name).unwrap_or_else(|| panic!("no {name} in {text}")));
        assert!(places.is_sorted(), "{text}");
    };
    order(&scene.run("status out").stdout, ["math by step_5 ", "math by step_40 ", "math by step_100 "]);
    let first: Vec<(String, String)> = pairs(&scene, "").into_iter().map(|(_, p, q)| (p, q)).collect();
    let expected = [("5", "40"), ("5", "100"), ("40", "5"), ("40", "100"), ("100", "5"), ("100", "40")];
    let expected: Vec<_> = expected.iter().map(|(p, q)| (format!("step_{p}"), format!("step_{q}"))).collect();
    assert_eq!(first, expected);
    let twice = "--dataset step_5=dump/5/math.jsonl step_5=dump/40/math.jsonl";
    scene
        .run(&format!("score {twice} --models {} --output-dir out --engine mock", model("step_5")))
        .expect(1, "two datasets are of the task `math` by `step_5`");
}

#[test]
fn run_takes_the_writer_from_the_experiment_or_the_file() {
    let scene = Scene::new();
    scene.dataset("step_30_math.jsonl", &rows());
    scene.dataset("plain.jsonl", &rows());
    let source = fixture(TIED).display().to_string();
    let study = |name: &str, dataset: &str, more: &str| {
        let model = |name: &str| format!("[[experiment.model]]\nname = \"{name}\"\nsource = \"{source}\"\n");
        let text = format!(
            "output = \"out\"\ndataset = \"{dataset}\"\n[[experiment]]\nname = \"{name}\"\ntasks = [\"math\"]\n{more}\n{}{}",
            model("base"),
            model("step_30")
        );
        scene.write("study.toml", text);
    };
    let by_run = |expected: &str| {
        scene.run("run study.toml --dry-run").expect(0, "").expect_out(expected);
        let said = scene.run("run study.toml --engine mock");
        said.expect(0, expected);
        std::fs::remove_dir_all(scene.path("out")).unwrap();
        said.stderr
    };
    study("step_30", "{experiment}_{task}.jsonl", "");
    by_run("math by step_30 (the experiment's name): 30 rows; P = step_30, which wrote them; 1 pair, Q = base\n");
    study("lora", "step_30_{task}.jsonl", "");
    by_run("math by step_30 (a model that the file is named after): 30 rows; P = step_30, which");
    study("lora", "plain.jsonl", "generation_model = \"step_30\"");
    by_run("math by step_30 (as given): 30 rows; P = step_30, which");
    study("lora", "plain.jsonl", "reference = \"step_30\"");
    let said =
        by_run("math by base (the experiment's first model): 30 rows; P = step_30, as requested; 1 pair, Q = base\n");
    assert!(said.contains("warning: nothing says which model wrote the responses for `math`"), "{said}");
    study("lora", "plain.jsonl", "reference = \"other\"");
    scene.run("run study.toml --dry-run").expect(1, "reference: `other` is no model of the experiment `lora`");
}

#[test]
fn a_misspelt_key_has_its_neighbour_named() {
    let scene = Scene::new();
    let of = |text: &str| {
        scene.write("study.toml", text);
        scene.run("run study.toml --dry-run")
    };
    of("[[experiments]]\nname = \"x\"\n").expect(1, "line 1: `experiments` is no key here: `[[experiment]]` is");
    of("keep-fields = [\"a\"]\n").expect(1, "line 1: `keep-fields` is no key here: `keep_fields` is");
    of("colour = 1\n").expect(1, "line 1: `colour` is no key here; keys are `output`, `dataset`, `threads`, ");
}
