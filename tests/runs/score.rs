//! `tokshift score` as people run it: what stands in the tables, and what may not change a byte of them.

use crate::common::{Columns, Scene, rows};
use serde_json::{Value, json};

const TIED: (&str, &str) = ("tied", "qwen3-tied");
const SHIFTED: (&str, &str) = ("shifted", "qwen3-shifted");

fn texts(rows: &[Value], field: &str) -> Vec<Option<String>> {
    rows.iter().map(|row| row[field].as_str().map(str::to_owned)).collect()
}

/// Rows of the tokens table that belong to each sample.
fn by_sample(tokens: &Columns, samples: usize) -> Vec<std::ops::Range<usize>> {
    let ids: Vec<usize> = tokens.u32s("sample_id").into_iter().map(|id| id.unwrap() as usize).collect();
    assert!(ids.is_sorted());
    let first = |sample: usize| ids.partition_point(|&id| id < sample);
    (0..samples).map(|sample| first(sample)..first(sample + 1)).collect()
}

#[test]
fn both_tables_hold_what_was_asked_for() {
    let scene = Scene::new();
    let rows = rows();
    scene.dataset("rl_demo.jsonl", &rows);
    let said = scene.score("rl_demo.jsonl", &[TIED, SHIFTED], "out", "");
    said.expect(0, "tied: 30 ok samples; ").expect(0, "shifted: 30 ok samples; ");
    assert_eq!(said.stdout, "");
    for model in ["tied", "shifted"] {
        let samples = scene.table("out", "samples", "rl", "demo", model);
        let tokens = scene.table("out", "tokens", "rl", "demo", model);
        check_samples(&samples, &rows);
        check_places(&samples, &tokens);
        check_numbers(&tokens);
        check_means(&samples, &tokens);
    }
}

fn check_samples(samples: &Columns, rows: &[Value]) {
    let ids: Vec<_> = (0..rows.len() as u32).map(Some).collect();
    assert_eq!(samples.u32s("sample_id"), ids);
    assert_eq!(samples.u32s("row"), ids);
    assert_eq!(samples.texts("row_id"), texts(rows, "id"));
    assert_eq!(samples.texts("prompt"), texts(rows, "input"));
    assert_eq!(samples.texts("response"), texts(rows, "output"));
    assert!(samples.texts("status").iter().all(|status| status.as_deref() == Some("ok")));
    assert!(samples.texts("reason").iter().all(Option::is_none));
    // By default, equal prompts are one cluster.
    let clusters = samples.texts("cluster_id");
    for (i, a) in rows.iter().enumerate() {
        for (j, b) in rows.iter().enumerate() {
            assert_eq!(clusters[i] == clusters[j], a["input"] == b["input"], "rows {i} and {j}");
        }
    }
}

/// Positions count from 0, and byte ranges tile the response but where two tokens share a character.
fn check_places(samples: &Columns, tokens: &Columns) {
    let (positions, starts, ends) = (tokens.u32s("position"), tokens.u32s("start"), tokens.u32s("end"));
    let (texts, counts) = (tokens.texts("token"), samples.u32s("response_tokens"));
    let responses = samples.texts("response");
    let mut rows = 0;
    for (sample, range) in by_sample(tokens, samples.len()).into_iter().enumerate() {
        let response = responses[sample].as_deref().unwrap();
        assert_eq!(counts[sample], Some(range.len() as u32));
        let mut at = 0;
        for (position, row) in range.clone().enumerate() {
            assert_eq!(positions[row], Some(position as u32));
            let (start, end) = (starts[row].unwrap(), ends[row].unwrap());
            assert_eq!(start, at, "sample {sample}, position {position}");
            let bytes = &response.as_bytes()[start as usize..end as usize];
            assert_eq!(texts[row].as_deref(), Some(&*String::from_utf8_lossy(bytes)));
            at = end;
        }
        assert_eq!(at as usize, response.len(), "sample {sample}");
        rows += range.len();
    }
    assert_eq!(rows, tokens.len());
}

