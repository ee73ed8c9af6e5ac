//! Rows against their samples, and against those of the other models.

use std::sync::Arc;

use arrow::array::{AsArray, StringArray, UInt32Array};
use arrow::datatypes::UInt32Type;
use serde_json::json;

use super::damage::{MODELS, change, damaged, expect, file, of_part, report, rewrite, u32s};
use crate::common::{Columns, Scene, rows};

#[test]
fn a_samples_table_out_of_order_is_told() {
    let path = file("samples", "tied", 0);
    let report = damaged(|scene| {
        change(scene, "samples", "sample_id", |_, ids| u32s(ids, |id| id + 1));
    });
    let problem = &report["problems"][0];
    assert_eq!((&problem["kind"], &problem["first"][0]["file"]), (&json!("rows"), &json!(path)), "{report:#}");
    assert_eq!((&problem["first"][0]["row"], &problem["first"][0]["sample_id"]), (&json!(7), &json!(8)), "{report:#}");
}

#[test]
fn ranges_must_be_those_of_the_response() {
    let report = damaged(|scene| change(scene, "tokens", "start", |_, start| u32s(start, |x| x - 1)));
    expect(&report, "text", 1, &file("tokens", "tied", 0), "expected from", &of_part("tied"));
    let report = damaged(|scene| change(scene, "tokens", "end", |_, end| u32s(end, |x| x + 4000)));
    let problem = &report["problems"][0];
    assert_eq!((&problem["kind"], &problem["first"][0]["row"]), (&json!("text"), &json!(7)), "{report:#}");
    let report = damaged(|scene| {
        change(scene, "tokens", "token", |_, token| {
            let texts = token.as_string::<i32>().iter().enumerate();
            Arc::new(texts.map(|(row, text)| if row == 7 { Some("?!") } else { text }).collect::<StringArray>())
        });
    });
    expect(&report, "text", 1, &file("tokens", "tied", 0), "token is not the text of bytes", &of_part("tied"));
}

#[test]
fn tokens_that_are_missing_or_out_of_order_are_told() {
    let path = file("tokens", "tied", 0);
    let cut = damaged(|scene| {
        let Columns(batch) = Columns::read(scene.path(&path).parent().unwrap());
        rewrite(&scene.path(&path), "tokens", &batch.slice(0, batch.num_rows() - 1));
    });
    expect(&cut, "rows", 1, &path, "tokens, its ok sample has", &of_part("tied"));
    assert_eq!(cut["problems"][0]["first"][0]["sample_id"], 29);
    let moved = damaged(|scene| change(scene, "tokens", "position", |_, position| u32s(position, |x| x + 1)));
    expect(&moved, "rows", 1, &path, "position is Some(8), expected 7", &of_part("tied"));
}

/// An id that is in no list of its row, so that the row by itself is well.
#[test]
fn other_token_ids_in_one_model_are_told() {
    let report = damaged(|scene| {
        change(scene, "tokens", "token_id", |batch, ids| {
            let ids = ids.as_primitive::<UInt32Type>();
            let lists = batch["top_ids"].as_list::<i32>();
            let list = |row: usize| lists.value(row).as_primitive::<UInt32Type>().values().to_vec();
            let row = (0..ids.len()).find(|&row| !list(row).contains(&ids.value(row))).unwrap();
            let other = (0..100).find(|id| !list(row).contains(id) && *id != ids.value(row)).unwrap();
            let values = ids.iter().enumerate();
            Arc::new(values.map(|(at, x)| if at == row { Some(other) } else { x }).collect::<UInt32Array>())
        });
    });
    // Which of two is right is unknown.
    let redo = [of_part("shifted"), of_part("tied")].concat();
    expect(&report, "ids", 2, &file("tokens", "shifted", 0), "token ids of `shifted` are not those of `tied`", &redo);
}

#[test]
fn another_context_in_one_of_three_models_is_told() {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &rows());
    let models = [MODELS[0], MODELS[1], ("third", "qwen3-tied")];
    scene.score("rl_demo.jsonl", &models, "out", "").expect(0, "");
    change(&scene, "samples", "context_hash", |_, hashes| {
        let hashes = hashes.as_string::<i32>().iter().enumerate();
        Arc::new(hashes.map(|(row, hash)| if row == 7 { Some("other") } else { hash }).collect::<StringArray>())
    });
    let report = report(&scene, "out", 1);
    expect(&report, "ids", 1, &file("tokens", "tied", 0), "context_hash of `tied`", &of_part("tied"));
}
