//! Nothing is scored twice: more rows, more models, and what is removed or replaced.

use crate::common::{Columns, Scene, fixture, many_rows, rows};
use serde_json::{Value, json};

const TIED: (&str, &str) = ("tied", "qwen3-tied");
const SHIFTED: (&str, &str) = ("shifted", "qwen3-shifted");

fn text(scene: &Scene, output: &str) -> Value {
    let files = scene.files(output);
    serde_json::from_slice(&files["runs/generation_model=rl/task=demo/text.json"]).unwrap()
}

/// The parts' bytes by their names.
fn parts(scene: &Scene, output: &str) -> Vec<(String, Vec<u8>)> {
    scene.files(output).into_iter().filter(|(name, _)| name.contains("part-")).collect()
}

#[test]
fn a_limited_run_is_the_first_part_of_the_whole() {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &many_rows(300));
    let score = |models: &[(&str, &str)], more: &str| scene.score("rl_demo.jsonl", models, "out", more);
    score(&[TIED, SHIFTED], "--limit 20").expect(0, "tied: 20 ok samples");
    let before = parts(&scene, "out");
    score(&[TIED, SHIFTED], "--limit 20").expect(0, "tied: already scored");
    let said = score(&[TIED], "");
    said.expect(0, "300 rows, after 20 of an earlier run; ").expect(0, "tied: 280 ok samples");
    let after = scene.files("out");
    assert!(before.iter().all(|(name, bytes)| after[name] == *bytes), "no part is written again");
    assert_eq!(text(&scene, "out")["parts"].as_array().unwrap().len(), 3, "20, 256 and 24 rows");
    scene.run("verify out").expect(0, "").expect_out("no problem found");
    let kl = scene.run("kl --data-dir out --reference tied --json");
    let kl: Value = serde_json::from_str(&kl.expect(0, "").stdout).unwrap();
    assert_eq!(kl["pairs"][0]["samples"], 20, "the rows that both models have");
    score(&[TIED, SHIFTED], "").expect(0, "tied: already scored").expect(0, "shifted: 280 ok samples");
    // The scores are those of a run without a limit.
    scene.score("rl_demo.jsonl", &[TIED, SHIFTED], "whole", "").expect(0, "300 ok");
    for model in ["tied", "shifted"] {
        let [a, b] = ["out", "whole"].map(|output| scene.table(output, "tokens", "rl", "demo", model).0);
        assert!(a == b, "{model}");
    }
    score(&[TIED], "--limit 20").expect(1, "was made with --limit");
    score(&[TIED], "").expect(0, "tied: already scored");
}

#[test]
fn rows_that_are_appended_are_scored_and_others_rejected() {
    let scene = Scene::new();
    let all = many_rows(290);
    let score = |more: &str| scene.score("rl_demo.jsonl", &[TIED], "out", more);
    // The last line of the first file lacks its end, as many programs leave it.
    let lines = |rows: &[Value]| rows.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    scene.write("rl_demo.jsonl", lines(&all[..30]));
    score("").expect(0, "tied: 30 ok samples");
    let first = parts(&scene, "out");
    scene.write("rl_demo.jsonl", lines(&all));
    score("").expect(0, "290 rows, after 30 of an earlier run").expect(0, "tied: 260 ok samples");
    let after = scene.files("out");
    assert!(first.iter().all(|(name, bytes)| after[name] == *bytes));
    scene.run("verify out").expect(0, "").expect_out("no problem found");
    score("").expect(0, "tied: already scored");
    // And once more: what models wrote under the first manifest stays valid.
    let more = [all.clone(), many_rows(295)[290..].to_vec()].concat();
    scene.write("rl_demo.jsonl", lines(&more) + "\n");
    score("").expect(0, "tied: 5 ok samples");
    scene.run("verify out").expect(0, "").expect_out("no problem found");
    let whole = scene.files("out");
    // A line end more is no other file.
    scene.write("rl_demo.jsonl", lines(&more) + "\n\n");
    score("").expect(0, "tied: already scored");
    scene.run("verify out").expect(0, "").expect_out("no problem found");
    scene.write("rl_demo.jsonl", lines(&more) + "\n");
    score("").expect(0, "tied: already scored");
    assert!(scene.files("out") == whole);
    // Another row among the earlier ones, or other options with new rows, are no addition.
    let mut other = more.clone();
    other[3]["output"] = json!("Something else.");
    scene.write("rl_demo.jsonl", lines(&[other, rows()].concat()));
    score("").expect(1, "was made with the dataset's content = `");
    scene.write("rl_demo.jsonl", lines(&[more, rows()].concat()));
    score("--end 304").expect(1, "--end = none, this run has 304");
    assert!(scene.files("out") == whole);
}

