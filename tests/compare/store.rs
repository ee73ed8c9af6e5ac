//! Tables and the output directory as other programs see them: whole or not there, under the names people gave.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::common::made;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Float32Type, Schema, UInt32Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Encoding;
use parquet::file::metadata::ColumnChunkMetaData;
use proptest::prelude::*;
use tempfile::TempDir;
use tokshift::Error;
use tokshift::sample::{ResponseToken, Sample, Status};
use tokshift::schema::token;
use tokshift::scores::TokenScores;
use tokshift::shift;
use tokshift::store::{self, Cell, CellStore, Manifest, Store};
use tokshift::table::{ScoredSample, samples_batch, tokens_batch};
use tokshift::verify;

const CELL: &str = "generation_model=rl/task=demo/model=m";

fn cell(model: &str) -> Cell {
    Cell::new("rl", "demo", model)
}

/// Of a dataset in two parts.
fn manifest(cell: &Cell) -> Manifest {
    made::manifest(cell, made::parts(&[3, 3]))
}

/// A sample of `tokens` one-byte tokens after `context` ids.
fn sample(sample_id: u32, context: u32, tokens: u32) -> Sample {
    let token = |i| ResponseToken { index: context + i, start: i, end: i + 1, straddles: false, is_end: false };
    Sample {
        cluster_id: "c".to_owned(),
        prompt: "p".to_owned(),
        response: "x".repeat(tokens as usize),
        tokens: (0..tokens).map(token).collect(),
        prompt_tokens_alone: context,
        ..made::sample(sample_id, (0..context + tokens).collect(), context)
    }
}

/// Any scores that fit the sample: numbers that never repeat, -inf among them.
fn scored(sample: Sample, k: usize, seed: u32) -> ScoredSample {
    let n = sample.scored_tokens().count();
    let mut state = u64::from(seed) << 32 | u64::from(sample.sample_id);
    let mut number = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let x = (state >> 40) as f32 / 1e6;
        if state >> 61 == 0 { f32::NEG_INFINITY } else { -x }
    };
    let mut column = |length: usize| (0..length).map(|_| number()).collect::<Vec<f32>>();
    let scores = TokenScores {
        logprob: column(n),
        logit: column(n),
        rank: (1..).take(n).collect(),
        ties: vec![0; n],
        entropy: column(n),
        rest_logprob: column(n),
        min_logprob: column(n),
        top_ids: (seed..).take(n * k).collect(),
        top_logprobs: column(n * k),
        k,
        top_ends: Vec::new(),
        hidden: Vec::new(),
    };
    ScoredSample { sample, scores: Some(scores) }
}

fn unscored(sample_id: u32) -> ScoredSample {
    let mut sample = sample(sample_id, 1, 0);
    sample.fail(Status::Empty, "the response has no token");
    ScoredSample { sample, scores: None }
}

fn publish(cell: &CellStore, part: u32, samples: &[ScoredSample]) -> tokshift::Result<()> {
    let mut writer = cell.begin(part)?;
    writer.write(&samples_batch(samples, &[])?, &tokens_batch(samples)?)?;
    writer.commit().map(drop)
}

fn three(first: u32) -> Vec<ScoredSample> {
    vec![scored(sample(first, 2, 3), 2, 1), unscored(first + 1), scored(sample(first + 2, 0, 2), 2, 2)]
}

