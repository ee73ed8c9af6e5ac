//! What is fuzzed: every reader of files that others wrote, as functions of the file's bytes.
//!
//! Owns the bed that a file is laid in and what must hold of whatever is read; the fuzz targets and the test of their
//! corpora call the same functions. Rejects expectations of a particular input: any bytes may come.

#[path = "../../tests/common/made.rs"]
mod made;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use candle_core::Device;
use tempfile::TempDir;
use tokshift::dataset::{self, Content, FieldNames, PlanOptions, Row, RowOptions};
use tokshift::decoder::{Adapter, Backend, Body, Checkpoint, Head, LogitBlock};
use tokshift::recorded::{self, Format, Request};
use tokshift::sample::{ResponseToken, Sample, Status};
use tokshift::scores::TokenScores;
use tokshift::stop::Stop;
use tokshift::store::{self, Cell, Manifest, ResponseSetManifest, ResultFile, Store};
use tokshift::table::{ScoredSample, samples_batch, tokens_batch};
use tokshift::template::ChatTemplate;
use tokshift::tokenize::TextTokenizer;
use tokshift::{experiments, forest, shift, verify};

/// A reader under test.
pub type Target = fn(&[u8]);

/// Every target by the name of its corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("dataset", dataset),
    ("packed", packed),
    ("shapes", shapes),
    ("config", config),
    ("weights", weights),
    ("adapter", adapter),
    ("gguf", gguf),
    ("token_losses", token_losses),
    ("recorded", recorded_rows),
    ("manifest", manifest),
    ("tables", tables),
    ("names", names),
    ("chat_template", chat_template),
    ("experiments", experiments),
];

/// Rows as lines or as an array: what the scan counted is what the parts give.
pub fn dataset(bytes: &[u8]) {
    let bed = folder();
    let path = bed.path().join("rows.jsonl");
    write(&path, bytes);
    let keep = vec!["reward".to_owned(), "tag".to_owned()];
    let kept = RowOptions { cluster: Some("group".to_owned()), keep, ..RowOptions::default() };
    for rows in [RowOptions::default(), kept] {
        let Ok(plan) = dataset::scan(&path, PlanOptions { rows, ..PlanOptions::default() }) else { continue };
        let mut next = (0, 0);
        for part in 0..plan.parts.len() as u32 {
            for row in plan.read_part(part).expect("a part of an unchanged file") {
                assert_eq!((row.row, row.first_sample), next);
                next = (next.0 + 1, next.1 + row.samples());
            }
        }
        assert_eq!(next, (plan.rows, plan.samples));
    }
}

/// A file of rows that is packed, by its first bytes: gzip, zstd or Parquet.
pub fn packed(bytes: &[u8]) {
    let is_packed = [&b"\x1F\x8B"[..], b"\x28\xB5\x2F\xFD", b"PAR1"].iter().any(|magic| bytes.starts_with(magic));
    if is_packed {
        dataset(bytes);
    }
}

/// One row, as every shape that it may have: its samples are as many as it says, and each has its number.
pub fn shapes(bytes: &[u8]) {
    let named = ["prompt=input", "messages=input", "arguments=input", "response_token_ids=input", "id=input"];
    for name in [None].into_iter().chain(named.map(Some)) {
        let pairs: Vec<String> = name.map(str::to_owned).into_iter().collect();
        let fields = FieldNames::parse(&pairs).expect("names of one shape");
        let Ok(row) = Row::parse(bytes, &RowOptions { fields, ..RowOptions::default() }, &[]) else { continue };
        assert!(row.samples() > 0);
        assert_eq!(row.samples(), row.contents.iter().map(Content::samples).sum::<u32>());
    }
}

/// A file of experiments: what it plans lies inside its outputs, and every cell has a place of its own.
pub fn experiments(bytes: &[u8]) {
    let bed = folder();
    let path = bed.path().join("study.toml");
    write(&path, bytes);
    let Ok(study) = experiments::read(&path) else { return };
    assert!(!study.experiments.is_empty());
    let mut places = BTreeSet::new();
    for experiment in &study.experiments {
        assert!(!experiment.models.is_empty() && !experiment.task_files.is_empty());
        for file in &experiment.task_files {
            let names = [&*experiment.generation_model, &file.task];
            let folders = names.map(|name| store::folder_name(name).expect("a name that was accepted"));
            assert!(folders.iter().all(|folder| !folder.contains('/') && folder != ".."));
            assert!(places.insert((experiment.output.clone(), folders)));
        }
    }
}