/// Rows are known by their texts: in packed files too, and where the file went on after those that a limit left.
#[test]
fn rows_that_are_appended_to_other_files_are_scored_too() {
    let scene = Scene::new();
    let all = many_rows(40);
    let lines = |rows: &[Value]| rows.iter().map(|row| row.to_string() + "\n").collect::<String>();
    let packed = |rows: &[Value]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, lines(rows).as_bytes()).unwrap();
        scene.write("rl_gz.jsonl.gz", encoder.finish().unwrap());
    };
    packed(&all[..30]);
    scene.score("rl_gz.jsonl.gz", &[TIED], "out", "").expect(0, "tied: 30 ok samples");
    packed(&all);
    scene.score("rl_gz.jsonl.gz", &[TIED], "out", "").expect(0, "tied: 10 ok samples");
    scene.write("rl_limited.jsonl", lines(&all[..30]));
    scene.score("rl_limited.jsonl", &[TIED], "out", "--limit 20").expect(0, "tied: 20 ok samples");
    scene.write("rl_limited.jsonl", lines(&all));
    scene.score("rl_limited.jsonl", &[TIED], "out", "--limit 20").expect(0, "tied: already scored");
    scene.score("rl_limited.jsonl", &[TIED], "out", "").expect(0, "tied: 20 ok samples");
    scene.run("verify out").expect(0, "").expect_out("no problem found");
    let mut other = all.clone();
    other[3]["output"] = json!("Something else.");
    packed(&[other, rows()].concat());
    scene.score("rl_gz.jsonl.gz", &[TIED], "out", "").expect(1, "was made with the dataset's content = `");
}

#[test]
fn a_run_that_is_killed_while_it_adds_rows_is_continued() {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &many_rows(4 * 256));
    let command = |limit: &str| {
        let model = fixture("qwen3-tied").display().to_string();
        format!("score --dataset rl_demo.jsonl --models tied={model} --output-dir out {limit}")
    };
    scene.run(&command("--limit 100")).expect(0, "100 ok");
    let mut running = scene.start(&command(""));
    running.until(|| scene.parts("out") > 1);
    running.0.kill().unwrap();
    drop(running);
    scene.run(&command("")).expect(0, "ok samples");
    scene.run(&command("")).expect(0, "tied: already scored");
    assert_eq!(scene.table("out", "samples", "rl", "demo", "tied").len(), 1024);
    scene.run("verify out").expect(0, "").expect_out("no problem found");
}

#[test]
fn a_model_that_is_removed_leaves_the_others_whole() {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &rows());
    scene.dataset("rl_more.jsonl", &rows());
    let score = |models: &[(&str, &str)], output: &str, more: &str| {
        scene.score("rl_demo.jsonl,rl_more.jsonl", models, output, more).expect(0, "").stderr.clone()
    };
    score(&[TIED], "alone", "");
    score(&[TIED, SHIFTED], "out", "--exact");
    scene.write("out/tokens/generation_model=rl/task=demo/model=shifted/notes.txt", "mine");
    scene.run("remove out --model shifted --dry-run").expect(0, "").expect_out("would remove shifted on demo by rl\n");
    scene
        .run("remove out --model other")
        .expect(1, "`other` has scored nothing in `out`; models there are `shifted`, `tied`");
    let no_such = "`shifted` has scored no such responses, only `demo` by `rl`, `more` by `rl`";
    scene.run("remove out --model shifted --task else").expect(1, no_such);
    scene.run("remove out --model shifted --task more").expect(0, "").expect_out("removed shifted on more by rl: ");
    scene.run("kl --data-dir out --reference tied").expect(0, "");
    scene.run("remove out --model shifted").expect(0, "").expect_out("removed shifted on demo by rl: ");
    let mut left = scene.files("out");
    assert_eq!(left.remove("tokens/generation_model=rl/task=demo/model=shifted/notes.txt").unwrap(), b"mine");
    assert!(left == scene.files("alone"), "{:?}", left.keys());
    scene.run("remove out --model tied").expect(0, "");
    // The texts of a tokenizer's ids are no model's.
    let left = scene.files("out").into_keys().filter(|name| !name.starts_with("vocabularies/"));
    let left: Vec<String> = left.collect();
    assert_eq!(left, ["tokens/generation_model=rl/task=demo/model=shifted/notes.txt"]);
    assert!(!scene.path("out/runs").exists());
    score(&[TIED], "out", "--top-k 3");
}