fn read(path: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    // Without what the footer says of the file: its hash.
    let schema = Arc::new(Schema::new(reader.schema().fields().clone()));
    let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

/// Files under the root, as paths within it, but for locks.
fn files(root: &Path) -> BTreeSet<String> {
    fn walk(root: &Path, folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_lock = path.file_name().unwrap().to_str().unwrap().starts_with("lock-");
            if path.is_dir() {
                walk(root, &path, found);
            } else if !is_lock {
                found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(root, root, &mut found);
    found
}

fn open(root: &Path, model: &str) -> CellStore {
    let cell = cell(model);
    Store::open(root).unwrap().cell(&cell, &manifest(&cell)).unwrap()
}

#[test]
fn what_is_committed_is_found_and_reads_back() {
    let root = TempDir::new().unwrap();
    let cell = open(root.path(), "m");
    assert!(cell.done().is_empty());
    // The last part first: parts are done in any order, and listed in theirs.
    publish(&cell, 1, &three(3)).unwrap();
    let found = store::cells(root.path()).unwrap();
    assert_eq!((found[0].parts.as_slice(), found[0].missing.as_slice()), ([1].as_slice(), [0].as_slice()));
    publish(&cell, 0, &three(0)).unwrap();
    assert_eq!(cell.done(), BTreeSet::from([0, 1]));
    let found = store::cells(root.path()).unwrap();
    assert_eq!((found.len(), &found[0].cell, found[0].missing.len()), (1, &self::cell("m"), 0));
    for (part, first) in [0, 3].into_iter().enumerate() {
        assert_eq!(read(found[0].tokens[part].path()), tokens_batch(&three(first)).unwrap());
        assert_eq!(read(found[0].samples[part].path()), samples_batch(&three(first), &[]).unwrap());
    }
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    let roots = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    for root in &roots {
        let cell = open(root.path(), "m");
        publish(&cell, 0, &three(0)).unwrap();
        publish(&cell, 1, &three(3)).unwrap();
    }
    let [one, other] = roots.each_ref().map(|root| files(root.path()));
    assert_eq!((one.len(), &one), (6, &other));
    for file in one {
        let [a, b] = roots.each_ref().map(|root| fs::read(root.path().join(&file)).unwrap());
        assert_eq!(a, b, "{file}");
    }
}

/// Whatever people call a model, nothing is written outside its folder, and the name comes back.
#[test]
fn hostile_names_stay_inside() {
    let outside = TempDir::new().unwrap();
    let root = outside.path().join("a/out");
    let names = ["..", ".", "../x", "../../../x", "/abs", "a/b", "a\\b", "x\0y", "%2E%2E", "m=1", "é", "CON", " ", "~"];
    for name in names {
        let cell = Cell::new(name, name, name);
        let store = Store::open(&root).unwrap();
        let cell = store.cell(&cell, &manifest(&cell)).unwrap();
        publish(&cell, 0, &three(0)).unwrap();
    }
    let paths = files(outside.path());
    assert_eq!(paths.len(), 4 * names.len());
    for path in paths.into_iter().filter(|path| !path.ends_with("/text.json")) {
        let levels: Vec<&str> = path.split('/').collect();
        let keys = ["generation_model=", "task=", "model="];
        assert_eq!((&levels[..2], levels.len()), (["a", "out"].as_slice(), 7), "{path}");
        assert!(keys.iter().zip(&levels[3..]).all(|(key, level)| level.starts_with(key)), "{path}");
    }
    let found: BTreeSet<_> = store::cells(&root).unwrap().into_iter().map(|found| found.cell.model).collect();
    assert_eq!(found, names.map(str::to_owned).into());
    for name in [String::new(), "x".repeat(300)] {
        let cell = cell(&name);
        let error = Store::open(&root).unwrap().cell(&cell, &manifest(&cell)).unwrap_err();
        assert!(matches!(error, Error::Usage(_)), "{error}");
    }
}

#[test]
fn a_part_that_was_not_written_is_not_done() {
    let root = TempDir::new().unwrap();
    let cell = open(root.path(), "m");
    let error = cell.begin(0).unwrap().commit().unwrap_err().to_string();
    assert!(error.contains("nothing was written for it"), "{error}");
    assert!(!cell.is_done(0));
    // Written twice is written once.
    let mut writer = cell.begin(0).unwrap();
    for samples in [three(3), three(0)] {
        writer.write(&samples_batch(&samples, &[]).unwrap(), &tokens_batch(&samples).unwrap()).unwrap();
    }
    writer.commit().unwrap();
    assert_eq!(read(store::cells(root.path()).unwrap()[0].tokens[0].path()), tokens_batch(&three(0)).unwrap());
}

/// Crash after making the folder, before the manifest: such a run decided nothing and hides no other.
#[test]
fn folders_without_a_manifest_and_files_of_file_managers_are_no_cells() {
    let root = TempDir::new().unwrap();
    publish(&open(root.path(), "m"), 0, &three(0)).unwrap();
    let models = root.path().join("runs/generation_model=rl/task=demo");
    fs::create_dir_all(models.join("model=crashed")).unwrap();
    fs::create_dir_all(root.path().join("runs/generation_model=empty/task=empty")).unwrap();
    for folder in [root.path().join("runs"), models.clone()] {
        fs::write(folder.join(".DS_Store"), "").unwrap();
    }
    let found = store::cells(root.path()).unwrap();
    assert_eq!(found.iter().map(|found| found.cell.model.as_str()).collect::<Vec<_>>(), ["m"]);
    open(root.path(), "crashed");
    // What is neither is named.
    fs::create_dir(models.join("backup of m")).unwrap();
    let error = store::cells(root.path()).unwrap_err().to_string();
    assert!(error.contains("backup of m`: expected a folder `model=…` here"), "{error}");
}

#[test]
fn parts_without_their_manifest_are_not_taken_for_this_run_s() {
    let root = TempDir::new().unwrap();
    publish(&open(root.path(), "m"), 0, &three(0)).unwrap();
    let manifest_file = root.path().join("runs").join(CELL).join("manifest.json");
    let text_file = root.path().join("runs/generation_model=rl/task=demo/text.json");
    let text = fs::read(&text_file).unwrap();
    fs::remove_file(&text_file).unwrap();
    let error = store::cells(root.path()).unwrap_err().to_string();
    let described =
        "text.json` is missing, so which rows were scored is unknown: delete this and its parts, and score again";
    assert!(error.starts_with(&format!("`{}`: ", manifest_file.display())) && error.ends_with(described), "{error}");
    fs::write(&text_file, text).unwrap();
    fs::remove_file(&manifest_file).unwrap();
    let (cell, store) = (cell("m"), Store::open(root.path()).unwrap());
    let error = store.cell(&cell, &manifest(&cell)).unwrap_err().to_string();
    assert!(error.contains("manifest.json`: is missing, so the options of its parts are unknown"), "{error}");
    fs::remove_dir_all(root.path().join("tokens")).unwrap();
    fs::remove_dir_all(root.path().join("samples")).unwrap();
    publish(&open(root.path(), "m"), 0, &three(0)).unwrap();
}

#[test]
fn a_format_that_is_not_known_is_no_path() {
    let root = TempDir::new().unwrap();
    publish(&open(root.path(), "m"), 0, &three(0)).unwrap();
    let path = root.path().join("runs").join(CELL).join("manifest.json");
    let text = fs::read_to_string(&path).unwrap().replace("\"parquet\"", "\"/../../secret\"");
    fs::write(&path, text).unwrap();
    let error = store::cells(root.path()).unwrap_err().to_string();
    assert!(error.contains("tables of a format that is not known: `/../../secret`"), "{error}");
}

/// Nothing of it depends on permissions, which root does not have.
#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let root = TempDir::new().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    for place in [file.clone(), file.join("below"), "/proc/tokshift".into()] {
        let error = Store::open(&place).unwrap_err().to_string();
        let start = format!("cannot write in the output directory `{}`: ", place.display());
        assert!(error.starts_with(&start), "{error}");
    }
    assert!(store::cells(&root.path().join("none")).unwrap_err().to_string().ends_with("no such directory"));
    assert!(store::cells(root.path()).unwrap_err().to_string().contains("contains no runs"));
}

/// A run that finds out late that another model came first with other rows must not stand in that one's way.
#[test]
fn a_run_that_comes_second_leaves_nothing() {
    let root = TempDir::new().unwrap();
    let store = Store::open(root.path()).unwrap();
    let first = open(root.path(), "m");
    let mut other = manifest(&cell("other"));
    other.dataset.limit = Some(3);
    let second = store.cell(&cell("other"), &other).unwrap();
    publish(&first, 0, &three(0)).unwrap();
    let before = files(root.path());
    let error = publish(&second, 0, &three(0)).unwrap_err();
    assert!(matches!(error, Error::Mismatch { ref field, .. } if field == "--limit"), "{error}");
    assert_eq!(files(root.path()), before);
    publish(&first, 1, &three(3)).unwrap();
}

/// Models that start at once over what they take for the same rows: those that publish agree.
#[test]
fn racing_models_agree_on_the_rows() {
    for _ in 0..20 {
        let root = TempDir::new().unwrap();
        let store = Store::open(root.path()).unwrap();
        let run = |i: u32| {
            let cell = cell(&format!("m{i}"));
            let mut manifest = manifest(&cell);
            manifest.dataset.limit = Some(i % 2);
            publish(&store.cell(&cell, &manifest)?, 0, &three(0)).map(|()| i % 2)
        };
        let outcomes: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..6).map(|i| scope.spawn(move || run(i))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let published: BTreeSet<u32> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok().copied()).collect();
        assert!(published.len() <= 1, "both limits were published");
        for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            assert!(matches!(error, Error::Mismatch { field, .. } if field == "--limit"), "{error}");
        }
        let runs = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(files(root.path()).len(), 1 + 3 * runs);
    }
}

