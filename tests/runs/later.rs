//! What a later run finds in a directory: models of other contexts, other processors, other options, and files that were
//! removed to make room.

use std::fs;

use crate::common::{Scene, fixture, many_rows, rows, said};
use serde_json::json;

/// Contexts of 512 and of 128 tokens, and the one tokenizer.
const LONG: (&str, &str) = ("long", "qwen3-tied");
const SHORT: (&str, &str) = ("short", "qwen3-bias");

fn source(name: &str) -> String {
    fixture(name).display().to_string()
}

/// The last of four rows has more than 128 tokens and less than 512.
fn texts() -> Vec<serde_json::Value> {
    let mut texts = rows()[..3].to_vec();
    texts.push(json!({"input": "Tell me ", "output": "a tale. ".repeat(30)}));
    texts
}

/// `status` of every sample.
fn statuses(scene: &Scene, model: &str) -> Vec<String> {
    let samples = scene.table("out", "samples", "rl", "mixed", model);
    samples.texts("status").into_iter().map(Option::unwrap).collect()
}

#[test]
fn a_model_of_a_shorter_context_may_come_later() {
    let scene = Scene::new();
    scene.dataset("rl_mixed.jsonl", &texts());
    scene.score("rl_mixed.jsonl", &[LONG], "out", "").expect(0, "4 ok");
    let files = scene.files("out/tokens");
    scene.score("rl_mixed.jsonl", &[SHORT], "out", "").expect(4, "3 ok, 1 too_long");
    assert_eq!(statuses(&scene, "short"), ["ok", "ok", "ok", "too_long"]);
    let samples = scene.table("out", "samples", "rl", "mixed", "short");
    assert!(samples.texts("reason")[3].as_deref().unwrap().ends_with(" tokens, the model's context holds 128"));
    assert!(files.iter().all(|(name, bytes)| scene.files("out/tokens").get(name) == Some(bytes)));
    let kl = scene.run("kl --data-dir out --reference long --json");
    kl.expect(0, "");
    let kl: serde_json::Value = serde_json::from_str(&kl.stdout).unwrap();
    assert_eq!(kl["pairs"][0]["samples"], 3, "what both have is compared: {kl}");
    scene.run("verify out").expect(0, "");

    // Where such a row ends the run, it does so here too.
    let strict = "--too-long fail";
    scene.score("rl_mixed.jsonl", &[LONG], "strict", strict).expect(0, "4 ok");
    let failed = scene.score("rl_mixed.jsonl", &[SHORT], "strict", strict);
    failed.expect(1, "dataset `rl_mixed.jsonl`, row 3 (from 0): ").expect(1, "the model's context holds 128");

    // In one run, the shortest context among the models is everybody's.
    scene.score("rl_mixed.jsonl", &[LONG, SHORT], "both", "").expect(4, "3 ok, 1 too_long");
    scene.score("rl_mixed.jsonl", &[LONG], "both", "").expect(0, "long: already scored");
}

#[test]
fn a_study_whose_model_was_broken_goes_on_when_it_is_mended() {
    let scene = Scene::new();
    scene.dataset("rl_mixed.jsonl", &texts());
    let short = scene.model("short-model", SHORT.1);
    let config = fs::read(short.join("config.json")).unwrap();
    fs::write(short.join("config.json"), "{").unwrap();
    let model = |name: &str, source: &str| format!("[[experiment.model]]\nname = \"{name}\"\nsource = \"{source}\"\n");
    scene.write(
        "study.toml",
        format!(
            "output = \"out\"\ndataset = \"rl_mixed.jsonl\"\n[[experiment]]\nname = \"rl\"\ntasks = [\"mixed\"]\n\
             {}{}",
            model("rl", &source(LONG.1)),
            model("short", "short-model"),
        ),
    );
    scene.run("run study.toml").expect(1, "").expect_out("1 done, 1 failed");
    fs::write(short.join("config.json"), config).unwrap();
    let mended = scene.run("run study.toml");
    mended.expect(4, "short on mixed: 3 ok, 1 too_long").expect_out("2 cells: 2 done, 0 failed");
    assert_eq!(statuses(&scene, "short"), ["ok", "ok", "ok", "too_long"]);
}

