//! Several processes and one output directory: they share the parts of a cell, and none is lost.

use std::fs;

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

/// Parts that the processes say they have scored, from their logs.
fn logged(scene: &Scene, output: &str) -> u64 {
    let logs = fs::read_dir(scene.path(output).join("logs")).unwrap();
    let lines = logs.map(|log| fs::read_to_string(log.unwrap().path()).unwrap());
    let lines: Vec<String> = lines.flat_map(|log| log.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let entries = lines.iter().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    entries.filter_map(|entry| entry["parts"].as_u64()).sum()
}

#[test]
fn a_second_process_scores_what_the_first_has_not() {
    let scene = scene();
    let mut first = scene.start(&command("out", ""));
    first.until(|| scene.parts("out") > 0);
    scene.run("remove out --model tied").expect(1, &format!("error: process {}", first.0.id()));
    let second = scene.run(&command("out", ""));
    assert_eq!(second.code, Some(0), "{}", second.stderr);
    assert_eq!(first.end().code, Some(0));
    assert_eq!(temporary(&scene, "out"), [""; 0]);
    scene.run(&command("out", "")).expect(0, "tied: already scored");
    scene.run(&command("whole", "")).expect(0, "2304 ok samples");
    assert!(scene.files("out") == scene.files("whole"));
    assert_eq!(logged(&scene, "out"), scene.parts("out") as u64);
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
fn processes_that_start_together_score_each_part_once() {
    let scene = scene();
    let start = |_| scene.start(&command("out", "--engine mock"));
    let running: Vec<Running> = (0..4).map(start).collect();
    for said in running.into_iter().map(Running::end) {
        assert_eq!(said.code, Some(0), "{}", said.stderr);
    }
    scene.run(&command("whole", "--engine mock")).expect(0, "2304 ok samples");
    assert!(scene.files("out") == scene.files("whole"));
    assert_eq!(logged(&scene, "out"), scene.parts("out") as u64);
}

/// A process that is killed leaves its parts to the one that waits for them.
#[test]
fn parts_of_a_killed_process_are_scored_by_another() {
    let scene = scene();
    for round in 0..4 {
        let out = format!("out{round}");
        let [mut killed, other] = [(); 2].map(|()| scene.start(&command(&out, "")));
        killed.until(|| scene.parts(&out) > round);
        killed.0.kill().unwrap();
        killed.end();
        let said = other.end();
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        scene.run(&command("whole", "")).expect(0, "");
        assert!(scene.files(&out).into_iter().filter(|(file, _)| !file.starts_with(".tmp")).eq(scene.files("whole")));
    }
}

#[test]
fn shards_score_their_own_parts() {
    let scene = scene();
    scene.run(&command("whole", "--engine mock")).expect(0, "2304 ok samples");
    let parts = scene.parts("whole");
    scene.run(&command("out", "--engine mock --shard 1/3")).expect(0, "ok samples");
    assert_eq!(scene.parts("out"), (0..parts).filter(|part| part % 3 == 1).count());
    scene.run(&command("out", "--engine mock --shard 1/3")).expect(0, "already scored");
    for shard in ["0/3", "2/3"] {
        scene.run(&command("out", &format!("--engine mock --shard {shard}"))).expect(0, "ok samples");
    }
    assert!(scene.files("out") == scene.files("whole"));
    scene.run(&command("other", "--shard 3/3")).expect(2, "the last of 3 is 2/3");
    scene.run(&command("other", "--shard auto")).expect(2, "SLURM_ARRAY_TASK_ID is not set");
}
