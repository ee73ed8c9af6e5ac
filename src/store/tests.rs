use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::thread;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use tempfile::TempDir;

use super::*;
use crate::dataset::Part;

fn cell(model: &str) -> Cell {
    Cell { generation_model: "rl".to_owned(), task: "demo".to_owned(), model: model.to_owned() }
}

fn manifest(model: &str) -> Manifest {
    let part = Part { first_row: 0, rows: 3, first_sample: 0, samples: 3, offset: 0, bytes: 99, first_line: 1 };
    Manifest {
        format_version: crate::schema::FORMAT_VERSION,
        generation_model: "rl".to_owned(),
        task: "demo".to_owned(),
        model: model.to_owned(),
        out: "jsonl".to_owned(),
        dataset: DatasetFacts {
            blake3: "d".repeat(64),
            rows: 3,
            samples: 3,
            limit: None,
            window: None,
            fields: Vec::new(),
            cluster: None,
            keep_fields: Vec::new(),
        },
        tokens: TokenFacts {
            tokenizer: "t".repeat(64),
            vocabulary: None,
            bos: None,
            boundary: "joint".to_owned(),
            end: None,
            max_tokens: 512,
            too_long: "skip".to_owned(),
            chat_template: None,
            chat_template_kwargs: None,
        },
        engine: EngineFacts {
            name: "local".to_owned(),
            files: BTreeMap::from([("config.json".to_owned(), "c".repeat(64))]),
            dtype: "f32".to_owned(),
            device: "cpu".to_owned(),
            arithmetic: None,
            top_k: 20,
            vocab: None,
            vocabulary: None,
            other_texts: Vec::new(),
            chat_template: None,
            rank_rule: "strict".to_owned(),
            keep_hidden: None,
        },
        parts: vec![part],
    }
}

/// Stands for a table: the store does not look inside.
fn batch(value: u32) -> RecordBatch {
    let schema = Arc::new(Schema::new(vec![Field::new("sample_id", DataType::UInt32, false)]));
    RecordBatch::try_new(schema, vec![Arc::new(UInt32Array::from(vec![value; 4]))]).unwrap()
}

fn open(root: &TempDir) -> Store {
    Store::open(root.path()).unwrap()
}

fn cell_store(store: &Store, model: &str) -> CellStore {
    store.cell(&cell(model), &manifest(model), Format::Jsonl).unwrap()
}

fn publish(cell: &CellStore, part: u32) {
    let mut writer = cell.begin(part).unwrap();
    writer.write(&batch(part), &batch(part)).unwrap();
    writer.commit().unwrap();
}

/// Files under the root, as paths within it, but for locks.
fn files(root: &TempDir) -> BTreeSet<String> {
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
    walk(root.path(), root.path(), &mut found);
    found
}

const PLACE: &str = "generation_model=rl/task=demo/model=m";
const TEXT_PATH: &str = "runs/generation_model=rl/task=demo/text.json";

#[test]
fn a_part_is_published_whole() {
    let root = TempDir::new().unwrap();
    let cell = cell_store(&open(&root), "m");
    assert!(files(&root).is_empty());
    publish(&cell, 0);
    assert!(cell.is_done(0) && !cell.is_done(1));
    let expected = [
        TEXT_PATH.to_owned(),
        format!("runs/{PLACE}/manifest.json"),
        format!("samples/{PLACE}/part-00000000.jsonl"),
        format!("tokens/{PLACE}/part-00000000.jsonl"),
    ];
    assert_eq!(files(&root), BTreeSet::from(expected));
    let found = cells(root.path()).unwrap();
    assert_eq!((found.len(), &found[0].manifest), (1, &manifest("m")));
}

#[test]
fn without_a_commit_nothing_is_left() {
    let root = TempDir::new().unwrap();
    let cell = cell_store(&open(&root), "m");
    let mut writer = cell.begin(0).unwrap();
    writer.write(&batch(1), &batch(2)).unwrap();
    assert_eq!(files(&root).len(), 3);
    drop(writer);
    drop(cell.begin(1).unwrap());
    assert!(files(&root) == BTreeSet::from([TEXT_PATH.to_owned()]) && !cell.is_done(0));
}