/// A model whose `config.json` is fuzzed, with valid weights.
pub fn config(bytes: &[u8]) {
    load(bytes, include_bytes!("../corpus/weights/tiny"));
}

/// A model whose `model.safetensors` is fuzzed, with a valid config.
pub fn weights(bytes: &[u8]) {
    load(include_bytes!("../corpus/config/tiny"), bytes);
}

/// An adapter on a model that is well: by the first byte its `adapter_config.json` or its weights are fuzzed, the other
/// file is well.
pub fn adapter(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else { return };
    let well: [&[u8]; 2] =
        [&include_bytes!("../corpus/adapter/config")[1..], &include_bytes!("../corpus/adapter/weights")[1..]];
    let [config, weights] = if which & 1 == 0 { [bytes, well[1]] } else { [well[0], bytes] };
    let bed = folder();
    write(&bed.path().join("config.json"), include_bytes!("../corpus/config/tiny"));
    write(&bed.path().join("model.safetensors"), include_bytes!("../corpus/weights/tiny"));
    write(&bed.path().join("adapter_config.json"), config);
    write(&bed.path().join("adapter_model.safetensors"), weights);
    let Ok(adapter) = Adapter::open(bed.path()) else { return };
    let checkpoint = Checkpoint::open(bed.path()).expect("a model that is well");
    let (body, head) = of(&checkpoint).expect("weights that are well");
    if let Ok((body, head)) = adapter.join(checkpoint.spec(), &body, &head, &Device::Cpu) {
        run(&body, &head);
    }
}

fn load(config: &[u8], weights: &[u8]) {
    let bed = folder();
    write(&bed.path().join("config.json"), config);
    write(&bed.path().join("model.safetensors"), weights);
    load_and_run(bed.path());
}

/// A GGUF file: model, tokenizer and chat template.
pub fn gguf(bytes: &[u8]) {
    let bed = folder();
    let path = bed.path().join("model.gguf");
    write(&path, bytes);
    if let Ok(tokenizer) = TextTokenizer::from_file(&path) {
        assert!(tokenizer.prefix().len() <= 1);
    }
    if let Ok(Some(template)) = ChatTemplate::of_model(&path) {
        let _ = template.render(&serde_json::json!([{"role": "user", "content": "a"}]), None, true);
    }
    load_and_run(&path);
}

fn load_and_run(model: &Path) {
    let Ok(checkpoint) = Checkpoint::open(model) else { return };
    checkpoint.unread();
    if let Ok((body, head)) = of(&checkpoint) {
        run(&body, &head);
    }
}

fn of(checkpoint: &Checkpoint) -> tokshift::Result<(Body, Head)> {
    let (dtype, cpu) = (checkpoint.stored_dtype(), Device::Cpu);
    Ok((
        Body::load(checkpoint, dtype, &cpu, Backend::of(&cpu)?)?,
        Head::load(checkpoint, None, dtype, &cpu, Backend::of(&cpu)?)?,
    ))
}

fn run(body: &Body, head: &Head) {
    // What loads can be run, whatever comes of it; the model has ids 0 and 1.
    let sample = Sample { ids: vec![0, 1, 1], ..text(0) };
    for forest in forest::pack(&[&sample], 16) {
        let never = AtomicBool::new(false);
        let stop = Stop::new(&never);
        let whole = |block: LogitBlock| assert_eq!(block.row(0).len(), block.width);
        let _ = body.forward(&forest, &stop).and_then(|hidden| head.for_each_block(&hidden, &stop, whole));
    }
}

/// A token-loss file of the study: what is imported can be found, and is well.
pub fn token_losses(bytes: &[u8]) {
    let bed = folder();
    let path = bed.path().join("Q_P_task_token_losses.json");
    write(&path, bytes);
    let out = bed.path().join("out");
    let (files, output_dir, format) = (vec![path], out.clone(), Some(Format::TokenLosses));
    let request = Request { files, output_dir, format, ..Request::default() };
    let Ok(imported) = recorded::import(&request, &|_| (), &Stop::never()) else { return };
    let cell = imported.into_iter().next().expect("one file").cell;
    let found = store::cells(&out).expect("the cell that was imported");
    assert_eq!((&found[0].cell, found[0].missing.len()), (&cell, 0));
    let report = verify::verify(&out).expect("a folder that can be listed");
    assert!(report.is_well(), "{report:?}");
}

