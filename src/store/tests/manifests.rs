//! Tests of what later runs and other models must agree with.

use super::*;

/// Contexts of 512 and of 300 tokens, begun at once: the first to lock fixes the longest sample of both.
#[test]
fn the_first_fixes_the_response_set_of_concurrent_runs() {
    let root = TempDir::new().unwrap();
    let store = open(&root);
    let of = |model: &str, max_tokens| {
        let mut manifest = manifest(model);
        manifest.tokens.max_tokens = max_tokens;
        store.cell(&cell(model), &manifest).unwrap()
    };
    let (long, short) = (of("long", 512), of("short", 300));
    short.lock().unwrap();
    long.lock().unwrap();
    assert_eq!((short.max_tokens(), long.max_tokens()), (300, 300));
    // Its other fields differ, which is an error before anything is scored; the manifest of no model is there yet.
    let mut other = manifest("other");
    other.tokens.boundary = "separate".to_owned();
    let error = store.cell(&cell("other"), &other).unwrap().lock().unwrap_err().to_string();
    let described = "text.json` was made with --boundary = `joint`, this run has `separate`: use the same options";
    assert!(error.contains(described), "{error}");
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

const CHANGES: [(&str, Change); 22] = [
    ("--out = `parquet`, this run has `other`", |m| m.out = "other".into()),
    ("the dataset's content = `dddddddddddd…`, this run has `eeeeeeeeeeee…`", |m| {
        m.dataset.blake3 = "e".repeat(64);
    }),
    ("the dataset: its rows = 3, this run has 4", |m| m.dataset.rows = 4),
    ("the dataset: its samples = 3, this run has 5", |m| m.dataset.samples = 5),
    ("--limit = none, this run has 3", |m| m.dataset.limit = Some(3)),
    ("--cluster = none, this run has `group`", |m| m.dataset.cluster = Some("group".into())),
    ("--tokenizer = `tttttttttttt…`, this run has `uuuuuuuuuuuu…`", |m| m.tokens.tokenizer = "u".repeat(64)),
    ("--boundary = `joint`, this run has `separate`", |m| m.tokens.boundary = "separate".into()),
    ("--end = none, this run has 304", |m| m.tokens.end = Some(304)),
    ("--too-long = `skip`, this run has `truncate`", |m| m.tokens.too_long = "truncate".into()),
    ("engine.name = `local`, this run has `mock`", |m| m.engine.name = "mock".into()),
    ("the model's file config.json = `cccccccccccc…`, this run has none", |m| m.engine.files.clear()),
    ("the model's file x = none, this run has `y`", |m| _ = m.engine.files.insert("x".into(), "y".into())),
    ("--dtype = `f32`, this run has `bf16`", |m| m.engine.dtype = "bf16".into()),
    ("--device = `cpu`, this run has `cuda`", |m| m.engine.device = "cuda".into()),
    ("--top-k = 20, this run has 5", |m| m.engine.top_k = 5),
    ("engine.rank_rule = `strict`, this run has `other`", |m| m.engine.rank_rule = "other".into()),
    ("parts[0].bytes = 99, this run has 98", |m| m.parts[0].bytes = 98),
    ("parts = a list of 1, this run has none", |m| m.parts.clear()),
    ("generation_model = `rl`, this run has `sft`", |m| m.generation_model = "sft".into()),
    ("task = `demo`, this run has `other`", |m| m.task = "other".into()),
    // Names are shown whole: cut ones may look alike.
    ("model = `m`, this run has `a-name-of-38-characters-is-shown-whole`", |m| {
        m.model = "a-name-of-38-characters-is-shown-whole".into();
    }),
];

/// Whether a difference in what all models of a response set share is reported.
fn is_of_text(difference: &str) -> bool {
    const OF_MODEL: [&str; 7] = ["--out", "engine.", "the model's", "--dtype", "--device", "--top-k", "model ="];
    !OF_MODEL.iter().any(|field| difference.starts_with(field))
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
        let error = store.cell(&cell("m"), &changed).unwrap_err().to_string();
        let hint = "use the same options, or another --output-dir";
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
        let outcome = store.cell(&cell("other"), &other);
        assert_eq!(outcome.is_err(), is_of_text(difference), "{difference}");
    }
    // Another task has other samples.
    let mut other = manifest("m");
    other.dataset.rows = 4;
    let elsewhere = Cell::new("rl", "else", "m");
    store.cell(&elsewhere, &other).unwrap();
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
            "format version 9, this tokshift reads 2: a newer tokshift wrote it: update tokshift, ",
        ),
    ] {
        fs::write(&path, text).unwrap();
        let error = store.cell(&cell("m"), &manifest("m")).unwrap_err().to_string();
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
    let error = store.cell(&cell("m"), &manifest("m")).unwrap_err().to_string();
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
    assert_eq!(crate::table::EXTENSION, "parquet");
    assert_eq!([DType::F32, DType::BF16].map(|dtype| dtype.as_str()), ["f32", "bf16"]);
    assert_eq!(serde_json::to_string(&[Float::F32, Float::Bf16]).unwrap(), r#"["f32","bf16"]"#);
    let kept = [KeptType::Bool, KeptType::Number, KeptType::Text];
    assert_eq!(serde_json::to_string(&kept).unwrap(), r#"["bool","number","text"]"#);
}

/// The other format's fields are not read before its version is.
#[test]
fn another_format_version_is_told_whatever_else_changed() {
    let root = TempDir::new().unwrap();
    let path = root.path().join("manifest.json");
    fs::write(&path, "{\"format_version\": 1, \"cells\": []}").unwrap();
    let error = Manifest::read(&path).unwrap_err().to_string();
    fs::write(root.path().join("text.json"), "{\"format_version\": 1}").unwrap();
    let end = "format version 1, this tokshift reads 2: score again into another --output-dir, or use the tokshift version that wrote it";
    assert!(error.ends_with(end), "{error}");
    // Nothing is scored on the responses of a model of that version either.
    let store = open(&root);
    let old = root.path().join("runs/generation_model=rl/task=demo/model=old/manifest.json");
    fs::create_dir_all(old.parent().unwrap()).unwrap();
    fs::rename(&path, &old).unwrap();
    let error = store.cell(&cell("m"), &manifest("m")).unwrap_err().to_string();
    assert!(error.starts_with(&format!("`{}`: ", old.display())) && error.ends_with(end), "{error}");
}
