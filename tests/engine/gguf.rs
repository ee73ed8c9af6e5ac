//! GGUF files: the same numbers as the checkpoint that llama.cpp's converter made them of, the same ids as the
//! `tokenizer.json`, and every hostile header an error.

use std::path::{Path, PathBuf};

use crate::common::{self, NEVER, Scene, converted, fixture, made};
use candle_core::quantized::gguf_file;
use candle_core::{DType, Device};
use serde_json::{Value, json};
use tokshift::dataset::{Content, ReadRow, Row};
use tokshift::decoder::Checkpoint;
use tokshift::engine::local::{Local, LocalOptions};
use tokshift::engine::{Engine, Job, JobSample, TokenScores};
use tokshift::stop::Stop;
use tokshift::tokenize::{Boundary, SampleOptions, TextTokenizer, TooLong};

/// Largest |Δ log-probability| against the safetensors, which are within as much of transformers.
const TOLERANCE: f32 = 1e-4;
/// What GGUF cannot say of a fixture, as the converter's files and llama.cpp have it instead.
fn lost(name: &str) -> Value {
    match name {
        "gemma2" => json!({"query_pre_attn_scalar": 8, "rope_parameters": {"rope_theta": 1e4}}),
        "gemma3" => json!({"query_pre_attn_scalar": 8, "layer_types": null, "sliding_window_pattern": 6}),
        "mixtral" => json!({"sliding_window": null}),
        "smollm3" => json!({"no_rope_layers": [1, 1, 1], "layer_types": null, "use_sliding_window": false}),
        "qwen3-tied" => json!({"use_sliding_window": false, "layer_types": null}),
        _ => json!({}),
    }
}

/// A copy of the fixture with what GGUF says of it.
fn source(scene: &Scene, name: &str) -> PathBuf {
    let folder = scene.model(name, name);
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for (field, value) in lost(name).as_object().unwrap() {
        config[field] = value.clone();
    }
    std::fs::write(path, config.to_string()).unwrap();
    folder
}

fn gguf(scene: &Scene, name: &str) -> PathBuf {
    let path = scene.path(&format!("{name}.gguf"));
    converted::write(name, &path);
    path
}

/// Log-probabilities of a text of 96 ids.
fn logprobs(path: &Path) -> (Checkpoint, Vec<f32>) {
    let checkpoint = Checkpoint::open(path).unwrap();
    let dtype = DType::F32;
    let options = LocalOptions {
        name: "model".to_owned(),
        dtype,
        device: Device::Cpu,
        batch_tokens: 4096,
        top_k: 5,
        keep_hidden: false,
    };
    let engine = Local::load(&checkpoint, options).unwrap();
    let sample = made::sample(0, (0..96).map(|i| (i * i * 37 + 11) % 307).collect(), 1);
    let mut scores = TokenScores::default();
    let job = Job { part: 0, samples: vec![JobSample { dataset: 0, sample }], stop: &Stop::new(&NEVER) };
    let keep = &mut |scored: tokshift::engine::Scored| {
        scores = scored.scores.unwrap();
        Ok(())
    };
    engine.score(&job, keep).unwrap();
    (checkpoint, scores.logprob)
}

#[test]
fn converted_checkpoints_score_as_their_sources() {
    let scene = Scene::new();
    let names = converted::names();
    assert!(names.len() >= 13, "{names:?}");
    let mut off = Vec::new();
    for name in names {
        let (checkpoint, got) = logprobs(&gguf(&scene, &name));
        assert!(checkpoint.unread().is_empty(), "{name}: {:?}", checkpoint.unread());
        let (_, want) = logprobs(&source(&scene, &name));
        let gap = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{name:14} {gap:.1e}");
        off.extend((gap > TOLERANCE).then_some((name, gap)));
    }
    assert!(off.is_empty(), "{off:?}");
}

