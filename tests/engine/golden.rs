//! The decoder, head and reducer against Hugging Face transformers, on fixtures that can see a mistake.
//!
//! References were made by `scripts/make_fixtures.py`, `scripts/make_families.py` and `scripts/make_adapters.py`: logits in
//! f32, everything else from their softmax in f64.

mod bits;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::common::{CHECKPOINTS, NEVER, made};
use candle_core::{DType, Device, Tensor};
use tokshift::decoder::{Adapter, Checkpoint};
use tokshift::engine::local::{Local, LocalOptions};
use tokshift::engine::{Engine, Job, JobSample, TokenScores};
use tokshift::sample::Sample;
use tokshift::stop::Stop;

/// In bf16 Gemma's factor of the embeddings is bf16 too, 4.90625 for √24: another model, whose log-probabilities lie on average
/// so much from those with √24. By transformers 5.24 in f32 with that factor; mean |Δ| is 0.00171 and 0.00229.
const OF_FACTOR: [(&str, f64); 2] = [("gemma2", -0.00085), ("gemma3", -0.00161)];
/// What the scripts made besides checkpoints: adapters whose config names the base.
const ADAPTERS: [&str; 4] = ["lora-qwen3", "lora-llama3", "lora-phi3", "lora-bf16"];

fn fixtures() -> impl Iterator<Item = &'static str> {
    CHECKPOINTS.into_iter().chain(ADAPTERS)
}

const K: usize = 20;
/// Largest |Δ logprob| against the reference in f32.
const TOLERANCE: f64 = 2e-4;

fn directory(fixture: &str) -> PathBuf {
    Path::new("tests/fixtures/models").join(fixture)
}

/// The checkpoint of a fixture: itself, or what it is an adapter on.
fn base(fixture: &str) -> PathBuf {
    let Ok(text) = std::fs::read(directory(fixture).join("adapter_config.json")) else { return directory(fixture) };
    let config: serde_json::Value = serde_json::from_slice(&text).unwrap();
    directory(config["base_model_name_or_path"].as_str().unwrap())
}

/// The reference of one row.
struct Row {
    ids: Vec<u32>,
    tensors: HashMap<String, Tensor>,
}

