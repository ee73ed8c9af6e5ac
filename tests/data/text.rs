//! Plain text in windows, and what `score` prints about rows at its end.

use crate::common::{self, Scene, rows};
use serde_json::{Value, json};
use tokshift::dataset::{Content, Windows};

const TIED: (&str, &str) = ("tied", "qwen3-tied");

/// A text of some hundred tokens by any tokenizer.
fn text() -> String {
    (0..40).fold(String::new(), |text, i| text + &format!("Line {i} of a text: naïve café, 你好 🙂.\n"))
}

#[test]
fn the_second_half_of_a_window_is_scored() {
    let scene = Scene::new();
    let path = scene.write("text", "");
    let ids: Vec<u32> = (0..512 * 300 + 511).collect();
    let plan = Windows::new(ids, 512, &[7_000_000]).plan(&path, None, Vec::new()).unwrap();
    assert_eq!((plan.rows, plan.samples, plan.window(), plan.parts.len()), (300, 300, Some(512), 10));
    let rows = plan.read_part(1).unwrap();
    assert_eq!((rows.len(), rows[0].row, rows[0].first_sample, rows[0].line), (32, 32, 32, 33));
    let Content::Ids { prompt, response, .. } = &rows[0].content.as_ref().unwrap().contents[0] else { panic!() };
    let first = 32 * 512;
    // As llama.cpp does: BOS stands in the place of the first token, and 255 predictions count.
    assert_eq!((prompt.len(), prompt[0], prompt[1]), (257, 7_000_000, first + 1));
    assert_eq!((response.len(), response[0], response[254]), (255, first + 257, first + 511));

    let limited = Windows::new((0..64).collect(), 8, &[]).plan(&path, Some(3), Vec::new()).unwrap();
    assert_eq!(limited.rows, 3);
    let error = Windows::new(vec![1; 7], 8, &[]).plan(&path, None, Vec::new()).unwrap_err().to_string();
    assert!(error.ends_with("7 tokens are less than a window of 8"), "{error}");
}

#[test]
fn a_text_is_scored_in_windows() {
    let scene = Scene::new();
    scene.write("wiki.raw", text());
    let score = |more: &str| {
        let model = common::fixture(TIED.1);
        scene.run(&format!("score --text wiki.raw --models tied={} --output-dir out {more}", model.display()))
    };
    score("--window 16").expect(0, "ok samples; ");
    let samples = scene.table("out", "samples", "text", "wiki", "tied");
    assert!(samples.len() > 20);
    assert!(samples.u32s("response_tokens").iter().all(|&tokens| tokens == Some(7)));
    assert!(samples.u32s("context_tokens").iter().all(|&tokens| tokens == Some(9)));
    // Characters that a window's end cuts are shown as what cannot be read; the rest of the text is there, in order.
    let parts = samples.texts("prompt").into_iter().zip(samples.texts("response"));
    let whole: String = parts.map(|(prompt, response)| prompt.unwrap() + &response.unwrap()).collect();
    let letters = |text: &str| text.chars().filter(char::is_ascii).collect::<String>();
    assert!(whole.len() > 300 && letters(&text()).starts_with(&letters(&whole)), "{whole}");

    score("--window 16").expect(0, "already scored");
    score("--window 32").expect(1, "--window = 16, this run has 32");
    score("--window 100000").expect(1, "--window 100000 is longer than the shortest context among the models");
    score("--window 3").expect(2, "3 is not in 4..");
    score("--dataset wiki.raw").expect(2, "cannot be used with");
    score("--fields input=a").expect(2, "cannot be used with");
}

#[test]
fn what_became_of_rows_is_told_at_the_end() {
    let scene = Scene::new();
    let bad = [json!({"input": "a"}), json!({"input": "b"}), json!({"input": "a", "output": ""})];
    scene.dataset("rl_demo.jsonl", &[&rows()[..], &bad].concat());
    let said = scene.score("rl_demo.jsonl", &[TIED, ("shifted", "qwen3-shifted")], "out", "");
    said.expect(4, "  rl_demo: 2 samples: failed: no `output` field (fields found: input)\n");
    said.expect(4, "  rl_demo: 1 sample: empty\n");
    assert_eq!(said.stderr.matches("fields found").count(), 1, "once for all models: {}", said.stderr);
}

#[test]
fn rows_of_other_fields_are_scored_and_remembered() {
    let scene = Scene::new();
    let rows: Vec<_> =
        rows().iter().map(|row| json!({"question": row["input"], "answers": [row["output"], "x"]})).collect();
    scene.dataset("rl_demo.jsonl", &rows);
    let score = |more: &str| scene.score("rl_demo.jsonl", &[TIED], "out", &format!("--engine mock {more}"));
    score("--fields prompt=question,responses=answers").expect(0, "60 ok samples");
    let samples = scene.table("out", "samples", "rl", "demo", "tied");
    assert_eq!(samples.u32s("turn")[..4], [Some(0), Some(1), Some(0), Some(1)]);
    assert_eq!(samples.u32s("row")[..4], [Some(0), Some(0), Some(1), Some(1)]);
    let clusters = samples.texts("cluster_id");
    assert!(clusters.chunks(2).all(|pair| pair[0] == pair[1]));
    scene.run("verify out").expect(0, "");
    score("").expect(1, "contains no usable row; the first: no `input` field");
    score("--fields question=prompt").expect(1, "--fields `question=prompt`: no kind of row has a field `question`");
}

/// The first model that was named is P, compared exactly or not.
#[test]
fn a_text_is_compared_without_a_reference() {
    let scene = Scene::new();
    scene.write("wiki.raw", text());
    let models = [TIED, ("a-shifted", "qwen3-shifted"), ("b-shifted", "qwen3-shifted")];
    let models = models.map(|(name, of)| format!("{name}={}", common::fixture(of).display())).join(",");
    let score = format!("score --text wiki.raw --window 16 --models {models} --output-dir");
    let pairs = |output: &str| {
        let said = scene.run(&format!("kl --data-dir {output} --json"));
        let found: Value = serde_json::from_str(&said.expect(0, "").stdout).unwrap();
        let pair = |pair: &Value| {
            let [p, q] = ["p", "q"].map(|side| pair[side].as_str().unwrap().to_owned());
            (p, q, pair["exact"].is_object())
        };
        found["pairs"].as_array().unwrap().iter().map(pair).collect::<Vec<_>>()
    };
    let of = |p: &str, q: &str, exact: bool| (p.to_owned(), q.to_owned(), exact);
    scene.run(&format!("{score} plain")).expect(0, "ok samples");
    assert_eq!(pairs("plain"), [of("tied", "a-shifted", false), of("tied", "b-shifted", false)]);
    scene.run(&format!("{score} exact --exact")).expect(0, "ok samples");
    assert_eq!(pairs("exact"), [of("tied", "a-shifted", true), of("tied", "b-shifted", true)]);
}
