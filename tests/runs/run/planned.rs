//! What `run --dry-run` prints, and that it changes nothing.

use super::{SHIFTED, TIED, cells, count, datasets, experiment, study};
use crate::common::{self, Scene, rows};
use serde_json::{Value, json};

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