/// Each row is a distribution: the list, the rest and the target make 1.
fn check_numbers(tokens: &Columns) {
    let (logprobs, rests) = (tokens.f32s("logprob"), tokens.f32s("rest_logprob"));
    let (lows, entropies) = (tokens.f32s("min_logprob"), tokens.f32s("entropy"));
    let (ids, ranks) = (tokens.u32s("token_id"), tokens.u32s("rank"));
    let (top_ids, top_logprobs) = (tokens.u32_lists("top_ids"), tokens.f32_lists("top_logprobs"));
    for row in 0..tokens.len() {
        let (id, logprob, top) = (ids[row].unwrap(), logprobs[row].unwrap(), &top_logprobs[row]);
        assert_eq!((top.len(), top_ids[row].len()), (20, 20));
        assert!(logprob <= 0.0 && lows[row].unwrap() <= logprob && entropies[row].unwrap() >= 0.0);
        assert!(top.is_sorted_by(|a, b| a >= b), "{top:?}");
        let place = top_ids[row].iter().position(|&other| other == id);
        assert!(place.is_none() || ranks[row].unwrap() <= 20);
        if let Some(place) = place {
            assert_eq!(top[place].to_bits(), logprob.to_bits(), "row {row}");
        } else {
            assert!(logprob <= top[19]);
        }
        let outside = if place.is_none() { f64::from(logprob).exp() } else { 0.0 };
        let listed: f64 = top.iter().map(|&x| f64::from(x).exp()).sum();
        let sum = listed + f64::from(rests[row].unwrap()).exp() + outside;
        assert!((sum - 1.0).abs() < 1e-5, "row {row}: {sum}");
    }
}

fn check_means(samples: &Columns, tokens: &Columns) {
    let logprobs = tokens.f32s("logprob");
    let (means, perplexities) = (samples.f64s("mean_logprob"), samples.f64s("perplexity"));
    for (sample, range) in by_sample(tokens, samples.len()).into_iter().enumerate() {
        let sum: f64 = logprobs[range.clone()].iter().map(|x| f64::from(x.unwrap())).sum();
        let mean = sum / range.len() as f64;
        assert!((means[sample].unwrap() - mean).abs() < 1e-12);
        assert!((perplexities[sample].unwrap() / (-mean).exp() - 1.0).abs() < 1e-9);
    }
}

#[test]
fn a_rerun_does_nothing_and_other_options_are_rejected() {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &rows());
    scene.score("rl_demo.jsonl", &[TIED], "out", "").expect(0, "30 ok");
    let before = scene.files("out");
    let again = scene.score("rl_demo.jsonl", &[TIED], "out", "");
    again.expect(0, "\ntied: already scored\n");

    let made = |difference: &str| {
        let of_model = ["--top-k", "--dtype", "--out"].iter().any(|flag| difference.starts_with(flag));
        let file = if of_model { "model=tied/manifest.json" } else { "text.json" };
        format!("`out/runs/generation_model=rl/task=demo/{file}` was made with {difference}")
    };
    for (more, difference) in [
        ("--top-k 50", "--top-k = 20, this run has 50"),
        ("--limit 3", "--limit = none, this run has 3"),
        ("--end 304", "--end = none, this run has 304"),
        ("--too-long truncate", "--too-long = `skip`, this run has `truncate`"),
        ("--boundary separate", "--boundary = `joint`, this run has `separate`"),
        ("--dtype bf16", "--dtype = `f32`, this run has `bf16`"),
        ("--cluster group", "--cluster = none, this run has `group`"),
    ] {
        let said = scene.score("rl_demo.jsonl", &[TIED], "out", more);
        let hint = "use the same options, or another --output-dir";
        said.expect(1, &format!("error: {}: {hint}\n", made(difference)));
    }
    // Another model over the same rows must have been given the same ids.
    let said = scene.score("rl_demo.jsonl", &[SHIFTED], "out", "--end 304");
    said.expect(1, &made("--end = none, this run has 304"));
    scene.dataset("rl_demo.jsonl", &rows()[..29]);
    scene.score("rl_demo.jsonl", &[TIED], "out", "").expect(1, "the dataset's content = `");
    assert_eq!(scene.files("out"), before);
}