/// Scores of three samples that lack nothing `verify` asks for: every token has the log-probability given.
fn plain(first: u32, logprob: f32) -> Vec<ScoredSample> {
    let scored = |id| {
        let sample = sample(id, 2, 3);
        let scores = TokenScores { logprob: vec![logprob; 3], ..TokenScores::default() };
        ScoredSample { sample, scores: Some(scores) }
    };
    (first..first + 3).map(scored).collect()
}

/// Three processes score one part with other numbers (three processors, say) where file systems have no locks: what stays
/// is of one of them, whichever it is.
#[test]
fn a_part_is_never_of_two_processes() {
    let logprobs = [-1.0, -2.0, -3.0];
    for _ in 0..200 {
        let root = TempDir::new().unwrap();
        let cell = open(root.path(), "m");
        // Writers of one store do not lock each other out.
        let writers = logprobs.map(|logprob| {
            let (samples, mut writer) = (plain(0, logprob), cell.begin(0).unwrap());
            writer.write(&samples_batch(&samples, &[]).unwrap(), &tokens_batch(&samples).unwrap()).unwrap();
            writer
        });
        let published = thread::scope(|scope| {
            let threads = writers.map(|writer| scope.spawn(|| writer.commit().unwrap()));
            threads.map(|thread| thread.join().unwrap())
        });
        assert!(published.contains(&true) && cell.is_done(0));
        assert_eq!(verify::verify(root.path()).unwrap().problems, []);
    }
}

