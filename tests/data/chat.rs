//! Rows of messages through `score`: one sample a turn, the template's own special tokens, the end scored.

use std::fs;

use crate::common::{Scene, fixture};
use serde_json::{Value, json};

/// ChatML, as Qwen writes it.
const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}\
    {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// `<|im_end|>` of the models' tokenizer.
const IM_END: u32 = 304;

fn message(role: &str, content: &str) -> Value {
    json!({"role": role, "content": content})
}

fn chat() -> Value {
    let messages = [
        message("user", "How far?"),
        message("assistant", "Two miles."),
        message("user", "Où ça ?"),
        message("assistant", "Là-bas 🙂"),
    ];
    json!({"messages": messages})
}

/// A scene with a model `m` that has this template, and two chats with a row of text between them.
fn scene(template: &str) -> Scene {
    let scene = Scene::new();
    scene.model("m", "qwen3-tied");
    let config = json!({"eos_token": "<|endoftext|>", "chat_template": template});
    scene.write("m/tokenizer_config.json", config.to_string());
    let text = json!({"input": "How far?", "output": " Far."});
    let mut cut = chat();
    cut["finish_reason"] = "length".into();
    scene.dataset("m_chat.jsonl", &[chat(), text, cut]);
    scene
}

const SCORE: &str = "score --dataset m_chat.jsonl --models m=m --output-dir out --engine mock";

#[test]
fn each_turn_is_a_sample_whose_end_is_scored() {
    let scene = scene(CHATML);
    scene.run(SCORE).expect(0, "5 ok");
    let samples = scene.table("out", "samples", "m", "chat", "m");
    assert_eq!(samples.u32s("turn"), [0, 1, 0, 0, 1].map(Some));
    assert_eq!(samples.bools("is_cut"), [None, None, None, Some(false), Some(true)], "only the last turn was cut");
    let first = "<|im_start|>user\nHow far?<|im_end|>\n<|im_start|>assistant\n";
    let second = format!("{first}Two miles.<|im_end|>\n<|im_start|>user\nOù ça ?<|im_end|>\n<|im_start|>assistant\n");
    assert_eq!(samples.texts("prompt")[..2], [Some(first.to_owned()), Some(second)]);
    assert_eq!(samples.texts("response")[..2], ["Two miles.", "Là-bas 🙂"].map(|text| Some(text.to_owned())));
    let clusters = samples.texts("cluster_id");
    assert_eq!((&clusters[0], &clusters[3]), (&clusters[1], &clusters[4]));

    let tokens = scene.table("out", "tokens", "m", "chat", "m");
    let ends: Vec<(Option<u32>, Option<u32>)> = tokens
        .bools("is_end")
        .iter()
        .enumerate()
        .filter(|(_, is_end)| **is_end == Some(true))
        .map(|(row, _)| (tokens.u32s("sample_id")[row], tokens.u32s("token_id")[row]))
        .collect();
    // Neither the text nor the turn that was cut by length has one.
    assert_eq!(ends, [0, 1, 3].map(|sample| (Some(sample), Some(IM_END))));
    let decoded: String = (0..tokens.len())
        .filter(|&row| tokens.u32s("sample_id")[row] == Some(0) && tokens.bools("is_end")[row] == Some(false))
        .filter_map(|row| tokens.texts("token")[row].clone())
        .collect();
    assert_eq!(decoded, "Two miles.");
}

/// The ids are those of the rendered text alone, whatever the tokenizer would put first.
#[test]
fn a_rendered_text_is_given_no_second_bos() {
    let scene = Scene::new();
    let tokenizer = fixture("../tokenizers/bos.json");
    scene.write("m/tokenizer.json", fs::read(tokenizer).unwrap());
    let template = format!("{{{{ bos_token }}}}{CHATML}");
    let config = json!({"bos_token": "<|begin_of_text|>", "chat_template": template});
    scene.write("m/tokenizer_config.json", config.to_string());
    scene.write("m/config.json", "{}");
    scene.dataset("m_chat.jsonl", &[chat()]);
    let said = scene.run(SCORE);
    said.expect(0, "2 ok").expect(0, "2 samples: the ids begin with the tokenizer's BOS");
    assert!(!said.stderr.contains("twice"), "{}", said.stderr);
}

#[test]
fn another_template_is_another_run() {
    let scene = scene(CHATML);
    scene.run(SCORE).expect(0, "5 ok");
    scene.run(SCORE).expect(0, "already scored");
    scene.write("other.jinja", CHATML.replace("assistant", "model"));
    scene.run(&format!("{SCORE} --chat-template other.jinja")).expect(1, "--chat-template = `");
    scene.write("same.jinja", CHATML);
    scene.run(&format!("{SCORE} --chat-template same.jinja --chat-date 2025-01-02")).expect(0, "already scored");
    let manifest = scene.path("out/runs/generation_model=m/task=chat/text.json");
    let manifest: Value = serde_json::from_slice(&fs::read(manifest).unwrap()).unwrap();
    assert_eq!(manifest["tokens"]["chat_template"].as_str().map(str::len), Some(64));
    scene.run("verify out").expect(0, "");
}

/// Contexts are each model's own; responses have the same ids, and so are compared.
#[test]
fn each_model_may_read_its_own_template() {
    let scene = scene(CHATML);
    scene.model("n", "qwen3-shifted");
    let other = CHATML
        .replace("<|im_start|>{{ m.role }}\n", "{{ m.role }}: ")
        .replace("<|im_start|>assistant\n", "assistant: ");
    let config = |template: &str| json!({"eos_token": "<|endoftext|>", "chat_template": template}).to_string();
    scene.write("n/tokenizer_config.json", config(&other));
    let score = "score --dataset m_chat.jsonl --models m=m,n=n --output-dir out --engine mock";
    scene.run(&format!("{score} --template own --chat-template m")).expect(2, "cannot be used with");
    scene.run(&format!("{score} --template own")).expect(0, "5 ok");
    scene.run(&format!("{score} --template own")).expect(0, "already scored");
    scene.run(score).expect(1, "--boundary = `separate`");

    let table = |name: &str, model: &str| scene.table("out", name, "m", "chat", model);
    let [m, n] = ["m", "n"].map(|model| table("samples", model));
    assert_eq!(n.texts("prompt")[0].as_deref(), Some("user: How far?<|im_end|>\nassistant: "));
    assert_eq!(m.texts("response"), n.texts("response"));
    let differ: Vec<bool> = m.texts("context_hash").iter().zip(n.texts("context_hash")).map(|(m, n)| *m != n).collect();
    assert_eq!(differ, [true, true, false, true, true], "the third row is text");
    assert_eq!(table("tokens", "m").u32s("token_id"), table("tokens", "n").u32s("token_id"));

    let read = |name: &str| -> Value {
        let path = scene.path(&format!("out/runs/generation_model=m/task=chat/{name}"));
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    };
    let tokens = &read("text.json")["tokens"];
    assert_eq!((&tokens["chat_template"], &tokens["boundary"]), (&json!("own"), &json!("separate")));
    let own = ["m", "n"].map(|model| read(&format!("model={model}/manifest.json"))["engine"]["chat_template"].clone());
    assert!(own[0] != own[1] && own.iter().all(|hash| hash.as_str().map(str::len) == Some(64)), "{own:?}");
    scene.run("verify out").expect(0, "");
    let pairs: Value = serde_json::from_str(&scene.run("kl --data-dir out --json").expect(0, "").stdout).unwrap();
    let pair = &pairs["pairs"][0];
    assert_eq!(pair["samples"], 5);
    let notes = pair["notes"].as_array().unwrap();
    assert!(notes.contains(&json!("contexts differ: each model read its own chat template")), "{notes:?}");

    fs::remove_file(scene.path("n/tokenizer_config.json")).unwrap();
    let said = scene.run(&format!("{} --template own", score.replace("dir out", "dir other")));
    said.expect(1, "`n` has no chat template: --template own needs one of every model");
}

/// What a model's own template writes is read by its own tokenizer, which may call special tokens otherwise.
#[test]
fn own_templates_are_read_by_own_tokenizers() {
    let scene = scene(CHATML);
    scene.model("n", "qwen3-shifted");
    let rename = |text: &str| text.replace("<|im_start|>", "<|turn|>").replace("<|im_end|>", "<|done|>");
    let tokenizer = rename(&fs::read_to_string(scene.path("n/tokenizer.json")).unwrap());
    scene.write("n/tokenizer.json", &tokenizer);
    let config = json!({"eos_token": "<|endoftext|>", "chat_template": rename(CHATML)}).to_string();
    scene.write("n/tokenizer_config.json", config);
    let score = "score --dataset m_chat.jsonl --models m=m,n=n --output-dir out --template own";
    scene.run(score).expect(0, "warning: `n` calls 2 special tokens otherwise").expect(0, "n: 5 ok");
    let table = |name: &str, model: &str| scene.table("out", name, "m", "chat", model);
    let [m, n] = ["m", "n"].map(|model| table("samples", model));
    assert!(n.texts("prompt")[0].as_ref().unwrap().starts_with("<|turn|>user"));
    for column in ["context_hash", "cluster_id"] {
        assert_eq!(m.texts(column), n.texts(column), "the same ids, whatever they are called");
    }
    assert_eq!(table("tokens", "m").u32s("token_id"), table("tokens", "n").u32s("token_id"));
    scene.run("verify out").expect(0, "");
    scene.run("kl --data-dir out").expect(0, "");

    // Other ids of prompts are another run.
    scene.run(score).expect(0, "n: already scored");
    scene.write("n/tokenizer.json", tokenizer + "\n");
    scene.run(score).expect(1, "engine.tokenizer = ");
}

/// A row's own come before the option's, which the manifest keeps; tools are JSON text or a list of objects.
#[test]
fn kwargs_and_tools_of_rows_reach_the_template() {
    let thinks = "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}";
    let tools = "{% for t in tools or [] %}{{ t.name }};{% endfor %}";
    let scene = scene(&format!("{tools}{CHATML}{thinks}"));
    let row = |more: Value| {
        let mut row = chat();
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    let rows = [
        row(json!({"chat_template_kwargs": {"enable_thinking": true}})),
        row(json!({"tools": "[{\"name\":\"f\"}]"})),
        row(json!({"tools": ["{}"]})),
        row(json!({"chat_template_kwargs": {"messages": []}})),
    ];
    scene.dataset("m_chat.jsonl", &rows);
    let option = format!("{SCORE} --chat-template-kwargs {{\"enable_thinking\":false}}");
    scene.run(&option).expect(4, "4 ok");
    let samples = scene.table("out", "samples", "m", "chat", "m");
    let prompts = samples.texts("prompt");
    let ends = |index: usize| prompts[index].as_ref().is_some_and(|prompt| prompt.ends_with("<think></think>"));
    assert_eq!([ends(0), ends(2)], [false, true], "{prompts:?}");
    assert!(prompts[2].as_ref().unwrap().starts_with("f;<|im_start|>"));
    let reasons = samples.texts("reason");
    assert!(reasons[4].as_ref().unwrap().contains("`tools` is no list"), "{reasons:?}");
    assert!(reasons[6].as_ref().unwrap().contains("`messages` is an argument of its own"), "{reasons:?}");
    let manifest = scene.path("out/runs/generation_model=m/task=chat/text.json");
    let manifest: Value = serde_json::from_slice(&fs::read(manifest).unwrap()).unwrap();
    assert_eq!(manifest["tokens"]["chat_template_kwargs"], "{\"enable_thinking\":false}");
    scene.run(SCORE).expect(1, "--chat-template-kwargs = ");
}

#[test]
fn messages_need_a_template_and_text_does_not() {
    let scene = scene("{% broken");
    scene.run(SCORE).expect(1, "has rows of messages: use --chat-template").expect(1, "cannot be read");
    scene.dataset("m_text.jsonl", &[json!({"input": "a", "output": "b"})]);
    let text = SCORE.replace("m_chat", "m_text");
    scene.run(&text).expect(0, "1 ok");
    let manifest = fs::read_to_string(scene.path("out/runs/generation_model=m/task=text/text.json"));
    assert!(!manifest.unwrap().contains("chat_template"));
    scene.run(&format!("{text} --chat-template nowhere.jinja")).expect(1, "nowhere.jinja");
}

#[test]
fn a_chat_that_the_template_rejects_is_as_many_failed_samples() {
    let scene = scene("{{ raise_exception('never') if messages | length > 1 }}");
    scene.run(&format!("{SCORE} -v")).expect(4, "1 ok, 4 failed").expect(4, "never");
    let samples = scene.table("out", "samples", "m", "chat", "m");
    assert!(samples.texts("reason")[0].as_ref().unwrap().contains("never"));
    let unknown = CHATML.replace("<|im_end|>", "<|end_of_turn|>");
    // Next to the tokenizer, the config would make it one.
    let ended = format!("{unknown}{{{{ '<|end_of_turn|>' if not add_generation_prompt }}}}");
    scene.write("other/chat_template.jinja", ended);
    scene.write("other/tokenizer_config.json", json!({"eos_token": "<|end_of_turn|>"}).to_string());
    let again = SCORE.replace("dir out", "dir again");
    scene.run(&format!("{again} -v --chat-template other")).expect(4, "which is no token of the tokenizer");
}

#[test]
fn turns_whose_words_are_not_the_templates_are_counted() {
    let drops = CHATML.replace("{{ m.content }}", "{{ m.content.split('</think>')[-1] }}");
    let scene = scene(&drops);
    let apart = json!({"role": "assistant", "content": "yes", "reasoning_content": "hm", "name": null});
    let rows = [
        json!({"messages": [message("user", "a"), message("assistant", "<think>hm</think>yes")]}),
        json!({"messages": [message("user", "a"), apart]}),
    ];
    scene.dataset("m_chat.jsonl", &rows);
    let said = scene.run(SCORE);
    said.expect(0, "1 sample: the chat template leaves out the reasoning of the turn");
    said.expect(0, "1 sample: the turn's content is scored as it is");
    said.expect(
        0,
        "1 sample: messages have fields that are null: the template does not see them, as in transformers 5",
    );
    let samples = scene.table("out", "samples", "m", "chat", "m");
    assert_eq!(samples.texts("response")[0].as_deref(), Some("<think>hm</think>yes"));
}

/// Turns of the prompt are context, and later ones are told apart.
#[test]
fn only_what_a_prompt_of_messages_was_gone_on_with_is_scored() {
    let scene = scene(CHATML);
    let whole = chat();
    let messages = whole["messages"].as_array().unwrap();
    let gone_on = json!({"prompt": messages[..3], "completion": messages[3..]});
    let rollouts = json!({"prompt": messages[..3], "responses": ["Là-bas 🙂", ""]});
    scene.dataset("m_chat.jsonl", &[whole.clone(), gone_on, rollouts]);
    scene.run(SCORE).expect(4, "4 ok, 1 empty");
    let samples = scene.table("out", "samples", "m", "chat", "m");
    let same = |column: &str| {
        let texts = samples.texts(column);
        assert_eq!([&texts[2], &texts[3]], [&texts[1]; 2], "{column}");
    };
    ["prompt", "response", "context_hash"].into_iter().for_each(same);
    let clusters = samples.texts("cluster_id");
    assert_eq!(clusters[3], clusters[4]);
}

/// Values nested as deep as fuel lasts are shown and dropped level by level, on whatever thread renders; one that holds
/// itself many times over is not written out.
#[test]
fn templates_that_mean_harm_end_no_run() {
    let nest = "{% set ns = namespace(x=[]) %}{% for i in range(90000) %}{% set ns.x = [ns.x] %}{% endfor %}";
    let double = "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}";
    for (template, reason) in [
        (format!("{nest}ok"), None),
        (format!("{nest}{{{{ ns.x }}}}"), None),
        (format!("{double}{{{{ ns.x }}}}"), Some("it writes more than 32 MiB")),
    ] {
        let scene = scene(&template);
        let said = scene.run(SCORE);
        assert!(said.stderr.contains(reason.unwrap_or("samples")), "{template}: {}", said.stderr);
        scene.write("chats.jsonl", chat()["messages"].to_string());
        let said = scene.run("render m --messages chats.jsonl");
        assert!((said.stdout + &said.stderr).contains(reason.unwrap_or_default()), "{template}");
    }
}
