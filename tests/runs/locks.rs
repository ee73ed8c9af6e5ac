//! Two processes and one output directory: one writes a cell, the other's error names it.

use crate::common::{Running, Scene, fixture, many_rows};

fn command(output: &str, more: &str) -> String {
    let tied = fixture("qwen3-tied");
    format!("score --dataset rl_demo.jsonl --models tied={} --output-dir {output} {more}", tied.display())
}

fn scene() -> Scene {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &many_rows(2304));
    scene
}

fn temporary(scene: &Scene, output: &str) -> Vec<String> {
    scene.files(output).into_keys().filter(|file| file.starts_with(".tmp")).collect()
}

#[test]
fn the_second_process_is_told_who_writes() {
    let scene = scene();
    let mut first = scene.start(&command("out", ""));
    first.until(|| scene.parts("out") > 0);
    let described = format!(
        "error: process {} writes `tied` on `demo` by `rl` into `out`: wait until it ends, or use another --output-dir\n",
        first.0.id()
    );
    let second = scene.run(&command("out", ""));
    second.expect(1, &described);
    // Another cell of the directory is not locked.
    let other = command("out", "").replace("tied=", "other=");
    scene.run(&other).expect(0, "other: 2304 ok samples");

    first.end().expect(0, "tied: 2304 ok samples");
    assert_eq!(temporary(&scene, "out"), [""; 0]);
    scene.run(&command("out", "")).expect(0, "tied: already scored");
}

#[test]
fn the_lock_of_a_dead_process_stops_no_other() {
    let scene = scene();
    let mut first = scene.start(&command("out", ""));
    first.until(|| scene.parts("out") > 0);
    first.0.kill().unwrap();
    first.end();
    assert!(temporary(&scene, "out").iter().any(|file| file.starts_with(".tmp/lock-")), "it was killed while it wrote");
    scene.run(&command("out", "")).expect(0, "ok samples");
    scene.run(&command("whole", "")).expect(0, "2304 ok samples");
    assert!(scene.files("out") == scene.files("whole"), "not even a lock is left");
}

/// Models of 512 and of 128 tokens that start at once over an empty directory: one of them fixes the longest sample, and
/// neither learns that only after its work.
#[test]
fn models_of_two_contexts_may_start_together() {
    for _ in 0..4 {
        let scene = Scene::new();
        let mut rows = many_rows(300);
        rows.push(serde_json::json!({"input": "Tell me ", "output": "a tale. ".repeat(30)}));
        scene.dataset("rl_demo.jsonl", &rows);
        let tokenizer = fixture("qwen3-tied").join("tokenizer.json");
        let score = |name: &str, of: &str| {
            let models = format!("{name}={} --tokenizer {}", fixture(of).display(), tokenizer.display());
            scene.start(&format!("score --dataset rl_demo.jsonl --models {models} --output-dir out"))
        };
        let running = [score("long", "qwen3-tied"), score("short", "qwen3-bias")];
        for said in running.map(Running::end) {
            assert!(matches!(said.code, Some(0 | 4)), "{}", said.stderr);
        }
        scene.run("verify out").expect(0, "").expect_out("no problem found");
        scene.run("kl --data-dir out --reference long").expect(0, "");
        assert_eq!(temporary(&scene, "out"), [""; 0]);
    }
}

#[test]
fn of_processes_that_start_together_one_writes_at_a_time() {
    let scene = scene();
    let start = |_| scene.start(&command("out", "--engine mock"));
    let running: Vec<Running> = (0..4).map(start).collect();
    let ends: Vec<_> = running.into_iter().map(Running::end).collect();
    for said in &ends {
        assert!(said.code == Some(0) || said.stderr.contains("writes `tied` on `demo` by `rl`"), "{}", said.stderr);
    }
    assert!(ends.iter().any(|said| said.stderr.contains("tied: 2304 ok samples")));
    scene.run(&command("whole", "--engine mock")).expect(0, "2304 ok samples");
    assert!(scene.files("out") == scene.files("whole"));
}
