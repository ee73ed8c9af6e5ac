//! What people and scripts read of a report, and that it is enough to make all well.

use std::fs;

use super::damage::{MODELS, change, copy, damaged, f32s, file, report, scored};
use crate::common::{Scene, rows};

#[test]
fn people_read_a_table_without_control_characters() {
    let scene = Scene::new();
    copy(&scored().path("out"), &scene.path("out"));
    scene.write("out/tokens/a\u{1b}[2Jb", "");
    let said = scene.run("verify out");
    assert_eq!(said.code, Some(1));
    let stray = "out/tokens/a\\u{1b}[2Jb";
    let described =
        format!("\nstray (1)\n  {stray}: no manifest explains it, and tokshift gives no file such a name: move it");
    assert!(said.stdout.contains(&described), "{}", said.stdout);
}

/// Of a list that is read line by line, each line is a file's name, and of a file that tokshift named.
#[test]
fn no_name_in_the_list_to_redo_leads_elsewhere() {
    let scene = Scene::new();
    copy(&scored().path("out"), &scene.path("out"));
    scene.write("precious", "");
    scene.write("out/tokens/a\nprecious", "");
    scene.write("out/tokens/a\n/part-00000000.parquet", "");
    scene.write("out/tokens/notes.txt", "the user's own");
    scene.write("out/tokens/part-00000000.parquet", "");
    let said = scene.run("verify out --json");
    let report: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(report["redo"], serde_json::json!(["out/tokens/part-00000000.parquet"]));
    assert!(report.to_string().contains("remove it by hand"));
    let strays = &report["problems"][0];
    assert_eq!((&strays["kind"], &strays["count"]), (&"stray".into(), &4.into()), "{report}");
}

/// A file may be called what no text can hold; the report is JSON all the same.
#[test]
fn names_that_are_no_text_are_told() {
    use std::os::unix::ffi::OsStrExt;
    let report = damaged(|scene| {
        let folder = scene.path(&file("tokens", "tied", 9)).parent().unwrap().to_owned();
        fs::write(folder.join(std::ffi::OsStr::from_bytes(b"a\xff.parquet")), "").unwrap();
    });
    let found = report["problems"][0]["first"][0]["file"].as_str().unwrap();
    assert!(found.ends_with("a\u{fffd}.parquet"), "{report}");
}

#[test]
fn a_folder_that_holds_no_runs_is_an_error() {
    let scene = Scene::new();
    scene.run("verify nowhere").expect(1, "no such directory");
    fs::create_dir(scene.path("empty")).unwrap();
    scene.run("verify empty").expect(1, "contains no runs");
}

/// The report suffices: after deleting it, the same command makes it again.
#[test]
fn deleting_what_is_told_and_scoring_again_heals() {
    let scene = Scene::new();
    copy(&scored().path("out"), &scene.path("out"));
    scene.dataset("rl_demo.jsonl", &rows());
    change(&scene, "tokens", "entropy", |_, entropy| f32s(entropy, |_| -1.0));
    let before = report(&scene, "out", 1);
    for file in before["redo"].as_array().unwrap() {
        fs::remove_file(scene.path(file.as_str().unwrap())).unwrap();
    }
    assert_eq!(report(&scene, "out", 0)["checked"]["unfinished_parts"], 1);
    scene.score("rl_demo.jsonl", &MODELS, "out", "--keep-fields reward,correct").expect(0, "");
    assert_eq!(report(&scene, "out", 0)["checked"]["unfinished_parts"], 0);
    assert_eq!(scene.files("out"), scored().files("out"));
}
