//! Numbers that other programs recorded, in every format that `import` reads: each is the nearest f32 of what the file says,
//! at the place of its token. The files are made by scripts/make_recorded.py.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use crate::common::{Columns, Said, Scene};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/recorded");

fn import(scene: &Scene, files: &str, more: &str) -> Said {
    let files: Vec<String> = files.split(' ').map(|file| format!("{FIXTURES}/{file}")).collect();
    scene.run(&format!("import {} --output-dir out {more}", files.join(" ")))
}

fn rows(file: &str) -> Vec<Value> {
    let text = fs::read_to_string(Path::new(FIXTURES).join(file)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn f32_of(value: &Value) -> Option<f32> {
    value.as_f64().map(|x| x as f32)
}

fn id_of(value: &Value) -> Option<u32> {
    value.as_u64().map(|id| id as u32)
}

/// The tokens table: sample, id and log-probability of each row.
fn tokens(columns: &Columns) -> Vec<(u32, Option<u32>, Option<f32>)> {
    let (samples, ids, logprobs) = (columns.u32s("sample_id"), columns.u32s("token_id"), columns.f32s("logprob"));
    samples.into_iter().zip(ids).zip(logprobs).map(|((sample, id), logprob)| (sample.unwrap(), id, logprob)).collect()
}

/// What `verify` and `kl` must find nothing wrong with.
fn is_well(scene: &Scene) {
    let said = scene.run("verify out");
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
}

#[test]
fn rows_of_ids_and_masks() {
    let scene = Scene::new();
    import(&scene, "policy_rows.jsonl", "--keep-fields reward")
        .expect(0, "`policy` on `rows` by `policy`: 9 ok samples");
    let (found, rows) = (scene.table("out", "tokens", "policy", "rows", "policy"), rows("policy_rows.jsonl"));
    let mut expected = Vec::new();
    for (sample, row) in (0..).zip(&rows) {
        let (ids, values) = (list(&row["token_ids"]), list(&row["logprobs"]));
        match row["id"].as_str().unwrap() {
            "sampled" => expected.extend((0..2).map(|i| (sample, id_of(&ids[2 + i]), f32_of(&values[i])))),
            _ => expected.extend(
                ids.iter()
                    .zip(values)
                    .filter(|(_, value)| !value.is_null())
                    .map(|(id, x)| (sample, id_of(id), f32_of(x))),
            ),
        }
    }
    assert_eq!(tokens(&found), expected);
    // The three forms of lists say the same: three entries, most likely first.
    let lists = found.f32_lists("top_logprobs");
    assert!(lists[..6 * 7].iter().all(|list| list.len() == 3 && list.is_sorted_by(|a, b| a >= b)), "{lists:?}");
    let samples = scene.table("out", "samples", "policy", "rows", "policy");
    // What stands before a response without its prompt is not known.
    assert_eq!(samples.u32s("context_tokens")[..8], [[Some(3); 6].as_slice(), &[Some(1), None]].concat());
    assert_eq!(samples.f64s("reward")[..3], [Some(0.0), Some(1.0), Some(0.0)]);
    assert_eq!(samples.texts("row_id")[7].as_deref(), Some("response"));
    is_well(&scene);
    // The same command again has nothing to do; other rows under the same names are rejected.
    let before = scene.files("out");
    import(&scene, "policy_rows.jsonl", "--keep-fields reward").expect(0, "already imported");
    assert!(scene.files("out") == before);
    import(&scene, "policy_rows.jsonl", "--keep-fields id,reward").expect(1, "--keep-fields = `reward`");
}

/// Two files with numbers of one text are two models, which differ where their numbers do.
#[test]
fn two_files_of_one_text_are_compared() {
    let scene = Scene::new();
    let row = |i: u32, shift: f64| {
        let ids: Vec<u32> = (0..8).map(|t| (i * 5 + t * 3) % 50).collect();
        let values: Vec<f64> = (0..4).map(|t| -0.5 - f64::from(t) - shift).collect();
        json!({"token_ids": ids, "mask": [0, 0, 1, 1, 0, 1, 1, 0], "mine": values, "theirs": [values[0], -1.0, -2.0, values[3]]})
    };
    scene.dataset("rl_demo.jsonl", &(0..300).map(|i| row(i, 0.0)).collect::<Vec<_>>());
    scene.run("import rl_demo.jsonl --output-dir out --fields logprobs=mine").expect(0, "`rl` on `demo`");
    scene.run("import rl_demo.jsonl --output-dir out --fields logprobs=theirs --model q").expect(0, "`q` on `demo`");
    is_well(&scene);
    let said = scene.run("kl --data-dir out --json");
    let result: Value = serde_json::from_str(&said.expect(0, "").stdout).unwrap();
    let pair = if result.is_array() { &result[0] } else { &result["pairs"][0] };
    assert_eq!((&pair["p"], &pair["q"]), (&json!("rl"), &json!("q")), "{result}");
    assert_eq!(scene.parts("out"), 4, "a part holds 256 rows");
}

/// Ids between two sampled stretches are part of what both models must have been given.
#[test]
fn what_stands_between_stretches_must_be_the_same() {
    let scene = Scene::new();
    let row = |between: u32| json!({"token_ids": [1, 2, between, 3], "mask": [0, 1, 0, 1], "logprobs": [-1.0, -2.0]});
    for (folder, between) in [("a", 7), ("b", 8)] {
        scene.dataset("rl_demo.jsonl", &[row(between)]);
        scene.run(&format!("import rl_demo.jsonl --output-dir {folder}")).expect(0, "1 ok");
    }
    let hash = |folder: &str| scene.table(folder, "samples", "rl", "demo", "rl").texts("context_hash");
    assert_ne!(hash("a"), hash("b"));
    // Into one directory they do not go: the text is another.
    scene.run("import rl_demo.jsonl --output-dir a --model q").expect(1, "the dataset's content = ");
}

#[test]
fn token_exports_of_prime_rl() {
    let scene = Scene::new();
    let files = ["0/rank_0", "0/rank_1", "1/rank_0", "1/rank_1"].map(|file| format!("token_exports/step_{file}.jsonl"));
    import(&scene, &files.join(" "), "").expect(0, "`trainer` on `rollouts` by `inference`: 12 ok samples");
    let rows: Vec<Value> = files.iter().flat_map(|file| rows(file)).collect();
    for (model, field) in [("inference", "inference_logprobs"), ("trainer", "trainer_logprobs")] {
        let found = scene.table("out", "tokens", "inference", "rollouts", model);
        let expected = rows.iter().enumerate().flat_map(|(sample, row)| {
            let sampled = list(&row["loss_mask"]).iter().zip(list(&row["token_ids"])).zip(list(&row[field]));
            sampled
                .filter(|((mask, _), _)| mask.as_bool().unwrap())
                .map(move |((_, id), x)| (sample as u32, id_of(id), f32_of(x)))
        });
        assert_eq!(tokens(&found), expected.collect::<Vec<_>>(), "{model}");
        let has_entropy = found.f32s("entropy").iter().all(Option::is_some);
        assert_eq!(has_entropy, model == "trainer", "the entropy is the trainer's");
    }
    let samples = scene.table("out", "samples", "inference", "rollouts", "trainer");
    assert_eq!(samples.f64s("step")[5..7], [Some(0.0), Some(1.0)]);
    assert_eq!(samples.texts("env_name")[..2], [Some("code".to_owned()), Some("math".to_owned())]);
    assert_eq!(samples.f64s("reward")[..2], [Some(0.0), Some(1.0)]);
    let advantage = list(&rows[0]["advantages"]).last().unwrap().as_f64();
    assert_eq!(samples.f64s("advantage")[0], advantage);
    is_well(&scene);
    scene.run("kl --data-dir out --reference inference").expect(0, "");
}

#[test]
fn training_data_of_nemo_rl() {
    let scene = Scene::new();
    import(&scene, "train_data_step3.jsonl", "").expect(0, "`inference` on `rollouts` by `inference`: 4 ok samples");
    let rows = rows("train_data_step3.jsonl");
    for (model, field) in [("inference", "generation_logprobs"), ("trainer", "prev_logprobs")] {
        let found = scene.table("out", "tokens", "inference", "rollouts", model);
        let expected = rows.iter().enumerate().flat_map(|(sample, row)| {
            let length = row["input_lengths"][0].as_u64().unwrap() as usize;
            let all = list(&row["token_ids"][0]).iter().zip(list(&row[field][0])).take(length);
            all.skip(3).map(move |(id, x)| (sample as u32, id_of(id), f32_of(x)))
        });
        assert_eq!(tokens(&found), expected.collect::<Vec<_>>(), "{model}");
    }
    let samples = scene.table("out", "samples", "inference", "rollouts", "inference");
    assert_eq!((samples.f64s("step")[0], samples.f64s("reward")[1]), (Some(3.0), Some(1.0)));
    assert_eq!(samples.f64s("advantage")[2], rows[2]["advantages"][0][0].as_f64());
    is_well(&scene);
}

#[test]
fn outputs_of_vllm_nested_and_flat() {
    let scene = Scene::new();
    import(&scene, "vllm_outputs.jsonl", "--model vllm").expect(0, "`vllm` on `outputs` by `vllm`: 8 ok samples");
    let rows = rows("vllm_outputs.jsonl");
    let found = scene.table("out", "tokens", "vllm", "outputs", "vllm");
    let mut expected = Vec::new();
    for (row, output) in rows.iter().flat_map(|row| list(&row["outputs"]).iter().map(move |output| (row, output))) {
        let sample = expected.len() as u32 / 4;
        assert_eq!(row["prompt_logprobs"], Value::Null);
        for (place, id) in list(&output["token_ids"]).iter().enumerate() {
            let logprobs = &output["logprobs"];
            let value = if logprobs.is_array() {
                &logprobs[place][id.to_string()]["logprob"]
            } else {
                &logprobs["logprobs"][logprobs["start_indices"][place].as_u64().unwrap() as usize]
            };
            expected.push((sample, id_of(id), f32_of(value)));
        }
    }
    assert_eq!(tokens(&found), expected);
    // The token itself, which vLLM adds, is in the list only if it is one of the most likely.
    let (ids, lists, ranks) = (found.u32s("token_id"), found.u32_lists("top_ids"), found.u32s("rank"));
    for ((id, list), rank) in ids.iter().zip(&lists).zip(&ranks) {
        let (length, rank) = (list.len(), rank.unwrap() as usize);
        assert_eq!(
            (length, list.contains(&id.unwrap())),
            (if rank == 4 { 4 } else { 3 }, rank <= length),
            "{list:?} {id:?}"
        );
    }
    assert_eq!(found.texts("token")[0].as_deref(), Some(format!("t{}", ids[0].unwrap()).as_str()));
    let samples = scene.table("out", "samples", "vllm", "outputs", "vllm");
    assert_eq!(samples.bools("is_cut")[..2], [Some(false), Some(true)]);
    assert_eq!(samples.texts("cluster_id")[0], samples.texts("cluster_id")[1], "two outputs of one prompt");
    is_well(&scene);

    // Numbers of prompts: the file's name says who wrote them, and no row says which model read them.
    import(&scene, "writer_prompts.jsonl", "").expect(1, "which model the numbers are of");
    import(&scene, "writer_prompts.jsonl", "--model vllm").expect(0, "`vllm` on `prompts` by `writer`: 3 ok samples");
    let found = scene.table("out", "tokens", "writer", "prompts", "vllm");
    assert_eq!(
        (found.len(), scene.table("out", "samples", "writer", "prompts", "vllm").u32s("context_tokens")[0]),
        (15, Some(1))
    );
    is_well(&scene);
}

/// Answers of a real server, with their requests: the ids of the prompts are the requests'.
#[test]
fn answers_of_a_vllm_server() {
    let scene = Scene::new();
    let names = "--generation-model people --task hello";
    let said = import(&scene, "vllm_server.jsonl", names);
    said.expect(4, "line 4: choice 0: it has numbers of the prompt and of the generated tokens: --tokens prompt");
    let found = scene.table("out", "tokens", "people", "hello", "tiny");
    let row = &rows("vllm_server.jsonl")[0];
    let ids: Vec<u32> = list(&row["request"]["prompt"]).iter().filter_map(id_of).collect();
    for (place, &id) in ids.iter().enumerate().skip(1) {
        let listed = &row["body"]["choices"][0]["prompt_logprobs"][place];
        assert_eq!(tokens(&found)[place - 1], (0, Some(id), f32_of(&listed[id.to_string()]["logprob"])));
        assert_eq!(found.u32s("rank")[place - 1].map(u64::from), listed[id.to_string()]["rank"].as_u64());
        assert_eq!(found.u32_lists("top_ids")[place - 1].len(), 2);
    }
    let samples = scene.table("out", "samples", "people", "hello", "tiny");
    let statuses: Vec<String> = samples.texts("status").into_iter().flatten().collect();
    assert_eq!(statuses, ["ok", "ok", "ok", "empty", "empty", "failed"]);
    is_well(&scene);
    let generated = import(&scene, "vllm_server.jsonl", "--tokens prompt --generation-model people --task all");
    generated.expect(0, "4 ok");
}

#[test]
fn answers_of_openai_and_its_batches() {
    let scene = Scene::new();
    let said = import(&scene, "openai_chat.jsonl", "");
    said.expect(0, "`hosted` on `chat` by `openai`: 2 ok samples")
        .expect(0, "6 lists of most likely tokens have no ids");
    let found = scene.table("out", "tokens", "openai", "chat", "hosted");
    // Texts of digits are no ids.
    assert_eq!(found.u32s("token_id"), [None; 6]);
    let texts: Vec<String> = found.texts("token").into_iter().flatten().collect();
    assert_eq!(texts, ["Hel", "lo", " é", "!", " 5", "5"]);
    let content = &rows("openai_chat.jsonl")[0]["choices"][0]["logprobs"]["content"];
    assert_eq!(found.f32s("logprob")[2], f32_of(&content[2]["logprob"]));
    import(&scene, "openai_batch.jsonl", "--task batch --generation-model hosted").expect(0, "2 ok samples");
    let samples = scene.table("out", "samples", "hosted", "batch", "hosted");
    assert_eq!(samples.texts("row_id")[1].as_deref(), Some("task-1"));
    let said = import(&scene, "openai_completions.jsonl", "--task named");
    said.expect(0, "2 ok samples");
    let found = scene.table("out", "tokens", "openai", "named", "hosted");
    let rows = rows("openai_completions.jsonl");
    let name = rows[1]["choices"][0]["logprobs"]["tokens"][1].as_str().unwrap();
    assert_eq!((found.len(), found.u32s("token_id")[4]), (7, name.strip_prefix("token_id:").unwrap().parse().ok()));
    assert!(found.u32_lists("top_ids").iter().all(|list| list.len() <= 2));
    is_well(&scene);
}

#[test]
fn answers_of_sglang() {
    let scene = Scene::new();
    import(&scene, "sglang_generated.jsonl", "--model sg").expect(0, "`sg` on `generated` by `sglang`: 3 ok samples");
    let found = scene.table("out", "tokens", "sglang", "generated", "sg");
    let rows = rows("sglang_generated.jsonl");
    let scored = rows.iter().enumerate().flat_map(|(sample, row)| {
        let entries = list(&row["meta_info"]["output_token_logprobs"]).iter();
        entries.map(move |entry| (sample as u32, id_of(&entry[1]), f32_of(&entry[0])))
    });
    assert_eq!(tokens(&found), scored.collect::<Vec<_>>());
    let samples = scene.table("out", "samples", "sglang", "generated", "sg");
    assert_eq!((samples.bools("is_cut")[0], samples.u32s("context_tokens")[0]), (Some(true), None));
    // A prompt from its beginning, and one from a later token on, whose context is not known.
    import(&scene, "writer_sglang.jsonl", "--model sg").expect(0, "2 ok samples");
    let samples = scene.table("out", "samples", "writer", "sglang", "sg");
    assert_eq!(samples.u32s("context_tokens"), [Some(1), None]);
    assert_eq!(scene.table("out", "tokens", "writer", "sglang", "sg").len(), 5 + 3);
    is_well(&scene);
}

/// Each is a failed sample that names its line; the other rows are kept.
#[test]
fn rows_that_cannot_be_used_fail_alone() {
    let good = r#"{"token_ids": [1, 2, 3], "mask": [0, 1, 1], "logprobs": [null, -0.5, -1.5]}"#;
    let rows = [
        (
            r#"{"token_ids": [1, 2, 3], "mask": [0, 1], "logprobs": [null, -1, -1]}"#,
            "the mask has 2 entries for 3 token ids",
        ),
        (r#"{"token_ids": [1, 2, 3], "mask": [0, 1, 1], "logprobs": [-1]}"#, "1 entries of `logprobs` for 3 token ids"),
        (r#"{"token_ids": [1, 2, 3], "mask": [0, 1, 1], "logprobs": [null, 0.5, -1]}"#, "token 1 is 0.5, above 0"),
        (r#"{"token_ids": [1, 2, 3], "mask": [0, 1, 1], "logprobs": [null, -1, NaN]}"#, "token 2 is NaN"),
        (
            r#"{"token_ids": [1, 2, 3], "mask": [0, 1, 1], "logprobs": [null, -1, null]}"#,
            "token 2 was sampled and has no",
        ),
        (r#"{"token_ids": [1, -2, 3], "mask": [0, 1, 1], "logprobs": [null, -1, -1]}"#, "item 1 is -2"),
        (
            r#"{"token_ids": [1, 2, 99], "mask": [0, 1, 1], "logprobs": [null, -1, -1]}"#,
            "token id 99 is outside the vocabulary of 50",
        ),
        (r#"{"token_ids": [1, 2, 3], "logprobs": [-1]}"#, "give a mask of the sampled tokens"),
        (r#"{"token_ids": [1, 2, 3], "mask": [0, 1, 1], "logprobs": [null, -0."#, "broken JSON"),
    ];
    for (row, what) in rows {
        let scene = Scene::new();
        scene.write("rl_demo.jsonl", format!("{good}\n{row}\n{good}"));
        let said = scene.run("import rl_demo.jsonl --output-dir out --vocab 50");
        said.expect(4, "2 ok, 1 failed samples; 4 tokens").expect(4, "line 2: ");
        assert!(said.stderr.contains(what), "expected {what:?} in {}", said.stderr);
        let samples = scene.table("out", "samples", "rl", "demo", "rl");
        assert!(samples.texts("reason")[1].as_ref().unwrap().starts_with("line 2: "));
        is_well(&scene);
    }
    // Rounding, and stand-ins for −∞.
    let scene = Scene::new();
    scene.write("rl_demo.jsonl", r#"{"token_ids": [1, 2, 3, 4], "logprobs": [null, 0.0005, -9999.0, -Infinity]}"#);
    let said = scene.run("import rl_demo.jsonl --output-dir out");
    said.expect(0, "1 log-probabilities are above 0 by less than 0.001").expect(0, "2 log-probabilities are −∞");
    let found = scene.table("out", "tokens", "rl", "demo", "rl").f32s("logprob");
    assert_eq!(found, [Some(0.0), Some(f32::NEG_INFINITY), Some(f32::NEG_INFINITY)]);
    is_well(&scene);
}

#[test]
fn some_rows_may_lack_what_others_have() {
    let scene = Scene::new();
    let with = |entropy: f64| {
        json!({"token_ids": [1, 2], "logprobs": [null, -1.0], "entropy": [null, entropy], "ranks": [null, 2],
               "top_logprobs": [null, {"3": -0.5, "2": -1.0}]})
    };
    scene.dataset("rl_demo.jsonl", &[with(2.5), json!({"token_ids": [1, 2], "logprobs": [null, -1.0]}), with(4.5)]);
    let said = scene.run("import rl_demo.jsonl --output-dir out --vocab 64");
    said.expect(4, "2 ok, 1 failed").expect(4, "line 3: the entropy of token 1 is 4.5, outside 0 to 4.1589");
    let found = scene.table("out", "tokens", "rl", "demo", "rl");
    assert_eq!((found.f32s("entropy"), found.u32s("rank")), (vec![Some(2.5), None], vec![Some(2), None]));
    assert_eq!(found.u32_lists("top_ids"), [vec![3, 2], vec![]]);
    is_well(&scene);
}

/// What is wrong with one model's numbers is that model's alone.
#[test]
fn one_model_fails_alone() {
    let scene = Scene::new();
    let row = json!({
        "token_ids": [1, 2], "loss_mask": [false, true],
        "inference_logprobs": [0.0, -1.0], "trainer_logprobs": [0.0, null],
    });
    scene.dataset("rank_0.jsonl", &[row]);
    let said = scene.run("import rank_0.jsonl --output-dir out");
    said.expect(4, "`inference` on `rollouts` by `inference`: 1 ok")
        .expect(4, "null stands for a number that was not finite");
    is_well(&scene);
}

#[test]
fn files_that_are_of_no_format_are_rejected() {
    let scene = Scene::new();
    scene.write("a.jsonl", "{\"x\": 1}\n");
    scene.run("import a.jsonl --output-dir out").expect(1, "has the fields of no known format: prime-rl (`token_ids`");
    scene.write("b.jsonl", r#"{"token_ids": [1, 2], "logprobs": [null, -1]}"#);
    scene.write("c.jsonl", r#"{"choices": []}"#);
    scene.run("import b.jsonl c.jsonl --output-dir out").expect(1, "import them apart");
    scene.run("import b.jsonl --output-dir out --fields nothing=x").expect(1, "no format has a field `nothing`");
    scene.run("import b.jsonl --output-dir out").expect(1, "does not say who wrote the text");
    let one = r#"{"error": {"message": "no"}, "response": null}"#;
    scene.write("m_d.jsonl", format!("{}\n{one}\n", r#"{"choices": [{"logprobs": null}]}"#));
    let said = scene.run("import m_d.jsonl --output-dir out");
    said.expect(1, "has no row that can be used; the first, line 1: choice 0: it has no log-probabilities");
    let good = r#"{"choices": [{"logprobs": {"content": [{"token": "a", "logprob": -1}]}}]}"#;
    scene.write("m_d.jsonl", format!("{good}\n{one}\n"));
    scene.run("import m_d.jsonl --output-dir out").expect(4, "line 2: the answer is an error: no");
}

/// A prompt may hold the response that is meant: what stands before it is context, and has no row. Compression changes
/// nothing.
#[test]
fn tokens_before_the_response_are_context() {
    let scene = Scene::new();
    let row = |more: &str| format!(r#"{{"token_ids": [5, 6, 7, 8], "logprobs": [null, -1, -2, -3]{more}}}"#);
    scene.write("rl_all.jsonl", row(""));
    scene.write("rl_some.jsonl", row(r#", "context_tokens": 2"#));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(row(r#", "n": 2"#).as_bytes()).unwrap();
    scene.write("rl_gz.jsonl.gz", packed.finish().unwrap());
    for (task, more, expected) in [("all", "", 3), ("some", "", 2), ("gz", "--fields context_tokens=n", 2)] {
        let file = if task == "gz" { "rl_gz.jsonl.gz".to_owned() } else { format!("rl_{task}.jsonl") };
        scene.run(&format!("import {file} --output-dir out {more}")).expect(0, "1 ok");
        let found = tokens(&scene.table("out", "tokens", "rl", task, "rl"));
        assert_eq!(found.len(), expected);
        assert_eq!(found.last(), Some(&(0, Some(8), Some(-3.0))));
        let samples = scene.table("out", "samples", "rl", task, "rl");
        assert_eq!(samples.u32s("context_tokens"), [Some(4 - expected as u32)]);
    }
    is_well(&scene);
}

/// A run that was stopped continues where it ended: parts that are there are not written again.
#[test]
fn an_import_resumes_by_parts() {
    let scene = Scene::new();
    let row = |i: u32| json!({"token_ids": [i % 9, i % 7, i % 5], "logprobs": [null, -0.5, -f64::from(i) / 64.0]});
    scene.dataset("rl_demo.jsonl", &(0..600).map(row).collect::<Vec<_>>());
    scene.run("import rl_demo.jsonl --output-dir out").expect(0, "600 ok samples; 1200 tokens");
    let whole = scene.files("out");
    let cell = "generation_model=rl/task=demo/model=rl";
    fs::remove_file(scene.path(&format!("out/tokens/{cell}/part-00000001.parquet"))).unwrap();
    scene.run("import rl_demo.jsonl --output-dir out").expect(0, "256 ok samples; 512 tokens");
    assert!(scene.files("out") == whole);
}

/// A directory with tables of an earlier version's import is rejected by name.
#[test]
fn imports_of_earlier_versions_are_rejected() {
    let scene = Scene::new();
    scene.write("rl_demo.jsonl", r#"{"token_ids": [1, 2], "logprobs": [null, -1]}"#);
    scene.run("import rl_demo.jsonl --output-dir out").expect(0, "1 ok");
    let path = scene.path("out/runs/generation_model=rl/task=demo/model=rl/manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(manifest["engine"]["source"], "rows of log-probabilities");
    manifest["engine"].as_object_mut().unwrap().remove("source");
    fs::write(&path, manifest.to_string()).unwrap();
    let said = scene.run("kl --data-dir out");
    said.expect(1, "was imported by an earlier version");
}

/// Which of two masks says what was sampled is never guessed.
#[test]
fn two_masks_in_a_row_need_a_choice() {
    let scene = Scene::new();
    let row =
        json!({"token_ids": [1, 2, 3], "mask": [0, 1, 1], "loss_mask": [0, 0, 1], "logprobs": [null, -0.5, -1.5]});
    scene.dataset("rl_demo.jsonl", &[row]);
    let said = scene.run("import rl_demo.jsonl --output-dir out");
    said.expect(
        1,
        "line 1: the row has `mask` and also `loss_mask`: say which tokens were sampled with --fields mask=mask",
    );
    for (folder, fields, tokens) in [("a", "mask=loss_mask", 1), ("b", "mask=mask", 2), ("c", "loss_mask=loss_mask", 1)]
    {
        scene
            .run(&format!("import rl_demo.jsonl --output-dir {folder} --fields {fields}"))
            .expect(0, &format!("1 ok samples; {tokens} tokens"));
    }
}

#[test]
fn a_file_is_imported_once() {
    let scene = Scene::new();
    let row = json!({"token_ids": [1, 2, 3], "logprobs": [null, -0.5, -1.5]});
    for name in ["rl_demo.jsonl", "rl_copy.jsonl"] {
        scene.dataset(name, std::slice::from_ref(&row));
    }
    scene.write("empty.jsonl", "");
    scene.write("also_empty.jsonl", "");
    let names = "--output-dir out --generation-model rl --task demo";
    scene
        .run(&format!("import rl_demo.jsonl ./rl_demo.jsonl {names}"))
        .expect(1, "`./rl_demo.jsonl` is given twice: its rows would count twice");
    let said =
        scene.run(&format!("import rl_demo.jsonl rl_copy.jsonl empty.jsonl also_empty.jsonl {names} --format rows"));
    said.expect(1, "`rl_copy.jsonl`: has the same content as `rl_demo.jsonl`: its rows would count twice");
    // A rank that wrote nothing has an empty file.
    scene.run(&format!("import rl_demo.jsonl empty.jsonl also_empty.jsonl {names} --format rows")).expect(0, "1 ok");
}

/// A mean over the few rows that have ranks is said to be one.
#[test]
fn means_over_some_of_the_tokens_say_how_few() {
    let scene = Scene::new();
    let row = |rank: Option<u32>| {
        let mut row = json!({"token_ids": [1, 2, 3], "logprobs": [null, -0.5, -1.5]});
        if let Some(rank) = rank {
            row["ranks"] = json!([null, rank, 1]);
        }
        row
    };
    for model in ["p", "q"] {
        scene.dataset("p_demo.jsonl", &[row(Some(2)), row(None), row(None)]);
        scene.run(&format!("import p_demo.jsonl --output-dir out --model {model}")).expect(0, "3 ok");
    }
    let note = "known at only 2 of 6 tokens, whose mean they are: rank_shift, log2_rank_ratio";
    scene.run("kl out --all").expect_out(note);
    scene.run("kl out").expect_out("known at only 2 of 6 tokens");
}

/// Every number that numpy gave, from the definitions, agrees; and what is not there is not made up.
fn agrees(expected: &Value, found: &Value, at: &str) -> usize {
    match expected {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(key, _)| *key != "named");
            fields.map(|(key, value)| agrees(value, &found[key], &format!("{at}.{key}"))).sum()
        }
        Value::Array(items) => {
            items.iter().enumerate().map(|(i, item)| agrees(item, &found[i], &format!("{at}[{i}]"))).sum()
        }
        number => {
            let (number, found) = (number.as_f64().unwrap(), found.as_f64().unwrap_or(f64::NAN));
            assert!((number - found).abs() <= 1e-9 * number.abs().max(1.0), "{at}: numpy {number}, found {found}");
            1
        }
    }
}

/// A tiny model in bf16 and in f32 with noise in its head: 240 sequences of 60 prompts at three steps. The expectations are
/// numpy's (scripts/make_mismatch.py).
#[test]
fn importance_weights_are_those_of_numpy() {
    let scene = Scene::new();
    import(&scene, "mismatch.jsonl.gz", "").expect(0, "`trainer` on `rollouts` by `inference`: 240 ok samples");
    let expected: Value =
        serde_json::from_str(&fs::read_to_string(Path::new(FIXTURES).join("mismatch.json")).unwrap()).unwrap();
    let kl: Value = serde_json::from_str(&scene.run("kl out --json").stdout).unwrap();
    let pair = &kl["pairs"][0];
    assert_eq!((pair["p"].as_str(), pair["q"].as_str()), (Some("inference"), Some("trainer")));
    assert_eq!(pair["clusters"], 60);
    // Of each of four sets of samples.
    assert_eq!(agrees(&expected, &pair["weights"], ""), 4 * 76 + 3);
    let alarms = |figures: &Value| -> Vec<String> {
        list(&figures["alarms"]).iter().map(|alarm| alarm["statistic"].as_str().unwrap().to_owned()).collect()
    };
    let steps = list(&pair["weights"]["by_step"]);
    assert_eq!(alarms(&steps[0]["figures"]), Vec::<String>::new());
    assert_eq!(alarms(&steps[1]["figures"]), Vec::<String>::new());
    assert_eq!(alarms(&steps[2]["figures"]), ["exp_abs_delta_logprob", "kl_k3"]);
    assert_eq!(pair["weights"]["named"], json!([]));

    for framework in ["verl", "trl", "prime-rl", "nemo-rl"] {
        let said = scene.run(&format!("kl out --names {framework}"));
        let lines: Vec<Value> =
            said.expect(0, "").stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 3);
        for (line, step) in lines.iter().zip(list(&expected["by_step"])) {
            let names = &step["figures"]["named"][framework];
            assert!(agrees(names, line, framework) >= 3);
            let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            let own = ["task", "p", "q", "step"];
            assert_eq!(line["step"], step["step"]);
            assert!(keys(line).iter().all(|key| own.contains(&key.as_str()) || keys(names).contains(key)), "{line}");
        }
    }
    scene.run("kl out").expect_out("ALARM: kl_k3 is 0.044826, above 0.001 (nemo-rl's limit)");
    let all = scene.run("kl out --all --sampled cut --weight-cap 3");
    all.expect_out("the mean weight is Q(A) in expectation").expect_out("above 3");
    // By lazy queries or by the pass, from all threads or one.
    let plain: Value = serde_json::from_str(&scene.run("kl out --json --plain --threads 1").stdout).unwrap();
    assert_eq!(plain["pairs"][0]["weights"], pair["weights"]);
    scene.run("kl out --statistics statistics.csv").expect(0, "");
    let statistics = fs::read_to_string(scene.path("statistics.csv")).unwrap();
    let row = |slice: &str, measure: &str| {
        let name = format!(",{slice},{measure},");
        statistics.lines().filter(|line| line.contains(&name)).count()
    };
    assert_eq!((row("all", "weight_token"), row("all", "weight_sequence,ess"), row("all", "kl_k2")), (10, 1, 1));
    assert_eq!(row("field.step=3", "weight_sequence_mean"), 10);
    scene.run("report out -o page.html").expect(0, "");
    let page = fs::read_to_string(scene.path("page.html")).unwrap();
    assert!(
        page.contains("Importance weights q/p of Q on the text that P recorded")
            && page.contains("kl_k3 0.044826, above 0.001")
    );
}

/// Weights are of what the writer of the text recorded: a model that only reads it has none.
#[test]
fn texts_of_other_models_have_no_weights() {
    let scene = Scene::new();
    let row = |logprob: f64| json!({"token_ids": [1, 2, 3], "logprobs": [null, logprob, -1.5]});
    for (model, logprob) in [("p", -0.5), ("q", -0.25), ("r", -0.75)] {
        scene.dataset("p_demo.jsonl", &[row(logprob)]);
        scene.run(&format!("import p_demo.jsonl --output-dir out --model {model}")).expect(0, "1 ok");
    }
    let weights = |options: &str| -> Vec<bool> {
        let kl: Value = serde_json::from_str(&scene.run(&format!("kl out --json {options}")).stdout).unwrap();
        list(&kl["pairs"]).iter().map(|pair| !pair["weights"].is_null()).collect()
    };
    assert_eq!((weights(""), weights("--reference q")), (vec![true, true], vec![false, false]));
    scene.run("kl out --reference q --names verl").expect(1, "--names: no pair has importance weights");
}
