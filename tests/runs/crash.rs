//! Runs that go wrong in the middle: a dataset that changes, a model that fails on samples. What is written is whole, the
//! error says what happened, and another run ends where an undisturbed one does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use crate::common::{Scene, fixture, made, many_rows};
use arrow::array::{RecordBatch, StringArray};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;
use tokshift::dataset::{Plan, PlanOptions, scan};
use tokshift::engine::mock::Mock;
use tokshift::engine::{Caps, Engine, Job, Scored};
use tokshift::pipeline::{Input, Progress, Run, WhichParts};
use tokshift::sample::Status;
use tokshift::stop::Stop;
use tokshift::store::{self, Cell, Manifest, ResultFile, Store};
use tokshift::table::{Table, write};
use tokshift::tokenize::{Boundary, SampleOptions, TextTokenizer, TooLong};
use tokshift::{Error, Result};

const PARTS: usize = 32;

/// The mock, which does something else with every answer.
struct Disturbed<F>(Mock, F);

impl<F: Fn(u32, &mut Scored) + Sync> Engine for Disturbed<F> {
    fn caps(&self) -> &Caps {
        self.0.caps()
    }

    fn score(&self, job: &Job, sink: &mut dyn FnMut(Scored) -> Result<()>) -> Result<usize> {
        self.0.score(job, &mut |mut scored| {
            (self.1)(job.samples[scored.index].sample.sample_id, &mut scored);
            sink(scored)
        })
    }
}

fn manifest(cell: &Cell, plan: &Plan) -> Manifest {
    let mut manifest = made::manifest_of(cell, plan);
    manifest.engine.top_k = 3;
    manifest
}

/// Scores `plan` into `output`; `during` runs with every answer and may change it.
fn run(
    scene: &Scene,
    plan: &Plan,
    output: &str,
    retry_failed: bool,
    during: impl Fn(u32, &mut Scored) + Sync,
) -> Result<Progress> {
    let cell = Cell::new("rl", "demo", "mock");
    let store = Store::open(&scene.path(output))?;
    let cell = store.cell(&cell, &manifest(&cell, plan))?;
    if retry_failed {
        cell.lock_alone()?;
    }
    let progress = Progress::default();
    Run {
        inputs: &[Input::new(plan, &cell, BTreeSet::new(), WhichParts { retry_failed, shard: None })?],
        tokenizer: &TextTokenizer::from_file(&fixture("qwen3-tied").join("tokenizer.json"))?,
        sample_options: &SampleOptions {
            boundary: Boundary::Joint,
            end: None,
            max_tokens: 512,
            too_long: TooLong::Skip,
        },
        fail_on_unreadable_row: false,
        engine: &Disturbed(Mock::new("mock", 3), during),
        progress: &progress,
        stop: &Stop::never(),
    }
    .score()?;
    Ok(progress)
}

/// What happens to a dataset of this content.
type Change = fn(&Path, &[u8]);

/// A dataset of more parts than the pipeline holds at once, some 16.
fn dataset(scene: &Scene) -> Plan {
    let row = |i| json!({"input": format!("{i} is"), "output": " so"});
    let path = scene.dataset("rl_demo.jsonl", &(0..PARTS * 256).map(row).collect::<Vec<_>>());
    scan(&path, PlanOptions::default()).unwrap()
}

#[test]
fn a_dataset_that_changes_under_the_run_ends_it() {
    let scene = Scene::new();
    let mut plan = dataset(&scene);
    let content = fs::read(&plan.path).unwrap();
    run(&scene, &plan, "whole", false, |_, _| {}).unwrap();
    let whole = scene.files("whole");

    let changes: [(&str, Change, &str); 3] = [
        (
            "cut",
            |path, content| fs::write(path, &content[..content.len() / 2]).unwrap(),
            "changed while it was read: run again",
        ),
        (
            "replaced",
            |path, content| {
                let other = path.with_extension("other");
                fs::write(&other, [b"{\"input\": 1}\n", &content[13..]].concat()).unwrap();
                fs::rename(&other, path).unwrap();
            },
            "changed while it was read: run again",
        ),
        ("gone", |path, _| fs::remove_file(path).unwrap(), "No such file or directory (os error 2)"),
    ];
    for (output, change, described) in changes {
        let error = run(&scene, &plan, output, false, |sample, _| {
            if sample == 12 * 256 {
                change(&plan.path, &content);
            }
        });
        let error = error.err().unwrap().to_string();
        assert!(error.contains(&format!("dataset `{}`", plan.path.display())) && error.ends_with(described), "{error}");
        let files = scene.files(output);
        assert!((1..whole.len()).contains(&files.len()), "{output}: {} files", files.len());
        for (path, bytes) in files {
            assert!(whole[&path] == bytes, "{output}/{path}");
        }
        assert!(store::cells(&scene.path(output)).is_ok());
        // What was scanned comes back.
        fs::write(&plan.path, &content).unwrap();
        plan = scan(&plan.path, PlanOptions::default()).unwrap();
        run(&scene, &plan, output, false, |_, _| {}).unwrap();
        assert!(scene.files(output) == whole, "{output}");
    }
}

