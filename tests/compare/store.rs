//! Tables and the output directory as other programs see them: whole or not there, under the names people gave.

mod found;
mod races;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

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
use tokshift::store::{self, Cell, CellStore, Manifest, Store};
use tokshift::table::{ScoredSample, samples_batch, tokens_batch};

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