impl Row {
    fn f64(&self, name: &str) -> Vec<f64> {
        self.tensors[name].to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    fn matrix(&self, name: &str) -> Option<Vec<Vec<f64>>> {
        Some(self.tensors.get(name)?.to_dtype(DType::F64).unwrap().to_vec2().unwrap())
    }
}

fn reference(fixture: &str) -> Vec<Row> {
    let path = directory(fixture).join("reference.safetensors");
    let all = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    let rows = (0..).map_while(|row| {
        let prefix = format!("{row}.");
        let tensors: HashMap<String, Tensor> = all
            .iter()
            .filter_map(|(name, tensor)| Some((name.strip_prefix(&prefix)?.to_owned(), tensor.clone())))
            .collect();
        let ids: Vec<i64> = tensors.get("ids")?.to_dtype(DType::I64).unwrap().to_vec1().unwrap();
        Some(Row { ids: ids.into_iter().map(|id| id as u32).collect(), tensors })
    });
    rows.collect()
}

/// A sample that scores every token but the first.
fn sample(sample_id: usize, ids: &[u32]) -> Sample {
    made::sample(sample_id as u32, ids.to_vec(), 1)
}

fn engine(fixture: &str, dtype: DType, batch_tokens: usize) -> Local {
    let local = load(&base(fixture), dtype, batch_tokens, K);
    if base(fixture) == directory(fixture) {
        return local;
    }
    let options = LocalOptions {
        name: fixture.to_owned(),
        dtype,
        device: Device::Cpu,
        batch_tokens,
        top_k: K,
        keep_hidden: false,
    };
    local.sharing(Some(&Adapter::open(&directory(fixture)).unwrap()), options).unwrap()
}

fn load(directory: &Path, dtype: DType, batch_tokens: usize, top_k: usize) -> Local {
    let checkpoint = Checkpoint::open(directory).unwrap();
    let options =
        LocalOptions { name: "model".to_owned(), dtype, device: Device::Cpu, batch_tokens, top_k, keep_hidden: false };
    Local::load(&checkpoint, options).unwrap()
}

/// Scores `rows` in one job, in their order.
fn score(engine: &Local, rows: &[&[u32]]) -> Vec<TokenScores> {
    score_samples(engine, rows.iter().enumerate().map(|(i, ids)| sample(i, ids)).collect())
}

fn score_samples(engine: &Local, samples: Vec<Sample>) -> Vec<TokenScores> {
    let mut answers = vec![TokenScores::default(); samples.len()];
    let samples = samples.into_iter().map(|sample| JobSample { dataset: 0, sample }).collect();
    engine
        .score(&Job { part: 0, samples, stop: &Stop::new(&NEVER) }, &mut |scored| {
            answers[scored.index] = scored.scores.unwrap();
            Ok(())
        })
        .unwrap();
    answers
}

fn max_gap(got: &[f32], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let gap = |(&got, &want): (&f32, &f64)| if f64::from(got) == want { 0.0 } else { (f64::from(got) - want).abs() };
    got.iter().zip(want).map(gap).fold(0.0, f64::max)
}

#[test]
fn scores_agree_with_transformers() {
    println!(
        "{:14} {:12} {:18} {:>10} {:>10} {:>10} {:>10} {:>6}",
        "fixture", "family", "rope", "logprob", "entropy", "rest", "min", "rank"
    );
    for fixture in fixtures() {
        let rows = reference(fixture);
        let ids: Vec<&[u32]> = rows.iter().map(|r| r.ids.as_slice()).collect();
        let scores = score(&engine(fixture, DType::F32, 4096), &ids);
        let mut gaps = [0.0_f64; 4];
        let mut rank_gap = 0;
        for (row, got) in rows.iter().zip(&scores) {
            let columns = [
                (&got.logprob, "logprob"),
                (&got.entropy, "entropy"),
                (&got.rest_logprob, "rest_logprob"),
                (&got.min_logprob, "min_logprob"),
            ];
            for (gap, (got, name)) in gaps.iter_mut().zip(columns) {
                *gap = gap.max(max_gap(got, &row.f64(name)));
            }
            rank_gap = rank_gap.max(check_ranks(row, got));
            check_top(row, got);
        }
        let [logprob, entropy, rest, min] = gaps;
        let (family, rope) = family_and_rope(fixture);
        println!(
            "{fixture:14} {family:12} {rope:18} {logprob:10.2e} {entropy:10.2e} {rest:10.2e} {min:10.2e} {rank_gap:6}"
        );
        assert!(logprob <= TOLERANCE, "{fixture}: logprob is off by {logprob}");
        assert!(entropy <= 1e-3 && rest <= 1e-3 && min <= 1e-3, "{fixture}: {gaps:?}");
    }
}

/// As the config has them.
fn family_and_rope(fixture: &str) -> (String, String) {
    let text = std::fs::read(base(fixture).join("config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let text = config.get("text_config").unwrap_or(&config);
    let of = |object: &serde_json::Value| {
        let kind = object.get("rope_type").or_else(|| object.get("type"))?.as_str()?.to_owned();
        let partial = object.get("partial_rotary_factor").and_then(serde_json::Value::as_f64).unwrap_or(1.0);
        Some(if partial == 1.0 { kind } else { format!("{kind} {partial}") })
    };
    let object = ["rope_parameters", "rope_scaling"].iter().find_map(|field| text.get(field).filter(|v| v.is_object()));
    let rope = object.and_then(|object| {
        of(object).or_else(|| Some(format!("{}/{}", of(&object["full_attention"])?, of(&object["sliding_attention"])?)))
    });
    (config["model_type"].as_str().unwrap().to_owned(), rope.unwrap_or_else(|| "default".to_owned()))
}

/// |rank − reference| is at most the number of entries within 2·max|Δ logit| of the target's; the largest gap.
fn check_ranks(row: &Row, got: &TokenScores) -> u32 {
    let Some(logits) = row.matrix("logits") else { return 0 };
    let want = row.f64("rank");
    let mut largest = 0;
    let delta = (0..got.len())
        .map(|i| (f64::from(got.logit[i]) - logits[i][row.ids[i + 1] as usize]).abs())
        .fold(0.0, f64::max);
    for i in 0..got.len() {
        let target = logits[i][row.ids[i + 1] as usize];
        let near = logits[i].iter().filter(|&&x| (x - target).abs() <= 2.0 * delta).count() as f64 - 1.0;
        let gap = (f64::from(got.rank[i]) - want[i]).abs();
        assert!(gap <= near, "rank {} against {}, {near} entries near", got.rank[i], want[i]);
        largest = largest.max(gap as u32);
    }
    largest
}

/// The lists hold the reference's ids (equal ones may swap) and log-probabilities.
fn check_top(row: &Row, got: &TokenScores) {
    assert_eq!(got.k, K);
    if !row.tensors.contains_key("top_logprobs") {
        return;
    }
    let want = row.f64("top_logprobs");
    assert!(max_gap(&got.top_logprobs, &want) <= TOLERANCE);
    let ids = row.f64("top_ids");
    for (place, (&id, &wanted)) in got.top_ids.iter().zip(&ids).enumerate() {
        let swapped = || {
            let neighbour = |other: usize| {
                other / K == place / K
                    && (want[place] - want[other]).abs() < 2.0 * TOLERANCE
                    && ids[other] == f64::from(id)
            };
            neighbour(place.saturating_sub(1)) || (place + 1 < want.len() && neighbour(place + 1)) || place % K == K - 1
        };
        assert!(f64::from(id) == wanted || swapped(), "place {place}: id {id}, not {wanted}");
    }
}

#[test]
fn bf16_is_no_further_from_f32_than_transformers_bf16() {
    println!("Δ logprob of bf16 against f32: mean |Δ|, and the mean of Δ in its standard errors");
    let has_bf16 = |row: &Row| row.tensors.contains_key("logprob_bf16body");
    let fixtures = fixtures().map(|fixture| (fixture, reference(fixture)));
    let mut leaning = Vec::new();
    for (fixture, rows) in fixtures.filter(|(_, rows)| rows.iter().all(has_bf16)) {
        let ids: Vec<&[u32]> = rows.iter().map(|r| r.ids.as_slice()).collect();
        let scores = score(&engine(fixture, DType::BF16, 4096), &ids);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for (row, got) in rows.iter().zip(&scores) {
            for ((got, want), bf16) in got.logprob.iter().zip(row.f64("logprob")).zip(row.f64("logprob_bf16body")) {
                ours.push(f64::from(*got) - want);
                theirs.push(bf16 - want);
            }
        }
        let of_factor = OF_FACTOR.iter().find(|(name, _)| *name == fixture).map_or(0.0, |(_, mean)| *mean);
        let [(size, lean), (size_theirs, lean_theirs)] =
            [&ours, &theirs].map(|deltas| size_and_lean(deltas, of_factor));
        let count = ours.len();
        println!(
            "{fixture:14} ours {size:.5} {lean:+5.1}, transformers {size_theirs:.5} {lean_theirs:+5.1}, {count} tokens"
        );
        assert!(count > 200 && size <= 1.1 * size_theirs, "{fixture}");
        leaning.extend((lean.abs() > 3.0).then_some(fixture));
    }
    assert!(leaning.is_empty(), "rounding leans to one side: {leaning:?}");
}

/// Mean |Δ|, and the mean of Δ, less what is `expected` of it, over its standard error.
fn size_and_lean(deltas: &[f64], expected: f64) -> (f64, f64) {
    let n = deltas.len() as f64;
    let mean = deltas.iter().sum::<f64>() / n;
    let variance = deltas.iter().map(|delta| (delta - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (deltas.iter().map(|delta| delta.abs()).sum::<f64>() / n, (mean - expected) / (variance / n).sqrt())
}

#[test]
fn every_axis_of_the_spec_is_visible() {
    #[derive(Clone, serde::Deserialize)]
    struct Mutation {
        fixture: String,
        axis: String,
        what: String,
        max_delta_logprob: f64,
    }
    let read =
        |file: &str| -> Vec<Mutation> { serde_json::from_slice(&std::fs::read(directory(file)).unwrap()).unwrap() };
    let mutations = [read("mutations.json"), read("families.json"), read("adapters.json")].concat();
    let mut most: HashMap<&str, f64> = HashMap::new();
    for m in &mutations {
        println!("{:46} {:14} {:10.4}  {}", m.axis, m.fixture, m.max_delta_logprob, m.what);
        let delta = most.entry(&m.axis).or_default();
        *delta = delta.max(m.max_delta_logprob);
    }
    let (axis, least) = most.iter().min_by(|a, b| a.1.total_cmp(b.1)).unwrap();
    println!("{} mutations on {} axes; the least visible, {axis}, moves {least}", mutations.len(), most.len());
    for fixture in fixtures().filter(|name| *name != "qwen3-shifted") {
        assert!(mutations.iter().any(|m| m.fixture == *fixture), "no mutations of {fixture}");
    }
    assert!(most.len() >= 25, "only {} axes", most.len());
    let blind: Vec<_> = most.iter().filter(|(_, delta)| **delta < 20.0 * TOLERANCE).collect();
    assert!(blind.is_empty(), "no fixture sees a mistake here: {blind:?}");
}