/// Datasets, models and options that can decide who shares a batch with whom, and may not decide a number.
#[test]
fn threads_and_batches_change_no_byte() {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &rows());
    scene.score("rl_demo.jsonl", &[TIED, SHIFTED], "one", "--threads 1 --batch-tokens 4096").expect(0, "30 ok");
    scene.score("rl_demo.jsonl", &[TIED], "two", "--threads 2 --batch-size 1").expect(0, "30 ok");
    scene.score("rl_demo.jsonl", &[SHIFTED], "two", "--threads 3 --batch-tokens 64").expect(0, "30 ok");
    let one = scene.files("one");
    assert_eq!(one.len(), 8);
    assert!(one == scene.files("two"), "the same run gives the same bytes");
}

#[test]
fn datasets_together_give_the_bytes_of_each_alone() {
    let scene = Scene::new();
    let other: Vec<Value> =
        rows().into_iter().take(21).map(|row| json!({"input": row["input"], "output": "Something else."})).collect();
    scene.dataset("rl_demo.jsonl", &rows());
    scene.dataset("sft_demo.jsonl", &other);
    scene.score("rl_demo.jsonl,sft_demo.jsonl", &[TIED], "together", "").expect(0, "51 ok");
    scene.score("sft_demo.jsonl", &[TIED], "apart", "").expect(0, "21 ok");
    scene.score("rl_demo.jsonl", &[TIED], "apart", "").expect(0, "30 ok");
    assert!(scene.files("together") == scene.files("apart"));
}

/// Parts are cut by bytes, so those of two texts hold other rows: the same rows meet all the same, and each text's parts
/// are what they would be alone, in a run that continues too.
#[test]
fn datasets_that_are_cut_differently_share_their_prompts() {
    let scene = Scene::new();
    let row =
        |i: usize, output: &str| json!({"input": format!("{i} is the number of this prompt, {i}."), "output": output});
    let rl: Vec<Value> = (0..300).map(|i| row(i, "Yes.")).collect();
    let long = "long ".repeat(60_000);
    let sft: Vec<Value> = (0..300).map(|i| row(i, if i == 50 { &long } else { "No." })).collect();
    scene.dataset("rl_demo.jsonl", &rl);
    scene.dataset("sft_demo.jsonl", &sft);
    let both = "rl_demo.jsonl,sft_demo.jsonl";
    let said = scene.score(both, &[TIED], "together", "").expect(4, "1 too_long").stderr.clone();
    let words: Vec<&str> = said.split(|c: char| c.is_whitespace() || c == '(').collect();
    // "computed 12 of 30 tokens in 0.5 s (24 tok/s)"
    let computed = words.iter().position(|word| *word == "computed").unwrap();
    let number = |offset: usize| -> f64 { words[computed + offset].parse().unwrap() };
    let (computed, tokens, seconds) = (number(1), number(3), number(6));
    assert!(computed < 0.6 * tokens, "{said}");
    let speed: f64 = words[words.iter().position(|word| word.starts_with("tok/s")).unwrap() - 1].parse().unwrap();
    // Seconds are printed with one digit after the point.
    assert!(computed / (seconds + 0.06) <= speed && speed <= computed / (seconds - 0.06).max(1e-3), "{said}");
    scene.score("sft_demo.jsonl", &[TIED], "apart", "").expect(4, "1 too_long");
    scene.score("rl_demo.jsonl", &[TIED], "apart", "").expect(0, "300 ok");
    let apart = scene.files("apart");
    let parts = |of: &str| apart.keys().filter(|name| name.contains("tokens/") && name.contains(of)).count();
    assert!(parts("model=rl") < parts("model=sft"), "{:?}", apart.keys());
    assert!(scene.files("together") == apart);
    for part in [
        "tokens/generation_model=sft/task=demo/model=tied/part-00000000",
        "tokens/generation_model=rl/task=demo/model=tied/part-00000001",
    ] {
        std::fs::remove_file(scene.path(&format!("together/{part}.parquet"))).unwrap();
    }
    scene.score(both, &[TIED], "together", "").expect(0, "94 ok");
    assert!(scene.files("together") == apart);
}

