//! Whatever a user gives, the message says what is wrong and where, the exit code says how it went, and no user sees a
//! panic (`common` looks for one in everything that a command says).

use std::fs;
use std::path::Path;

use crate::common::{Scene, fixture, rows, said};
use serde_json::{Value, json};

/// The tensor that is broken in copies of a fixture.
const TENSOR: &str = "model.embed_tokens.weight";

const TIED: (&str, &str) = ("tied", "qwen3-tied");
const GONE: &str = "No such file or directory (os error 2)\n";

/// A folder with a good dataset.
fn scene() -> Scene {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &rows()[..3]);
    scene
}

/// Scoring the good dataset with the model in `folder` must end with this error, word for word.
#[track_caller]
fn rejects_model(scene: &Scene, folder: &str, message: &str) {
    let said = scene.run(&format!("score --dataset rl_demo.jsonl --models m={folder} --output-dir out"));
    assert!(said.code == Some(1) && said.stderr.ends_with(&format!("error: {message}")), "{}", said.stderr);
}

/// Rewrites the one safetensors file of a model: its header, and the tensors' bytes.
fn edit_weights(folder: &Path, edit: impl Fn(&mut Value, &mut Vec<u8>)) {
    let path = folder.join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let mut data = bytes[8 + length..].to_vec();
    edit(&mut header, &mut data);
    let header = header.to_string();
    fs::write(&path, [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()).unwrap();
}

fn edit_config(folder: &Path, field: &str, value: Value) {
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config[field] = value;
    fs::write(&path, config.to_string()).unwrap();
}

/// `status`, then `reason`, of every row of a dataset that ends with exit code 4.
#[track_caller]
fn outcomes(scene: &Scene, dataset: &str, more: &str, summary: &str) -> Vec<(String, Option<String>)> {
    scene.score(dataset, &[TIED], "out", more).expect(4, &format!("tied: {summary} samples; "));
    let task = dataset.trim_start_matches("rl_").trim_end_matches(".jsonl");
    let samples = scene.table("out", "samples", "rl", task, "tied");
    let statuses = samples.texts("status").into_iter().map(Option::unwrap);
    statuses.zip(samples.texts("reason")).collect()
}

fn outcome(status: &str, reason: &str) -> (String, Option<String>) {
    (status.to_owned(), Some(reason.to_owned()))
}

#[test]
fn datasets_that_are_none() {
    let scene = scene();
    scene.write("plain.jsonl", "{}");
    scene.write("rl_empty.jsonl", " \n\n");
    for (dataset, more, message) in [
        ("rl_gone.jsonl", "", format!("cannot read the dataset `rl_gone.jsonl`: {GONE}")),
        ("rl_empty.jsonl", "", "dataset `rl_empty.jsonl`: contains no rows\n".to_owned()),
        (
            "plain.jsonl",
            "",
            "`plain.jsonl` is not named GENERATION-MODEL_TASK.jsonl: use --generation-model and --task\n".to_owned(),
        ),
        (
            "rl_demo.jsonl,rl_demo.jsonl",
            "",
            "two datasets are of the task `demo` by `rl`: give each the name of the model that wrote it, as in --dataset \
             NAME=rl_demo.jsonl,NAME=FILE\n"
                .to_owned(),
        ),
        (
            "rl_demo.jsonl",
            "--keep-fields reward,task",
            "--keep-fields task: the samples table has a column of that name\n".to_owned(),
        ),
        (
            "rl_demo.jsonl",
            "--cluster grup",
            "dataset `rl_demo.jsonl`: no row has a value in the field `grup` of --cluster\n".to_owned(),
        ),
    ] {
        let said = scene.score(dataset, &[TIED], "out", more);
        assert_eq!((said.code, said.stderr), (Some(1), format!("error: {message}")));
    }
    assert!(!scene.path("out").exists(), "nothing is created before the options are known to be good");
    let named = scene.score("plain.jsonl", &[TIED], "out", "--generation-model rl --task demo");
    named.expect(1, "dataset `plain.jsonl`: contains no usable row; the first: no `input` field");
}

#[test]
fn model_directories_that_are_none() {
    let scene = scene();
    fs::create_dir(scene.path("empty")).unwrap();
    rejects_model(&scene, "empty", &format!("cannot read `empty/config.json`: {GONE}"));

    fs::remove_file(scene.model("bare", "qwen3-tied").join("model.safetensors")).unwrap();
    let none = "`bare`: no `model.safetensors` and no `model.safetensors.index.json`: tokshift reads safetensors\n";
    rejects_model(&scene, "bare", none);

    fs::remove_file(scene.model("mute", "qwen3-tied").join("tokenizer.json")).unwrap();
    rejects_model(&scene, "mute", "model `m` has no tokenizer.json: use --tokenizer\n");

    let hint = "expected a model directory, a .gguf file, a logits file of llama.cpp (it begins with `_logits_`), or a hub id such as `Qwen/Qwen3-0.6B@main` or `org/name/file.gguf`\n";
    rejects_model(&scene, "gone", &format!("model `gone`: no such directory; {hint}"));
    rejects_model(&scene, "rl_demo.jsonl", &format!("model `rl_demo.jsonl`: is not a directory; {hint}"));
    rejects_model(&scene, "", "`m=` in --models is not NAME=SOURCE\n");

    edit_config(&scene.model("mamba", "qwen3-tied"), "model_type", json!("mamba"));
    let unknown = "`mamba/config.json`: `model_type` mamba is not one that tokshift knows: known are gemma2, gemma3, gemma3_text, \
                   glm4, granite, llama, mistral, mixtral, olmo2, phi3, qwen2, qwen2_moe, qwen3, qwen3_moe, smollm3\n";
    rejects_model(&scene, "mamba", unknown);
    edit_config(&scene.model("gelu", "qwen3-tied"), "hidden_act", json!("gelu"));
    rejects_model(
        &scene,
        "gelu",
        "`gelu/config.json`: `hidden_act` is \"gelu\"; only \"silu\" and \"gelu_pytorch_tanh\" are implemented\n",
    );
}

#[test]
fn weights_that_are_broken() {
    let scene = scene();
    let path = scene.model("cut", "qwen3-tied").join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1000]).unwrap();
    let data = bytes.len() - 8 - u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let has = data - 1000;
    let cut = format!("holds {has} bytes of tensors where its header lists {data}: incomplete download?\n");
    rejects_model(&scene, "cut", &format!("`cut/model.safetensors`: {cut}"));
    fs::write(&path, &bytes[..5]).unwrap();
    let short = "cannot read the header of `cut/model.safetensors`: failed to fill whole buffer\n";
    rejects_model(&scene, "cut", short);
    fs::write(&path, &bytes[..100]).unwrap();
    rejects_model(
        &scene,
        "cut",
        &format!(
            "`cut/model.safetensors`: its header claims {} bytes of 100: not a safetensors file, or cut short\n",
            bytes.len() - 8 - data
        ),
    );

    edit_weights(&scene.model("turned", "qwen3-tied"), |header, _| header[TENSOR]["shape"] = json!([48, 307]));
    let turned = format!("tensor `{TENSOR}` has shape [48, 307], the config asks for [307, 48]\n");
    rejects_model(&scene, "turned", &format!("`turned/model.safetensors`: {turned}"));

    edit_weights(&scene.model("nan", "qwen3-tied"), |header, data| {
        let offset = header[TENSOR]["data_offsets"][0].as_u64().unwrap() as usize + 5 * 4;
        data[offset..offset + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    let nan = format!("tensor `{TENSOR}` holds NaN at element 5: the weights are broken\n");
    rejects_model(&scene, "nan", &format!("`nan/model.safetensors`: {nan}"));

    edit_weights(&scene.model("over", "qwen3-tied"), |header, _| {
        header["other"] = header[TENSOR].clone();
    });
    scene.run("inspect over").expect(1, "`over/model.safetensors`: bad safetensors header: ");
    edit_weights(&scene.model("out", "qwen3-tied"), |header, _| {
        header[TENSOR]["data_offsets"] = json!([0, u64::MAX]);
    });
    scene.run("inspect out").expect(1, "`out/model.safetensors`: bad safetensors header: ");

    // None of these runs decided anything: the mended model is scored into the same place.
    let tied = fixture("qwen3-tied");
    let said = scene.run(&format!("score --dataset rl_demo.jsonl --models m={} --output-dir out", tied.display()));
    said.expect(0, "m: 3 ok samples; ");
}

/// What a clone without Git LFS has, and what a download that failed: every reader names them.
#[test]
fn files_that_stand_in_for_others() {
    const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 133\n";
    const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>404</title></head></html>\n";
    let scene = scene();
    for (content, what) in
        [(POINTER, "is a Git LFS pointer, not the file"), (PAGE, "is a web page (HTML or XML), not the file")]
    {
        for file in ["model.safetensors", "config.json", "tokenizer.json", "generation_config.json"] {
            fs::write(scene.model("m", "qwen3-tied").join(file), content).unwrap();
            let said = scene.run("score --dataset rl_demo.jsonl --models m=m --output-dir out --end auto");
            said.expect(1, &format!("m/{file}`: {what}"));
        }
        scene.model("m", "llama3");
        for file in ["adapter_config.json", "adapter_model.safetensors"] {
            fs::write(scene.model("a", "lora-llama3").join(file), content).unwrap();
            let said = scene.run("score --dataset rl_demo.jsonl --models m=m+a --output-dir out");
            said.expect(1, &format!("a/{file}`: {what}"));
        }
        fs::write(scene.model("sharded", "qwen3-bias").join("model.safetensors.index.json"), content).unwrap();
        rejects_model_with(&scene, "sharded", &format!("`sharded/model.safetensors.index.json`: {what}"));
        scene.write("m.gguf", content);
        rejects_model_with(&scene, "m.gguf", &format!("`m.gguf`: {what}"));
        scene.write("m/chat_template.jinja", content);
        scene.run("render m --messages rl_demo.jsonl").expect(1, &format!("`m/chat_template.jinja`: {what}"));
        fs::remove_file(scene.path("m/chat_template.jinja")).unwrap();
        for dataset in ["rl_rows.jsonl", "rl_rows.parquet"] {
            scene.write(dataset, content);
            let said = scene.score(dataset, &[TIED], "out", "");
            said.expect(1, &format!("dataset `{dataset}`: {what}"));
        }
    }
    // Plain text may be a page; a pointer is never meant.
    scene.write("text.txt", POINTER);
    let tied = fixture("qwen3-tied");
    let text = |file: &str| {
        scene.run(&format!("score --text {file} --window 16 --models m={} --output-dir t", tied.display()))
    };
    text("text.txt").expect(1, "the text `text.txt` is a Git LFS pointer");
    scene.write("page.txt", PAGE);
    text("page.txt").expect(0, "ok");
}

#[track_caller]
fn rejects_model_with(scene: &Scene, folder: &str, message: &str) {
    scene.run(&format!("score --dataset rl_demo.jsonl --models m={folder} --output-dir out")).expect(1, message);
}

/// What is read otherwise than a config says is printed once, and in `inspect`.
#[test]
fn a_head_of_its_own_beside_a_tied_flag_is_told() {
    let scene = scene();
    let untied = scene.model("untied", "llama3");
    edit_config(&scene.model("flagged", "llama3"), "tie_word_embeddings", json!(true));
    let said = scene.run("score --dataset rl_demo.jsonl --models untied,flagged --output-dir out");
    said.expect(0, "flagged: 3 ok samples; ");
    let note = "`tie_word_embeddings` is true, but `lm_head.weight` is there and is not `model.embed_tokens.weight`";
    assert_eq!(said.stderr.matches(note).count(), 1, "{}", said.stderr);
    let logprobs = |model| scene.table("out", "tokens", "rl", "demo", model).f32s("logprob");
    assert_eq!(logprobs("untied"), logprobs("flagged"));
    scene.run("inspect flagged").expect_out(note).expect_out("f32 by default: every matrix is F32");
    let json: Value = serde_json::from_str(&scene.run("inspect flagged --json").stdout).unwrap();
    assert_eq!((json["notes"].as_array().unwrap().len(), &json["spec"]["tied_head"]), (1, &json!(false)));
    assert!(!scene.run(&format!("inspect {}", untied.display())).stdout.contains("note"));
}

/// transformers loads both, so that the base alone would be another model.
#[test]
fn an_adapter_beside_a_models_weights_is_told() {
    let scene = scene();
    let path = scene.model("m", "llama3");
    fs::write(path.join("adapter_config.json"), "{}").unwrap();
    let said = scene.run("score --dataset rl_demo.jsonl --models m --output-dir out");
    said.expect(1, "`m` contains an adapter (adapter_config.json) next to the model's weights").expect(1, "use `m+m`");
}

/// Python writes numbers that JSON lacks, and reads them.
#[test]
fn configs_with_numbers_that_json_lacks() {
    let scene = scene();
    let path = scene.model("m", "qwen3-tied").join("config.json");
    let config = fs::read_to_string(&path).unwrap();
    let with = |fields: &str| fs::write(&path, config.replacen('{', &format!("{{{fields}, "), 1)).unwrap();
    with(r#""time_step_limit": [0.0, Infinity], "attention_dropout": NaN, "low": -Infinity"#);
    let generation = scene.path("m/generation_config.json");
    fs::write(&generation, r#"{"eos_token_id": 302, "temperature": NaN}"#).unwrap();
    let said = scene.run("score --dataset rl_demo.jsonl --models m --output-dir out --end auto");
    said.expect(0, "m: 3 ok samples; ");
    // Without a generation config, the model's own names the end token, as transformers has it.
    fs::remove_file(&generation).unwrap();
    assert!(config.contains("\"eos_token_id\": 304"));
    fs::write(&path, config.replace("\"eos_token_id\": 304", "\"eos_token_id\": 301")).unwrap();
    let said = scene.run("score --dataset rl_demo.jsonl --models m --output-dir own --end auto");
    said.expect(0, "m: 3 ok samples; ");
    let tokens = scene.table("own", "tokens", "rl", "demo", "m");
    let ends: Vec<_> = tokens.u32s("token_id").into_iter().zip(tokens.bools("is_end")).collect();
    assert!(ends.iter().any(|(_, is_end)| *is_end == Some(true)));
    assert!(ends.iter().all(|(id, is_end)| (*is_end == Some(true)) == (*id == Some(301))), "{ends:?}");
    fs::write(&path, config.replace("\"rms_norm_eps\": 1e-06", "\"rms_norm_eps\": Infinity")).unwrap();
    rejects_model_with(&scene, "m", "`m/config.json`: `rms_norm_eps` is \"Infinity\"");
}

/// What is built for CPUs says how it would be built for a GPU.
#[cfg(not(feature = "cuda"))]
#[test]
fn a_gpu_needs_another_build() {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &rows()[..3]);
    let said = scene.score("rl_demo.jsonl", &[("rl", "qwen3-tied")], "out", "--device cuda");
    said.expect(
        1,
        "--device cuda: this program is built for CPUs: build it with `cargo build --release --features cuda`",
    );
}

#[test]
fn commas_in_paths() {
    let scene = scene();
    scene.model("c,d", "qwen3-tied");
    scene.model("e", "qwen3-tied");
    fs::copy(scene.path("rl_demo.jsonl"), scene.path("rl_a,b.jsonl")).unwrap();
    let said = scene.run("score --dataset rl_a,b.jsonl,rl_demo.jsonl --models e,g=c,d,h=e --output-dir out");
    said.expect(0, "g: 6 ok samples; ").expect(0, "e: 6 ok samples; ").expect(0, "h: 6 ok samples; ");
    let said = scene.run("score --dataset rl_demo.jsonl --models c,d --models e --output-dir again");
    said.expect(0, "c,d: 3 ok samples; ").expect(0, "e: 3 ok samples; ");
}

/// Finite weights whose products are not: what would be a plausible number in any later step is none here.
#[test]
fn weights_that_overflow_in_attention() {
    let scene = scene();
    for (name, weights) in [("queries", "q_proj"), ("keys", "k_proj"), ("values", "v_proj")] {
        edit_weights(&scene.model(name, "qwen3-tied"), |header, data| {
            let tensor = &header[format!("model.layers.0.self_attn.{weights}.weight")]["data_offsets"];
            let range = tensor[0].as_u64().unwrap() as usize..tensor[1].as_u64().unwrap() as usize;
            data[range].as_chunks_mut::<4>().0.iter_mut().for_each(|x| *x = 3e38_f32.to_le_bytes());
        });
        let said = scene.run(&format!("score --dataset rl_demo.jsonl --models m={name} --output-dir {name}-out"));
        said.expect(4, "m: 3 failed samples; ");
        let samples = scene.table(&format!("{name}-out"), "samples", "rl", "demo", "m");
        let reasons = samples.texts("reason");
        assert!(reasons.iter().all(|reason| reason.as_deref().unwrap().contains("not finite")), "{reasons:?}");
    }
}

#[test]
fn bad_rows_are_recorded_with_their_reason() {
    let scene = Scene::new();
    let lines: [&[u8]; 9] = [
        br#"{"input": "Say hello. ", "output": "Hello."}"#,
        br#"{"input": "cut he"#,
        b"{\"input\": \"\xff\", \"output\": \"x\"}",
        br#"{"input": "no output", "answer": 42}"#,
        b"",
        br#"{"input": "empty", "output": ""}"#,
        br#"{"prompt_token_ids": [1, 2], "response_token_ids": [3, 307]}"#,
        br#"{"prompt_token_ids": [], "response_token_ids": [3]}"#,
        br#"["a list"]"#,
    ];
    scene.write("rl_bad.jsonl", lines.join(&b'\n'));
    let expected = [
        ("ok".to_owned(), None),
        outcome("failed", "line 2: broken JSON: EOF while parsing a string at column 17"),
        outcome("failed", "line 3: invalid UTF-8 at byte 11"),
        outcome("failed", "line 4: no `output` field (fields found: input, answer)"),
        outcome("empty", "the response has no token"),
        outcome("failed", "token id 307 is outside the model's vocabulary of 307"),
        outcome("empty", "no response token has a token before it"),
        outcome("failed", "line 9: the row is a list, expected an object with `input` and `output`"),
    ];
    assert_eq!(outcomes(&scene, "rl_bad.jsonl", "", "1 ok, 2 empty, 5 failed"), expected);
    let tokens = scene.table("out", "tokens", "rl", "bad", "tied");
    assert!(tokens.len() > 0 && tokens.u32s("sample_id").iter().all(|&id| id == Some(0)));

    let failed = scene.score("rl_bad.jsonl", &[TIED], "strict", "--on-error fail");
    let message = "line 2: broken JSON: EOF while parsing a string at column 17\n";
    failed.expect(1, &format!("error: scoring with `tied`: dataset `rl_bad.jsonl`, {message}"));
    assert!(!scene.path("strict/tokens").exists() && !scene.path("strict/samples").exists());
}

/// A file of another kind, or fields of other names: nothing is decided by it.
#[test]
fn datasets_of_which_no_row_can_be_used() {
    let scene = Scene::new();
    scene.write("rl_table.csv", "input,output\nSay hello. ,Hello.\n");
    let said = scene.score("rl_table.csv", &[TIED], "out", "");
    said.expect(1, "dataset `rl_table.csv`: contains no usable row; the first: broken JSON: ");
    said.expect(1, "(rows are JSON lines, a JSON array or Parquet, uncompressed or compressed with gzip or zstd; ");
    let other = [json!({"question": "Say hello. ", "answer": "Hello."})];
    scene.dataset("rl_named.jsonl", &other);
    scene.score("rl_named.jsonl", &[TIED], "out", "").expect(1, "the first: no `input` field");
    assert!(!scene.path("out/tokens").exists() && !scene.path("out/runs").exists());
    scene.score("rl_named.jsonl", &[TIED], "out", "--fields input=question,output=answer").expect(0, "1 ok");
}

#[test]
fn rows_longer_than_the_context() {
    let scene = Scene::new();
    let long = "a tale that goes on. ".repeat(60);
    let rows = [json!({"input": "Tell me ", "output": "Once."}), json!({"input": "Tell me ", "output": long})];
    scene.dataset("rl_long.jsonl", &rows);
    let skipped = outcomes(&scene, "rl_long.jsonl", "--too-long skip", "1 ok, 1 too_long");
    let (status, reason) = &skipped[1];
    let reason = reason.clone().unwrap();
    assert!(status == "too_long" && reason.ends_with(" tokens, the context holds 512"), "{skipped:?}");

    scene.score("rl_long.jsonl", &[TIED], "cut", "--too-long truncate").expect(0, "1 ok, 1 truncated samples; ");
    let samples = scene.table("cut", "samples", "rl", "long", "tied");
    assert_eq!(samples.texts("reason")[1], Some(reason.clone()));
    let length = |name: &str| samples.u32s(name)[1].unwrap();
    assert_eq!(length("context_tokens") + length("response_tokens"), 512);

    let failed = scene.score("rl_long.jsonl", &[TIED], "strict", "--too-long fail");
    failed.expect(1, &format!("error: scoring with `tied`: dataset `rl_long.jsonl`, line 2: {reason}\n"));

    // The shortest context among the models decides for all of them.
    let both = [TIED, ("bias", "qwen3-bias")];
    scene.score("rl_long.jsonl", &both, "both", "--too-long truncate").expect(0, "1 ok, 1 truncated");
    let tokens = |model| scene.table("both", "tokens", "rl", "long", model).len();
    assert_eq!(tokens("tied"), tokens("bias"));
    let samples = scene.table("both", "samples", "rl", "long", "tied");
    assert!(samples.texts("reason")[1].as_deref().unwrap().ends_with("the context holds 128"));
}

#[test]
fn output_directories_that_cannot_be() {
    let scene = scene();
    scene.write("file", "");
    for output in ["file", "file/out"] {
        let said = scene.score("rl_demo.jsonl", &[TIED], output, "");
        let message = format!("error: cannot write in the output directory `{output}`: ");
        said.expect(1, &message);
        assert_eq!(said.stderr.matches("os error").count(), 1, "{}", said.stderr);
    }
}

#[test]
fn names_never_leave_the_output_directory() {
    let scene = scene();
    let model = fixture("qwen3-tied");
    for (n, name) in ["../../../evil", "..", "/evil", "a/b"].into_iter().enumerate() {
        let mut command = scene.command(&format!("score --dataset rl_demo.jsonl --output-dir deep/er/out{n} --models"));
        command.arg(format!("{name}={}", model.display()));
        command.args(["--task", "../../evil", "--generation-model", "../evil"]);
        said(&mut command).expect(0, &format!("{name}: 3 ok samples; "));
    }
    let created: Vec<String> = scene.files("").into_keys().collect();
    assert_eq!(created.iter().filter(|path| path.starts_with("deep/er/out")).count(), 20);
    assert_eq!(created.len(), 21, "{created:?}");
    let hidden = |path: &String| path.split('/').any(|part| part.starts_with('.') || part.starts_with("evil"));
    assert!(!created.iter().any(hidden), "{created:?}");
}

#[test]
fn two_models_of_one_name() {
    let scene = scene();
    let said = scene.score("rl_demo.jsonl", &[TIED, ("tied", "qwen3-shifted")], "out", "");
    let message = "error: two models are called `tied` in --models: name one of them NAME=SOURCE\n";
    assert_eq!((said.code, said.stderr.as_str()), (Some(1), message));
}

#[test]
fn a_hub_id_offline() {
    let scene = scene();
    let mut command = scene.command("score --dataset rl_demo.jsonl --models org/name --output-dir out");
    command.env("HF_HUB_OFFLINE", "1").env("HF_HOME", "home");
    let message = "error: model `org/name`: no such directory, and HF_HUB_OFFLINE is set and it is not in the cache (`home/hub/models--org--name`)\n";
    let said = said(&mut command);
    assert_eq!((said.code, said.stderr.as_str()), (Some(1), message));
}

#[test]
fn options_that_mean_nothing() {
    let scene = scene();
    for (more, code, message) in [
        ("--end full-stop", 1, "error: --end full-stop: expected none, auto or a token id\n"),
        ("--device gpu", 1, "error: --device gpu: expected cpu, cuda or cuda:N\n"),
        ("--threads 0", 2, "error: invalid value '0' for '--threads <N>': expected a number from 1 to 1024\n"),
        ("--top_p 1", 2, "error: unexpected argument '--top_p' found\n"),
        ("--tokenizer rl_demo.jsonl", 1, "error: `rl_demo.jsonl`: not a tokenizer.json: "),
    ] {
        let said = scene.score("rl_demo.jsonl", &[TIED], "out", more);
        assert_eq!(said.code, Some(code), "{}", said.stderr);
        assert!(said.stderr.starts_with(message), "{}", said.stderr);
    }
}

#[test]
fn tokenizers_of_the_wrong_shape() {
    let scene = scene();
    let bpe = |fields: Value| {
        let mut model = json!({"type": "BPE", "vocab": {"a": 0}, "merges": []});
        for (field, value) in fields.as_object().unwrap() {
            model[field] = value.clone();
        }
        json!({"version": "1.0", "added_tokens": [], "model": model})
    };
    let mut template = bpe(json!({}));
    template["post_processor"] = json!({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x", "type_id": 0}}],
                                        "pair": [], "special_tokens": {}});
    for (what, json) in [
        ("not a tokenizer.json", json!([])),
        ("not a tokenizer.json", json!({})),
        ("not a tokenizer.json", json!({"model": 3})),
        ("not a tokenizer.json", bpe(json!({"vocab": {"a": -1}}))),
        ("not a tokenizer.json", bpe(json!({"vocab": ["a"]}))),
        ("not a tokenizer.json", bpe(json!({"merges": ["a b"]}))),
        ("not a tokenizer.json", bpe(json!({"merges": 7}))),
        ("not a tokenizer.json", template),
        ("id 4294967295", bpe(json!({"vocab": {"a": u32::MAX}}))),
    ] {
        scene.write("tokenizer.json", json.to_string());
        let said = scene.score("rl_demo.jsonl", &[TIED], "out", "--tokenizer tokenizer.json");
        said.expect(1, what);
    }
}

/// A file of prompts, and plain text: what rows are, and where else to go.
#[test]
fn a_file_without_responses_says_what_rows_there_are() {
    let scene = Scene::new();
    scene.dataset("rl_prompts.jsonl", &[json!({"prompt": "a"})]);
    let model = [("tied", "qwen3-tied")];
    let said = scene.score("rl_prompts.jsonl", &model, "out", "");
    said.expect(1, "contains no usable row; the first: no `response` field (fields found: prompt)");
    said.expect(1, "a row has {prompt_token_ids, response_token_ids}, {token_ids, mask}, {token_ids, loss_mask}, {input, output}, ");
    said.expect(1, "tokshift scores responses that exist and generates none");
    scene.write("wiki.raw", "Some text.\n");
    scene.score("wiki.raw", &model, "out", "").expect(1, "if it is plain text and not rows, use --text");
    let named = scene.score("wiki.raw", &model, "out", "--generation-model a --task b");
    named.expect(1, "; plain text is scored with --text)");
}