/// What a power cut between the two renames leaves: samples alone are not a part.
#[test]
fn samples_come_first_and_tokens_mean_done() {
    let root = TempDir::new().unwrap();
    let cell = cell_store(&open(&root), "m");
    cell.claim().unwrap();
    // A file under the name of the tokens' folder stands in their way.
    let tokens = root.path().join(format!("tokens/{PLACE}"));
    fs::create_dir_all(tokens.parent().unwrap()).unwrap();
    fs::write(&tokens, "").unwrap();
    let mut writer = cell.begin(0).unwrap();
    writer.write(&batch(1), &batch(2)).unwrap();
    let error = writer.commit().unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot create `{}`: ", tokens.display())), "{error}");
    fs::remove_file(&tokens).unwrap();
    let left =
        [TEXT_PATH.to_owned(), format!("runs/{PLACE}/manifest.json"), format!("samples/{PLACE}/part-00000000.jsonl")];
    assert_eq!(files(&root), BTreeSet::from(left));
    assert!(!cell.is_done(0));
    assert_eq!(cells(root.path()).unwrap()[0].missing, [0]);

    publish(&cell, 0);
    assert!(cell.is_done(0));
    // The other way round cannot come about by itself, and is told.
    fs::remove_file(root.path().join(format!("samples/{PLACE}/part-00000000.jsonl"))).unwrap();
    let error = cells(root.path()).unwrap_err().to_string();
    assert!(error.ends_with("is missing, though its tokens are there: was it deleted?"), "{error}");
}

/// A part that is done again is the old one until it is ready; then it is not done until all of it is new.
#[test]
fn a_part_is_replaced_tokens_first() {
    let root = TempDir::new().unwrap();
    let cell = cell_store(&open(&root), "m");
    publish(&cell, 0);
    let (samples, _) = cell.samples(0);
    let tokens = root.path().join(format!("tokens/{PLACE}/part-00000000.jsonl"));
    let before = fs::read(&tokens).unwrap();
    let mut writer = cell.begin(0).unwrap();
    writer.write(&batch(7), &batch(8)).unwrap();
    assert_eq!((fs::read(&samples).unwrap(), fs::read(&tokens).unwrap()), (before.clone(), before.clone()));
    // As if the run ended before the new samples stood under their name.
    fs::remove_file(&samples).unwrap();
    fs::create_dir_all(samples.join("in the way")).unwrap();
    writer.commit().unwrap_err();
    assert!(!cell.is_done(0));

    fs::remove_dir_all(&samples).unwrap();
    publish(&cell, 0);
    let mut writer = cell.begin(0).unwrap();
    writer.write(&batch(7), &batch(8)).unwrap();
    writer.commit().unwrap();
    assert!(cell.is_done(0) && fs::read(&samples).unwrap() != before && fs::read(&tokens).unwrap() != before);
}

#[test]
fn a_run_that_publishes_nothing_decides_nothing() {
    let root = TempDir::new().unwrap();
    let store = open(&root);
    drop(cell_store(&store, "m").begin(0).unwrap());
    let mut other = manifest("m");
    other.engine.top_k = 5;
    other.tokens.max_tokens = 9;
    other.dataset.rows = 4;
    publish(&store.cell(&cell("m"), &other, Format::Jsonl).unwrap(), 0);
    assert!(store.cell(&cell("m"), &manifest("m"), Format::Jsonl).is_err());
    assert_eq!(store.manifest_of(&cell("m")).unwrap(), Some(other));
}

/// Contexts of 512 and of 300 tokens, begun at once: the first to lock settles the longest sample of both.
#[test]
fn the_first_settles_the_text_of_those_that_run_beside_it() {
    let root = TempDir::new().unwrap();
    let store = open(&root);
    let of = |model: &str, max_tokens| {
        let mut manifest = manifest(model);
        manifest.tokens.max_tokens = max_tokens;
        store.cell(&cell(model), &manifest, Format::Jsonl).unwrap()
    };
    let (long, short) = (of("long", 512), of("short", 300));
    short.lock().unwrap();
    long.lock().unwrap();
    assert_eq!((short.max_tokens(), long.max_tokens()), (300, 300));
    // What else it says differs, so it is told before anything is scored; the manifest of no model is there yet.
    let mut other = manifest("other");
    other.tokens.boundary = "separate".to_owned();
    let error = store.cell(&cell("other"), &other, Format::Jsonl).unwrap().lock().unwrap_err().to_string();
    let told = "text.json` was made with tokens.boundary = `joint`, this run has `separate`: give the same options";
    assert!(error.contains(told), "{error}");
    for cell in [&long, &short] {
        publish(cell, 0);
    }
    drop((long, short));
    assert_eq!(of("long", 512).max_tokens(), 300);
    let found = cells(root.path()).unwrap();
    assert_eq!(found.iter().map(|found| found.manifest.tokens.max_tokens).collect::<Vec<_>>(), [300, 300]);
    assert!(!root.path().join(".tmp").read_dir().unwrap().any(|_| true), "not even a lock is left");
}