#[test]
fn limit_scores_the_first_rows() {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &rows());
    scene.score("rl_demo.jsonl", &[TIED], "all", "").expect(0, "30 ok");
    scene.score("rl_demo.jsonl", &[TIED], "some", "--limit 7").expect(0, "7 ok");
    let (all, some) =
        (scene.table("all", "tokens", "rl", "demo", "tied"), scene.table("some", "tokens", "rl", "demo", "tied"));
    assert_eq!(some.u32s("sample_id").last(), Some(&Some(6)));
    assert_eq!(all.0.slice(0, some.len()), some.0);
    scene.score("rl_demo.jsonl", &[TIED], "more", "--limit 1000").expect(0, "30 ok");
}

#[test]
fn fields_are_kept_with_their_types_and_clusters_can_be_named() {
    let scene = Scene::new();
    let mut data = rows();
    data[4]["reward"] = Value::Null;
    scene.dataset("rl_demo.jsonl", &data);
    let said = scene.score("rl_demo.jsonl", &[TIED], "out", "--keep-fields correct,reward,group --cluster group");
    said.expect(0, "30 ok");
    let samples = scene.table("out", "samples", "rl", "demo", "tied");
    let rewards: Vec<_> = data.iter().map(|row| row["reward"].as_f64()).collect();
    let correct: Vec<_> = data.iter().map(|row| row["correct"].as_bool()).collect();
    assert_eq!(samples.f64s("reward"), rewards);
    assert_eq!(samples.bools("correct"), correct);
    assert_eq!(samples.texts("group"), texts(&data, "group"));
    assert_eq!(samples.texts("cluster_id"), texts(&data, "group"));
}

#[test]
fn end_auto_appends_the_end_of_sequence() {
    let scene = Scene::new();
    let mut data = rows();
    data[2]["finish_reason"] = json!("length");
    data[3]["finish_reason"] = json!("stop");
    scene.dataset("rl_demo.jsonl", &data);
    scene.score("rl_demo.jsonl", &[TIED], "out", "--end auto").expect(0, "30 ok");
    let is_cut = scene.table("out", "samples", "rl", "demo", "tied").bools("is_cut");
    assert_eq!(is_cut[..5], [None, None, Some(true), Some(false), None]);
    let tokens = scene.table("out", "tokens", "rl", "demo", "tied");
    let (ids, ends) = (tokens.u32s("token_id"), tokens.bools("is_end"));
    for (sample, range) in by_sample(&tokens, data.len()).into_iter().enumerate() {
        let last = range.end - 1;
        assert_eq!(ends[last], Some(sample != 2), "sample {sample}");
        assert_eq!(ids[last] == Some(304), sample != 2);
        assert!(ends[range.start..last].iter().all(|&end| end == Some(false)));
    }
}

#[test]
fn rows_of_ids_say_whether_they_were_cut() {
    let scene = Scene::new();
    let ids = |more: Value| json!({"prompt_token_ids": [1, 2], "response_token_ids": [[3], [4]], "truncated": more});
    scene.dataset("rl_demo.jsonl", &[ids(json!([true, false])), ids(Value::Null), ids(json!(true))]);
    scene.score("rl_demo.jsonl", &[TIED], "out", "--engine mock").expect(0, "6 ok");
    let samples = scene.table("out", "samples", "rl", "demo", "tied");
    assert_eq!(samples.bools("is_cut"), [Some(true), Some(false), None, None, Some(true), Some(true)]);
    scene.run("verify out").expect(0, "");
}

