//! Temporary hidden states when several runs of `score --exact` share a model: the last one removes them.

use crate::common::{Scene, fixture, many_rows};
use tokshift::store::{Cell, Store};

const P: (&str, &str) = ("p", "qwen3-tied");
const Q: (&str, &str) = ("q", "qwen3-shifted");
const R: (&str, &str) = ("r", "granite");

fn command(named: &[(&str, &str)]) -> String {
    let models: Vec<String> = named.iter().map(|(name, of)| format!("{name}={}", fixture(of).display())).collect();
    let tokenizer = fixture(P.1).join("tokenizer.json");
    let options = format!("--tokenizer {} --output-dir out --exact", tokenizer.display());
    format!("score --dataset g_t.jsonl --models {} {options}", models.join(","))
}

fn temporary(scene: &Scene) -> Vec<String> {
    scene.files("out").into_keys().filter(|name| name.ends_with(".loan.safetensors")).collect()
}

#[test]
fn rows_that_another_process_needs_stay_for_it() {
    let scene = Scene::new();
    scene.dataset("g_t.jsonl", &many_rows(4));
    let cell = Cell::new("g", "t", "p");
    let locked = Store::open(&scene.path("out")).unwrap().lock_temporary(&cell).unwrap();
    scene.run(&command(&[P, Q])).expect(0, "exact: KL(p‖q)");
    assert_eq!(temporary(&scene), ["hidden/generation_model=g/task=t/model=p/part-00000000.loan.safetensors"]);
    scene.run("verify out").expect_out("no problem found");
    drop(locked);
    scene.run(&command(&[P, R])).expect(0, "p: already scored").expect(0, "exact: KL(p‖r)");
    assert_eq!(temporary(&scene), [""; 0]);
    assert!(!scene.files("out").keys().any(|name| name.starts_with(".tmp/")), "not even a lock is left");
}

#[test]
fn two_runs_at_once_share_a_model() {
    let scene = Scene::new();
    scene.dataset("g_t.jsonl", &many_rows(600));
    let mut first = scene.start(&command(&[P, Q]));
    // P's three, and one of Q's.
    first.until(|| scene.parts("out") > 3);
    let second = scene.start(&command(&[P, R]));
    first.end().expect(0, "exact: KL(p‖q)");
    second.end().expect(0, "exact: KL(p‖r)");
    assert_eq!(temporary(&scene), [""; 0]);
    scene.run("verify out").expect_out("no problem found");
}