#[test]
fn a_checkpoint_that_was_trained_again_replaces_its_scores() {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &rows());
    scene.score("rl_demo.jsonl", &[TIED, ("rl", "qwen3-tied")], "out", "").expect(0, "");
    let again = |more: &str| scene.score("rl_demo.jsonl", &[TIED, ("rl", "qwen3-shifted")], "out", more);
    again("").expect(1, "was made with the model's file ");
    let kept = parts(&scene, "out").into_iter().filter(|(name, _)| name.contains("model=tied"));
    let kept: Vec<_> = kept.collect();
    let said = again("--replace");
    said.expect(0, "rl on demo by rl: removed what was scored with other files or options\n").expect(0, "rl: 30 ok");
    said.expect(0, "tied: already scored");
    assert!(kept.iter().all(|(name, bytes)| scene.files("out")[name] == *bytes));
    again("--replace").expect(0, "rl: already scored");
    scene.run("verify out").expect(0, "").expect_out("no problem found");
}

/// Whatever rejects a replacement does so before anything is deleted.
#[test]
fn a_replacement_that_cannot_be_made_deletes_nothing() {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &rows());
    let trained = scene.path("trained");
    std::fs::create_dir(&trained).unwrap();
    for file in std::fs::read_dir(fixture("qwen3-tied")).unwrap().map(|file| file.unwrap().path()) {
        std::fs::copy(&file, trained.join(file.file_name().unwrap())).unwrap();
    }
    let score = |models: &str, more: &str| {
        scene.run(&format!("score --dataset rl_demo.jsonl --models {models} --output-dir out {more}"))
    };
    let (tied, rl) = (format!("tied={}", fixture("qwen3-tied").display()), format!("rl={}", trained.display()));
    score(&format!("{tied} {rl}"), "").expect(0, "rl: 30 ok");
    let whole = parts(&scene, "out");
    // Fewer rows than another model has scored.
    score(&rl, "--replace --limit 2").expect(1, "was made with --limit = none");
    assert!(parts(&scene, "out") == whole);
    // A checkpoint that lacks a tensor: its name is another of the same length.
    let weights = trained.join("model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let name = b"layers.0.self_attn.q_proj";
    let at = bytes.windows(name.len()).position(|window| window == name).unwrap();
    bytes[at + name.len() - 6..at + name.len()].copy_from_slice(b"x_proj");
    std::fs::write(&weights, bytes).unwrap();
    score(&rl, "--replace").expect(1, "q_proj");
    assert!(parts(&scene, "out") == whole);
}

#[test]
fn nothing_is_removed_while_the_responses_are_scored() {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &many_rows(768));
    let tied = fixture("qwen3-tied").display().to_string();
    let command = format!("score --dataset rl_demo.jsonl --models done={tied} tied={tied} --output-dir out");
    scene.dataset("rl_a.jsonl", &rows());
    scene.score("rl_a.jsonl", &[("done", "qwen3-tied")], "out", "").expect(0, "done: 30 ok");
    scene.run(&command.replace(&format!(" tied={tied}"), "")).expect(0, "done: 768 ok");
    let whole = parts(&scene, "out");
    let mut running = scene.start(&command);
    running.until(|| parts(&scene, "out").len() > whole.len());
    scene.run("remove out --model done").expect(1, "wait until it ends");
    // Nor anything of other responses that would have been removed before them.
    assert!(scene.files("out").keys().any(|name| name.starts_with("tokens/generation_model=rl/task=a/model=done/")));
    running.end().expect(0, "tied: 768 ok");
    let after = parts(&scene, "out");
    assert!(whole.iter().all(|part| after.contains(part)));
}

