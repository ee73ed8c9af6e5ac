//! Studies of which something fails: what else is scored, and what the messages say.

use super::{SHIFTED, TIED, cells, datasets, experiment, parts, source, study, top};
use crate::common::{Scene, rows};
use serde_json::{Value, json};

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
fn a_dataset_that_a_name_cannot_lead_to_is_told() {
    let scene = Scene::new();
    let tied = source(TIED);
    scene.write("study.toml", experiment("a\0b", &["t"], &[("m", &tied)], ""));
    let said = scene.run("run study.toml --engine mock");
    said.expect(1, "");
    assert!(said.stdout.contains("1 cells: 0 done, 1 failed"), "{}", said.stdout);
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
            "two response sets by one model",
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