type Change = fn(&mut Manifest);

const CHANGES: [(&str, Change); 23] = [
    ("out = `jsonl`, this run has `parquet`", |m| m.out = "parquet".into()),
    ("dataset.blake3 = `dddddddddddd…`, this run has `eeeeeeeeeeee…`", |m| m.dataset.blake3 = "e".repeat(64)),
    ("dataset.rows = 3, this run has 4", |m| m.dataset.rows = 4),
    ("dataset.samples = 3, this run has 5", |m| m.dataset.samples = 5),
    ("dataset.limit = null, this run has 3", |m| m.dataset.limit = Some(3)),
    ("dataset.cluster = null, this run has `group`", |m| m.dataset.cluster = Some("group".into())),
    ("dataset.keep_fields = a list of 0, this run has a list of 1", |m| m.dataset.keep_fields = vec!["x".into()]),
    ("tokens.tokenizer = `tttttttttttt…`, this run has `uuuuuuuuuuuu…`", |m| m.tokens.tokenizer = "u".repeat(64)),
    ("tokens.boundary = `joint`, this run has `separate`", |m| m.tokens.boundary = "separate".into()),
    ("tokens.end = null, this run has 304", |m| m.tokens.end = Some(304)),
    ("tokens.too_long = `skip`, this run has `truncate`", |m| m.tokens.too_long = "truncate".into()),
    ("engine.name = `local`, this run has `mock`", |m| m.engine.name = "mock".into()),
    ("engine.files.config.json = `cccccccccccc…`, this run has null", |m| m.engine.files.clear()),
    ("engine.files.x = null, this run has `y`", |m| _ = m.engine.files.insert("x".into(), "y".into())),
    ("engine.dtype = `f32`, this run has `bf16`", |m| m.engine.dtype = "bf16".into()),
    ("engine.device = `cpu`, this run has `cuda`", |m| m.engine.device = "cuda".into()),
    ("engine.top_k = 20, this run has 5", |m| m.engine.top_k = 5),
    ("engine.rank_rule = `strict`, this run has `other`", |m| m.engine.rank_rule = "other".into()),
    ("parts[0].bytes = 99, this run has 98", |m| m.parts[0].bytes = 98),
    ("parts = a list of 1, this run has a list of 0", |m| m.parts.clear()),
    ("generation_model = `rl`, this run has `sft`", |m| m.generation_model = "sft".into()),
    ("task = `demo`, this run has `other`", |m| m.task = "other".into()),
    // Names are shown whole: cut ones may look alike.
    ("model = `m`, this run has `a-name-of-38-characters-is-shown-whole`", |m| {
        m.model = "a-name-of-38-characters-is-shown-whole".into();
    }),
];

/// Whether a difference is told of what all models of a text share.
fn is_of_text(difference: &str) -> bool {
    ["dataset.", "tokens.", "parts", "generation_model", "task"].iter().any(|field| difference.starts_with(field))
}