#[test]
fn the_log_says_where_files_were_and_results_do_not() {
    let scene = Scene::new();
    let path = scene.dataset("rl_demo.jsonl", &rows());
    scene.score("rl_demo.jsonl", &[TIED], "out", "").expect(0, "");
    let said = scene.run("status out --json");
    let found: Value = serde_json::from_str(&said.expect(0, "").stdout).unwrap();
    let made = &found["cells"][0]["made_from"];
    assert_eq!(made["dataset"]["bytes"], std::fs::metadata(&path).unwrap().len());
    let model = fixture("qwen3-tied");
    assert_eq!(made["source"]["path"].as_str().unwrap(), model.to_str().unwrap());
    let weights = &made["files"]["model.safetensors"];
    assert_eq!(weights["bytes"], std::fs::metadata(model.join("model.safetensors")).unwrap().len());
    assert!(weights["modified"].is_u64());
    let words: Vec<&str> = made["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert_eq!(words[1..4], ["score", "--dataset", "rl_demo.jsonl"]);
    let models = model.parent().unwrap().to_str().unwrap().as_bytes();
    let is_in = |bytes: &[u8]| bytes.windows(models.len()).any(|window| window == models);
    assert!(!scene.files("out").values().any(|bytes| is_in(bytes)));
}

/// A model with a tokenizer file of its own is added: the ids are made as they were.
#[test]
fn a_model_that_is_added_gets_the_ids_of_the_directory() {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &rows());
    let own = scene.model("own", "qwen3-shifted");
    let tokenizer = std::fs::read_to_string(own.join("tokenizer.json")).unwrap();
    // The same tokenizer in other bytes.
    std::fs::write(own.join("tokenizer.json"), tokenizer + "\n").unwrap();
    let add =
        |more: &str| scene.run(&format!("score --dataset rl_demo.jsonl --models own=own --output-dir out {more}"));
    let first = scene.model("first", "qwen3-tied");
    scene.run("score --dataset rl_demo.jsonl --models tied=first --output-dir out").expect(0, "30 ok");
    add("").expect(0, "the ids of `demo` by `rl` are made by `").expect(0, "own: 30 ok samples");
    scene.run("remove out --model own").expect(0, "");
    std::fs::remove_file(first.join("tokenizer.json")).unwrap();
    add("").expect(1, "which is not there any more or has changed: use --tokenizer with the one that made them");
}

/// Kept fields come from the dataset: no model is run for them, and what the tables held stays.
#[test]
fn fields_that_are_asked_for_later_are_read_from_the_dataset() {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &many_rows(300));
    let score = |models: &[(&str, &str)], more: &str| scene.score("rl_demo.jsonl", models, "out", more);
    score(&[TIED, ("rl", "qwen3-shifted")], "--keep-fields correct").expect(0, "300 ok");
    let before = scene.files("out");
    let said = score(&[TIED], "--keep-fields reward,correct");
    said.expect(0, "tied: already scored");
    let after = scene.files("out");
    let changed = |name: &String| before[name] != after[name];
    let changed: Vec<&String> = before.keys().filter(|name| changed(name)).collect();
    assert_eq!(changed.len(), 5, "two samples tables of each model, and the manifest: {changed:?}");
    let rewards: Vec<Option<f64>> = many_rows(300).iter().map(|row| row["reward"].as_f64()).collect();
    for model in ["tied", "rl"] {
        let table = scene.table("out", "samples", "rl", "demo", model);
        assert_eq!(table.f64s("reward"), rewards, "{model}");
        let [old, new] = [&before, &after].map(|files| {
            let bytes = &files[&format!("samples/generation_model=rl/task=demo/model={model}/part-00000000.parquet")];
            scene.write("one/part.parquet", bytes);
            Columns::read(&scene.path("one"))
        });
        assert_eq!(old.bools("correct"), new.bools("correct"));
        assert_eq!(old.texts("response"), new.texts("response"));
    }
    scene.run("verify out").expect(0, "").expect_out("no problem found");
    scene.run("kl --data-dir out --slices").expect(0, "").expect_out("field.reward");
    // Fewer fields are there already, and new rows have all of them.
    score(&[TIED], "").expect(0, "tied: already scored");
    scene.dataset("rl_demo.jsonl", &many_rows(310));
    score(&[TIED], "--keep-fields id_again").expect(1, "no row has a value in the field `id_again`");
    score(&[TIED], "--keep-fields group").expect(0, "tied: 10 ok samples");
    let table = scene.table("out", "samples", "rl", "demo", "tied");
    assert!(table.len() == 310 && table.texts("group").iter().all(Option::is_some));
    assert!(table.f64s("reward").iter().all(Option::is_some));
    scene.run("verify out").expect(0, "").expect_out("no problem found");
}