/// Rows of recorded numbers, in the format that the first of them has: whatever is imported is well.
pub fn recorded_rows(bytes: &[u8]) {
    let bed = folder();
    let path = bed.path().join("G_t.jsonl");
    write(&path, bytes);
    let out = bed.path().join("out");
    let (files, output_dir) = (vec![path], out.clone());
    let request = Request { files, output_dir, ..Request::default() };
    if recorded::import(&request, &|_| (), &Stop::never()).is_ok() {
        let report = verify::verify(&out).expect("a folder that can be listed");
        assert!(report.is_well(), "{report:?}");
    }
}

/// A model's manifest next to that of its response set, and that of a response set next to a model's: what is read stays the same when it is
/// written.
pub fn manifest(bytes: &[u8]) {
    let cell = |task: &str| Cell::new("G", task, "M");
    let bed = folder();
    let runs = |name: &str| bed.path().join("runs/generation_model=G").join(name);
    let (of_model, text) = (runs("task=T/model=M/manifest.json"), runs("task=T/text.json"));
    let well = facts(&cell("T")).text();
    write(&text, well.to_json().expect("a manifest as JSON").as_bytes());
    // Zeros stand for the digest of the text, which no fuzzer finds.
    let digest = well.digest().expect("a manifest as JSON");
    let named = str::from_utf8(bytes).map(|text| text.replace(&"0".repeat(64), &digest));
    write(&of_model, named.as_ref().map_or(bytes, |text| text.as_bytes()));
    let other = runs("task=U/text.json");
    write(&other, bytes);
    let _ = store::cells(bed.path());
    let report = verify::verify(bed.path()).expect("a folder that can be listed");
    let (found, found_text) = (Manifest::read(&of_model), ResponseSetManifest::read(&other));
    assert!(found.is_ok() && found_text.is_ok() || !report.is_well());
    // Of another text by its own words, `verify` calls it moved.
    if let Some(manifest) = found.ok().filter(|found| (&*found.generation_model, &*found.task) == ("G", "T")) {
        write(&of_model, manifest.to_json().expect("a manifest as JSON").as_bytes());
        let again = Manifest::read(&of_model).expect("the manifest that was written");
        manifest.must_equal(&again, &of_model).expect("the same manifest");
    }
    if let Ok(found) = found_text {
        let next_to_it = runs("task=U/model=M/manifest.json");
        let manifest = facts(&cell("U")).over(found);
        write(&other, manifest.text().to_json().expect("a manifest as JSON").as_bytes());
        write(&next_to_it, manifest.to_json().expect("a manifest as JSON").as_bytes());
        assert_eq!(Manifest::read(&next_to_it).expect("the manifest that was written"), manifest);
    }
}

/// Names of partition folders: one form each.
pub fn names(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Some(name) = store::names::decode(text) {
        assert_eq!(store::names::encode(&name).expect("a name"), text);
    }
    if let Ok(encoded) = store::names::encode(text) {
        assert_eq!(store::names::decode(&encoded).as_deref(), Some(text));
        assert_eq!(Path::new(&encoded).components().count(), 1);
    }
}