#[test]
fn every_type_is_dequantised_as_the_gguf_package_does() {
    let path = fixture("../gguf/kinds.gguf");
    let expected = candle_core::safetensors::load(fixture("../gguf/kinds.safetensors"), &Device::Cpu).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert_eq!(expected.len(), tokshift::gguf::KINDS.len());
    for (name, want) in &expected {
        let got = checkpoint.tensor(name, want.dims(), DType::F32, &Device::Cpu).unwrap();
        let [got, want] = [&got, want].map(|x| x.flatten_all().unwrap().to_vec1::<f32>().unwrap());
        for (got, want) in got.iter().zip(&want) {
            assert!((got - want).abs() <= 1e-6 * want.abs(), "{name}: {got}, not {want}");
        }
    }
    assert_eq!(checkpoint.stored_dtype(), DType::F32);
}

/// Writes a header of these keys with no tensors, by candle's writer.
fn vocabulary_file(path: &Path, keys: &[(&str, gguf_file::Value)]) {
    let keys: Vec<(&str, &gguf_file::Value)> = keys.iter().map(|(key, value)| (*key, value)).collect();
    gguf_file::write(&mut std::fs::File::create(path).unwrap(), &keys, &[]).unwrap();
}

fn texts(of: impl IntoIterator<Item = String>) -> gguf_file::Value {
    gguf_file::Value::Array(of.into_iter().map(gguf_file::Value::String).collect())
}

/// The tokens of a `tokenizer.json` by id, and their kinds; added tokens may stand in the vocabulary too.
fn vocabulary(json: &Value) -> (Vec<String>, Vec<i32>) {
    let vocab = json["model"]["vocab"].as_object().unwrap();
    let added = json["added_tokens"].as_array().unwrap();
    let of_vocab = vocab.iter().map(|(token, id)| (id.as_u64().unwrap() as usize, token.clone(), 1));
    let of_added = added.iter().map(|token| {
        let kind = if token["special"] == json!(true) { 3 } else { 4 };
        (token["id"].as_u64().unwrap() as usize, token["content"].as_str().unwrap().to_owned(), kind)
    });
    let size = 1 + of_vocab.clone().chain(of_added.clone()).map(|(id, ..)| id).max().unwrap();
    let (mut tokens, mut kinds): (Vec<String>, Vec<i32>) =
        ((0..size).map(|i| format!("[PAD{i}]")).collect(), vec![5; size]);
    // What the vocabulary lists too is one of its pieces, unless it is special.
    let of_added = of_added.filter(|(_, token, kind)| *kind == 3 || !vocab.contains_key(token));
    for (id, token, kind) in of_vocab.chain(of_added) {
        (tokens[id], kinds[id]) = (token, kind);
    }
    (tokens, kinds)
}

/// A GGUF file with the vocabulary of a `tokenizer.json`.
fn as_gguf(scene: &Scene, name: &str, pre: &str, more: &[(&str, gguf_file::Value)]) -> PathBuf {
    let json: Value = serde_json::from_slice(&std::fs::read(tokenizer(name)).unwrap()).unwrap();
    let (tokens, kinds) = vocabulary(&json);
    let merge = |merge: &Value| match merge.as_array() {
        Some(pair) => format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
        None => merge.as_str().unwrap().to_owned(),
    };
    let merges: Vec<String> = json["model"]["merges"].as_array().unwrap().iter().map(merge).collect();
    // The score of a piece is how early it is merged, as where SentencePiece's came from.
    let rank = |token: &String| merges.iter().position(|merge| merge.replace(' ', "") == *token);
    let scores = tokens.iter().map(|token| rank(token).map_or(-1e6, |rank| -(rank as f32)));
    let mut keys = vec![
        ("tokenizer.ggml.model", gguf_file::Value::String(if pre.is_empty() { "llama" } else { "gpt2" }.to_owned())),
        ("tokenizer.ggml.pre", gguf_file::Value::String(pre.to_owned())),
        ("tokenizer.ggml.scores", gguf_file::Value::Array(scores.map(gguf_file::Value::F32).collect())),
        ("tokenizer.ggml.tokens", texts(tokens)),
        ("tokenizer.ggml.token_type", gguf_file::Value::Array(kinds.into_iter().map(gguf_file::Value::I32).collect())),
        ("tokenizer.ggml.merges", texts(merges)),
    ];
    keys.extend(more.iter().cloned());
    let path = scene.path(&format!("{name}.gguf"));
    vocabulary_file(&path, &keys);
    path
}