/// A process that is killed between the manifest and the tables leaves fields missing: the same command adds them.
#[test]
fn fields_that_are_added_in_part_are_completed() {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &many_rows(300));
    let score = |more: &str| scene.score("rl_demo.jsonl", &[TIED], "out", more);
    score("").expect(0, "300 ok");
    let name = "out/samples/generation_model=rl/task=demo/model=tied/part-00000001.parquet";
    let without = std::fs::read(scene.path(name)).unwrap();
    score("--keep-fields reward").expect(0, "already scored");
    let whole = scene.files("out");
    scene.write(name, without);
    scene.run("verify out").expect(1, "");
    score("--keep-fields reward").expect(0, "already scored");
    assert!(scene.files("out") == whole);
    scene.run("verify out").expect(0, "").expect_out("no problem found");
}

/// Values of rollouts, one for each response, in Parquet whose rows change their size with the columns that are read.
#[test]
fn rewards_of_rollouts_are_added_later_too() {
    let scene = Scene::new();
    let row = |i: usize| json!({"prompt": format!("Say {i}. "), "responses": ["Yes.", "No."], "rewards": [i, 0.5]});
    let rows: Vec<Value> = (0..3).map(row).collect();
    scene.dataset("rl_demo.jsonl", &rows);
    let score = |more: &str| scene.score("rl_demo.jsonl", &[TIED], "out", more);
    score("").expect(0, "3 rows, 6 responses").expect(0, "tied: 6 ok");
    score("--keep-fields rewards").expect(0, "already scored");
    let rewards = scene.table("out", "samples", "rl", "demo", "tied").f64s("rewards");
    assert_eq!(rewards, [0.0, 0.5, 1.0, 0.5, 2.0, 0.5].map(Some));
    // Where another row has a list of another length, the lists are whole, in the tables that are there too.
    let more = [rows, vec![json!({"prompt": "Say. ", "responses": ["Ah.", "Oh."], "rewards": [1]})]].concat();
    scene.dataset("rl_demo.jsonl", &more);
    score("--keep-fields rewards").expect(0, "tied: 2 ok");
    let rewards = scene.table("out", "samples", "rl", "demo", "tied").texts("rewards");
    assert_eq!(rewards[..2], ["[0,0.5]", "[0,0.5]"].map(|text| Some(text.to_owned())));
    scene.run("verify out").expect(0, "").expect_out("no problem found");
}

#[test]
fn longer_lists_that_are_there_suffice() {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &many_rows(300));
    let score = |more: &str| scene.score("rl_demo.jsonl", &[TIED], "out", more);
    score("--top-k 5").expect(0, "300 ok");
    score("--top-k 3").expect(0, "tied: already scored");
    score("--top-k 9").expect(1, "--top-k = 5, this run has 9");
    let name = "out/tokens/generation_model=rl/task=demo/model=tied/part-00000001.parquet";
    std::fs::remove_file(scene.path(name)).unwrap();
    score("--top-k 3").expect(1, "--top-k = 5, this run has 3");
    score("--top-k 9 --replace").expect(0, "300 ok");
}
