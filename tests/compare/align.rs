//! `kl --align text`: models whose tokenizers differ, compared over what both cut alike.

use std::path::Path;

use crate::common::{Columns, Scene, fixture, held};
use serde_json::{Value, json};
use tokshift::shift::AlignedPair;

/// A scene in which `own` read three rows by its own tokenizer and `other` by one that cuts otherwise.
fn scene(more: &str) -> Scene {
    of_rows(
        [("The river ", "runs to the sea."), ("Où est-ce", " ? Là-bas 🙂, 你好."), ("Count:", " 1, 22, 333 the end")],
        more,
    )
}

fn of_rows(rows: [(&str, &str); 3], more: &str) -> Scene {
    let scene = Scene::new();
    let rows = rows.map(|(input, output)| json!({"input": input, "output": output}));
    scene.dataset("own_t.jsonl", &rows);
    score(&scene, "own", "", more);
    let other = fixture("../tokenizers/sentencepiece.json");
    score(&scene, "other", &format!("--tokenizer {}", other.display()), more);
    scene
}

fn score(scene: &Scene, model: &str, tokenizer: &str, more: &str) {
    let path = fixture("qwen3-tied");
    let models = format!("--models {model}={}", path.display());
    scene
        .run(&format!("score --dataset own_t.jsonl {models} --output-dir {model}-out --engine mock {tokenizer} {more}"))
        .expect(0, "3 ok");
}

fn tokens(scene: &Scene, model: &str) -> Columns {
    scene.table(&format!("{model}-out"), "tokens", "own", "t", model)
}

/// Σ ln p over the tokens that `counts`.
fn sum(columns: &Columns, counts: impl Fn(usize) -> bool) -> f64 {
    let logprobs = columns.f32s("logprob");
    (0..columns.len()).filter(|&row| counts(row)).map(|row| f64::from(logprobs[row].unwrap())).sum()
}

fn mean(pair: &Value, name: &str, unit: &str) -> f64 {
    let measures = pair["measures"].as_array().unwrap();
    let found = measures.iter().find(|m| m["name"] == name && m["unit"] == unit).unwrap();
    found["mean"]["value"].as_f64().unwrap()
}

#[test]
fn a_text_is_compared_byte_by_byte() {
    let scene = scene("--boundary separate --end 3");
    let said = scene.run("kl --align text --data-dir own-out --other-dir other-out --json");
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let pairs: Value = serde_json::from_str(&said.stdout).unwrap();
    held::read_back::<Vec<AlignedPair>>(&said.stdout);
    let pair = &pairs[0];
    let (own, other) = (tokens(&scene, "own"), tokens(&scene, "other"));
    assert_ne!(own.len(), other.len(), "both tokenizers cut alike: nothing is aligned");

    // All of the text is in spans, and nothing but the text: the end tokens are not.
    let bytes = common_bytes();
    let not_end = |columns: &Columns| columns.bools("is_end").iter().map(|end| *end == Some(false)).collect::<Vec<_>>();
    let (own_text, other_text) = (not_end(&own), not_end(&other));
    let [p, q] = [sum(&own, |row| own_text[row]), sum(&other, |row| other_text[row])];
    assert_eq!(pair["bytes"], json!(bytes));
    assert_eq!(pair["tokens_p"], json!(own_text.iter().filter(|text| **text).count()));
    assert_eq!((&pair["left_out_tokens"], &pair["samples"]), (&json!(0), &json!(3)));
    let close =
        |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-9 * wanted.abs(), "{found}, not {wanted}");
    let per_byte = bytes as f64 * std::f64::consts::LN_2;
    close(mean(pair, "bits_per_byte_p", "bits/byte"), -p / per_byte);
    close(mean(pair, "bits_per_byte_q", "bits/byte"), -q / per_byte);
    close(mean(pair, "delta_bits_per_byte", "bits/byte"), (p - q) / per_byte);
    close(mean(pair, "delta_logprob", "nats/response"), (q - p) / 3.0);
    close(mean(pair, "kl_k1", "nats/span"), (p - q) / pair["spans"].as_f64().unwrap());
    // A span is at least a token of each side, and some are several.
    let spans = pair["spans"].as_u64().unwrap();
    assert!(spans > 10 && spans < own.len().max(other.len()) as u64, "{spans} spans");

    let table = scene.run("kl --align text --data-dir own-out --other-dir other-out");
    table.expect_out("delta_bits_per_byte").expect_out("the one tokenisation of its own tokenizer");
}