/// Every file and when it was written.
fn times(scene: &Scene, output: &str) -> BTreeMap<String, SystemTime> {
    let modified = |path: &String| fs::metadata(scene.path(output).join(path)).unwrap().modified().unwrap();
    scene.files(output).into_keys().map(|path| (path.clone(), modified(&path))).collect()
}

#[test]
fn failed_samples_are_scored_again_on_demand() {
    let scene = Scene::new();
    let path = scene.dataset("rl_demo.jsonl", &many_rows(5 * 256));
    let plan = scan(&path, PlanOptions::default()).unwrap();
    run(&scene, &plan, "whole", false, |_, _| {}).unwrap();
    let whole = scene.files("whole");
    // The engine fails on two samples of part 1 and one of part 3.
    let fails = |sample, scored: &mut Scored| {
        if [256, 300, 800].contains(&sample) {
            scored.scores = Err("out of memory".to_owned());
        }
    };
    let progress = run(&scene, &plan, "out", false, fails).unwrap();
    assert_eq!(progress.snapshot().samples_with(Status::Failed), 3);
    let now = progress.snapshot();
    assert_eq!((now.samples_done, now.samples_total), (1280, 1280));
    let before = times(&scene, "out");
    // A failed part is done as well.
    assert_eq!(run(&scene, &plan, "out", false, |_, _| {}).unwrap().snapshot().parts, 0);
    // A retry that fails in the middle loses nothing.
    let broken = run(&scene, &plan, "out", true, |_, _| panic!("the engine breaks"));
    assert!(matches!(broken, Err(Error::Panic { .. })));
    assert_eq!(times(&scene, "out"), before);

    assert_eq!(run(&scene, &plan, "out", true, |_, _| {}).unwrap().snapshot().parts, 2);
    assert!(scene.files("out") == whole);
    let again: Vec<_> = times(&scene, "out").into_iter().filter(|(path, time)| before[path] != *time).collect();
    let again: Vec<&str> = again.iter().map(|(path, _)| path.rsplit('/').next().unwrap()).collect();
    assert_eq!(again, ["part-00000001.parquet", "part-00000003.parquet"].repeat(2));
    assert_eq!(run(&scene, &plan, "out", true, |_, _| {}).unwrap().snapshot().parts, 0);
}

/// What a model that ran out of memory leaves, made by hand of a good run's tables.
fn fail_sample(scene: &Scene, part: &str) {
    let path = scene.path(&format!("out/samples/generation_model=rl/task=demo/model=tied/{part}"));
    let builder = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&path).unwrap()).unwrap();
    let batch = builder.build().unwrap().next().unwrap().unwrap();
    let place = batch.schema().index_of("status").unwrap();
    let statuses = (0..batch.num_rows()).map(|row| if row == 300 - 256 { "failed" } else { "ok" });
    let mut columns = batch.columns().to_vec();
    columns[place] = Arc::new(StringArray::from_iter_values(statuses));
    let failed = RecordBatch::try_new(batch.schema(), columns).unwrap();
    let (origin, _) = ResultFile::at(&path).footer().unwrap();
    write(fs::File::create(&path).unwrap(), Table::Samples, &failed, origin.as_ref()).unwrap();
}

#[test]
fn the_option_is_there_for_people() {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &many_rows(600));
    let tied = [("tied", "qwen3-tied")];
    scene.score("rl_demo.jsonl", &tied, "out", "--engine mock").expect(0, "600 ok samples");
    let whole = scene.files("out");
    fail_sample(&scene, "part-00000001.parquet");
    scene.score("rl_demo.jsonl", &tied, "out", "--engine mock").expect(0, "tied: already scored");
    assert!(scene.files("out") != whole);
    let again = scene.score("rl_demo.jsonl", &tied, "out", "--engine mock --retry-failed");
    again.expect(0, "tied: 256 ok samples");
    assert!(scene.files("out") == whole);
    scene.write("out/samples/generation_model=rl/task=demo/model=tied/part-00000000.parquet", "{}\n");
    let broken = scene.score("rl_demo.jsonl", &tied, "out", "--engine mock --retry-failed");
    broken.expect(1, "part-00000000.parquet`: EOF: Parquet file too small");
}
