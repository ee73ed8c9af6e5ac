//! SIGINT and SIGTERM in the middle of `tokshift score`: what is finished is kept, the same command goes on from there,
//! and the tables do not show that anything happened.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::{Scene, fixture, many_rows};
use candle_core::{DType, Device};
use tokshift::Error;
use tokshift::dataset::{PlanOptions, scan};
use tokshift::decoder::{Backend, Body, Checkpoint};
use tokshift::engine::local::{Local, LocalOptions};
use tokshift::engine::mock::Mock;
use tokshift::engine::{Engine, Job, JobSample};
use tokshift::forest::pack;
use tokshift::sample::Sample;
use tokshift::stop::Stop;
use tokshift::tokenize::{Boundary, SampleOptions, TextTokenizer, TooLong};

const PARTS: usize = 12;

fn command(output: &str, models: &[&str]) -> String {
    let model = |name: &&str| format!("{name}={}", fixture(&format!("qwen3-{name}")).display());
    let models: Vec<String> = models.iter().map(model).collect();
    format!("score --dataset rl_demo.jsonl --models {} --output-dir {output}", models.join(","))
}

fn scene() -> Scene {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &many_rows(PARTS * 256));
    scene
}

#[test]
fn a_signal_ends_the_run_in_good_order_and_the_next_continues() {
    let scene = scene();
    let mut done = 0;
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut running = scene.start(&command("out", &["tied", "shifted"]));
        running.until(|| scene.parts("out") > done);
        running.signal(&[signal]);
        let said = running.end();
        said.expect(code, "error: scoring with `tied`: stopped before the end; the same command continues");
        said.expect(code, "tied: interrupted; kept ");
        // No model was begun after the signal, nothing is half done, and what was done is kept.
        assert!(!scene.path("out/runs/generation_model=rl/task=demo/model=shifted").exists());
        assert!((done + 1..PARTS).contains(&scene.parts("out")), "{signal}: {} parts", scene.parts("out"));
        assert!(!scene.files("out").keys().any(|file| file.starts_with(".tmp")));
        done = scene.parts("out");
    }
    scene.run(&command("out", &["tied"])).expect(0, "ok samples");
    scene.run(&command("whole", &["tied"])).expect(0, "tied: 3072 ok samples");
    assert!(scene.files("out") == scene.files("whole"));
}

#[test]
fn a_second_signal_does_not_wait() {
    let scene = scene();
    // Two threads may take the two signals at the same moment: again and again.
    for attempt in 0..5 {
        let out = format!("out{attempt}");
        let mut running = scene.start(&command(&out, &["tied", "shifted"]));
        running.until(|| scene.parts(&out) > 0);
        running.signal(&["INT", "TERM"]);
        let said = running.end();
        let is_told = ["error", "interrupted"].iter().any(|word| said.stderr.contains(word));
        assert!(said.code.is_none() && !is_told, "killed, without last words: {}", said.stderr);
    }
}

/// Rows of the dataset as samples of a job.
fn samples(scene: &Scene) -> Vec<Sample> {
    let path = scene.path("rl_demo.jsonl");
    let tokenizer = TextTokenizer::from_file(&fixture("qwen3-tied").join("tokenizer.json")).unwrap();
    let options = SampleOptions { boundary: Boundary::Joint, end: None, max_tokens: 512, too_long: TooLong::Skip };
    let rows = scan(&path, PlanOptions::default()).unwrap().read_part(0).unwrap();
    rows.into_iter().flat_map(|row| tokenizer.samples(row, &options)).collect()
}

fn checkpoint() -> Checkpoint {
    Checkpoint::open(Path::new(&fixture("qwen3-tied"))).unwrap()
}

/// Whatever flows to the sink after the stop was heard too late.
#[test]
fn engines_stop_within_a_job() {
    let scene = scene();
    let options = LocalOptions {
        name: "tied".to_owned(),
        dtype: DType::F32,
        device: Device::Cpu,
        batch_tokens: 1,
        top_k: 3,
        keep_hidden: false,
    };
    let engines: [Box<dyn Engine>; 2] =
        [Box::new(Mock::new("mock", 3)), Box::new(Local::load(&checkpoint(), options).unwrap())];
    for engine in engines {
        let requested = AtomicBool::new(false);
        let samples = samples(&scene).into_iter().map(|sample| JobSample { dataset: 0, sample }).collect();
        let mut scored = 0;
        let outcome = engine.score(&Job { part: 0, samples, stop: &Stop::new(&requested) }, &mut |_| {
            scored += 1;
            requested.store(scored == 3, Ordering::Relaxed);
            Ok(())
        });
        assert!(matches!(outcome, Err(Error::Stopped)));
        assert_eq!(scored, 3);
    }
}

#[test]
fn the_body_stops_between_layers() {
    let scene = scene();
    let samples = samples(&scene);
    let forest = &pack(&samples.iter().collect::<Vec<_>>(), 64)[0];
    let body = Body::load(&checkpoint(), DType::F32, &Device::Cpu, Backend::of(&Device::Cpu).unwrap()).unwrap();
    for requested in [false, true] {
        let outcome = body.forward(forest, &Stop::new(&AtomicBool::new(requested)));
        assert_eq!(matches!(outcome, Err(Error::Stopped)), requested);
    }
}
