//! What the tests share: scores that a test may damage, ways to damage them, and what the report must say.

use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, AsArray, Float32Array, RecordBatch, UInt32Array};
use arrow::datatypes::{Float32Type, UInt32Type};
use parquet::file::metadata::ParquetMetaDataReader;
use serde_json::{Value, json};
use tokshift::table::{Origin, Table, write};

use crate::common::{Columns, Scene, rows};

/// Names of the two models, and their fixtures.
pub const MODELS: [(&str, &str); 2] = [("tied", "qwen3-tied"), ("shifted", "qwen3-shifted")];

/// Real scores of two models over thirty rows, made once.
pub fn scored() -> &'static Scene {
    static SCENE: OnceLock<Scene> = OnceLock::new();
    SCENE.get_or_init(|| {
        let scene = Scene::new();
        scene.dataset("rl_demo.jsonl", &rows());
        scene.score("rl_demo.jsonl", &MODELS, "out", "--keep-fields reward,correct").expect(0, "");
        scene
    })
}

/// A directory with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() { copy(&entry.path(), &target) } else { _ = fs::copy(entry.path(), target).unwrap() }
    }
}

/// A copy of the scores that a test may damage.
pub fn damaged(damage: impl FnOnce(&Scene)) -> Value {
    let scene = Scene::new();
    copy(&scored().path("out"), &scene.path("out"));
    damage(&scene);
    report(&scene, "out", 1)
}

/// What `verify` reports of `output`, ending with `code`.
#[track_caller]
pub fn report(scene: &Scene, output: &str, code: i32) -> Value {
    let said = scene.run(&format!("verify {output} --json"));
    assert_eq!(said.code, Some(code), "{}{}", said.stdout, said.stderr);
    serde_json::from_str(&said.stdout).unwrap()
}

/// The path of a part within a scene.
pub fn file(table: &str, model: &str, part: u32) -> String {
    format!("out/{table}/generation_model=rl/task=demo/model={model}/part-{part:08}.parquet")
}

/// What must be deleted for the first part of `model` to be made anew.
pub fn of_part(model: &str) -> Vec<String> {
    vec![file("tokens", model, 0), file("samples", model, 0)]
}

/// Exactly one kind of problem, found `count` times, first at `found` in `path`; and `redo` is what to delete.
#[track_caller]
pub fn expect(report: &Value, kind: &str, count: u64, path: &str, found: &str, redo: &[String]) {
    let problems = report["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 1, "{report:#}");
    assert_eq!((&problems[0]["kind"], &problems[0]["count"]), (&json!(kind), &json!(count)), "{report:#}");
    let first = &problems[0]["first"][0];
    assert_eq!(first["file"], path, "{report:#}");
    assert!(first["found"].as_str().unwrap().contains(found), "{report:#}");
    assert_eq!(report["redo"], json!(redo), "{report:#}");
}

/// Writes a table anew with one column changed, as whoever wrote it would: hash and footer fit.
pub fn change(scene: &Scene, table: &str, column: &str, change: impl FnOnce(&RecordBatch, &ArrayRef) -> ArrayRef) {
    let path = scene.path(&file(table, "tied", 0));
    let Columns(batch) = Columns::read(path.parent().unwrap());
    let index = batch.schema().index_of(column).unwrap();
    let mut columns = batch.columns().to_vec();
    columns[index] = change(&batch, &columns[index]);
    rewrite(&path, table, &RecordBatch::try_new(batch.schema(), columns).unwrap());
}

/// Writes `batch` over a part, with hash and footer; the tokens table then names the new samples table.
pub fn rewrite(path: &Path, table: &str, batch: &RecordBatch) {
    let kind = if table == "tokens" { Table::Tokens } else { Table::Samples };
    let origin = origin(path);
    let hash = write(fs::File::create(path).unwrap(), kind, batch, origin.as_ref()).unwrap();
    if table == "samples" {
        let tokens = path.display().to_string().replace("/samples/", "/tokens/");
        sign(Path::new(&tokens), |origin| origin.samples = hash);
    }
}

/// Writes a tokens table anew that says something else of itself.
pub fn sign(tokens: &Path, change: impl FnOnce(&mut Origin)) {
    let Columns(batch) = Columns::read(tokens.parent().unwrap());
    let mut origin = origin(tokens).unwrap();
    change(&mut origin);
    write(fs::File::create(tokens).unwrap(), Table::Tokens, &batch, Some(&origin)).unwrap();
}

/// What a file says it is.
fn origin(path: &Path) -> Option<Origin> {
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&fs::File::open(path).unwrap()).unwrap();
    Origin::read(metadata.file_metadata().key_value_metadata())
}

/// A column with the value of row 7 changed.
pub fn f32s(column: &ArrayRef, value: impl Fn(f32) -> f32) -> ArrayRef {
    let values = column.as_primitive::<Float32Type>().iter().enumerate();
    Arc::new(values.map(|(row, x)| if row == 7 { x.map(&value) } else { x }).collect::<Float32Array>())
}

/// As [`f32s`].
pub fn u32s(column: &ArrayRef, value: impl Fn(u32) -> u32) -> ArrayRef {
    let values = column.as_primitive::<UInt32Type>().iter().enumerate();
    Arc::new(values.map(|(row, x)| if row == 7 { x.map(&value) } else { x }).collect::<UInt32Array>())
}