fn tokenizer(name: &str) -> PathBuf {
    fixture(&format!("../tokenizers/{name}.json"))
}

/// Ids of texts that pre-tokenizers cut differently.
fn ids(path: &Path) -> Vec<Vec<u32>> {
    const TEXTS: [&str; 9] = [
        "Hello, world! It's 12:45 and we've 1234567 things.",
        "   three spaces\n\n  and\tlines\r\n 5   6",
        "Où se trouve la gare de Lyon ? — là-bas…",
        "把下面的句子翻译成英文：你好，世界。１２３",
        "def mean(xs):\n    return sum(xs)/len(xs) #  naïve",
        "<|im_start|>user\nhi<|im_end|>\n<think>hm</think> ok",
        "don't DON'T we'LL they'd",
        "🙂👋🏽 \u{301}e\u{301} ∑x²≥0 $5+<a=b>^~|",
        " ",
    ];
    let tokenizer = TextTokenizer::from_file(path).unwrap();
    let options = SampleOptions { boundary: Boundary::Joint, end: None, max_tokens: 1 << 20, too_long: TooLong::Skip };
    let ids = |text: &&str| {
        let content = Ok(Row {
            id: None,
            cluster: None,
            kept: Vec::new(),
            is_dump: false,
            contents: vec![Content::Text { input: String::new(), output: (*text).to_owned(), cut: None }],
        });
        tokenizer.samples(ReadRow { row: 0, first_sample: 0, line: 1, content }, &options).remove(0).ids
    };
    TEXTS.iter().map(ids).collect()
}

#[test]
fn a_vocabulary_gives_the_ids_of_its_tokenizer_json() {
    let scene = Scene::new();
    let bos = |id| {
        [
            ("tokenizer.ggml.bos_token_id", gguf_file::Value::U32(id)),
            ("tokenizer.ggml.add_bos_token", gguf_file::Value::Bool(true)),
        ]
    };
    assert_eq!(ids(&as_gguf(&scene, "nfc", "qwen2", &[])), ids(&tokenizer("nfc")));
    assert_eq!(ids(&as_gguf(&scene, "sentencepiece", "", &bos(1))), ids(&tokenizer("sentencepiece")));
}

/// The smallest model, which the fuzzer begins with.
fn tiny() -> Vec<u8> {
    std::fs::read(fixture("../../../fuzz/corpus/gguf/tiny")).unwrap()
}

/// Where `what` ends in `bytes`.
fn after(bytes: &[u8], what: &str) -> usize {
    bytes.windows(what.len()).position(|window| window == what.as_bytes()).unwrap() + what.len()
}

#[test]
fn a_gguf_is_inspected_and_scored() {
    let scene = Scene::new();
    converted::write("qwen3-tied", &scene.path("tied.gguf"));
    scene.dataset("g_t.jsonl", &common::rows()[..4]);
    let said = scene.run("inspect tied.gguf");
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    for text in ["F32", "512 tokens", "3 of width 48: 4 heads of 16, 2 for keys and values", "307", "keys: head"] {
        assert!(said.stdout.contains(text), "{text} in {}", said.stdout);
    }
    let json: Value = serde_json::from_str(&scene.run("inspect --json tied.gguf").stdout).unwrap();
    assert_eq!(
        (&json["spec"]["hidden"], &json["dtype"], &json["tokenizer"]["prefix"]),
        (&json!(48), &json!("f32"), &json!([]))
    );
    scene.run("score --dataset g_t.jsonl --models tied.gguf --output-dir out --end auto").expect(0, "4 ok");
    // A folder of one GGUF is that file; its tables are the same.
    scene.write("folder/tied.gguf", std::fs::read(scene.path("tied.gguf")).unwrap());
    scene.run("score --dataset g_t.jsonl --models tied=folder --output-dir again --end auto").expect(0, "4 ok");
    assert_eq!(scene.files("out"), scene.files("again"));
    // The ids are those of the tokenizer.json that the vocabulary was made of.
    let models = fixture("qwen3-tied");
    let models = models.display();
    scene
        .run(&format!("score --dataset g_t.jsonl --models tied={models} --output-dir source --end auto"))
        .expect(0, "4 ok");
    let ids = |output: &str| scene.table(output, "tokens", "g", "t", "tied").u32s("token_id");
    assert_eq!(ids("out"), ids("source"));
}