#[test]
fn numbers_of_two_processors_are_not_mixed_and_beside_one_another_they_are_marked() {
    let best = tokshift::kernel::Isa::best();
    if best.arithmetic::<f32>() == "portable" {
        return;
    }
    let scene = Scene::new();
    scene.dataset("rl_mixed.jsonl", &rows()[..3]);
    let models = format!("long={}", source(LONG.1));
    let score = |cpu: Option<&str>, name: &str, models: &str| {
        let command =
            &mut scene.command(&format!("score --dataset rl_mixed.jsonl --models {name}{models} --output-dir out"));
        cpu.map(|cpu| command.env("TOKSHIFT_CPU", cpu));
        said(command)
    };
    score(None, "", &models).expect(0, "3 ok");
    score(Some("portable"), "", &models).expect(0, "long: already scored");
    // A cell that lacks a part is continued by one like the first alone.
    fs::remove_dir_all(scene.path("out/tokens")).unwrap();
    let described = "engine.arithmetic = `fma`, this run has `portable`: use the same options, or set TOKSHIFT_CPU";
    score(Some("portable"), "", &models).expect(1, described);
    score(None, "", &models).expect(0, "3 ok");
    score(Some("portable"), "other-", &models).expect(0, "3 ok");
    let kl = scene.run("kl --all --data-dir out --reference long");
    kl.expect(0, "").expect_out("P was scored with the summation order fma, Q with portable");
}

/// Manifests of before said nothing of sums.
#[test]
fn cells_of_unknown_arithmetic_are_continued() {
    let scene = Scene::new();
    scene.dataset("rl_mixed.jsonl", &rows()[..3]);
    scene.score("rl_mixed.jsonl", &[LONG], "out", "").expect(0, "3 ok");
    let place = "out/runs/generation_model=rl/task=mixed/model=long/manifest.json";
    let mut manifest: serde_json::Value = serde_json::from_slice(&fs::read(scene.path(place)).unwrap()).unwrap();
    assert!(manifest["engine"].as_object_mut().unwrap().remove("arithmetic").is_some());
    for folder in ["tokens", "samples"] {
        fs::remove_dir_all(scene.path("out").join(folder)).unwrap();
    }
    scene.write(place, manifest.to_string());
    scene.score("rl_mixed.jsonl", &[LONG], "out", "").expect(0, "3 ok");
    scene.run("verify out").expect(0, "");
}

/// What was fixed for one response set binds no other.
#[test]
fn texts_of_one_run_may_have_other_lengths() {
    let scene = Scene::new();
    scene.dataset("rl_mixed.jsonl", &texts());
    scene.dataset("rl_fresh.jsonl", &texts());
    scene.score("rl_mixed.jsonl", &[SHORT], "out", "").expect(4, "3 ok, 1 too_long");
    let both = scene.score("rl_mixed.jsonl,rl_fresh.jsonl", &[LONG], "out", "");
    both.expect(4, "7 ok, 1 too_long");
    assert_eq!(statuses(&scene, "long"), ["ok", "ok", "ok", "too_long"]);
    scene
        .score("rl_mixed.jsonl,rl_fresh.jsonl", &[("third", "qwen3-shifted")], "out", "")
        .expect(4, "7 ok, 1 too_long");
    scene.run("verify out").expect(0, "");
}

#[test]
fn a_study_that_asks_for_other_clusters_or_ends_is_not_done() {
    let scene = Scene::new();
    let mut numbered = rows()[..3].to_vec();
    numbered.iter_mut().zip(0..).for_each(|(row, id)| row["problem"] = json!(id / 2));
    scene.dataset("rl_mixed.jsonl", &numbered);
    let study = |more: &str| {
        format!(
            "output = \"out\"\ndataset = \"rl_mixed.jsonl\"\n{more}[[experiment]]\nname = \"rl\"\ntasks = [\"mixed\"]\n\
             [[experiment.model]]\nname = \"rl\"\nsource = \"model\"\n"
        )
    };
    let model = scene.model("model", LONG.1);
    scene.write("study.toml", study(""));
    scene.run("run study.toml").expect(0, "3 ok");
    fs::remove_dir_all(model).unwrap();
    scene.run("run study.toml").expect(0, "its earlier, complete scores are kept");
    for (more, what) in
        [("cluster = \"problem\"\n", "--cluster = none, this run has `problem`"), ("end = 3\n", "another end token")]
    {
        scene.write("study.toml", study(more));
        scene.run("run study.toml --dry-run").expect(0, "").expect_out(what);
        scene.run("run study.toml").expect(1, "").expect_out("1 failed");
    }
}

