//! Numbers as the programs' own packages write them: Inspect's logs, answers of tinker, Fireworks and Together. The files are
//! made by scripts/make_recorded_sdk.py.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use crate::common::{Columns, Said, Scene};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/recorded");

fn import(scene: &Scene, file: &str, more: &str) -> Said {
    scene.run(&format!("import {FIXTURES}/{file} --output-dir out {more}"))
}

fn rows(file: &str) -> Vec<Value> {
    let text = fs::read_to_string(Path::new(FIXTURES).join(file)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn f32_of(value: &Value) -> Option<f32> {
    value.as_f64().map(|x| x as f32)
}

fn f32s(values: &Value) -> Vec<Option<f32>> {
    values.as_array().unwrap().iter().map(f32_of).collect()
}

fn ids(values: &Value) -> Vec<Option<u32>> {
    values.as_array().unwrap().iter().map(|id| id.as_f64().map(|id| id as u32)).collect()
}

fn well(scene: &Scene) {
    scene.run("verify out").expect(0, "");
}

fn tokens(scene: &Scene, writer: &str, task: &str, model: &str) -> Columns {
    scene.table("out", "tokens", writer, task, model)
}

/// The archive and the JSON of one log say the same, though not in one order; a sample without numbers is named, the others
/// are kept.
#[test]
fn logs_of_inspect() {
    let text = fs::read_to_string(Path::new(FIXTURES).join("inspect.json")).unwrap();
    let whole: Value = serde_json::from_str(&text).unwrap();
    for file in ["inspect.eval", "inspect.json"] {
        let scene = Scene::new();
        let said = import(&scene, file, "");
        said.expect(4, "`tiny` on `small` by `tiny`: 3 ok, 1 failed samples; 6 tokens");
        said.expect(4, "choice 0: it has no log-probabilities: run the evaluation with `--logprobs`");
        said.expect(4, if file == "inspect.eval" { "samples/city_epoch_2.json: " } else { "sample 2: " });
        let samples = scene.table("out", "samples", "tiny", "small", "tiny");
        let found = tokens(&scene, "tiny", "small", "tiny");
        let (ids, logprobs, texts) = (found.u32s("sample_id"), found.f32s("logprob"), found.texts("token"));
        let mut clusters = Vec::new();
        for (sample, row_id) in samples.texts("row_id").into_iter().enumerate() {
            let Some(row_id) = row_id else { continue };
            let (id, epoch) = row_id.split_once(" epoch ").unwrap();
            let is_it = |of: &&Value| of["id"] == id && of["epoch"].as_u64() == epoch.parse().ok();
            let choice = &whole["samples"].as_array().unwrap().iter().find(is_it).unwrap()["output"]["choices"][0];
            let content = choice["logprobs"]["content"].as_array().unwrap();
            let rows: Vec<usize> = (0..ids.len()).filter(|&row| ids[row] == Some(sample as u32)).collect();
            assert_eq!(rows.len(), content.len());
            for (&row, entry) in rows.iter().zip(content) {
                assert_eq!(logprobs[row], f32_of(&entry["logprob"]));
                assert_eq!(texts[row].as_deref(), entry["token"].as_str());
            }
            assert_eq!(samples.bools("is_cut")[sample], Some(choice["stop_reason"] == "max_tokens"));
            clusters.push((id.to_owned(), samples.texts("cluster_id")[sample].clone()));
        }
        // Epochs of one sample are not independent.
        clusters.sort();
        clusters.dedup();
        assert_eq!((clusters.len(), found.u32s("token_id")), (2, vec![None; 6]));
        well(&scene);
    }
}

#[test]
fn damaged_logs_of_inspect_are_refused_by_name() {
    let scene = Scene::new();
    let bytes = fs::read(Path::new(FIXTURES).join("inspect.eval")).unwrap();
    let import = |bytes: &[u8]| {
        scene.write("cut.eval", bytes);
        scene.run("import cut.eval --output-dir out")
    };
    import(&bytes[..bytes.len() - 30]).expect(1, "has no directory at its end: was it cut off?");
    import(&bytes[..20]).expect(1, "has no directory at its end");
    let mut other = bytes.clone();
    let place = bytes.windows(11).position(|window| window == b"header.json").unwrap();
    other[place] = b'x';
    let last = bytes.windows(11).rposition(|window| window == b"header.json").unwrap();
    other[last] = b'x';
    // What has not ended has its beginning alone.
    import(&other).expect(4, "3 ok, 1 failed samples");
    // A sample whose bytes are damaged fails alone.
    let scene = Scene::new();
    let mut other = bytes;
    let name = b"samples/sum_epoch_1.json";
    let place = other.windows(name.len()).position(|window| window == name).unwrap();
    other[place + 44..place + 84].fill(0xFF);
    scene.write("cut.eval", &other);
    let said = scene.run("import cut.eval --output-dir out");
    said.expect(4, "samples/sum_epoch_1.json: cannot be unpacked: ");
}

#[test]
fn answers_of_tinker() {
    let scene = Scene::new();
    let said = import(&scene, "tinker_samples.jsonl", "--model policy");
    said.expect(0, "`policy` on `samples` by `tinker`: 6 ok samples; 21 tokens")
        .expect(0, "1 log-probabilities are −∞");
    let found = tokens(&scene, "tinker", "samples", "policy");
    let rows = rows("tinker_samples.jsonl");
    let sequences: Vec<&Value> = rows.iter().flat_map(|row| row["sequences"].as_array().unwrap()).collect();
    let expected: Vec<Option<f32>> = sequences.iter().flat_map(|sequence| f32s(&sequence["logprobs"])).collect();
    let expected: Vec<_> =
        expected.into_iter().map(|x| x.map(|x| if x == -99999.0 { f32::NEG_INFINITY } else { x })).collect();
    assert_eq!(found.f32s("logprob"), expected);
    assert_eq!(found.u32s("token_id"), sequences.iter().flat_map(|of| ids(&of["tokens"])).collect::<Vec<_>>());
    assert_eq!(found.f32_lists("top_logprobs")[0].len(), 2);
    let samples = scene.table("out", "samples", "tinker", "samples", "policy");
    assert_eq!(
        (samples.u32s("context_tokens"), samples.bools("is_cut")[..2].to_vec()),
        (vec![Some(4); 6], vec![Some(false), Some(true)])
    );
    well(&scene);
    import(&scene, "writer_tinker.jsonl", "--model policy").expect(0, "`policy` on `tinker` by `writer`: 2 ok samples");
    let found = tokens(&scene, "writer", "tinker", "policy");
    let of_prompts = self::rows("writer_tinker.jsonl");
    let expected: Vec<_> = of_prompts.iter().flat_map(|row| f32s(&row["prompt_logprobs"]).split_off(1)).collect();
    assert_eq!(found.f32s("logprob"), expected);
    well(&scene);
}

#[test]
fn answers_of_fireworks_and_together() {
    let scene = Scene::new();
    import(&scene, "fireworks_chat.jsonl", "").expect(0, "`hosted` on `chat` by `fireworks`: 2 ok samples");
    let found = tokens(&scene, "fireworks", "chat", "hosted");
    let chats = rows("fireworks_chat.jsonl");
    let content: Vec<&Value> =
        chats.iter().flat_map(|row| row["choices"][0]["logprobs"]["content"].as_array().unwrap()).collect();
    assert_eq!(found.f32s("logprob"), content.iter().map(|entry| f32_of(&entry["logprob"])).collect::<Vec<_>>());
    assert_eq!(
        found.u32s("token_id"),
        content.iter().map(|entry| entry["token_id"].as_u64().map(|id| id as u32)).collect::<Vec<_>>()
    );
    // Their lists have ids, and the prompt's ids stand in `raw_output`.
    assert!(found.u32_lists("top_ids").iter().all(|list| list.len() == 2));
    assert_eq!(scene.table("out", "samples", "fireworks", "chat", "hosted").u32s("context_tokens"), [Some(3); 2]);

    import(&scene, "writer_fireworks.jsonl", "").expect(0, "`hosted` on `fireworks` by `writer`: 2 ok samples");
    let found = tokens(&scene, "writer", "fireworks", "hosted");
    let echoed = rows("writer_fireworks.jsonl");
    let logprobs = |row: &Value| row["choices"][0]["logprobs"].clone();
    let expected: Vec<_> = echoed.iter().flat_map(|row| f32s(&logprobs(row)["token_logprobs"]).split_off(1)).collect();
    assert_eq!(found.f32s("logprob"), expected);
    assert_eq!(
        found.u32s("token_id"),
        echoed.iter().flat_map(|row| ids(&logprobs(row)["token_ids"]).split_off(1)).collect::<Vec<_>>()
    );

    let together = |more: &str| import(&scene, "writer_together.jsonl", more);
    together("")
        .expect(1, "has no row that can be used; the first, line 1: choice 0: it has numbers of the prompt and of");
    // The wrong command left nothing behind.
    together("--tokens prompt").expect(0, "`hosted` on `together` by `writer`: 2 ok samples; 6 tokens");
    let found = tokens(&scene, "writer", "together", "hosted");
    let answers = rows("writer_together.jsonl");
    let expected: Vec<_> =
        answers.iter().flat_map(|row| ids(&row["prompt"][0]["logprobs"]["token_ids"]).split_off(1)).collect();
    assert_eq!(found.u32s("token_id"), expected);
    together("--tokens generated --task answers")
        .expect(0, "`hosted` on `answers` by `writer`: 2 ok samples; 6 tokens");
    let found = tokens(&scene, "writer", "answers", "hosted");
    let expected: Vec<_> =
        answers.iter().flat_map(|row| f32s(&row["choices"][0]["logprobs"]["token_logprobs"])).collect();
    assert_eq!(found.f32s("logprob"), expected);
    assert_eq!(scene.table("out", "samples", "writer", "answers", "hosted").u32s("context_tokens"), [Some(4); 2]);
    well(&scene);
}

/// Each is a failed sample that names its line; the other rows are kept.
#[test]
fn answers_that_cannot_be_used_fail_alone() {
    let scene = Scene::new();
    let of = |sequence: Value| json!({"prompt": [1, 2], "sequences": [sequence]});
    let good = of(json!({"tokens": [3, 4], "logprobs": [-0.5, -1.5], "stop_reason": "stop"}));
    let bad = [
        (of(json!({"tokens": [3, 4], "logprobs": [-0.5]})).to_string(), "2 token ids, 1 entries of `logprobs`"),
        (of(json!({"tokens": [3, 4], "logprobs": [-0.5, 0.1]})).to_string(), "token 3 is 0.1, above 0"),
        (
            of(json!({"tokens": [3, 99], "logprobs": [-0.5, -1.0]})).to_string(),
            "token id 99 is outside the vocabulary of 64",
        ),
        (of(json!({"tokens": [3, 4], "logprobs": [-0.5, -1.0]})).to_string().replace("-1.0", "NaN"), "token 3 is NaN"),
        (
            json!({"error": {"message": "overloaded", "type": "x"}, "sequences": null}).to_string(),
            "`sequences` is null",
        ),
        (r#"{"prompt": [1, 2], "sequences": [{"tokens": [3"#.to_owned(), "broken JSON"),
    ];
    for (row, reason) in bad {
        let text = format!("{good}\n{row}\n");
        scene.write("rl_demo.jsonl", text);
        let out = reason.replace([' ', '`'], "");
        let said = scene.run(&format!("import rl_demo.jsonl --output-dir {out} --vocab 64"));
        said.expect(4, "1 ok, 1 failed samples").expect(4, "line 2: ").expect(4, reason);
    }
    // What a server says of an error is told in its words.
    scene.write(
        "rl_demo.jsonl",
        r#"{"error": {"message": "The model is overloaded.", "code": 503}, "choices": null, "body": {}}"#,
    );
    let said = scene.run("import rl_demo.jsonl --output-dir e --format openai");
    said.expect(1, "line 1: the answer is an error: The model is overloaded.");
    scene.write("rl_demo.jsonl", r#"{"custom_id": "a", "response": {"body": {"error": {"message": "Overloaded."}}}}"#);
    scene.run("import rl_demo.jsonl --output-dir e").expect(1, "line 1: the answer is an error: Overloaded.");
}

#[test]
fn a_file_is_imported_once() {
    let scene = Scene::new();
    let row = json!({"token_ids": [1, 2], "logprobs": [null, -1.0]});
    for name in ["rl_a.jsonl", "rl_b.jsonl"] {
        scene.dataset(name, std::slice::from_ref(&row));
    }
    let names = "--output-dir out --generation-model g --task t --model m";
    scene
        .run(&format!("import rl_a.jsonl ./rl_a.jsonl {names}"))
        .expect(1, "is given twice: its rows would count twice");
    scene.run(&format!("import rl_a.jsonl rl_b.jsonl {names}")).expect(1, "has the same content as `rl_a.jsonl`");
    scene.run(&format!("import rl_a.jsonl {names}")).expect(0, "1 ok samples");
    // What it cost is in the log.
    let logs = fs::read_dir(scene.path("out/logs")).unwrap().count();
    assert_eq!(logs, 1);
    let mut file = fs::OpenOptions::new().append(true).open(scene.path("rl_b.jsonl")).unwrap();
    writeln!(file, "{row}").unwrap();
    scene.run(&format!("import rl_b.jsonl {names}")).expect(1, "");
}
