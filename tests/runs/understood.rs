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

/// What `score --exact` does, experiment by experiment.
#[test]
fn run_compares_exactly_where_it_is_asked_to() {
    let scene = Scene::new();
    for name in ["rl", "sft"] {
        scene.dataset(&format!("{name}_math.jsonl"), &rows());
    }
    let study = |more: &str| {
        let of = |name: &str, source: &str| {
            format!("[[experiment.model]]\nname = \"{name}\"\nsource = \"{}\"\n", fixture(source).display())
        };
        let models = of("rl", TIED) + &of("sft", SHIFTED) + &of("base", TIED);
        let one =
            |name: &str, more: &str| format!("[[experiment]]\nname = \"{name}\"\ntasks = [\"math\"]\n{more}\n{models}");
        let head = "output = \"out\"\ndataset = \"{experiment}_{task}.jsonl\"\n";
        scene.write("study.toml", format!("{head}{}{}", one("rl", more), one("sft", "")));
    };
    study("exact = true");
    let said = scene.run("run study.toml");
    said.expect(0, "exact: KL(rl‖sft) on math by rl").expect(0, "exact: KL(rl‖base) on math by rl");
    assert_eq!(said.stderr.matches("exact: ").count(), 2, "{}", said.stderr);
    assert!(!scene.files("out").keys().any(|name| name.starts_with("hidden/")));
    let whole = scene.files("out");
    assert_eq!(whole.keys().filter(|name| name.starts_with("pairs/")).count(), 2);
    scene.run("run study.toml").expect(0, "rl on math: already scored");
    assert!(scene.files("out") == whole);
    study("exact = true\nall_pairs = true");
    scene.run("run study.toml").expect(0, "exact: KL(base‖sft) on math by rl");
    scene.run("verify out").expect(0, "").expect_out("no problem found");
}

/// What can be known without loading a model is found before a run.
#[test]
fn a_dry_run_finds_what_a_run_would_fail_on() {
    let scene = Scene::new();
    scene.dataset("rl_math.jsonl", &rows());
    let messages = serde_json::json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]);
    scene.dataset("rl_chat.jsonl", &[serde_json::json!({"messages": messages})]);
    let model = scene.model("model", TIED);
    let study = |more: &str| {
        let text = format!(
            "output = \"out\"\ndataset = \"rl_{{task}}.jsonl\"\n{more}[[experiment]]\nname = \"rl\"\n\
             tasks = [\"math\", \"chat\"]\n[[experiment.model]]\nname = \"rl\"\nsource = \"model\"\n"
        );
        scene.write("study.toml", text);
    };
    let agree = |failed: usize, why: &str| {
        let dry = scene.run("run study.toml --dry-run");
        dry.expect(0, "").expect_out(&format!("{failed} would fail")).expect_out(why);
        assert!(!scene.path("out").exists());
        scene.run("run study.toml").expect(1, "").expect_out(&format!("{failed} failed")).expect_out(why);
        let _ = std::fs::remove_dir_all(scene.path("out"));
    };
    study("");
    agree(1, "`rl_chat.jsonl` has rows of messages: use --chat-template");
    study("end = \"auto\"\n");
    std::fs::write(model.join("generation_config.json"), "{\"eos_token_id\": [1, 2]}").unwrap();
    agree(2, "names several end tokens, [1,2]: use the id of the one that ends a turn");
    std::fs::write(model.join("tokenizer.json"), "{}").unwrap();
    study("");
    agree(2, "tokenizer.json");
}

/// Plain text in a file of experiments, as by `score --text`.
#[test]
fn run_scores_plain_text_too() {
    let scene = Scene::new();
    scene.write("wiki.raw", "The quick brown fox jumps over the lazy dog. ".repeat(40));
    let source = |name: &str| fixture(name).display().to_string();
    let study = |more: &str| {
        let text = format!(
            "output = \"out\"\nkeep_fields = [\"reward\"]\n[[experiment]]\nname = \"quants\"\ntasks = [\"wiki\"]\n{more}\n\
             [[experiment.model]]\nname = \"bf16\"\nsource = \"{}\"\n[[experiment.model]]\nname = \"a-q8\"\nsource = \"{}\"\n",
            source(TIED),
            source(SHIFTED)
        );
        scene.write("study.toml", text);
    };
    study("text = \"{task}.raw\"\nwindow = 16\nexact = true");
    let line = "wiki by text (plain text, which no model wrote): ";
    scene.run("run study.toml --dry-run").expect(0, "").expect_out(line).expect_out("2 to do");
    let said = scene.run("run study.toml");
    said.expect(0, line).expect(0, " windows of 16 tokens; P = bf16, the first of the models; 1 pair, Q = a-q8");
    said.expect(0, "exact: KL(bf16‖a-q8) on wiki by text");
    let models = format!("bf16={} a-q8={}", source(TIED), source(SHIFTED));
    let score = format!("score --text wiki.raw --window 16 --exact --models {models} --output-dir scored");
    scene.run(&score).expect(0, "");
    let mut run = scene.files("out");
    run.retain(|name, _| !name.starts_with("comparison/"));
    assert!(run == scene.files("scored"));
    scene.run("run study.toml").expect(0, "already scored");
    scene.run("status out").expect_out("exact measures of 1 pair: ");
    study("text = \"{task}.raw\"\nend = 3");
    scene.run("run study.toml --dry-run").expect(1, "end: it is of rows, and `{task}.raw` is plain text");
    study("window = 16");
    scene.run("run study.toml --dry-run").expect(1, "window: it is of plain text: set text too");
    study("text = \"none.raw\"");
    scene.run("run study.toml").expect(4, "").expect_out("there is no dataset `none.raw`");
}

