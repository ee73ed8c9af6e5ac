//! Rows that a student is trained on: their keys and values are those that axolotl and DistillKit read.

use serde_json::{Value, json};

use crate::common::{self, Scene, rows};

const TIED: (&str, &str) = ("tied", "qwen3-tied");

fn exported(scene: &Scene, format: &str) -> Vec<Value> {
    let tokenizer = common::fixture(TIED.1).display().to_string();
    let said = scene.run(&format!("export out --format {format} --tokenizer {tokenizer}"));
    said.expect(0, "`tied` on `demo` by `rl`: ");
    said.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn keys(row: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = row.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

fn lengths(lists: &Value) -> Vec<usize> {
    lists.as_array().unwrap().iter().map(|list| list.as_array().unwrap().len()).collect()
}

#[test]
fn rows_for_distillation() {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &rows());
    scene.score("rl_demo.jsonl", &[TIED], "out", "--top-k 4 --end 3").expect(0, "");
    let tokens = scene.table("out", "tokens", "rl", "demo", "tied");
    let samples = scene.table("out", "samples", "rl", "demo", "tied");
    let (ids, tops, logprobs) =
        (tokens.u32s("token_id"), tokens.u32_lists("top_ids"), tokens.f32_lists("top_logprobs"));
    let (contexts, of_sample) = (samples.u32s("context_tokens"), tokens.u32s("sample_id"));
    let [axolotl, distillkit] = ["axolotl", "distillkit"].map(|format| exported(&scene, format));
    assert_eq!((axolotl.len(), distillkit.len()), (samples.len(), samples.len()));
    for (sample, (a, d)) in axolotl.iter().zip(&distillkit).enumerate() {
        assert_eq!(
            keys(a),
            ["attention_mask", "input_ids", "labels", "target_logprobs", "target_mask", "target_token_ids"]
        );
        assert_eq!(keys(d), ["input_ids", "labels", "token_ids", "top_values"]);
        let places: Vec<usize> = (0..ids.len()).filter(|&row| of_sample[row] == Some(sample as u32)).collect();
        let (before, n) = (contexts[sample].unwrap() as usize, contexts[sample].unwrap() as usize + places.len());
        let input = a["input_ids"].as_array().unwrap();
        assert_eq!((input.len(), &d["input_ids"], &d["labels"]), (n, &a["input_ids"], &a["labels"]));
        let response: Vec<Value> = places.iter().map(|&row| json!(ids[row])).collect();
        assert_eq!(input[before..], response);
        assert_eq!(a["labels"].as_array().unwrap()[..], [vec![json!(-100); before], response].concat());
        assert_eq!(a["attention_mask"], json!(vec![1; n]));
        // axolotl: entry i is of token i. DistillKit: of what follows it.
        assert_eq!((lengths(&a["target_token_ids"]), lengths(&d["token_ids"])), (vec![4; n], vec![4; n - 1]));
        assert_eq!(a["target_mask"], json!((0..n).map(|i| [u8::from(i >= before); 4]).collect::<Vec<_>>()));
        for (place, &row) in places.iter().enumerate() {
            assert_eq!(a["target_token_ids"][before + place], json!(tops[row]));
            assert_eq!(d["token_ids"][before + place - 1], json!(tops[row]));
            let sum: f64 = logprobs[row].iter().map(|&x| f64::from(x).exp()).sum();
            for (entry, &x) in logprobs[row].iter().enumerate() {
                let of_axolotl = a["target_logprobs"][before + place][entry].as_f64().unwrap();
                assert!((of_axolotl - (f64::from(x) - sum.ln())).abs() < 1e-12);
                assert_eq!(d["top_values"][before + place - 1][entry], json!(f64::from(x)));
            }
        }
        assert_eq!((&a["target_logprobs"][0], &d["top_values"][0][0]), (&json!(vec![-1e9; 4]), &json!(-(4_f64.ln()))));
    }
}

/// What cannot be said is left out by name: ids that another tokenizer makes, tokens without lists.
#[test]
fn samples_without_a_row_are_counted() {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &rows());
    scene.score("rl_demo.jsonl", &[TIED], "out", "--top-k 0").expect(0, "");
    let tokenizer = |name: &str| common::fixture(name).display().to_string();
    let export = |name: &str| scene.run(&format!("export out --format axolotl --tokenizer {}", tokenizer(name)));
    export(TIED.1).expect(4, "some of its tokens have no list of most likely ones: score with --top-k");
    scene.run("export out --format axolotl").expect(2, "--tokenizer");
    // Of an import without the text before its tokens, nothing makes the ids again.
    let row = json!({
        "token_ids": [1, 2, 3], "mask": [0, 1, 1], "logprobs": [null, -0.5, -1.5],
        "top_logprobs": [null, {"2": -0.5}, {"3": -1.5}]
    });
    scene.dataset("rl_other.jsonl", &[row]);
    scene.run("import rl_other.jsonl --output-dir ids").expect(0, "1 ok samples");
    let said = scene.run(&format!("export ids --format distillkit --tokenizer {}", tokenizer(TIED.1)));
    said.expect(4, "0 rows").expect(4, "the ids before its response are not found again: is --tokenizer the one");
}
