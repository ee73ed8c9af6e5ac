//! `kl --exact` during `score --retry-failed`: measures of tables that were replaced meanwhile.

use std::fs;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::UInt32Type;
use tokshift::schema::pair;
use tokshift::store::{PairManifest, ResultFile, Store};
use tokshift::table::{Table, write};

use super::runs::{models, score};
use crate::common::{self, Columns, Scene};

const P: (&str, &str) = ("p", "qwen3-tied");
const Q: (&str, &str) = ("q", "qwen3-shifted");
const PAIRS: &str = "out/pairs/generation_model=g/task=t/p=p/q=q";
const RUN: &str = "out/runs/generation_model=g/task=t/p=p/q=q/manifest.json";

fn compared() -> Scene {
    let scene = Scene::new();
    scene.dataset("g_t.jsonl", &common::rows()[..4]);
    score(&scene, "g_t.jsonl", &[P, Q], "out", "--keep-hidden").expect(0, "");
    let both = models(&[P, Q]);
    scene.run(&format!("kl --data-dir out --reference p --exact --models {both}")).expect(0, "exact: ");
    scene
}

/// The race: the rows were read, then the part was scored again, then the measures are to be published.
#[test]
fn measures_of_tables_that_were_replaced_are_not_published() {
    let scene = compared();
    let part = scene.path(PAIRS).join("part-00000000.parquet");
    let (Columns(batch), (origin, _)) = (Columns::read(&scene.path(PAIRS)), ResultFile::at(&part).footer().unwrap());
    let hashes = origin.unwrap().tokens;
    let tokens =
        |model: &str| scene.path(&format!("out/tokens/generation_model=g/task=t/model={model}/part-00000000.parquet"));
    assert_eq!([P, Q].map(|(model, _)| ResultFile::at(tokens(model)).footer().unwrap().1), hashes);

    fs::remove_file(&part).unwrap();
    let pair = Store::open(&scene.path("out")).unwrap().pair(&PairManifest::read(&scene.path(RUN)).unwrap()).unwrap();
    let of_others = [hashes[0].clone(), Some("0".repeat(64))];
    let error = pair.publish(0, &batch, of_others).unwrap_err().to_string();
    let described = "was scored again while it was compared: run the same command again";
    assert_eq!(error, format!("`{}`: {described}", tokens("q").display()));
    // Between its tokens' end and the new ones' beginning, too.
    let bytes = fs::read(tokens("q")).unwrap();
    fs::remove_file(tokens("q")).unwrap();
    assert!(pair.publish(0, &batch, hashes.clone()).unwrap_err().to_string().ends_with(described));
    fs::write(tokens("q"), bytes).unwrap();
    assert!(!part.exists() && fs::read_dir(scene.path(PAIRS)).unwrap().next().is_none());
    pair.publish(0, &batch, hashes).unwrap();
    drop(pair);
    scene.run("verify out").expect_out("no problem found");
}

/// Rows that a part lacks or has too many show, even if it was signed with the tables that are there.
#[test]
fn rows_that_are_not_those_of_both_tables_are_told() {
    let scene = compared();
    let part = scene.path(PAIRS).join("part-00000000.parquet");
    let (Columns(batch), (origin, _)) = (Columns::read(&scene.path(PAIRS)), ResultFile::at(&part).footer().unwrap());
    let forge = |batch: &RecordBatch| {
        write(fs::File::create(&part).unwrap(), Table::Pairs, batch, origin.as_ref()).unwrap();
        scene.run("verify out --json")
    };
    let ids = batch[pair::SAMPLE_ID].as_primitive::<UInt32Type>();
    let later: BooleanArray = ids.iter().map(|id| Some(id != Some(0))).collect();
    let said = forge(&filter_record_batch(&batch, &later).unwrap());
    said.expect(1, "").expect_out("lacks sample 0 at position 0, which both models scored");
    said.expect_out("\"kind\": \"rows\"");
    let mut columns = batch.columns().to_vec();
    let index = batch.schema().index_of(pair::TOKEN_ID).unwrap();
    columns[index] = batch[pair::POSITION].clone();
    let said = forge(&RecordBatch::try_new(batch.schema(), columns).unwrap());
    said.expect(1, "").expect_out("has a token of sample 0 at position 0 that the models did not both score");
    forge(&batch).expect(0, "");
}
