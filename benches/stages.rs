//! What each stage of the pipeline does by itself, beside null neighbours, and what the whole costs beside the engine alone.
//!
//!     cargo bench --bench stages -- MODEL-DIRECTORY GEN_task.jsonl [ROWS]
//!
//! Reading and tokenising are timed with nothing after them, writing with answers that are there already, the engine on the
//! jobs that the pipeline gave it and with a sink that drops. The last line is the pipeline's promise: the whole run beside
//! the engine alone on the same forests, in turns.

#[path = "../tests/common/made.rs"]
mod made;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use candle_core::{DType, Device};
use tokshift::Result;
use tokshift::dataset::{self, Plan, PlanOptions};
use tokshift::decoder::Checkpoint;
use tokshift::engine::local::{Local, LocalOptions};
use tokshift::engine::{Caps, Engine, Job, JobSample, Scored};
use tokshift::pipeline::{Input, Progress, Run, WhichParts};
use tokshift::sample::Sample;
use tokshift::scores::TokenScores;
use tokshift::stop::Stop;
use tokshift::store::{Cell, CellStore, Store};
use tokshift::tokenize::{Boundary, SampleOptions, TextTokenizer, TooLong};

const TOP_K: usize = 20;
const ROUNDS: usize = 3;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let [model, rows, limit @ ..] = &words[..] else { panic!("give a model's directory and a file of rows") };
    let limit = limit.first().map(|limit| limit.parse().expect("a number of rows"));
    let bench = Bench::new(Path::new(model), Path::new(rows), limit);
    bench.read();
    bench.tokenize();
    let local = load(Path::new(model));
    let recorder = Recorder { inner: &local, jobs: Mutex::default() };
    let first = bench.run(&recorder);
    let jobs = recorder.jobs.into_inner().unwrap();
    bench.write(&jobs);
    let [mut alone, mut whole] = [Vec::new(), vec![first]];
    for _ in 0..ROUNDS {
        alone.push(seconds(|| jobs.iter().for_each(|job| job.score(&local))));
        whole.push(bench.run(&local));
    }
    let [alone, whole] = [alone, whole].map(median);
    let tokens: usize = jobs.iter().map(|job| job.computed).sum();
    report("engine alone", tokens as f64, "tokens", alone);
    report("the whole run", tokens as f64, "tokens", whole);
    println!("the whole runs at {:.3} of the engine alone", alone / whole);
}

fn load(model: &Path) -> Local {
    let options = LocalOptions {
        name: "model".to_owned(),
        dtype: DType::BF16,
        device: Device::Cpu,
        batch_tokens: 4096,
        top_k: TOP_K,
        keep_hidden: false,
    };
    Local::load(&Checkpoint::open(model).unwrap(), options).unwrap()
}

/// What is scored.
struct Bench {
    plan: Plan,
    tokenizer: TextTokenizer,
    options: SampleOptions,
}

impl Bench {
    fn new(model: &Path, rows: &Path, limit: Option<u32>) -> Self {
        let tokenizer = TextTokenizer::from_file(&model.join("tokenizer.json")).unwrap();
        let plan = dataset::scan(rows, PlanOptions { limit, ..PlanOptions::default() }).unwrap();
        let options =
            SampleOptions { boundary: Boundary::Joint, end: None, max_tokens: 1 << 20, too_long: TooLong::Skip };
        Self { plan, tokenizer, options }
    }

    fn parts(&self) -> std::ops::Range<u32> {
        0..self.plan.parts.len() as u32
    }

    fn read(&self) {
        let time = best(|| self.parts().for_each(|part| drop(self.plan.read_part(part).unwrap())));
        let bytes: u64 = self.plan.parts.iter().map(|part| part.bytes).sum();
        report("read", bytes as f64, "bytes", time);
    }

    /// On one thread, where the pipeline has two.
    fn tokenize(&self) {
        let samples = || self.parts().flat_map(|part| self.plan.read_part(part).unwrap());
        let rows: Vec<_> = samples().collect();
        let mut tokens = 0;
        let time = best(|| {
            let of_rows = rows.iter().cloned().flat_map(|row| self.tokenizer.samples(row, &self.options));
            tokens = of_rows.map(|sample| sample.ids.len()).sum();
        });
        report("tokenise", tokens as f64, "tokens", time);
    }

