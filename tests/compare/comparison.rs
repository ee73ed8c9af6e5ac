//! Files of figures: what `kl` writes on request, what `run` keeps next to the tables.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;

use crate::common::{Columns, Scene, fixture, many_rows, rows};
use arrow::array::AsArray;
use assert_cmd::Command;
use serde_json::{Value, json};

const MODELS: [(&str, &str); 2] = [("rl", "qwen3-tied"), ("base", "qwen3-shifted")];
const STUDY: &str = "kl_divergence_results.json";

/// `rl` on task `a`, and on `empty`, whose only response has no token; both scored under `out`.
fn scored(scene: &Scene) {
    scene.dataset("rl_a.jsonl", &rows());
    scene.dataset("rl_empty.jsonl", &[json!({"input": "q", "output": ""})]);
    scene.score("rl_a.jsonl,rl_empty.jsonl", &MODELS, "out", "--engine mock").expect(4, "1 empty");
}

/// The tasks of the study's figures in a file.
fn tasks(text: &[u8]) -> Vec<String> {
    let list: Value = serde_json::from_slice(text).unwrap();
    list.as_array().unwrap().iter().map(|figure| figure["task"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_text_without_a_token_is_left_out_of_the_studys_file() {
    let scene = Scene::new();
    scored(&scene);
    let described = "P = `rl`, Q = `base` on `empty` by `rl`: no token counts for the study's figure: left out";
    let said = scene.run("kl --data-dir out --output-file study.json");
    said.expect(0, described);
    let written = fs::read(scene.path("study.json")).unwrap();
    assert_eq!(tasks(&written), ["a"]);
    let alone = scene.run("kl --data-dir out --only-study");
    alone.expect(0, described);
    assert_eq!(alone.stdout.as_bytes(), written);

    scene.score("rl_empty.jsonl", &MODELS, "empty", "--engine mock").expect(4, "1 empty");
    scene.run("kl --data-dir empty --output-file none.json").expect(1, &format!("error: {described}"));
    scene.run("kl --data-dir empty --only-study").expect(1, &format!("error: {described}"));
    assert!(!scene.path("none.json").exists());
}

/// A study of `tasks` by `rl`, in `out`.
fn study(scene: &Scene, tasks: &[&str]) {
    let model = |(name, of): (&str, &str)| {
        format!("[[experiment.model]]\nname = \"{name}\"\nsource = \"{}\"\n", fixture(of).display())
    };
    let models: String = MODELS.into_iter().map(model).collect();
    scene.write(
        "study.toml",
        format!(
            "dataset = \"{{experiment}}_{{task}}.jsonl\"\noutput = \"out\"\n[[experiment]]\nname = \"rl\"\n\
             tasks = {tasks:?}\n{models}"
        ),
    );
}

#[test]
fn no_file_of_another_run_stays_beside_new_ones() {
    let scene = Scene::new();
    scored(&scene);
    study(&scene, &["a", "empty"]);
    let said = scene.run("run study.toml --study --engine mock");
    said.expect(0, "out: P = `rl`, Q = `base` on `empty` by `rl`: no token counts for the study's figure: left out");
    assert_eq!(tasks(&scene.files("out/comparison")[STUDY]), ["a"]);

    // Nothing of it has the study's figure any more.
    for folder in ["tokens", "samples", "runs"] {
        fs::remove_dir_all(scene.path(&format!("out/{folder}/generation_model=rl/task=a"))).unwrap();
    }
    study(&scene, &["empty"]);
    scene.run("run study.toml --study --engine mock").expect(0, "no token counts for the study's figure");
    let files: Vec<String> = scene.files("out/comparison").into_keys().collect();
    assert_eq!(files, ["kl.json", "statistics.parquet"]);
}

/// A damaged table of one model is in the way of its own pairs alone.
#[test]
fn a_study_is_compared_but_for_what_cannot_be() {
    let scene = Scene::new();
    scene.dataset("rl_a.jsonl", &rows());
    scene.dataset("rl_b.jsonl", &rows());
    let models = [MODELS[0], MODELS[1], ("sft", "qwen3-shifted")];
    scene.score("rl_a.jsonl,rl_b.jsonl", &models, "out", "--engine mock").expect(0, "60 ok");
    study(&scene, &["a", "b"]);
    scene.run("run study.toml --engine mock").expect(0, "");
    scene.write("out/tokens/generation_model=rl/task=a/model=sft/part-00000000.parquet", "no table");
    let said = scene.run("run study.toml --engine mock");
    said.expect(1, "").expect_out("not compared: P = `rl`, Q = `sft` on `a` by `rl`: ");
    said.expect_out("\nb ");
    let kl: Value = serde_json::from_slice(&scene.files("out/comparison")["kl.json"]).unwrap();
    let pairs: Vec<&Value> = kl["pairs"].as_array().unwrap().iter().map(|pair| &pair["q"]).collect();
    assert_eq!(pairs, ["base", "base", "sft"]);
    assert_eq!((&kl["not_compared"][0]["task"], &kl["not_compared"][0]["failed"]), (&json!("a"), &json!(true)));
    assert_eq!(kl["not_compared"].as_array().unwrap().len(), 1);
    assert!(scene.path("out/comparison/statistics.parquet").exists());
}

/// The same command where no file can grow: it fails to write, or is killed at it.
fn without_room(scene: &Scene, arguments: &str, is_killed: bool) -> std::process::Output {
    let command = scene.command(arguments);
    let trap = if is_killed { "" } else { "trap '' XFSZ; " };
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{trap}ulimit -f 0; exec \"$0\" \"$@\"")]).arg(command.get_program());
    shell.args(command.get_args()).current_dir(scene.path("")).output().unwrap()
}

