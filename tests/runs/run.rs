//! `tokshift run` as people run it: whole studies, broken ones, and what a rerun does.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::common::{self, Said, Scene, fixture, rows};
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
fn a_failure_ends_its_own_cells_alone_and_a_rerun_does_what_is_missing() {
    let scene = Scene::new();
    datasets(&scene);
    std::fs::remove_file(scene.path("data/rl_b.jsonl")).unwrap();
    let broken = scene.model("broken", SHIFTED);
    let weights = std::fs::read(broken.join("model.safetensors")).unwrap();
    std::fs::write(broken.join("model.safetensors"), &weights[..weights.len() / 2]).unwrap();
    let tied = source(TIED);
    let models = [("rl", tied.as_str()), ("broken", "broken"), ("nowhere", "no/such/model"), ("base", &tied)];
    let text = experiment("rl", &["a", "b"], &models, "");
    scene.write("study.toml", format!("dataset = \"data/{{experiment}}_{{task}}.jsonl\"\noutput = \"out\"\n{text}"));

    let said = scene.run("run study.toml --json");
    said.expect(1, "");
    let state = |cells: &[Value], task: &str, model: &str| {
        let cell = cells.iter().find(|cell| cell["task"] == task && cell["model"] == model).unwrap();
        (cell["state"].as_str().unwrap().to_owned(), cell["reason"].as_str().unwrap_or_default().to_owned())
    };
    let found = cells(&said);
    for model in ["rl", "base"] {
        assert_eq!(state(&found, "a", model).0, "done");
    }
    for (model, why) in [("broken", "model.safetensors"), ("nowhere", "no such directory")] {
        let (state, reason) = state(&found, "a", model);
        assert!(state == "failed" && reason.contains(why), "{model}: {state}: {reason}");
    }
    for model in ["rl", "broken", "nowhere", "base"] {
        let (state, reason) = state(&found, "b", model);
        assert!(state == "skipped" && reason.contains("data/rl_b.jsonl"), "{state}: {reason}");
    }
    // What is there was compared all the same.
    let all: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(all["comparisons"][0]["pairs"].as_array().unwrap().len(), 1);

    let before = parts(&scene, "out");
    assert_eq!(before.len(), 4);
    std::fs::write(broken.join("model.safetensors"), &weights).unwrap();
    scene.write("study.toml", {
        let text = std::fs::read_to_string(scene.path("study.toml")).unwrap();
        text.replace("no/such/model", &tied)
    });
    scene.dataset("data/rl_b.jsonl", &rows()[..12]);
    let said = scene.run("run study.toml -v");
    said.expect(0, "rl on a: already scored").expect(0, "broken on a: 30 ok samples");
    let after = parts(&scene, "out");
    assert_eq!(after.len(), 16);
    assert!(before.iter().all(|(name, inode)| after[name] == *inode), "no finished part is written again");
}

#[test]
fn a_missing_dataset_alone_is_no_failure_but_told() {
    let scene = Scene::new();
    datasets(&scene);
    std::fs::remove_file(scene.path("data/sft_b.jsonl")).unwrap();
    study(&scene, "out", "");
    let said = scene.run("run study.toml --engine mock");
    said.expect(4, "");
    assert!(said.stdout.contains("8 cells: 6 done, 0 failed, 2 skipped"), "{}", said.stdout);
    let why = "skipped: sft, b, sft, rl: there is no dataset `data/sft_b.jsonl`";
    assert!(said.stdout.contains(why), "{}", said.stdout);
}