fn common_bytes() -> usize {
    ["runs to the sea.", " ? Là-bas 🙂, 你好.", " 1, 22, 333 the end"].iter().map(|text| text.len()).sum()
}

/// A token that began in the prompt says something of the prompt: neither it nor what it meets is compared.
#[test]
fn tokens_across_the_boundary_are_left_out() {
    let scene = of_rows([("th", "e river"), ("ri", "ver"), ("the tr", "ain the")], "");
    let said = scene.run("kl --align text --data-dir own-out --other-dir other-out --json");
    let pairs: Value = serde_json::from_str(&said.stdout).unwrap();
    let straddling = |columns: &Columns| columns.bools("straddles").iter().filter(|s| **s == Some(true)).count() as u64;
    let (own, other) = (tokens(&scene, "own"), tokens(&scene, "other"));
    let least = straddling(&own) + straddling(&other);
    assert!(least > 0, "no token straddles: the rows test nothing");
    let left_out = pairs[0]["left_out_tokens"].as_u64().unwrap();
    assert!(left_out > least, "{left_out} of at least {least} and what they meet");
    let held = pairs[0]["tokens_p"].as_u64().unwrap() + pairs[0]["tokens_q"].as_u64().unwrap();
    assert_eq!(held + left_out, (own.len() + other.len()) as u64);
}

#[test]
fn other_texts_are_no_comparison() {
    let scene = scene("");
    let samples = scene.path("other-out/samples/generation_model=own/task=t");
    let swap = |column: &str| {
        let part = samples.join("model=other/part-00000000.parquet");
        change(&part, column);
    };
    swap("prompt");
    scene
        .run("kl --align text --data-dir own-out --other-dir other-out")
        .expect(1, "the prompts differ, first at sample_id 1; --allow-different-context");
    let said = scene.run("kl --align text --data-dir own-out --other-dir other-out --allow-different-context");
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    swap("response");
    scene
        .run("kl --align text --data-dir own-out --other-dir other-out")
        .expect(1, "the responses differ, first at sample_id 1");
    scene.run("kl --align text --data-dir own-out --other-dir other-out --quantiles").expect(2, "cannot be used with");
    scene.run("kl --align text --data-dir own-out").expect(2, "--other-dir");
    scene.run("kl --align text --data-dir own-out --other-dir none").expect(1, "no such directory");
    score(&scene, "elsewhere", "--task u", "");
    let none = "nothing to compare: no response set was scored under both directories";
    scene.run("kl --align text --data-dir own-out --other-dir elsewhere-out").expect(1, none);
}

/// Writes the table again with the second row's text changed.
fn change(part: &Path, column: &str) {
    use std::sync::Arc;

    use arrow::array::{Array, AsArray, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(part).unwrap()).unwrap();
    let metadata = reader.metadata().file_metadata().key_value_metadata().cloned();
    let batch = reader.build().unwrap().next().unwrap().unwrap();
    let index = batch.schema().index_of(column).unwrap();
    let texts = batch.column(index).as_string::<i32>();
    let texts = (0..texts.len()).map(|row| if row == 1 { "else".to_owned() } else { texts.value(row).to_owned() });
    let mut columns = batch.columns().to_vec();
    columns[index] = Arc::new(texts.map(Some).collect::<StringArray>());
    let batch = RecordBatch::try_new(batch.schema(), columns).unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(part).unwrap(), batch.schema(), None).unwrap();
    for pair in metadata.into_iter().flatten().filter(|pair| !pair.key.starts_with("ARROW")) {
        writer.append_key_value_metadata(pair);
    }
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// One model that cannot be read is in no other's way.
#[test]
fn a_damaged_model_ends_no_other_pair() {
    let scene = scene("");
    let path = fixture("qwen3-tied");
    let tokenizer = fixture("../tokenizers/sentencepiece.json");
    let more = format!("--models more={} --tokenizer {} --engine mock", path.display(), tokenizer.display());
    scene.run(&format!("score --dataset own_t.jsonl {more} --output-dir other-out")).expect(0, "3 ok");
    let manifest = "other-out/runs/generation_model=own/task=t/model=more/manifest.json";
    scene.write(manifest, "junk");
    let said = scene.run("kl --align text --data-dir own-out --other-dir other-out");
    said.expect(1, &format!("not compared: P = `own`, Q = `more` on `t` by `own`: `{manifest}`: "));
    said.expect_out("P = `own`, Q = `other` on `t` by `own`");
}