/// A part that is scored again while it is compared: what comes out is of its old tables or of its new ones, or rejected.
#[test]
fn figures_are_of_one_state_of_the_tables() {
    let root = TempDir::new().unwrap();
    let (p, q) = (open(root.path(), "rl"), open(root.path(), "q"));
    q.lock_alone().unwrap();
    publish(&p, 0, &plain(0, -1.0)).unwrap();
    publish(&q, 0, &plain(0, -2.0)).unwrap();
    // The mean of k1 comes from one pass, what Q gave the tokens to read first from another.
    let compare = || {
        let compared = shift::compare(root.path(), &shift::Options::default())?;
        let compared = serde_json::to_value(&compared).unwrap();
        let pair = &compared["pairs"][0];
        let read_first = pair["read_first"]["tokens"].as_array().unwrap().iter();
        let of_q: Vec<f64> = read_first.map(|token| -1.0 - token["logprob_q"].as_f64().unwrap()).collect();
        Ok::<_, Error>((pair["measures"][0]["token_mean"]["value"].as_f64().unwrap(), of_q))
    };
    assert_eq!(compare().unwrap(), (1.0, vec![1.0; 3]));
    let ends = AtomicBool::new(false);
    let found: Vec<_> = thread::scope(|scope| {
        scope.spawn(|| {
            // Each state once: tables that became what they were cannot be distinguished from those that stayed.
            for step in 1_i16.. {
                if ends.load(Ordering::Relaxed) {
                    break;
                }
                publish(&q, 0, &plain(0, -2.0 - f32::from(step) / 64.0)).unwrap();
            }
        });
        let found: Vec<_> = (0..30).filter_map(|_| compare().ok()).collect();
        ends.store(true, Ordering::Relaxed);
        found
    });
    for (k1, of_q) in found {
        assert!(of_q.iter().all(|nats| (nats - k1).abs() < 1e-6), "{k1} next to {of_q:?}");
    }
}