#[test]
fn hidden_rows_may_be_removed_to_make_room() {
    let scene = Scene::new();
    scene.dataset("rl_mixed.jsonl", &rows()[..3]);
    let models = [LONG, ("other", "qwen3-shifted")];
    let named = format!("long={},other={}", source(LONG.1), source("qwen3-shifted"));
    scene.score("rl_mixed.jsonl", &models, "out", "--keep-hidden").expect(0, "");
    scene.run(&format!("kl --data-dir out --reference long --exact --models {named}")).expect(0, "exact: ");
    let before = scene.run("kl --data-dir out --reference long --json");
    fs::remove_dir_all(scene.path("out/hidden")).unwrap();
    let after = scene.run("kl --data-dir out --reference long --json");
    after.expect(0, "");
    assert_eq!(after.stdout, before.stdout);
    let tokens = "out/tokens/generation_model=rl/task=mixed/model=long";
    let described = format!(
        "long on mixed: the hidden states of 1 parts were deleted; delete these parts from `{tokens}` too, and the same command \
         recreates both"
    );
    let again = || scene.score("rl_mixed.jsonl", &models, "out", "--keep-hidden");
    again().expect(0, "long: already scored").expect(0, &described);
    scene.run("verify out").expect(0, "").expect_out("2 parts had hidden states that were deleted");
    // What needs them says so.
    fs::remove_dir_all(scene.path("out/pairs")).unwrap();
    let exact = scene.run(&format!("kl --data-dir out --reference long --exact --models {named}"));
    exact.expect(1, "on `mixed`: rescore it");
    for model in ["long", "other"] {
        fs::remove_dir_all(scene.path(&tokens.replace("model=long", &format!("model={model}")))).unwrap();
    }
    assert!(!again().expect(0, "").stderr.contains("were deleted"));
    scene.run(&format!("kl --data-dir out --reference long --exact --models {named}")).expect(0, "exact: ");
    assert_eq!(scene.run("kl --data-dir out --reference long --json").stdout, before.stdout);
}

/// Whatever a finished part must have: what was made of it stays.
#[test]
fn samples_that_were_deleted_are_made_again() {
    let scene = Scene::new();
    scene.dataset("rl_mixed.jsonl", &many_rows(300));
    let models = [("rl", "qwen3-tied"), ("other", "qwen3-shifted")];
    let named = format!("rl={},other={}", source(models[0].1), source(models[1].1));
    let score = |more: &str| scene.score("rl_mixed.jsonl", &models, "out", &format!("--limit 300 {more}"));
    score("--keep-hidden").expect(0, "rl: 300 ok");
    scene.run(&format!("kl --data-dir out --reference rl --exact --models {named}")).expect(0, "exact: ");
    let before = scene.files("out");
    let lost = "out/samples/generation_model=rl/task=mixed/model=rl/part-00000001.parquet";
    let study = format!(
        "output = \"out\"\ndataset = \"{{experiment}}_{{task}}.jsonl\"\nkeep_hidden = true\nlimit = 300\n[[experiment]]\nname = \"rl\"\n\
         tasks = [\"mixed\"]\n[[experiment.model]]\nname = \"rl\"\nsource = \"{}\"\n",
        source(models[0].1)
    );
    scene.write("study.toml", study);
    for command in ["score", "score --exact", "run"] {
        fs::remove_file(scene.path(lost)).unwrap();
        let described = format!(
            "`{lost}`: is missing, though its tokens are there: was it deleted? Scoring the cell again writes it"
        );
        scene.run("kl --data-dir out --reference rl").expect(1, &described);
        let said = match command {
            "score" => score("--keep-hidden"),
            "score --exact" => score("--exact"),
            _ => {
                scene.run("run study.toml --dry-run").expect(0, "").expect_out("1/2");
                scene.run("run study.toml")
            }
        };
        said.expect(0, ": 44 ok samples");
        let mut after = scene.files("out");
        after.retain(|name, _| !name.starts_with("comparison/"));
        assert!(before == after, "{command}: {:?}", after.keys());
    }
    score("--keep-hidden").expect(0, "rl: already scored");
}