#[test]
fn hostile_headers_are_errors() {
    let scene = Scene::new();
    let tiny = tiny();
    let rejects = |bytes: &[u8], what: &str| {
        scene.write("bad.gguf", bytes);
        scene.run("inspect bad.gguf").expect(1, what);
    };
    let put = |at: usize, value: u64| {
        let mut bytes = tiny.clone();
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        bytes
    };
    scene.write("tiny.gguf", &tiny);
    assert_eq!(scene.run("inspect tiny.gguf").code, Some(0));
    rejects(b"", "cut short");
    rejects(b"GGUX\x03\0\0\0", "not a GGUF file");
    rejects(&tiny[..60], "cut short");
    rejects(&tiny[..tiny.len() - 64], "incomplete download");
    // Counts of tensors and keys, then the length of the first key.
    for count in [1 << 40, u64::MAX] {
        rejects(&put(8, count), "");
        rejects(&put(16, count), "");
        rejects(&put(24, count), "where");
    }
    // The vocabulary: an array of texts, its count.
    let tokens = after(&tiny, "tokenizer.ggml.tokens") + 8;
    rejects(&put(tokens, u64::MAX), "`tokenizer.ggml.tokens`");
    // A tensor: 1 dimension, its length, its type, its offset.
    let norm = after(&tiny, "output_norm.weight");
    rejects(&put(norm + 4, 1 << 59), "incomplete download");
    rejects(&put(norm + 4, u64::MAX), "overflows");
    rejects(&put(norm + 16, 1 << 40), "incomplete download");
    rejects(&put(norm + 16, u64::MAX - 31), "incomplete download");
    rejects(&put(norm + 16, 32), "overlap");
    rejects(&put(norm + 16, 33), "claims");
    let mut bytes = tiny.clone();
    bytes[norm..norm + 4].copy_from_slice(&9_u32.to_le_bytes());
    rejects(&bytes, "9 dimensions");
    bytes = tiny.clone();
    bytes[norm + 12..norm + 16].copy_from_slice(&23_u32.to_le_bytes());
    rejects(&bytes, "of type 23");
    let layers = after(&tiny, "llama.block_count") + 4;
    bytes = tiny.clone();
    bytes[layers..layers + 4].copy_from_slice(&1_000_000_000_u32.to_le_bytes());
    rejects(&bytes, "`num_hidden_layers` is 1000000000");
    // Keys that are not known, by name.
    let renamed = |from: &str, to: &str| {
        let end = after(&tiny, from);
        let mut bytes = tiny.clone();
        bytes[end - to.len()..end].copy_from_slice(to.as_bytes());
        bytes
    };
    rejects(&renamed("llama.block_count", "block_kount"), "`llama.block_kount` (1) is not known");
    rejects(&renamed("general.architecture", "architektura"), "no `general.architecture`");
}