/// Encodings are addressed by column path: one that no longer fits a column would be passed over in silence.
#[test]
fn every_column_is_encoded_as_its_values_ask_for() {
    let root = TempDir::new().unwrap();
    publish(&open(root.path(), "m"), 0, &three(0)).unwrap();
    let path = root.path().join("tokens").join(CELL).join("part-00000000.parquet");
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
    let metadata = reader.metadata();
    assert_eq!((metadata.file_metadata().version(), metadata.file_metadata().created_by()), (1, Some("tokshift")));
    let group = metadata.row_group(0);
    let has = |column: &ColumnChunkMetaData, wanted| column.encodings().any(|encoding| encoding == wanted);
    let lists = [format!("{}.list.item", token::TOP_IDS), format!("{}.list.item", token::TOP_LOGPROBS)];
    for column in group.columns() {
        let name = column.column_path().string();
        let wanted = match name.as_str() {
            token::SAMPLE_ID | token::POSITION | token::START | token::END => Some(Encoding::DELTA_BINARY_PACKED),
            token::TOKEN | token::RANK | token::TIES => Some(Encoding::RLE_DICTIONARY),
            token::STRADDLES | token::IS_END => None,
            _ => Some(Encoding::BYTE_STREAM_SPLIT),
        };
        assert!(wanted.is_none_or(|wanted| has(column, wanted)), "{name}");
        assert_eq!(column.dictionary_page_offset().is_some(), wanted == Some(Encoding::RLE_DICTIONARY), "{name}");
        assert_eq!(column.statistics().is_none(), lists.contains(&name), "{name}");
        assert_eq!(column.compression().to_string(), "ZSTD(ZstdLevel(1))", "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Rows are the scored samples' tokens, in order, and every bit comes back from the file.
    #[test]
    fn tables_hold_every_token_once(
        shapes in prop::collection::vec((0u32..3, 0u32..20, any::<bool>()), 0..12),
        k in 0usize..4,
        seed in any::<u32>(),
    ) {
        let fits = |&(context, tokens, ok): &(u32, u32, bool)| ok && context + tokens > 1;
        let samples: Vec<ScoredSample> = (0..).zip(&shapes).map(|(id, shape)| match shape {
            &(context, tokens, _) if fits(shape) => scored(sample(id * 3, context, tokens), k, seed),
            _ => unscored(id * 3),
        }).collect();
        let rows: u32 = shapes.iter().filter(|shape| fits(shape)).map(|shape| shape.1).sum();
        let (tokens, table) = (tokens_batch(&samples).unwrap(), samples_batch(&samples, &[]).unwrap());
        prop_assert_eq!((tokens.num_rows(), table.num_rows()), (rows as usize, samples.len()));
        let column = |name: &str| tokens[name].as_primitive::<UInt32Type>().values().to_vec();
        let places: Vec<_> = column(token::SAMPLE_ID).into_iter().zip(column(token::POSITION)).collect();
        prop_assert!(places.is_sorted_by(|a, b| a < b));

        let root = TempDir::new().unwrap();
        let cell = open(root.path(), "m");
        publish(&cell, 0, &samples).unwrap();
        let found = store::cells(root.path()).unwrap();
        let back = read(found[0].tokens[0].path());
        prop_assert_eq!(&back, &tokens);
        prop_assert_eq!(&read(found[0].samples[0].path()), &table);
        let bits = |batch: &RecordBatch| -> Vec<Option<u32>> {
            batch[token::LOGPROB].as_primitive::<Float32Type>().iter().map(|x| x.map(f32::to_bits)).collect()
        };
        prop_assert_eq!(bits(&back), bits(&tokens));
        prop_assert_eq!(back[token::TOP_LOGPROBS].null_count(), 0);
    }
}