/// A chat template, over messages of every kind: what is rendered is rendered again, and there are as many turns as
/// messages of the assistant. After a NUL the messages and tools themselves.
pub fn chat_template(bytes: &[u8]) {
    let bed = folder();
    let mut parts = bytes.splitn(2, |&byte| byte == 0);
    let (source, row) = (parts.next().unwrap_or_default(), parts.next().unwrap_or(include_bytes!("chat.json")));
    write(&bed.path().join("chat_template.jinja"), source);
    write(&bed.path().join("tokenizer_config.json"), br#"{"bos_token": "<s>", "eos_token": "</s>"}"#);
    let Ok(Some(template)) = ChatTemplate::of_model(bed.path()) else { return };
    let Ok(row) = serde_json::from_slice::<serde_json::Value>(row) else { return };
    let (messages, tools) = (&row["messages"], row.get("tools"));
    let text = template.render(messages, tools, true);
    assert_eq!(text, template.render(messages, tools, true));
    let Ok(turns) = template.turns(messages, tools, 0) else { return };
    let of_assistant = messages.as_array().into_iter().flatten().filter(|message| message["role"] == "assistant");
    assert_eq!(turns.len(), of_assistant.count());
}

thread_local! {
    static TABLES: RefCell<Option<Tables>> = const { RefCell::new(None) };
}

/// Q's tokens or samples table, by the first byte, with valid tables: what cannot be compared is not valid.
/// The first byte also says whether the bytes are taken as a damaged file, or given a hash that fits them.
pub fn tables(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else { return };
    let mut bytes = bytes.to_vec();
    let is_sealed = which & 2 != 0;
    if is_sealed {
        tokshift::table::seal(&mut bytes);
    }
    TABLES.with_borrow_mut(|tables| tables.get_or_insert_with(Tables::new).compare(which & 1 == 0, &bytes, is_sealed));
}

/// An output directory of P and Q.
struct Tables {
    bed: TempDir,
    /// Q's tokens and samples, and what they hold when all is well.
    tokens: (PathBuf, Vec<u8>),
    samples: (PathBuf, Vec<u8>),
}

impl Tables {
    fn new() -> Self {
        let bed = folder();
        publish(bed.path(), "P");
        publish(bed.path(), "Q");
        let q = store::cells(bed.path()).expect("two cells").swap_remove(1);
        let content = |file: &ResultFile| (file.path().to_owned(), fs::read(file).expect("a table"));
        let (tokens, samples) = (content(&q.tokens[0]), content(&q.samples[0]));
        Self { bed, tokens, samples }
    }

    fn compare(&self, tokens: bool, bytes: &[u8], is_sealed: bool) {
        write(&self.tokens.0, if tokens { bytes } else { &self.tokens.1 });
        write(&self.samples.0, if tokens { &self.samples.1 } else { bytes });
        let options = shift::Options { quantiles: Some(shift::EXACT), ..shift::Options::default() };
        let compared = shift::compare(self.bed.path(), &options);
        let report = verify::verify(self.bed.path()).expect("a folder that can be listed");
        assert!(compared.is_ok() || is_sealed || !report.is_well(), "nothing is wrong, but: {compared:?}");
    }
}

/// One part of three samples, scored by `model`.
fn publish(root: &Path, model: &str) {
    let cell = Cell::new("P", "t", model);
    let samples: Vec<ScoredSample> = (0..3).map(scored).collect();
    let store = Store::open(root).expect("a folder that can be written");
    let store = store.cell(&cell, &facts(&cell)).expect("a new cell");
    let mut part = store.begin(0).expect("a part");
    let tables = (samples_batch(&samples, &[]).expect("samples"), tokens_batch(&samples).expect("tokens"));
    part.write(&tables.0, &tables.1).expect("room");
    part.commit().expect("a new part");
}

fn facts(cell: &Cell) -> Manifest {
    let mut facts = made::manifest(cell, made::parts(&[3]));
    facts.tokens.max_tokens = 9;
    facts
}

/// "ab" after "c".
fn text(sample_id: u32) -> Sample {
    let token = |i: u32| ResponseToken { index: 1 + i, start: i, end: i + 1, straddles: false, is_end: false };
    Sample {
        cluster_id: format!("c{sample_id}"),
        prompt: "c".to_owned(),
        response: "ab".to_owned(),
        tokens: vec![token(0), token(1)],
        prompt_tokens_alone: 1,
        ..made::sample(sample_id, vec![0, 1, 2], 1)
    }
}

/// Over three ids of which two are listed; sample 1 failed.
fn scored(sample_id: u32) -> ScoredSample {
    let mut sample = text(sample_id);
    if sample_id == 1 {
        sample.fail(Status::Failed, "out of memory");
        return ScoredSample { sample, scores: None };
    }
    let [half, quarter] = [0.5_f32, 0.25].map(f32::ln);
    let scores = TokenScores {
        logprob: vec![half, quarter],
        logit: vec![1.0, 0.5],
        rank: vec![1, 2],
        ties: vec![0, 1],
        entropy: vec![1.5 * std::f32::consts::LN_2; 2],
        rest_logprob: vec![quarter, f32::NEG_INFINITY],
        min_logprob: vec![quarter; 2],
        top_ids: vec![1, 2, 0, 1],
        top_logprobs: vec![half, quarter, half, quarter],
        k: 2,
        top_ends: Vec::new(),
        hidden: Vec::new(),
    };
    ScoredSample { sample, scores: Some(scores) }
}

/// A new folder, in memory where there is such a place.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::tempdir_in(parent).expect("room for a folder")
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("a file in a folder")).expect("room for a folder");
    fs::write(path, bytes).expect("room for a file");
}