/// An agent's row: two turns around a tool's answer, and a third that is one token. Each stretch has the numbers that it has in
/// a row of its own, to the bit.
#[test]
fn stretches_of_a_masked_row_are_scored_as_rows_of_their_own() {
    let scene = Scene::new();
    let ids: Vec<u32> =
        (0..30).map(|place| if place == 13 || place == 27 { 304 } else { 40 + 7 * place % 250 }).collect();
    let stretches = [5..14, 18..28, 29..30];
    let is_sampled = |place: usize| stretches.iter().any(|stretch| stretch.contains(&place));
    let mask: Vec<bool> = (0..ids.len()).map(is_sampled).collect();
    let logprobs: Vec<Option<f64>> = mask.iter().map(|sampled| sampled.then_some(-1.0)).collect();
    let other = json!({"token_ids": [1, 2, 3], "mask": [0, 1, 0], "logprobs": [null, -1.0, null]});
    let masked = json!({"token_ids": ids, "mask": mask, "logprobs": logprobs});
    scene.dataset("rl_masked.jsonl", &[masked, other.clone()]);
    let of_stretch = |stretch: &std::ops::Range<usize>| json!({"prompt_token_ids": ids[..stretch.start], "response_token_ids": ids[stretch.clone()]});
    scene.dataset("rl_apart.jsonl", &stretches.iter().map(of_stretch).collect::<Vec<_>>());
    scene.score("rl_masked.jsonl", &[TIED], "out", "--end 304").expect(0, "2 ok");
    scene.score("rl_apart.jsonl", &[TIED], "out", "--end 304").expect(0, "3 ok");
    let (whole, apart) =
        (scene.table("out", "tokens", "rl", "masked", "tied"), scene.table("out", "tokens", "rl", "apart", "tied"));
    let n = apart.len();
    assert_eq!((n, whole.len()), (20, 21));
    for name in ["logit", "logprob", "entropy", "rest_logprob", "min_logprob"] {
        let bits =
            |table: &Columns| table.f32s(name).into_iter().map(|x| x.map(f32::to_bits)).take(n).collect::<Vec<_>>();
        assert_eq!(bits(&whole), bits(&apart), "{name}");
    }
    for name in ["token_id", "rank", "ties"] {
        assert_eq!(whole.u32s(name)[..n], apart.u32s(name)[..], "{name}");
    }
    assert_eq!(whole.u32_lists("top_ids")[..n], apart.u32_lists("top_ids")[..]);
    assert_eq!(whole.f32_lists("top_logprobs")[..n], apart.f32_lists("top_logprobs")[..]);
    assert_eq!(whole.bools("is_end")[..n], apart.bools("is_end")[..]);
    assert_eq!(whole.texts("token")[..n], apart.texts("token")[..]);
    assert_eq!(whole.u32s("position")[..n], (0..20).map(Some).collect::<Vec<_>>());
    assert_eq!(whole.bools("is_end").iter().filter(|end| **end == Some(true)).count(), 2);
    let samples = scene.table("out", "samples", "rl", "masked", "tied");
    assert_eq!((samples.u32s("context_tokens")[0], samples.u32s("response_tokens")[0]), (Some(5), Some(20)));
    let texts = scene.table("out", "samples", "rl", "apart", "tied").texts("response");
    assert_eq!(samples.texts("response")[0], Some(texts.iter().flatten().map(String::as_str).collect::<String>()));
    scene.run("verify out").expect(0, "");
    // An import of the same rows has the same tokens at the same positions, in the same contexts.
    scene.run("import rl_masked.jsonl --output-dir recorded").expect(0, "2 ok");
    let recorded = scene.table("recorded", "tokens", "rl", "masked", "rl");
    for name in ["sample_id", "position", "token_id"] {
        assert_eq!(recorded.u32s(name), whole.u32s(name), "{name}");
    }
    let hashes = scene.table("recorded", "samples", "rl", "masked", "rl").texts("context_hash");
    assert_eq!(hashes, samples.texts("context_hash"));
}