#[test]
fn a_misspelt_writer_is_named_with_those_that_there_are() {
    let scene = Scene::new();
    scene.dataset("rl_math.jsonl", &rows());
    scene.score("rl_math.jsonl", &[("rl", TIED), ("a", SHIFTED)], "out", "--engine mock").expect(0, "");
    scene
        .run("kl --data-dir out --generation-model typo")
        .expect(1, "no responses by `typo` were scored, only by `rl`");
}

/// Several experiments that differ in their names alone: the steps of a run, each with its own checkpoint.
#[test]
fn one_table_may_stand_for_several_experiments() {
    let scene = Scene::new();
    for step in ["step_5", "step_40"] {
        scene.dataset(&format!("{step}_math.jsonl"), &rows());
        scene.model(&format!("ckpt/{step}"), SHIFTED);
    }
    let study = |more: &str| {
        let text = format!(
            "output = \"out\"\ndataset = \"{{experiment}}_{{task}}.jsonl\"\n[[experiment]]\n{more}\ntasks = [\"math\"]\n\
             [[experiment.model]]\nname = \"base\"\nsource = \"{}\"\n\
             [[experiment.model]]\nname = \"{{experiment}}\"\nsource = \"ckpt/{{experiment}}\"\n",
            fixture(TIED).display()
        );
        scene.write("study.toml", text);
    };
    study("names = [\"step_5\", \"step_40\"]");
    let said = scene.run("run study.toml --engine mock");
    said.expect(0, "math by step_5 (the experiment's name): 30 rows; P = step_5, which wrote them; 1 pair, Q = base");
    said.expect_out("4 cells: 4 done");
    let found: Vec<(String, String)> = pairs(&scene, "").into_iter().map(|(_, p, q)| (p, q)).collect();
    assert_eq!(found, [("step_5", "base"), ("step_40", "base")].map(|(p, q)| (p.to_owned(), q.to_owned())));
    // A `*` is whatever there is a dataset of.
    study("names = [\"step_*\"]");
    scene.run("run study.toml --engine mock").expect(0, "base on math: already scored").expect_out("4 cells: 4 done");
    study("names = [\"stop_*\"]");
    scene.run("run study.toml --dry-run").expect(1, "names: no file or directory fits `stop_*_math.jsonl`");
    for wrong in ["names = \"step_5\"", "names = [3]", "names = [\"a\"]\nname = \"b\"", "names = []"] {
        study(wrong);
        scene.run("run study.toml --dry-run").expect(1, "names: expected a list of strings, in the place of a name");
    }
}

/// A model for each file or directory that a pattern fits, as a shell would list them.
#[test]
fn a_source_may_stand_for_several_models() {
    let scene = Scene::new();
    scene.dataset("base_math.jsonl", &rows());
    for step in ["step_5", "step_40"] {
        scene.model(&format!("ckpt/{step}"), SHIFTED);
    }
    let study = |model: &str| {
        let text = format!(
            "output = \"out\"\ndataset = \"{{experiment}}_{{task}}.jsonl\"\n[[experiment]]\nname = \"base\"\n\
             tasks = [\"math\"]\n[[experiment.model]]\nname = \"base\"\nsource = \"{}\"\n[[experiment.model]]\n{model}\n",
            fixture(TIED).display()
        );
        scene.write("study.toml", text);
        scene.run("run study.toml --engine mock")
    };
    study("source = \"ckpt/*\"").expect(0, "2 pairs, Q = step_5, step_40").expect_out("3 cells: 3 done");
    study("name = \"at_*\"\nsource = \"ckpt/step_*\"").expect(0, "at_40 on math: 30 ok samples");
    study("source = \"ckpt/stop_*\"").expect(1, "line 9: no file or directory fits `ckpt/stop_*`");
    study("name = \"one\"\nsource = \"ckpt/*\"").expect(1, "put a `*` into the name, or leave it out");
}
