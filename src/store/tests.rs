use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use tempfile::TempDir;

use super::*;
use crate::error::{Error, Result};
use crate::made;

mod manifests;
mod races;

fn cell(model: &str) -> Cell {
    Cell::new("rl", "demo", model)
}

fn manifest(model: &str) -> Manifest {
    let mut manifest = made::manifest(&cell(model), made::parts(&[3]));
    manifest.parts[0].bytes = 99;
    "parquet".clone_into(&mut manifest.out);
    "local".clone_into(&mut manifest.engine.name);
    manifest.engine.files.insert("config.json".to_owned(), "c".repeat(64));
    manifest.engine.top_k = 20;
    "strict".clone_into(&mut manifest.engine.rank_rule);
    manifest
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
    store.cell(&cell(model), &manifest(model)).unwrap()
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
        format!("samples/{PLACE}/part-00000000.parquet"),
        format!("tokens/{PLACE}/part-00000000.parquet"),
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
        [TEXT_PATH.to_owned(), format!("runs/{PLACE}/manifest.json"), format!("samples/{PLACE}/part-00000000.parquet")];
    assert_eq!(files(&root), BTreeSet::from(left));
    assert!(!cell.is_done(0));
    assert_eq!(cells(root.path()).unwrap()[0].missing, [0]);

    publish(&cell, 0);
    assert!(cell.is_done(0));
    // The other way round cannot come about by itself: readers get an error, and scoring completes it.
    let samples = root.path().join(format!("samples/{PLACE}/part-00000000.parquet"));
    let before = fs::read(&samples).unwrap();
    fs::remove_file(&samples).unwrap();
    let error = cells(root.path()).unwrap_err().to_string();
    assert!(error.contains("is missing, though its tokens are there: was it deleted?"), "{error}");
    let (found, damaged) = cells_to_continue(root.path()).unwrap();
    assert!(damaged.is_empty() && found[0].missing == [0] && found[0].parts.is_empty());
    assert!(!cell.is_done(0) && cell.done().is_empty());
    publish(&cell, 0);
    assert!(cell.is_done(0) && fs::read(&samples).unwrap() == before);
}

/// A part that is done again is the old one until it is ready; then it is not done until all of it is new.
#[test]
fn a_part_is_replaced_tokens_first() {
    let root = TempDir::new().unwrap();
    let cell = cell_store(&open(&root), "m");
    cell.lock_alone().unwrap();
    publish(&cell, 0);
    let samples = cell.samples(0);
    let tokens = root.path().join(format!("tokens/{PLACE}/part-00000000.parquet"));
    let now = || [samples.path(), &tokens].map(|path| fs::read(path).unwrap());
    let before = now();
    let mut writer = cell.begin(0).unwrap();
    writer.write(&batch(7), &batch(8)).unwrap();
    assert!(now() == before);
    // As if the run ended before the new samples stood under their name.
    fs::remove_file(&samples).unwrap();
    fs::create_dir_all(samples.path().join("in the way")).unwrap();
    writer.commit().unwrap_err();
    assert!(!cell.is_done(0));

    fs::remove_dir_all(&samples).unwrap();
    publish(&cell, 0);
    let mut writer = cell.begin(0).unwrap();
    writer.write(&batch(7), &batch(8)).unwrap();
    writer.commit().unwrap();
    assert!(cell.is_done(0) && now()[0] != before[0] && now()[1] != before[1]);
}

/// Only a process that has the cell for itself replaces a part.
#[test]
fn a_part_that_another_process_published_stays() {
    let root = TempDir::new().unwrap();
    let cell = cell_store(&open(&root), "m");
    publish(&cell, 0);
    let tokens = root.path().join(format!("tokens/{PLACE}/part-00000000.parquet"));
    let before = fs::read(&tokens).unwrap();
    let mut writer = cell.begin(0).unwrap();
    writer.write(&batch(7), &batch(8)).unwrap();
    assert!(!writer.commit().unwrap());
    assert!(cell.is_done(0) && fs::read(&tokens).unwrap() == before);
}

/// Two processes add parts to one cell, but not the same at once, and none while a third replaces some.
#[test]
fn a_part_is_taken_by_one() {
    let root = TempDir::new().unwrap();
    let store = open(&root);
    let [one, other, third] = [(); 3].map(|()| cell_store(&store, "m"));
    assert!(one.take(0).unwrap() && one.take(0).unwrap());
    assert!(!other.take(0).unwrap() && other.take(1).unwrap());
    let holder = other.holder(0).unwrap();
    assert_eq!(holder.process, format!("process {}", std::process::id()));
    assert!(holder.since.is_some() && other.holder(2).is_none());
    assert!(matches!(other.begin(0), Err(Error::Busy { .. })));
    assert!(matches!(third.lock_alone(), Err(Error::Busy { .. })));
    publish(&one, 0);
    assert!(other.holder(0).is_none() && other.take(0).unwrap());
    drop((one, other));
    third.lock_alone().unwrap();
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
    publish(&store.cell(&cell("m"), &other).unwrap(), 0);
    assert!(store.cell(&cell("m"), &manifest("m")).is_err());
    assert_eq!(store.manifest_of(&cell("m")).unwrap(), Some(other));
}