#[test]
fn a_row_that_may_not_be_skipped_fails_its_own_cell_alone() {
    let scene = Scene::new();
    datasets(&scene);
    scene.write("data/sft_a.jsonl", format!("not a row\n{}\n", rows()[0]));
    study(&scene, "out", "on_error = \"fail\"");
    let said = scene.run("run study.toml --engine mock");
    said.expect(1, "data/sft_a.jsonl");
    assert!(said.stdout.contains("8 cells: 6 done, 2 failed, 0 skipped"), "{}", said.stdout);
    assert!(
        said.stdout.contains("failed: sft, a, rl: scoring with `rl on a`: dataset `data/sft_a.jsonl`, line 1: "),
        "{}",
        said.stdout
    );
    assert!(said.stdout.contains("\na "), "the other text of the job was scored: {}", said.stdout);
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

#[test]
fn a_dataset_that_a_name_cannot_lead_to_is_told() {
    let scene = Scene::new();
    let tied = source(TIED);
    scene.write("study.toml", experiment("a\0b", &["t"], &[("m", &tied)], ""));
    let said = scene.run("run study.toml --engine mock");
    said.expect(1, "");
    assert!(said.stdout.contains("1 cells: 0 done, 1 failed"), "{}", said.stdout);
}

#[test]
fn a_dry_run_tells_the_plan_and_creates_nothing() {
    let scene = Scene::new();
    datasets(&scene);
    std::fs::remove_file(scene.path("data/rl_b.jsonl")).unwrap();
    study(&scene, "out/{experiment}", "");
    let before = scene.files("");
    let said = scene.run("run study.toml --dry-run");
    said.expect(0, "");
    assert!(
        said.stdout.contains("8 cells: 6 to do, 0 done, 2 skipped, 0 would fail; time: unknown"),
        "{}",
        said.stdout
    );
    assert!(scene.files("") == before && !scene.path("out").exists());

    scene.dataset("data/rl_b.jsonl", &rows()[..12]);
    scene.run("run study.toml").expect(0, "");
    std::fs::remove_dir_all(scene.path("out/rl/tokens/generation_model=rl/task=a/model=sft")).unwrap();
    let before = scene.files("");
    let said = scene.run("run study.toml --dry-run --json");
    said.expect(0, "");
    assert!(scene.files("") == before);
    for cell in cells(&said) {
        let missing = cell["experiment"] == "rl" && cell["task"] == "a" && cell["model"] == "sft";
        assert_eq!(cell["state"], if missing { "to do" } else { "done" }, "{cell}");
        assert_eq!(cell["parts_done"], u32::from(!missing));
        assert_eq!(cell["parts"], 1);
        assert_eq!(cell["rows"], if cell["task"] == "a" { 30 } else { 12 });
        // The logs say how fast this model was.
        assert_eq!(cell["seconds_estimate"].as_f64().is_some_and(|seconds| seconds > 0.0), missing);
    }
    scene.dataset("data/rl_b.jsonl", &rows()[..11]);
    let said = scene.run("run study.toml --dry-run");
    assert!(said.stdout.contains("its parts were made with the dataset's content = "), "{}", said.stdout);
}

/// What `run` would reject is not called done.
#[test]
fn a_dry_run_lists_what_would_be_rejected() {
    let scene = Scene::new();
    datasets(&scene);
    study(&scene, "out/{experiment}", "");
    scene.run("run study.toml").expect(0, "");
    for (more, differs) in [
        ("top_k = 3", "another top-k"),
        ("dtype = \"bf16\"", "another dtype"),
        ("boundary = \"separate\"", "another boundary"),
        ("keep_hidden = true", "another --keep-hidden"),
    ] {
        study(&scene, "out/{experiment}", more);
        let said = scene.run("run study.toml --dry-run");
        assert!(said.stdout.contains(" 0 done, 0 skipped, 8 would fail"), "{more}: {}", said.stdout);
        assert!(said.stdout.contains(&format!("its parts were made with {differs}")), "{more}: {}", said.stdout);
    }
    study(&scene, "out/{experiment}", "");
    scene.write("out/rl/runs/generation_model=rl/task=a/model=sft/manifest.json", "junk");
    let said = scene.run("run study.toml --dry-run");
    assert!(said.stdout.contains(" 0 to do, 7 done, 0 skipped, 1 would fail"), "{}", said.stdout);
    let failed =
        "failed: rl, a, sft: `out/rl/runs/generation_model=rl/task=a/model=sft/manifest.json`: not a tokshift manifest";
    assert!(said.stdout.contains(failed), "{}", said.stdout);
    let said = scene.run("run study.toml");
    said.expect(1, "").expect_out("8 cells: 7 done, 1 failed").expect_out(failed);
    // With the study's files too.
    study(&scene, "out/{experiment}", "out = \"token-losses\"");
    let said = scene.run("run study.toml");
    said.expect(1, "").expect_out("8 cells: 7 done, 1 failed").expect_out(failed);
}

/// A model that would be given other texts than its ids were made of is in no other's way.
#[test]
fn a_model_of_another_vocabulary_fails_alone() {
    let scene = Scene::new();
    datasets(&scene);
    let path = scene.model("moved", SHIFTED).join("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for (_, id) in tokenizer["model"]["vocab"].as_object_mut().unwrap() {
        let was = id.as_u64().unwrap();
        if (256..302).contains(&was) {
            *id = json!(256 + (was - 256 + 7) % 46);
        }
    }
    std::fs::write(path, tokenizer.to_string()).unwrap();
    let (tied, shifted) = (source(TIED), source(SHIFTED));
    let models = [("rl", tied.as_str()), ("moved", "moved"), ("sft", &shifted)];
    let alone = experiment("sft", &["a"], &[("moved", "moved"), ("sft", &shifted)], "");
    let text = experiment("rl", &["a", "b"], &models, "") + &alone;
    let head = "output = \"out/{experiment}\"\ndataset = \"data/{experiment}_{task}.jsonl\"\n";
    scene.write("study.toml", format!("{head}{text}"));
    let said = scene.run("run study.toml");
    said.expect(1, "").expect_out("8 cells: 5 done, 3 failed, 0 skipped");
    for task in ["a", "b"] {
        said.expect_out(&format!("failed: rl, {task}, moved: `moved` reads 46 ids as other texts"));
    }
    // The writer's tokenizer makes the ids, wherever it stands in the list.
    said.expect_out("failed: sft, a, moved: `moved` reads 46 ids as other texts")
        .expect_out("`kl --align text --other-dir`");
    said.expect_out("\na ").expect_out("\nb ");
}

/// Contexts differ then, and a model without a template would fail.
#[test]
fn a_dry_run_shows_own_templates() {
    let scene = Scene::new();
    let messages = [json!({"role": "user", "content": "How far?"}), json!({"role": "assistant", "content": "Far."})];
    scene.dataset("data/rl_a.jsonl", &[json!({"messages": messages})]);
    scene.dataset("data/rl_b.jsonl", &rows()[..2]);
    scene.model("bare", SHIFTED);
    scene.model("with", TIED);
    let config = json!({"chat_template": "{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}"});
    scene.write("with/tokenizer_config.json", config.to_string());
    let study = |more: &str| {
        let text = experiment("rl", &["a", "b"], &[("rl", "with"), ("bare", "bare")], "");
        scene.write(
            "study.toml",
            format!("output = \"out\"\ndataset = \"data/{{experiment}}_{{task}}.jsonl\"\n{more}{text}"),
        );
    };
    study("template = \"own\"\n");
    let said = scene.run("run study.toml --dry-run");
    said.expect(0, "").expect_out("4 cells: 3 to do, 0 done, 0 skipped, 1 would fail");
    said.expect_out("template = \"own\": rl, a: each model reads messages by its own chat template\n");
    said.expect_out("failed: rl, a, bare: `bare` has no chat template: --template own needs one of every model");
    let planned = cells(&scene.run("run study.toml --dry-run --json"));
    let own: Vec<&Value> = planned.iter().map(|cell| &cell["template"]).collect();
    assert_eq!(own, [&json!("own"), &json!("own"), &Value::Null, &Value::Null]);
    study("");
    assert!(!scene.run("run study.toml --dry-run").stdout.contains("template"));
}

/// A cell that has nothing in common with the others leaves no figures of an earlier run behind.
#[test]
fn what_is_not_compared_is_told_and_leaves_no_older_figures() {
    let scene = Scene::new();
    datasets(&scene);
    study(&scene, "out/{experiment}", "");
    scene.run("run study.toml").expect(0, "");
    std::fs::remove_dir_all(scene.path("out/rl/tokens/generation_model=rl/task=a/model=sft")).unwrap();
    std::fs::remove_dir_all(scene.path("out/rl/tokens/generation_model=rl/task=b/model=sft")).unwrap();
    let text = std::fs::read_to_string(scene.path("study.toml")).unwrap();
    scene.write("study.toml", text.replace(&source(SHIFTED), "nowhere"));
    let said = scene.run("run study.toml");
    assert_eq!(said.code, Some(1), "{}", said.stderr);
    let described = "P = `rl`, Q = `sft` on `a` by `rl`: no part is done on both sides";
    assert!(said.stdout.contains(described) || said.stderr.contains(described), "{}{}", said.stdout, said.stderr);
    assert!(!scene.path("out/rl/comparison/kl.json").exists());
}

#[test]
fn the_example_is_planned_on_a_machine_that_has_nothing_of_it() {
    let scene = Scene::new();
    scene.write("study.toml", std::fs::read("examples/study.toml").unwrap());
    scene.dataset("finetuned_model_response/UniReason-RL_coqa.jsonl", &rows());
    let before = scene.files("");
    let mut command = scene.command("run study.toml --dry-run");
    // Whoever fetched would fail.
    command.env("HF_ENDPOINT", "http://127.0.0.1:9").env("HF_HOME", scene.path("hub"));
    let said = common::said(&mut command);
    said.expect(0, "");
    assert!(said.stdout.contains("30 cells: 3 to do, 0 done, 27 skipped, 0 would fail"), "{}", said.stdout);
    assert_eq!(count(&said.stdout, "to fetch"), 3, "{}", said.stdout);
    assert!(scene.files("") == before);
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
    assert_eq!(score.len(), 50);
    assert!(score == run);
}

#[test]
fn what_is_wrong_in_the_file_is_told_with_its_line() {
    let scene = Scene::new();
    let model = "[[experiment.model]]\nname = \"m\"\nsource = \"s\"\n";
    let head = "[[experiment]]\nname = \"e\"\ntasks = [\"t\"]\n";
    let long = format!("[[experiment]]\nname = \"{}\"\ntasks = [\"t\"]\n{model}", "x".repeat(300));
    for (text, line, what) in [
        ("top_k = \n".to_owned(), 1, ""),
        (format!("\ntopk = 3\n{head}{model}"), 2, "`topk` is no key here: `top_k` is"),
        (format!("\n\ntop_k = \"3\"\n{head}{model}"), 3, "invalid type: string \"3\", expected"),
        (format!("threads = 0\n{head}{model}"), 1, "threads: expected a number from 1 to 1024"),
        (format!("{head}threads = 2\n{model}"), 4, "threads are of the whole run"),
        (format!("{head}boundary = \"both\"\n{model}"), 4, "unknown variant `both`, expected `joint` or `separate`"),
        (format!("end = \"eos\"\n{head}{model}"), 1, "expected \"none\", \"auto\" or a token id"),
        (format!("end = -1\n{head}{model}"), 1, "token id"),
        (format!("{head}{model}limit = 3\n"), 7, "`limit`: all models of an experiment score the same rows"),
        (format!("{head}{model}nmae = 3\n"), 7, "`nmae`: all models"),
        (format!("{head}{model}{model}"), 8, "two models of an experiment are called `m`"),
        (format!("{head}[[experiment.model]]\nname = \"m\"\n"), 4, "missing field `source`"),
        (head.to_owned(), 1, "`e` has no [[experiment.model]]"),
        (format!("[[experiment]]\nname = \"e\"\ntasks = []\n{model}"), 3, "`e` has no tasks"),
        (format!("[[experiment]]\nname = \"\"\ntasks = [\"t\"]\n{model}"), 2, "empty name"),
        (
            format!("[[experiment]]\nname = \"e\"\ntasks = [\"t\", \"T\"]\n{model}"),
            3,
            "`t` and `T`, differ in case alone",
        ),
        (format!("{head}{model}{head}{model}"), 8, "two experiments are called `e`: rename one"),
        (format!("{head}{model}{}{model}", head.replace("\"e\"", "\"E\"")), 8, "differ in case alone"),
        (long, 2, "is too long"),
        (format!("output = \"out/{{task}}\"\n{head}{model}"), 1, "expected {experiment} after a `{`"),
        (format!("output = \"{{experiment}}/../out\"\n{head}{model}"), 1, "without `..` after a folder"),
        (format!("dataset = \"\"\n{head}{model}"), 1, "expected a path"),
        (
            format!("dataset = \"rows.jsonl\"\n[[experiment]]\nname = \"e\"\ntasks = [\"a\", \"b\"]\n{model}"),
            1,
            "without {task} every task of `e` would be the same file",
        ),
        (
            format!("output = \"o\"\n{head}{model}{}{model}", head.replace("\"e\"", "\"f\"")),
            10,
            "two texts by one model",
        ),
        ("experiment = 3\n".to_owned(), 1, "expected tables headed [[…experiment]]"),
    ] {
        scene.write("study.toml", &text);
        let said = scene.run("run study.toml");
        said.expect(1, &format!("error: `study.toml`: line {line}: ")).expect(1, what);
        assert_eq!(top(&scene).len(), 1, "nothing is created");
    }
    scene.write("study.toml", "");
    scene.run("run study.toml").expect(1, "`study.toml`: contains no [[experiment]]");
    scene.run("run nowhere.toml").expect(1, "cannot read `nowhere.toml`");
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