#[test]
fn a_file_of_figures_is_the_old_one_until_the_new_one_is_whole() {
    let scene = Scene::new();
    scene.dataset("rl_a.jsonl", &rows());
    scene.score("rl_a.jsonl", &MODELS, "out", "--engine mock").expect(0, "30 ok");
    let names = || -> Vec<String> {
        let entries = fs::read_dir(scene.path("figures")).unwrap().flatten();
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
    };
    for option in ["--output-file", "--statistics"] {
        let command = format!("kl --data-dir out {option} figures/file.csv");
        scene.write("figures/file.csv", "older");
        let full = without_room(&scene, &command, false);
        let described = String::from_utf8(full.stderr).unwrap();
        assert_eq!(full.status.code(), Some(1), "{described}");
        assert!(described.contains("cannot write `figures/file.csv`: File too large"), "{described}");
        assert_eq!(names(), ["file.csv"], "nothing is left next to it");
        let killed = without_room(&scene, &command, true);
        assert!(killed.status.signal().is_some());
        assert_eq!(fs::read(scene.path("figures/file.csv")).unwrap(), b"older");
        scene.run(&command).expect(0, "");
        assert_eq!(names(), ["file.csv"], "what the killed one left is gone");
        assert_ne!(fs::read(scene.path("figures/file.csv")).unwrap(), b"older");
    }
    scene.run("kl --data-dir out --statistics no/such/file.csv").expect(1, "cannot write `no/such/file.csv`");
}

/// Links and pipes stay what they are.
#[test]
fn what_is_no_file_is_written_to_as_it_is() {
    let scene = Scene::new();
    scene.dataset("rl_a.jsonl", &rows());
    scene.score("rl_a.jsonl", &MODELS, "out", "--engine mock").expect(0, "30 ok");
    scene.write("figures/file.csv", "older");
    std::os::unix::fs::symlink("figures/file.csv", scene.path("link")).unwrap();
    scene.run("kl --data-dir out --output-file link").expect(0, "");
    assert!(scene.path("link").is_symlink());
    assert_eq!(tasks(&fs::read(scene.path("figures/file.csv")).unwrap()), ["a"]);
    // What a link names need not be there; what only its owner reads stays so.
    std::os::unix::fs::symlink("figures/new", scene.path("other")).unwrap();
    fs::set_permissions(scene.path("figures/file.csv"), fs::Permissions::from_mode(0o600)).unwrap();
    for link in ["other", "link"] {
        scene.run(&format!("kl --data-dir out --output-file {link}")).expect(0, "");
        assert!(scene.path(link).is_symlink());
    }
    assert_eq!(tasks(&fs::read(scene.path("figures/new")).unwrap()), ["a"]);
    assert_eq!(fs::metadata(scene.path("figures/file.csv")).unwrap().permissions().mode() & 0o777, 0o600);
    let said = scene.run("kl --data-dir out --only-study --output-file /dev/stdout");
    said.expect(0, "");
    assert_eq!(tasks(said.stdout.as_bytes()), ["a"]);
}