/// Each is its sample's status, with the line where the row itself is wrong; the other rows are kept.
#[test]
fn masked_rows_that_cannot_be_scored_fail_alone() {
    let scene = Scene::new();
    let rows = [
        r#"{"token_ids": [1, 2, 3], "mask": [0, 1, 1]}"#,
        r#"{"token_ids": [1, 2, 3], "mask": [0, 1]}"#,
        r#"{"token_ids": [1, 307, 3], "mask": [0, 0, 1]}"#,
        r#"{"token_ids": [1, 2, 3], "mask": [0, 0, 0]}"#,
        r#"{"token_ids": [4, 5, 6], "mask": [1, 1, 0]}"#,
        r#"{"token_ids": [1, 2], "mask": [0, 1], "loss_mask": [1, 1]}"#,
        r#"{"token_ids": [1], "mask": [1]}"#,
        r#"{"token_ids": [1, 307], "mask": [1, 1], "loss"#,
        // Nothing after the last sampled token is read.
        r#"{"token_ids": [1, 2, 307], "mask": [0, 1, 0]}"#,
    ];
    scene.write("rl_masked.jsonl", rows.join("\n"));
    scene.score("rl_masked.jsonl", &[TIED], "out", "").expect(4, "3 ok, 2 empty, 4 failed");
    let samples = scene.table("out", "samples", "rl", "masked", "tied");
    let reasons = samples.texts("reason");
    for (row, reason) in [
        (1, "line 2: `mask` has 2 entries for 3 token ids in `token_ids`"),
        (2, "token id 307 is outside the model's vocabulary of 307"),
        (3, "the response has no token"),
        (
            5,
            "line 6: the row has `token_ids` + `mask` and also `token_ids` + `loss_mask`: choose one of them with --fields",
        ),
        (6, "no response token has a token before it"),
        (7, "line 8: broken JSON"),
    ] {
        assert!(reasons[row].as_deref().unwrap().starts_with(reason), "{row}: {:?}", reasons[row]);
    }
    // Nothing stands before the first token of all, so that no model predicts it.
    let tokens = scene.table("out", "tokens", "rl", "masked", "tied");
    assert_eq!(tokens.u32s("sample_id"), [Some(0), Some(0), Some(4), Some(4), Some(8)]);
    assert_eq!(tokens.f32s("logprob").iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false, true, true]);
    scene.run("verify out").expect(0, "");
}

#[test]
fn json_lines_say_what_the_tables_say() {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &rows());
    scene.score("rl_demo.jsonl", &[TIED, ("other", "qwen3-shifted")], "parquet", "").expect(0, "30 ok");
    let lines = |table: &str| -> Vec<Value> {
        let said = scene.run(&format!("export parquet --format jsonl --table {table} --model tied"));
        said.expect(0, "").stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (tokens, parquet) = (lines("tokens"), scene.table("parquet", "tokens", "rl", "demo", "tied"));
    assert_eq!(tokens.len(), parquet.len());
    let (logprobs, lists) = (parquet.f32s("logprob"), parquet.f32_lists("top_logprobs"));
    for (row, line) in tokens.iter().enumerate() {
        let number = |value: &Value| value.to_string().parse::<f32>().unwrap();
        assert_eq!(Some(number(&line["logprob"])), logprobs[row]);
        assert_eq!([&line["generation_model"], &line["task"], &line["model"]], ["rl", "demo", "tied"]);
        assert_eq!(line["top_logprobs"].as_array().unwrap().iter().map(number).collect::<Vec<_>>(), lists[row]);
    }
    assert_eq!(lines("samples").len(), 30);
    assert_eq!(lines("samples")[3]["response"], rows()[3]["output"]);
    assert_eq!(scene.run("export parquet --format jsonl").expect(0, "").stdout.lines().count(), 2 * tokens.len());
    scene.run("export parquet --format jsonl --model unscored").expect(1, "no tables of these tasks and models");
    scene.run("export parquet --format token-losses --model tied").expect(0, "wrote parquet/token_losses/tied_rl_demo");
}
