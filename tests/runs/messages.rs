//! Messages that cannot be written: no process reads them, or the disk is full. The work that they report is done all the same.

use std::fs::File;
use std::process::Stdio;

use crate::common::{Scene, fixture, rows};

const MODELS: [(&str, &str); 2] = [("rl", "qwen3-tied"), ("base", "qwen3-shifted")];

/// Ways to lose what is written to stderr.
fn deaf() -> [(&'static str, Stdio); 2] {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    [("a closed pipe", writer.into()), ("a full disk", File::options().write(true).open("/dev/full").unwrap().into())]
}

/// The exit code of a command whose messages are lost.
fn code(scene: &Scene, arguments: &str, stderr: Stdio) -> Option<i32> {
    let command = scene.command(arguments);
    let mut deaf = std::process::Command::new(command.get_program());
    deaf.args(command.get_args()).current_dir(scene.path(""));
    deaf.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).status().unwrap().code()
}

#[test]
fn every_model_is_scored_and_the_exit_code_stays() {
    for (log, format) in [("", "text"), ("-vv", "text"), ("-v", "json")] {
        for (what, stderr) in deaf() {
            let scene = Scene::new();
            scene.dataset("rl_demo.jsonl", &rows());
            let models = MODELS.map(|(name, of)| format!("{name}={}", fixture(of).display())).join(",");
            let score = format!("score --dataset rl_demo.jsonl --models {models} --output-dir out --engine mock");
            assert_eq!(code(&scene, &format!("{score} {log} --log-format {format}"), stderr), Some(0), "{what}, {log}");
            assert_eq!(scene.parts("out"), 2, "{what}, {log}");
            for (what, stderr) in deaf() {
                let above = "kl --data-dir out --fail-above kl_k1=-1 --fail-above kl_k3=-1";
                assert_eq!(code(&scene, above, stderr), Some(5), "{what}");
            }
            for (what, stderr) in deaf() {
                assert_eq!(code(&scene, "kl --data-dir nowhere", stderr), Some(1), "{what}");
            }
        }
    }
}

/// What to do next stands last; or which samples have no scores.
#[test]
fn score_ends_with_what_follows() {
    let scene = Scene::new();
    scene.dataset("rl_one.jsonl", &rows()[..1]);
    let said = scene.score("rl_one.jsonl", &[("rl", "qwen3-tied")], "out", "--engine mock");
    said.expect(0, "one by rl (a model that the file is named after): 1 row; P = rl, which wrote them; ");
    assert!(said.stderr.ends_with("\nDone. Compare the models with: tokshift kl out\n"), "{}", said.stderr);
    said.expect(0, "note: the end of these responses is not scored: --end auto appends");
    scene.dataset("rl_bad.jsonl", &[rows()[0].clone(), serde_json::json!({"input": "a", "output": ""})]);
    let said = scene.score("rl_bad.jsonl", &[("rl", "qwen3-tied")], "out", "--engine mock");
    let last = "Done; 1 of 2 samples were not scored (1 empty): see `reason` in out/samples. Exit code 4.\n";
    assert!(said.code == Some(4) && said.stderr.ends_with(last), "{}", said.stderr);
}