#[test]
fn every_field_of_the_manifest_is_compared_and_named() {
    let root = TempDir::new().unwrap();
    let store = open(&root);
    publish(&cell_store(&store, "m"), 0);
    let path = root.path().join(format!("runs/{PLACE}/manifest.json"));
    let before = fs::read(&path).unwrap();
    cell_store(&store, "m");
    for (difference, change) in CHANGES {
        let mut changed = manifest("m");
        change(&mut changed);
        let error = store.cell(&cell("m"), &changed, Format::Jsonl).unwrap_err().to_string();
        let hint = "give the same options, or another --output-dir";
        let path = if is_of_text(difference) { root.path().join(TEXT_PATH) } else { path.clone() };
        assert_eq!(error, format!("`{}` was made with {difference}: {hint}", path.display()));
    }
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn siblings_share_rows_and_may_differ_in_the_rest() {
    let root = TempDir::new().unwrap();
    let store = open(&root);
    publish(&cell_store(&store, "m"), 0);
    for (difference, change) in CHANGES {
        let mut other = manifest("other");
        change(&mut other);
        let outcome = store.cell(&cell("other"), &other, Format::Jsonl);
        assert_eq!(outcome.is_err(), is_of_text(difference), "{difference}");
    }
    // Another task is nobody's sibling.
    let mut other = manifest("m");
    other.dataset.rows = 4;
    let elsewhere = Cell { task: "else".to_owned(), ..cell("m") };
    store.cell(&elsewhere, &other, Format::Jsonl).unwrap();
}

#[test]
fn manifests_of_others_are_told() {
    let root = TempDir::new().unwrap();
    let store = open(&root);
    publish(&cell_store(&store, "m"), 0);
    let path = root.path().join(format!("runs/{PLACE}/manifest.json"));
    for (text, message) in [
        ("{}".to_owned(), "not a tokshift manifest: missing field"),
        (String::new(), "not a tokshift manifest: EOF"),
        (
            manifest("m").to_json().unwrap().replace("\"format_version\": 2", "\"format_version\": 9"),
            "format version 9, this tokshift reads 2: a newer tokshift wrote it: update,",
        ),
    ] {
        fs::write(&path, text).unwrap();
        let error = store.cell(&cell("m"), &manifest("m"), Format::Jsonl).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{}`: {message}", path.display())), "{error}");
    }
}

#[test]
fn who_rendered_a_manifest_is_told_and_not_compared() {
    let root = TempDir::new().unwrap();
    let store = open(&root);
    publish(&cell_store(&store, "m"), 0);
    let path = root.path().join(format!("runs/{PLACE}/manifest.json"));
    let text = fs::read_to_string(&path).unwrap();
    let line = format!("\"rendered_by\": \"tokshift {}\"", env!("CARGO_PKG_VERSION"));
    assert!(text.starts_with("{\n  \"format_version\": 2,\n  \"generation_model\": \"rl\",") && text.contains(&line));
    assert_eq!(Manifest::read(&path).unwrap(), manifest("m"));
    fs::write(&path, text.replace(&line, "\"rendered_by\": \"tokshift 99.0\"")).unwrap();
    cell_store(&store, "m");
    // A field that this version does not know may decide numbers.
    fs::write(&path, text.replace("\"dtype\"", "\"precision\": 3, \"dtype\"")).unwrap();
    let error = store.cell(&cell("m"), &manifest("m"), Format::Jsonl).unwrap_err().to_string();
    assert!(error.contains("unknown field `precision`"), "{error}");
}

/// Every word of a fieldless enum that reaches a file: renaming a variant must not change what is written.
#[test]
fn words_in_files_do_not_follow_the_names_of_variants() {
    use crate::hidden::Float;
    use crate::sample::Status;
    use crate::schema::KeptType;
    use crate::tokenize::{Boundary, TooLong};
    use candle_core::DType;
    assert_eq!([Boundary::Joint, Boundary::Separate].map(Boundary::as_str), ["joint", "separate"]);
    assert_eq!([TooLong::Skip, TooLong::Truncate, TooLong::Fail].map(TooLong::as_str), ["skip", "truncate", "fail"]);
    assert_eq!(Status::ALL.map(Status::as_str), ["ok", "truncated", "empty", "too_long", "failed"]);
    assert_eq!([Format::Parquet, Format::Jsonl].map(Format::extension), ["parquet", "jsonl"]);
    assert_eq!([DType::F32, DType::BF16].map(|dtype| dtype.as_str()), ["f32", "bf16"]);
    assert_eq!(serde_json::to_string(&[Float::F32, Float::Bf16]).unwrap(), r#"["f32","bf16"]"#);
    let kept = [KeptType::Bool, KeptType::Number, KeptType::Text];
    assert_eq!(serde_json::to_string(&kept).unwrap(), r#"["bool","number","text"]"#);
}

/// The other format's fields are not asked for before its version is.
#[test]
fn another_format_version_is_told_whatever_else_changed() {
    let root = TempDir::new().unwrap();
    let path = root.path().join("manifest.json");
    fs::write(&path, "{\"format_version\": 1, \"cells\": []}").unwrap();
    let error = Manifest::read(&path).unwrap_err().to_string();
    fs::write(root.path().join("text.json"), "{\"format_version\": 1}").unwrap();
    let end = "format version 1, this tokshift reads 2: score again into another --output-dir, or use the tokshift that wrote it";
    assert!(error.ends_with(end), "{error}");
    // Nothing is scored beside a model of that version either.
    let store = open(&root);
    let old = root.path().join("runs/generation_model=rl/task=demo/model=old/manifest.json");
    fs::create_dir_all(old.parent().unwrap()).unwrap();
    fs::rename(&path, &old).unwrap();
    let error = store.cell(&cell("m"), &manifest("m"), Format::Jsonl).unwrap_err().to_string();
    assert!(error.starts_with(&format!("`{}`: ", old.display())) && error.ends_with(end), "{error}");
}

/// Ten threads with two opinions about top-k publish a part each, when nobody else does: one opinion wins, and all of its
/// threads.
#[test]
fn one_manifest_wins_a_race() {
    for _ in 0..20 {
        let root = TempDir::new().unwrap();
        let store = open(&root);
        let run = |i: u32| {
            let mut mine = manifest("m");
            mine.engine.top_k = 10 + i as usize % 2;
            let cell = store.cell(&cell("m"), &mine, Format::Jsonl)?;
            loop {
                match cell.lock() {
                    Err(Error::Busy { .. }) => thread::yield_now(),
                    locked => break locked?,
                }
            }
            let mut writer = cell.begin(i)?;
            writer.write(&batch(i), &batch(i))?;
            writer.commit().map(|()| mine.engine.top_k)
        };
        let outcomes: Vec<Result<usize>> = thread::scope(|scope| {
            let threads: Vec<_> = (0..10).map(|i| scope.spawn(move || run(i))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let path = root.path().join(format!("runs/{PLACE}/manifest.json"));
        let winner = Manifest::read(&path).unwrap().engine.top_k;
        for (i, outcome) in outcomes.into_iter().enumerate() {
            match outcome {
                Ok(top_k) => assert_eq!(top_k, winner),
                Err(error) => {
                    assert!(matches!(error, Error::Mismatch { ref field, .. } if field == "engine.top_k"), "{error}");
                    assert_ne!(10 + i % 2, winner);
                }
            }
        }
        assert_eq!(files(&root).len(), 2 + 2 * 5);
    }
}

/// A part that is scored again and again, and measures that are made of its tables meanwhile: those that stay are of the
/// tables that are there, and samples and tokens are of one run.
#[test]
fn pairs_never_outlive_their_tokens() {
    let root = TempDir::new().unwrap();
    let store = open(&root);
    let of = |model: &str| {
        let mut manifest = manifest(model);
        manifest.out = "parquet".to_owned();
        store.cell(&cell(model), &manifest, Format::Parquet).unwrap()
    };
    let score = |cell: &CellStore, value: u32| {
        let mut writer = cell.begin(0).unwrap();
        writer.write(&batch(value), &batch(value)).unwrap();
        writer.commit().unwrap();
    };
    let (p, q) = (of("p"), of("q"));
    for cell in [&p, &q] {
        score(cell, 0);
    }
    let [generation_model, task] = ["rl", "demo"].map(str::to_owned);
    let pair = PairManifest {
        format_version: crate::schema::FORMAT_VERSION,
        generation_model,
        task,
        p: "p".to_owned(),
        q: "q".to_owned(),
        temperature: 1.0,
        stop: Vec::new(),
        of_p: String::new(),
        of_q: String::new(),
    };
    let pairs = store.pair(&pair).unwrap();
    let tokens = |model: &str| {
        root.path().join(format!("tokens/generation_model=rl/task=demo/model={model}/part-00000000.parquet"))
    };
    let hashes = || ["p", "q"].map(|model| crate::table::footer(&tokens(model)).ok()?.1);
    let path = root.path().join("pairs/generation_model=rl/task=demo/p=p/q=q/part-00000000.parquet");
    let [mut published, mut refused] = [0, 0];
    for round in 0..50 {
        thread::scope(|scope| {
            scope.spawn(|| (0..4).for_each(|i| score(&q, 10 * round + i)));
            for _ in 0..4 {
                let of = hashes();
                match of.iter().all(Option::is_some).then(|| pairs.publish(0, &batch(0), of)) {
                    Some(Ok(())) => published += 1,
                    _ => refused += 1,
                }
            }
        });
        let of = hashes();
        if path.exists() {
            assert_eq!(crate::table::footer(&path).unwrap().0.unwrap().tokens, of);
        }
        for model in ["p", "q"] {
            let (tokens, samples) = (tokens(model), tokens(model).to_str().unwrap().replace("/tokens/", "/samples/"));
            let named = crate::table::footer(&tokens).unwrap().0.unwrap().samples;
            assert_eq!(named, crate::table::footer(Path::new(&samples)).unwrap().1);
        }
        pairs.publish(0, &batch(0), of).unwrap();
    }
    assert!(published + refused == 200);
}