#[test]
fn a_split_file_and_an_unknown_tokenizer_are_told() {
    let scene = Scene::new();
    let text = |text: &str| gguf_file::Value::String(text.to_owned());
    vocabulary_file(&scene.path("a-00001-of-00002.gguf"), &[("split.count", gguf_file::Value::U16(2))]);
    scene.run("inspect a-00001-of-00002.gguf").expect(1, "one of 2 files");
    for (model, pre, what) in [("bert", "default", "\"bert\""), ("gpt2", "viking", "\"viking\"")] {
        let path = scene.path("t.gguf");
        let keys = [
            ("tokenizer.ggml.model", text(model)),
            ("tokenizer.ggml.pre", text(pre)),
            ("tokenizer.ggml.tokens", texts(["a".to_owned()])),
            ("tokenizer.ggml.merges", texts([])),
        ];
        vocabulary_file(&path, &keys);
        let error = TextTokenizer::from_file(&path).unwrap_err().to_string();
        assert!(error.contains(what) && error.contains("use --tokenizer"), "{error}");
    }
}

/// The library panics over it; found by fuzzing.
#[test]
fn a_merge_that_makes_no_token_is_told() {
    let scene = Scene::new();
    let text = |text: &str| gguf_file::Value::String(text.to_owned());
    let path = scene.path("t.gguf");
    let keys = [
        ("tokenizer.ggml.model", text("gpt2")),
        ("tokenizer.ggml.pre", text("default")),
        ("tokenizer.ggml.tokens", texts(["abc".to_owned(), "d".to_owned()])),
        ("tokenizer.ggml.merges", texts(["abc d".to_owned()])),
    ];
    vocabulary_file(&path, &keys);
    let error = TextTokenizer::from_file(&path).unwrap_err().to_string();
    assert!(error.contains("makes `abcd` of `abc` and `d`, which is no token"), "{error}");
}

/// What the converter writes of a tokenizer's directory says the same of its chats.
#[test]
fn chats_are_rendered_by_the_template_in_the_file() {
    const TEMPLATE: &str = "{{ bos_token }}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>{{ eos_token }}\n\
        {% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    let scene = Scene::new();
    let text = |text: &str| gguf_file::Value::String(text.to_owned());
    let json: Value = serde_json::from_slice(&std::fs::read(tokenizer("nfc")).unwrap()).unwrap();
    let id = |content: &str| {
        let added = json["added_tokens"].as_array().unwrap();
        let found = added.iter().find(|token| token["content"] == content).unwrap();
        gguf_file::Value::U32(found["id"].as_u64().unwrap() as u32)
    };
    let keys = [
        ("tokenizer.chat_template", text(TEMPLATE)),
        ("tokenizer.chat_template.tool_use", text("{% for t in tools %}{{ t.name }} {% endfor %}")),
        ("tokenizer.ggml.bos_token_id", id("<|endoftext|>")),
        ("tokenizer.ggml.eos_token_id", id("<|endoftext|>")),
    ];
    let file = as_gguf(&scene, "nfc", "qwen2", &keys);
    let config = json!({
        "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>",
        "chat_template": [
            {"name": "default", "template": TEMPLATE},
            {"name": "tool_use", "template": "{% for t in tools %}{{ t.name }} {% endfor %}"},
        ],
    });
    scene.write("model/tokenizer_config.json", config.to_string());
    scene.write("model/tokenizer.json", std::fs::read(tokenizer("nfc")).unwrap());
    let messages = json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]);
    let tools = json!({"messages": messages, "tools": [{"name": "f"}]});
    scene.write("chats.jsonl", format!("{messages}\n{tools}\n"));
    let rendered = |model: &str| scene.run(&format!("render {model} --messages chats.jsonl --json"));
    let (ours, theirs) = (rendered(&file.display().to_string()), rendered("model"));
    assert_eq!(ours.stdout, theirs.stdout);
    let first: Value = serde_json::from_str(ours.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(
        first["text"],
        "<|endoftext|><|im_start|>user\na<|im_end|><|endoftext|>\n<|im_start|>assistant\nb<|im_end|><|endoftext|>\n"
    );
    // A token that no key names ends the turn: it is one of those that are no text.
    assert_eq!(first["turns"][0]["end"], "<|im_end|>");

    let without = as_gguf(&scene, "sentencepiece", "", &[]);
    scene.run(&format!("render {} --messages chats.jsonl", without.display())).expect(1, "has no chat template");
}