    /// Everything but the model: answers that are there already go through the pipeline.
    fn write(&self, jobs: &[Recorded]) {
        let replay = Replay { caps: jobs[0].caps.clone(), jobs };
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            times.push(self.run(&replay));
        }
        let scored: usize = jobs.iter().flat_map(|job| &job.scores).map(TokenScores::len).sum();
        report("read, tokenise and write", scored as f64, "scored tokens", median(times));
    }

    /// Seconds of the pipeline with this engine, into a directory of its own.
    fn run(&self, engine: &dyn Engine) -> f64 {
        let folder = tempfile::tempdir().unwrap();
        let cell = self.cell(folder.path());
        let inputs = [Input::new(&self.plan, &cell, BTreeSet::new(), WhichParts::default()).unwrap()];
        let run = Run {
            inputs: &inputs,
            tokenizer: &self.tokenizer,
            sample_options: &self.options,
            fail_on_unreadable_row: true,
            engine,
            progress: &Progress::default(),
            stop: &Stop::never(),
        };
        seconds(|| drop(run.score().unwrap()))
    }

    fn cell(&self, root: &Path) -> CellStore {
        let cell = Cell::new("g", "t", "m");
        let mut manifest = made::manifest_of(&cell, &self.plan);
        manifest.tokens.max_tokens = self.options.max_tokens;
        "local".clone_into(&mut manifest.engine.name);
        "bf16".clone_into(&mut manifest.engine.dtype);
        manifest.engine.top_k = TOP_K;
        Store::open(root).unwrap().cell(&cell, &manifest).unwrap()
    }
}

/// A job that the pipeline made, and what the model answered.
struct Recorded {
    part: u32,
    samples: Vec<Sample>,
    scores: Vec<TokenScores>,
    computed: usize,
    caps: Caps,
}

impl Recorded {
    fn score(&self, engine: &dyn Engine) {
        let sample = |sample: &Sample| JobSample { dataset: 0, sample: sample.clone() };
        let samples = self.samples.iter().map(sample).collect();
        let job = Job { part: self.part, samples, stop: &Stop::never() };
        engine.score(&job, &mut |_| Ok(())).unwrap();
    }
}

/// A model that remembers what it was asked.
struct Recorder<'a> {
    inner: &'a Local,
    jobs: Mutex<Vec<Recorded>>,
}

impl Engine for Recorder<'_> {
    fn caps(&self) -> &Caps {
        self.inner.caps()
    }

    fn score(&self, job: &Job, sink: &mut dyn FnMut(Scored) -> Result<()>) -> Result<usize> {
        let samples: Vec<Sample> = job.samples.iter().map(|s| s.sample.clone()).collect();
        let mut scores = vec![TokenScores::default(); samples.len()];
        let computed = self.inner.score(job, &mut |scored| {
            scores[scored.index].clone_from(scored.scores.as_ref().unwrap());
            sink(scored)
        })?;
        let recorded = Recorded { part: job.part, samples, scores, computed, caps: self.caps().clone() };
        self.jobs.lock().unwrap().push(recorded);
        Ok(computed)
    }
}

/// Answers at once.
struct Replay<'a> {
    caps: Caps,
    jobs: &'a [Recorded],
}

impl Engine for Replay<'_> {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn score(&self, job: &Job, sink: &mut dyn FnMut(Scored) -> Result<()>) -> Result<usize> {
        let first = job.samples[0].sample.sample_id;
        let recorded = self.jobs.iter().find(|recorded| recorded.samples[0].sample_id == first).unwrap();
        for (index, scores) in recorded.scores.iter().enumerate() {
            sink(Scored { index, scores: Ok(scores.clone()) })?;
        }
        Ok(recorded.computed)
    }
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn best(mut work: impl FnMut()) -> f64 {
    (0..ROUNDS).map(|_| seconds(&mut work)).fold(f64::INFINITY, f64::min)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn report(what: &str, amount: f64, unit: &str, seconds: f64) {
    println!("{what:26} {:12.0} {unit}/s  ({seconds:.3} s)", amount / seconds);
}