/// Whoever reads one output alone sees that it is of some parts only.
#[test]
fn figures_of_some_parts_are_marked_everywhere() {
    let scene = Scene::new();
    scene.dataset("rl_a.jsonl", &many_rows(300));
    scene.dataset("rl_b.jsonl", &rows());
    scene.score("rl_a.jsonl,rl_b.jsonl", &MODELS, "out", "--engine mock").expect(0, "330 ok");
    let marks = || {
        let table = Columns::read(&scene.path("figures"));
        let marks = table.0["partial"].as_boolean().clone();
        let of = |task: Option<&str>| -> Vec<bool> {
            let tasks = table.texts("task");
            (0..table.len()).filter(|&row| tasks[row].as_deref() == task).map(|row| marks.value(row)).collect()
        };
        [of(Some("a")), of(Some("b")), of(None)].map(|of| (of.iter().all(|mark| *mark), of.iter().any(|mark| *mark)))
    };
    fs::create_dir(scene.path("figures")).unwrap();
    let statistics = "kl --data-dir out --statistics figures/statistics.parquet";
    assert_eq!(scene.run(statistics).stderr, "");
    assert_eq!(marks(), [(false, false); 3]);

    fs::remove_file(scene.path("out/tokens/generation_model=rl/task=a/model=base/part-00000001.parquet")).unwrap();
    let described = "P = `rl`, Q = `base` on `a` by `rl`: INCOMPLETE: 1 of 2 parts compared; Q lacks 1\n";
    scene.run(statistics).expect(0, described);
    assert_eq!(marks(), [(true, true), (false, false), (true, true)], "the mean of tasks is of some parts too");
    scene.run("kl --data-dir out --json").expect(0, described);
    scene.run("kl --data-dir out --output-file study.json").expect(0, described);
    let written = fs::read_to_string(scene.path("study.json")).unwrap();
    let only = scene.run("kl --data-dir out --only-study");
    assert_eq!(only.expect(0, described).stdout, written);
    let list: Value = serde_json::from_str(&written).unwrap();
    let partial = json!({"compared": 1, "parts": 2, "missing_p": [], "missing_q": [1]});
    assert_eq!((list[0].get("partial"), list[1].get("partial")), (Some(&partial), None));
}

#[test]
fn a_pair_that_is_not_begun_is_in_no_finished_ones_way() {
    let scene = Scene::new();
    for name in ["rl_a", "rl_b"] {
        scene.dataset(&format!("{name}.jsonl"), &rows());
    }
    scene.score("rl_a.jsonl,rl_b.jsonl", &MODELS, "out", "--engine mock").expect(0, "60 ok");
    fs::remove_dir_all(scene.path("out/tokens/generation_model=rl/task=b/model=base")).unwrap();
    let why = "P = `rl`, Q = `base` on `b` by `rl`: no part is done on both sides";
    let described = format!("not compared: {why}\n");
    let said = scene.run("kl --data-dir out --json");
    let comparison: Value = serde_json::from_str(&said.expect(0, &described).stdout).unwrap();
    let pairs = comparison["pairs"].as_array().unwrap();
    assert_eq!((pairs.len(), &pairs[0]["task"]), (1, &json!("a")));
    let left = json!([{"generation_model": "rl", "task": "b", "p": "rl", "q": "base", "why": "no part is done on both sides", "failed": false, "not_scored": false}]);
    assert_eq!(comparison["not_compared"], left);
    for more in ["", "--explain", "--only-study", "--output-file study.json", "--statistics statistics.parquet"] {
        scene.run(&format!("kl --data-dir out {more}")).expect(0, if more == "--explain" { "" } else { &described });
    }
    // What is not known is not known to be small.
    scene
        .run("kl --data-dir out --fail-above kl_k1=99")
        .expect(5, &format!("{why}, so it is not known to meet any limit"));

    assert_eq!(scene.run("kl --data-dir out --task a").expect(0, "").stderr, "");
    scene.run("kl --data-dir out --task b").expect(1, &format!("nothing to compare yet: {why}"));
    scene.run("kl --data-dir out --task a,c").expect(1, "task `c` has not been scored; scored tasks: `a`, `b`");
}
