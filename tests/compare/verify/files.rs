//! Files that are damaged, foreign, missing or left over.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};

use super::damage::{copy, damaged, expect, file, of_part, report, scored};
use crate::common::{Columns, Scene};

/// Any bit of a file, pages and footer: whether or not it can still be decoded.
#[test]
fn a_flipped_bit_is_told() {
    let [mut checksums, mut unreadable] = [0, 0];
    for (table, places) in [("tokens", 23), ("samples", 11)] {
        let path = file(table, "tied", 0);
        let bytes = fs::read(scored().path(&path)).unwrap();
        for at in (0..places).map(|place| place * (bytes.len() - 1) / (places - 1)) {
            let report = damaged(|scene| {
                let mut bytes = bytes.clone();
                bytes[at] ^= 4;
                fs::write(scene.path(&path), bytes).unwrap();
            });
            let kind = report["problems"][0]["kind"].as_str().unwrap();
            expect(&report, kind, 1, &path, "", &of_part("tied"));
            match kind {
                "checksum" => checksums += 1,
                "unreadable" => unreadable += 1,
                _ => panic!("{report:#}"),
            }
        }
    }
    assert!(checksums > unreadable, "{checksums} {unreadable}");
}

/// The hash of a file is its own: nothing that a person wrote with another tool passes.
#[test]
fn a_table_without_a_hash_is_told() {
    let path = file("tokens", "tied", 0);
    let report = damaged(|scene| {
        let Columns(batch) = Columns::read(scene.path(&path).parent().unwrap());
        let file = fs::File::create(scene.path(&path)).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    });
    expect(&report, "checksum", 1, &path, "contains no hash of itself", &of_part("tied"));
}

#[test]
fn a_file_cut_short_is_told() {
    let path = file("tokens", "shifted", 0);
    let report = damaged(|scene| {
        let bytes = fs::read(scene.path(&path)).unwrap();
        fs::write(scene.path(&path), &bytes[..bytes.len() / 2]).unwrap();
    });
    expect(&report, "unreadable", 1, &path, "", &of_part("shifted"));
}

#[test]
fn samples_that_were_deleted_are_told() {
    let path = file("samples", "tied", 0);
    let report = damaged(|scene| fs::remove_file(scene.path(&path)).unwrap());
    expect(&report, "missing", 1, &path, "was it deleted?", &[file("tokens", "tied", 0)]);
}

#[test]
fn foreign_parquet_is_told() {
    let batch = || {
        let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::UInt32, false)]));
        RecordBatch::try_new(schema, vec![Arc::new(UInt32Array::from(vec![1, 2]))]).unwrap()
    };
    let path = file("tokens", "tied", 0);
    let save = |path: PathBuf| {
        let mut writer =
            parquet::arrow::ArrowWriter::try_new(fs::File::create(path).unwrap(), batch().schema(), None).unwrap();
        writer.write(&batch()).unwrap();
        writer.close().unwrap();
    };
    let replaced = damaged(|scene| save(scene.path(&path)));
    expect(&replaced, "schema", 1, &path, "column `sample_id` is missing", &of_part("tied"));
    let unknown = file("tokens", "tied", 9);
    let stray = damaged(|scene| save(scene.path(&unknown)));
    expect(&stray, "stray", 1, &unknown, "no manifest explains it", std::slice::from_ref(&unknown));
}

#[test]
fn leftovers_of_the_dead_are_reported() {
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let scene = Scene::new();
    copy(&scored().path("out"), &scene.path("out"));
    // Where process ids are not comparable, a leftover is reported after a day.
    let path = format!("out/.tmp/0badcafe-{}-0-tokens-00000000", child.id());
    let file = fs::File::create(scene.write(&path, "")).unwrap();
    report(&scene, "out", 0);
    file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_hours(25)).unwrap();
    let report = report(&scene, "out", 1);
    expect(&report, "leftover", 1, &path, "a process that has ended left it", std::slice::from_ref(&path));
}

/// polars panics on this footer: `kl` looks first, and names the file.
#[test]
fn comparing_damaged_tables_is_an_error_that_names_the_file() {
    let scene = Scene::new();
    copy(&scored().path("out"), &scene.path("out"));
    let found = fs::read("fuzz/corpus/tables/polars-bool").unwrap();
    fs::write(scene.path(&file("samples", "tied", 0)), &found[1..]).unwrap();
    for more in ["", "--explain"] {
        let said = scene.run(&format!("kl --data-dir out --reference shifted {more}"));
        said.expect(1, "model=tied/part-00000000.parquet`: ");
    }
}
