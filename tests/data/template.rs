//! Chat templates: what transformers renders, where turns begin and end, and templates that mean no good.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::common::Scene;
use serde_json::{Value, json};
use tokshift::template::{ChatTemplate, NaiveDate, Rendering, SpecialTokens, Turn};

/// `<s>user: hi\nassistant: yo</s>\n`: the shape of many a template.
const SIMPLE: &str = "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content | trim }}\
    {{ eos_token if m.role == 'assistant' }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";

/// A model's directory with this template and the tokens that fixtures use.
fn model(scene: &Scene, template: &str) -> ChatTemplate {
    let config = json!({
        "bos_token": "<s>",
        "eos_token": {"__type": "AddedToken", "content": "</s>", "special": true},
        "added_tokens_decoder": {
            "1": {"content": "</s>", "special": true},
            "2": {"content": "<end>", "special": true},
            "3": {"content": "<call>", "special": true},
            "4": {"content": "<think>", "special": false},
        },
        "chat_template": template,
    });
    let path = scene.write("model/tokenizer_config.json", config.to_string());
    ChatTemplate::of_model(path.parent().unwrap()).unwrap().unwrap()
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

fn assistant(text: &str) -> Value {
    json!({"role": "assistant", "content": text})
}

fn turns(template: &str, messages: &[Value]) -> Vec<Turn> {
    model(&Scene::new(), template).turns(&json!(messages), None, 0).unwrap()
}

/// (prompt, response, end, rendering) of the one turn.
#[track_caller]
fn one(template: &str, messages: &[Value]) -> (String, String, Option<String>, Rendering) {
    let [turn] = <[Turn; 1]>::try_from(turns(template, messages)).unwrap();
    (turn.prompt, turn.response, turn.end, turn.rendering)
}

fn expect(
    prompt: &str,
    response: &str,
    end: &str,
    rendering: Rendering,
) -> (String, String, Option<String>, Rendering) {
    (prompt.to_owned(), response.to_owned(), Some(end.to_owned()), rendering)
}

/// `scripts/make_chat_fixtures.py` got from transformers.
#[test]
fn every_construct_renders_as_in_transformers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat/constructs.json");
    let fixture: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let cases = fixture["cases"].as_array().unwrap();
    assert!(cases.len() > 40);
    for case in cases {
        let template = model(&Scene::new(), case["template"].as_str().unwrap());
        let got = template.render(&fixture["messages"], Some(&fixture["tools"]), true);
        assert_eq!(got.as_deref().ok(), case["text"].as_str(), "{}: {got:?}", case["name"]);
        if case["name"] == "raise_exception" {
            assert!(got.unwrap_err().contains("no tools: tool"));
        }
    }
}

/// Python's shortest digits, of which a fast parser loses the last; and the characters that are not printable ASCII.
#[test]
fn floats_and_characters_are_written_to_the_last_digit() {
    let scene = Scene::new();
    model(&scene, "{{ messages[0].f }} {{ messages[0].g }} {{ messages[0].content | tojson(ensure_ascii=true) }}");
    let row =
        r#"{"messages": [{"role": "user", "content": "\u007fé", "f": 0.12000000000000001, "g": 105.76771146011077}]}"#;
    scene.write("chats.jsonl", format!("{row}\n"));
    let said = scene.run("render model --messages chats.jsonl --json");
    let line: Value = serde_json::from_str(&said.expect(0, "").stdout).unwrap();
    assert_eq!(line["text"], r#"0.12000000000000001 105.76771146011077 "\u007f\u00e9""#);
}

/// `scripts/make_jinja_fixtures.py` got from Jinja2 in the environment of transformers. What is not equal is rejected.
#[test]
fn every_snippet_renders_as_in_jinja2_or_is_rejected() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat/snippets.json");
    let fixture: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let scene = Scene::new();
    scene.write("tokenizer_config.json", json!({"bos_token": "<s>"}).to_string());
    let (mut equal, mut rejected) = (0, 0);
    for case in fixture["cases"].as_array().unwrap() {
        let path = scene.write("chat_template.jinja", case[0].as_str().unwrap());
        let template = ChatTemplate::of_model(path.parent().unwrap()).map_err(|e| e.to_string());
        let got = template.and_then(|template| template.unwrap().render(&fixture["context"]["messages"], None, true));
        match (case[1].as_str(), got) {
            (Some(want), Ok(text)) => {
                assert_eq!(text, want, "{}", case[0]);
                equal += 1;
            }
            (Some(_), Err(_)) => rejected += 1,
            (None, Ok(text)) => panic!("{} renders {text:?}", case[0]),
            (None, Err(_)) => {}
        }
    }
    assert!(equal > 850 && rejected < 40, "{equal} equal, {rejected} rejected");
}

/// The errors of templates that are not supported.
#[test]
fn what_is_not_supported_is_named() {
    for (source, what) in [
        ("{% include 'x' %}", "the statement `include`"),
        ("{{ [1] | pprint }}", "the filter `pprint`"),
        ("{{ 'x'.casefold() }}", "the method `casefold`"),
        ("{{ messages.append(1) }}", "the attribute `append` of a list"),
        ("{{ 2 ** 200 }}", "an integer of more than 127 bits"),
        ("{{ messages | map('string') }}", "the text of a generator"),
        ("{{ lipsum() }}", "the function `lipsum`"),
        ("{% if self is defined %}x{% endif %}", "the variable `self`"),
    ] {
        let path = Scene::new();
        let path = path.write("t.jinja", source);
        let read = ChatTemplate::from_file(&path, SpecialTokens::default()).map_err(|e| e.to_string());
        let said = read.and_then(|template| template.render(&json!([user("x")]), None, true)).unwrap_err();
        assert!(said.contains(what) && said.contains("is not supported"), "{source}: {said}");
    }
}

/// Null is none, but the null fields of a message are not there, as in `apply_chat_template` of transformers 5.24.
#[test]
fn none_is_not_iterable_and_is_written_out() {
    let guard =
        "none:{{ tools is iterable }} {% if tools is iterable and tools | length > 0 %}yes{% else %}no{% endif %}";
    let render = |source: &str, messages: Value| model(&Scene::new(), source).render(&messages, None, false);
    assert_eq!(render(guard, json!([user("x")])).unwrap(), "none:False no");
    let shown = "{% macro show(c) %}{% if c is string %}{{ c }}{% elif c is iterable and c is not mapping %}\
        {% for i in c %}{{ i.text }}{% endfor %}{% else %}{{ c }}{% endif %}{% endmacro %}{{ show(messages[0].content) }}";
    assert_eq!(render(shown, json!([{"role": "assistant", "content": null}])).unwrap(), "");
    assert_eq!(render(&shown.replace("messages[0].content", "none"), json!([user("x")])).unwrap(), "None");
    let fields = "{{ messages[0] }}{{ messages[0].content is defined }}";
    let message = json!({"role": "assistant", "content": null, "tool_calls": [{"arguments": null}], "name": null});
    let left = "{'role': 'assistant', 'tool_calls': [{'arguments': None}]}False";
    assert_eq!(render(fields, json!([message])).unwrap(), left);
    let turns = model(&Scene::new(), "{% for m in messages %}{{ m.name }}{{ m.content }}|{% endfor %}");
    let turns = turns.turns(&json!([{"role": "user", "content": "q", "name": null}, assistant("a")]), None, 0).unwrap();
    assert_eq!((turns[0].prompt.as_str(), turns[0].response.as_str()), ("q|", "a"));
    let lines = "{% for m in messages %}\r\n<{{ m.role }}>\r\n{{ m.content }}\r\n{% endfor %}\r\n";
    assert_eq!(render(lines, json!([user("a\r\nb")])).unwrap(), "<user>\na\r\nb\n");
    let floats = "{{ messages[0].x | string }} {{ messages[0].y }} {{ {'x': messages[0].x} }}";
    let message = json!({"role": "user", "content": "", "x": 1e-5, "y": 1e16});
    assert_eq!(render(floats, json!([message])).unwrap(), "1e-05 1e+16 {'x': 1e-05}");
}

/// transformers 5 gives messages' reasoning under both names, and tokens of a dictionary by theirs.
#[test]
fn reasoning_and_more_special_tokens_have_the_names_of_transformers() {
    let scene = Scene::new();
    let config = json!({"extra_special_tokens": {"image_token": "<img>", "eot": {"content": "<eot>"}}});
    scene.write("tokenizer_config.json", config.to_string());
    let source =
        "{{ image_token }}{{ eot }}{% for m in messages %}{{ m.thinking }}{{ m.reasoning_content }}{% endfor %}";
    let path = scene.write("chat_template.jinja", source);
    let template = ChatTemplate::of_model(path.parent().unwrap()).unwrap().unwrap();
    let messages = json!([{"role": "assistant", "content": "", "reasoning": "r"}]);
    assert_eq!(template.render(&messages, None, false).unwrap(), "<img><eot>rr");
}

#[test]
fn tools_may_be_json_text_and_nothing_else_than_objects() {
    let scene = Scene::new();
    model(&scene, "{% for t in tools or [] %}{{ t.name }};{% endfor %}{{ messages[0].content }}");
    let rows = [json!("[]"), json!("[{\"name\":\"f\"}]"), json!([{"name": "g"}]), json!(["{}"]), json!("x"), json!(3)];
    let rows = rows.map(|tools| json!({"messages": [user("q")], "tools": tools}));
    scene.dataset("c.jsonl", &rows);
    let said = scene.run("render model --messages c.jsonl --json");
    let lines: Vec<Value> = said.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let texts: Vec<Option<&str>> = lines.iter().map(|line| line["text"].as_str()).collect();
    assert_eq!(texts, [Some("q"), Some("f;q"), Some("g;q"), None, None, None]);
    assert!(lines[3..].iter().all(|line| line["error"].as_str().unwrap().contains("`tools` is")), "{lines:?}");
}

/// A row's own kwargs come before those of the option.
#[test]
fn kwargs_reach_the_template_and_may_not_hide_what_it_is_given() {
    let scene = Scene::new();
    model(&scene, "{{ enable_thinking is defined and not enable_thinking }}{{ effort }}{{ messages[0].content }}");
    let own = |kwargs: Value| json!({"messages": [user("q")], "chat_template_kwargs": kwargs});
    let rows = [
        own(json!({"enable_thinking": false})),
        own(json!({"effort": "low"})),
        own(json!({"messages": []})),
        own(json!(1)),
    ];
    scene.dataset("c.jsonl", &rows);
    let run = |option: &str| {
        let said = scene.run(&format!("render model --messages c.jsonl --json {option}"));
        let lines = said.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| line["text"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let want =
        |texts: [&str; 2]| texts.map(|text| Some(text.to_owned())).into_iter().chain([None, None]).collect::<Vec<_>>();
    assert_eq!(run(""), want(["Trueq", "Falselowq"]));
    let option = "--chat-template-kwargs {\"effort\":\"high\",\"enable_thinking\":false}";
    assert_eq!(run(option), want(["Truehighq", "Truelowq"]));
    scene.run("render model --messages c.jsonl --chat-template-kwargs {\"tools\":[]}").expect(2, "`tools`");
}

/// An integer that only a float would hold is no text of its digits.
#[test]
fn integers_are_written_as_they_stand_or_rejected() {
    let scene = Scene::new();
    model(&scene, "{{ messages[0].n }}");
    let row = |n: &str| format!("[{{\"role\": \"user\", \"n\": {n}}}]");
    let rows = [
        "18446744073709551615",
        "-9223372036854775808",
        "18446744073709551616",
        "-0",
        "1.0",
        "\"-0 123456789012345678901\"",
    ];
    scene.write("c.jsonl", rows.map(row).join("\n"));
    let said = scene.run("render model --messages c.jsonl --json");
    let lines: Vec<Value> = said.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let texts: Vec<Option<&str>> = lines.iter().map(|line| line["text"].as_str()).collect();
    let held = ["18446744073709551615", "-9223372036854775808"].map(Some);
    assert_eq!(texts, [held[0], held[1], None, None, Some("1.0"), Some("-0 123456789012345678901")]);
}

/// Turns cost the square of their number: 400 calls of a tool fit.
#[test]
fn a_long_trace_of_an_agent_has_all_its_turns() {
    let template = "{% for m in messages %}<{{ m.role }}>{% if m.tool_calls %}{% for c in m.tool_calls %}\
        {{ c.function.name }}{{ c.function.arguments | tojson }}{% endfor %}{% else %}{{ m.content | trim }}{% endif %}<end>\
        {% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";
    let mut messages = vec![user("do")];
    for number in 0..400 {
        let call = json!({"function": {"name": "f", "arguments": {"x": number}}});
        messages.push(json!({"role": "assistant", "content": "", "tool_calls": [call]}));
        messages.push(json!({"role": "tool", "content": "r".repeat(200)}));
    }
    messages.push(assistant("done"));
    let turns = turns(template, &messages);
    assert_eq!((turns.len(), turns[400].response.as_str()), (401, "done"));
}

#[test]
fn a_template_file_comes_before_the_config_and_tools_have_their_own() {
    let scene = Scene::new();
    let messages = json!([user("x")]);
    let several = json!({"chat_template": [
        {"name": "default", "template": "default"}, {"name": "tool_use", "template": "tools"},
        {"name": "rag", "template": "rag"},
    ]});
    let path = scene.write("m/tokenizer_config.json", several.to_string());
    let directory = path.parent().unwrap();
    let render = |tools: Option<&Value>| {
        ChatTemplate::of_model(directory).unwrap().unwrap().render(&messages, tools, false).unwrap()
    };
    assert_eq!((render(None), render(Some(&json!([])))), ("default".to_owned(), "tools".to_owned()));
    scene.write("m/chat_template.jinja", "file");
    assert_eq!((render(None), render(Some(&json!([])))), ("file".to_owned(), "file".to_owned()));
}

#[test]
fn no_template_is_none_and_a_broken_one_an_error() {
    let scene = Scene::new();
    let path = scene.write("m/config.json", "{}");
    let directory = path.parent().unwrap();
    assert!(ChatTemplate::of_model(directory).unwrap().is_none());
    for (name, content, what) in [
        ("tokenizer_config.json", "[]", "not a JSON object"),
        ("tokenizer_config.json", "{\"chat_template\": 1}", "neither a text nor a list"),
        ("chat_template.jinja", "{% if", "cannot be read"),
    ] {
        scene.write(&format!("m/{name}"), content);
        let error = ChatTemplate::of_model(directory).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
}

/// Older directories have tokens in `special_tokens_map.json`, newer ones list special ones in `tokenizer.json` alone.
#[test]
fn tokens_come_from_whichever_file_has_them() {
    let scene = Scene::new();
    scene.write("m/special_tokens_map.json", json!({"eos_token": {"content": "<e>"}, "bos_token": "<b>"}).to_string());
    scene.write("m/tokenizer_config.json", json!({"bos_token": "<s>", "pad_token": null}).to_string());
    let added = json!({"added_tokens": [{"content": "<end>", "special": true}], "model": {"vocab": {"a": 1}}});
    scene.write("m/tokenizer.json", added.to_string());
    let template = "{{ bos_token }}{{ eos_token }}{{ pad_token is defined }}\
        {% for m in messages %}{{ m.content }}{% if m.role == 'assistant' %}<end>{% endif %}{% endfor %}";
    let path = scene.write("m/chat_template.jinja", template);
    let template = ChatTemplate::of_model(path.parent().unwrap()).unwrap().unwrap();
    let messages = json!([assistant("x")]);
    assert_eq!(template.render(&messages, None, false).unwrap(), "<b><e>Falsex<end>");
    assert_eq!(template.turns(&messages, None, 0).unwrap()[0].end.as_deref(), Some("<end>"));
}

/// transformers 5.24, of the same files: what its class names goes where the config has no such name.
#[test]
fn tokens_of_the_class_and_tokens_with_names_of_their_own_are_variables() {
    let names = ["bos", "eos", "unk", "pad", "sep", "cls", "mask", "tool"];
    let source = names.map(|name| format!("{{{{ {name}_token }}}}|")).concat();
    let shown = |config: Value, tokenizer: Value| {
        let scene = Scene::new();
        scene.write("m/tokenizer_config.json", config.to_string());
        scene.write("m/tokenizer.json", tokenizer.to_string());
        let path = scene.write("m/chat_template.jinja", &source);
        let template = ChatTemplate::of_model(path.parent().unwrap()).unwrap().unwrap();
        (template.render(&json!([user("x")]), None, false).unwrap(), template.notes().collect::<Vec<_>>())
    };
    let class = |class: &str| json!({"tokenizer_class": class});
    let (end, none, nothing) = ("<|endoftext|>", json!({}), Vec::<String>::new());
    assert_eq!(shown(class("PreTrainedTokenizerFast"), none.clone()), ("||||||||".to_owned(), nothing.clone()));
    assert_eq!(shown(class("GPT2TokenizerFast"), none.clone()), (format!("{end}|{end}|{end}||||||"), nothing.clone()));
    assert_eq!(shown(class("Qwen2Tokenizer"), none.clone()), (format!("|{end}|{end}|{end}|||||"), nothing.clone()));
    assert_eq!(shown(class("LlamaTokenizer"), none.clone()), ("<s>|</s>|<unk>||||||".to_owned(), nothing.clone()));
    let own = json!({"tokenizer_class": "GPT2Tokenizer", "bos_token": null, "eos_token": "<e>"});
    assert_eq!(shown(own, none.clone()), (format!("|<e>|{end}||||||"), nothing));

    // What 4.57.3 does otherwise is noted.
    let (text, notes) = shown(class("CohereTokenizerFast"), none.clone());
    assert_eq!(text, "<BOS_TOKEN>|<|END_OF_TURN_TOKEN|>|<UNK>|<PAD>|<SEP>|<CLS>|<MASK_TOKEN>||");
    assert!(notes.len() == 4 && notes[0].contains("`<SEP>` to transformers 5") && notes[0].ends_with("it is nothing"));
    let (text, notes) = shown(class("GPTNeoXTokenizerFast"), none.clone());
    assert_eq!((text, notes.len()), (format!("{end}|{end}|{end}|<|padding|>|||||"), 1));
    let bytes = json!({"pre_tokenizer": {"type": "ByteLevel"}});
    let (text, notes) = shown(class("LlamaTokenizerFast"), bytes);
    assert_eq!((text.as_str(), notes.len()), ("||||||||", 3));
    assert!(notes[0].contains("`bos_token` of the chat template is nothing") && notes[0].ends_with("it is `<s>`"));
    let tool = json!({"tokenizer_class": "PreTrainedTokenizerFast", "tool_token": "<tool>", "bos_token": "<s>"});
    let (text, notes) = shown(tool, none);
    assert_eq!((text.as_str(), notes.len()), ("<s>|||||||<tool>|", 1), "{notes:?}");
}

#[test]
fn each_turn_sees_what_was_said_before_it() {
    let messages = [user("a"), assistant(" one "), user("b"), assistant("two"), user("c")];
    let got = turns(SIMPLE, &messages);
    assert_eq!(got.iter().map(|turn| turn.turn).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(got[0].prompt, "<s>user: a\nassistant: ");
    assert_eq!(got[1].prompt, "<s>user: a\nassistant: one</s>\nuser: b\nassistant: ");
    assert_eq!((got[0].response.as_str(), got[1].response.as_str()), ("one", "two"));
    assert!(got.iter().all(|turn| turn.end.as_deref() == Some("</s>") && turn.rendering == Rendering::Whole));
    assert!(turns(SIMPLE, &[user("a")]).is_empty());
}

/// Phi-3 writes its EOS after the last turn, the first Llama 3 a generation prompt, whether or not one was requested.
#[test]
fn the_end_is_the_first_special_token_after_the_content() {
    let template =
        "{% for m in messages %}{{ m.content }}<end>\n{% endfor %}{{ '' if add_generation_prompt else eos_token }}";
    assert_eq!(one(template, &[user("a"), assistant("b")]), expect("a<end>\n", "b", "<end>", Rendering::Whole));
    let template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}<end>{% endfor %}[assistant]";
    let want = expect("[user]a<end>[assistant]", "b </s> <end>", "<end>", Rendering::Whole);
    assert_eq!(one(template, &[user("a"), assistant("b </s> <end>")]), want);
}

#[test]
fn without_an_end_of_its_own_the_turn_ends_with_the_eos() {
    let template = "{% for m in messages %}### {{ m.role }}\n{{ m.content }}\n\n{% endfor %}\
        {% if add_generation_prompt %}### assistant\n{% endif %}";
    let want = expect("### user\na\n\n### assistant\n", "b", "</s>", Rendering::Whole);
    assert_eq!(one(template, &[user("a"), assistant("b")]), want);
}

/// As Qwen3 does: an empty block that no model wrote, or the message's own reasoning.
const THINKS: &str = "{% for m in messages %}{% if m.role == 'assistant' %}<a>{% set c = m.content.split('</think>') %}\
    {% set r = m.reasoning_content or c[0].split('<think>')[-1].strip() if c | length > 1 or m.reasoning_content else '' %}\
    <think>\n{{ r }}\n</think>\n\n{{ c[-1].strip() }}<end>{% else %}{{ m.content }}{% endif %}{% endfor %}\
    {% if add_generation_prompt %}<a>{% endif %}";

#[test]
fn what_the_template_puts_before_the_content_is_prompt() {
    let want = expect("q<a><think>\n\n</think>\n\n", "yes", "<end>", Rendering::Whole);
    assert_eq!(one(THINKS, &[user("q"), assistant("yes")]), want);
    let want = expect("q<a>", "<think>\nhm\n</think>\n\nyes", "<end>", Rendering::Whole);
    assert_eq!(one(THINKS, &[user("q"), assistant("<think>hm</think>yes")]), want);
    let apart = json!({"role": "assistant", "content": "yes", "reasoning_content": "hm"});
    assert_eq!(one(THINKS, &[user("q"), apart]), want);
    let empty = assistant("<think>\n\n</think>\n\nyes");
    let want = expect("q<a>", "<think>\n\n</think>\n\nyes", "<end>", Rendering::Whole);
    assert_eq!(one(THINKS, &[user("q"), empty]), want);
}

/// As DeepSeek-R1 does: the prompt opens the block, and reasoning is cut out of messages.
#[test]
fn content_that_the_template_would_lose_stands_as_it_is() {
    let template = "{% for m in messages %}{% if m.role == 'assistant' %}<a>{{ m.content.split('</think>')[-1] }}<end>\
        {% else %}{{ m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}<a><think>\n{% endif %}";
    let want = expect("q<a><think>\n", "hm</think> yes", "<end>", Rendering::Raw);
    assert_eq!(one(template, &[user("q"), assistant("hm</think> yes")]), want);
    assert_eq!(one(template, &[user("q"), assistant("<think>\nhm</think> yes")]), want);
    let strips = template.replace("<a><think>\n", "<a>");
    let want = expect("q<a>", "<think>hm</think>yes", "<end>", Rendering::Raw);
    assert_eq!(one(&strips, &[user("q"), assistant("<think>hm</think>yes")]), want);
}

#[test]
fn calls_and_reasoning_are_what_the_template_writes() {
    let template = "{% for m in messages %}{{ m.role }}:{{ m.content or '' }}{% for c in m.tool_calls or [] %}\
        {{ c.function | tojson }}{% endfor %}{{ '<call>' if m.tool_calls else '<end>' }}{% endfor %}\
        {% if add_generation_prompt %}assistant:{% endif %}";
    let calls =
        json!({"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": {}}}]});
    let want = expect("user:q<end>assistant:", "{\"name\": \"f\", \"arguments\": {}}", "<call>", Rendering::Whole);
    assert_eq!(one(template, &[user("q"), calls.clone()]), want);
    let reasons = json!({"role": "assistant", "content": "yes", "reasoning_content": "hm"});
    let want = expect("user:q<end>assistant:", "yes", "<end>", Rendering::Partial);
    assert_eq!(one(template, &[user("q"), reasons]), want);
    let lost = model(&Scene::new(), SIMPLE).turns(&json!([user("q"), calls]), None, 0).unwrap_err();
    assert!(lost.contains("does not write the tool calls of turn 0"), "{lost}");
}

#[test]
fn content_in_parts_is_its_texts() {
    let template = "{% for m in messages %}{% for p in m.content %}{{ p.text }}{% endfor %}<end>{% endfor %}";
    let parts =
        |role: &str| json!({"role": role, "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]});
    assert_eq!(one(template, &[parts("user"), parts("assistant")]), expect("ab<end>", "ab", "<end>", Rendering::Whole));
}

#[test]
fn messages_that_are_none_are_rejected() {
    let template = model(&Scene::new(), SIMPLE);
    for messages in [json!(null), json!([]), json!("x"), json!([1]), json!([{"content": "x"}]), json!([{"role": 1}])] {
        assert!(template.render(&messages, None, false).unwrap_err().contains("list of objects"), "{messages}");
        assert!(template.turns(&messages, None, 0).is_err(), "{messages}");
    }
}

#[test]
fn work_without_end_is_an_error() {
    for source in [
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
        "{% set ns = namespace(x='x') %}{% for i in range(100) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{{ 'x' * 10000000000 }}",
        "{{ [] * 10000000000 }}{% for a in [1] * 10000000000 %}{% endfor %}",
        "{% set ns = namespace(x=[]) %}{% for i in range(100000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
        "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
        "{% set a = 'x' * 1000000 %}{{ a.replace('x', a) }}",
        "{% set ns = namespace(x=[]) %}{% for i in range(100) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | tojson }}",
        "{{ [[1]] | tojson(indent=1000000000) }}",
        "{{ strftime_now('%Q') }}",
        "{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(40) %}{% set ns.a = [ns.a, ns.a] %}\
         {% set ns.b = [ns.b, ns.b] %}{% endfor %}{{ ns.a == ns.b }}",
        "{% set ns = namespace(a=(1,)) %}{% for i in range(40) %}{% set ns.a = (ns.a, ns.a) %}{% endfor %}{{ {ns.a: 1} }}",
        "{% set x = 'a' * 30000000 %}{{ x.strip('b' * 30000000 ~ 'a') | length }}",
        "{{ ('a' * 33000000) | sort | length }}",
        "{{ 'ΟΣ' | capitalize }}",
        // Parts are paid for one by one, before they are made.
        "{{ (',' * 3000000).split(',') | length }}",
        "{{ (', ' * 3000000).rsplit() | length }}",
        "{{ ('\\n' * 3000000).splitlines() | length }}",
    ] {
        let got = model(&Scene::new(), source).render(&json!([user("x")]), None, true);
        assert!(got.is_err(), "{source}");
    }
    let said = model(&Scene::new(), "{{ raise_exception('x' * 100000) }}").render(&json!([user("x")]), None, true);
    assert!(said.unwrap_err().len() < 1000);
}

/// Each `if` looked at every name that was known, and each name at every variable: five minutes, and two seconds.
#[test]
fn large_templates_are_read_and_rendered_in_time() {
    let many = |count: usize, one: fn(usize) -> String| (0..count).map(one).collect::<String>();
    let ifs = many(45_000, |n| format!("{{% if a{n} %}}{{% set b{n} = 1 %}}{{% elif c %}}x{{% endif %}}"));
    let sets = many(40_000, |n| format!("{{% set d{n} = {n} %}}"));
    let seen = many(40_000, |n| format!("{{{{ d{n} }}}}"));
    let start = Instant::now();
    let text = model(&Scene::new(), &[ifs, sets, seen].concat()).render(&json!([user("x")]), None, true).unwrap();
    assert_eq!(text, many(40_000, |n| n.to_string()));
    assert!(start.elapsed() < Duration::from_mins(1), "{:?}", start.elapsed());
}

#[test]
fn the_identity_tells_all_that_decides_a_rendering() {
    let scene = Scene::new();
    let identity = |template: &str| model(&scene, template).identity();
    assert_eq!(identity("a"), identity("a"));
    assert_ne!(identity("a"), identity("b"));
    let other = NaiveDate::from_ymd_opt(2025, 1, 2).unwrap();
    assert_eq!(model(&scene, "a").with_date(other).identity(), identity("a"));
    let dated = "{{ strftime_now('%d %B %Y') }}";
    assert_ne!(model(&scene, dated).with_date(other).identity(), identity(dated));
    let text = model(&scene, dated).with_date(other).render(&json!([user("x")]), None, false).unwrap();
    assert_eq!(text, "02 January 2025");
    let path = scene.write("a.jinja", "a");
    let without_tokens = ChatTemplate::from_file(&path, SpecialTokens::default()).unwrap();
    assert_ne!(without_tokens.identity(), identity("a"));
}

#[test]
fn render_shows_the_turns_of_every_conversation() {
    let scene = Scene::new();
    model(&scene, SIMPLE);
    let rows = [json!({"messages": [user("a"), assistant("b\u{1b}[31m\nc")]}), json!([user("d"), assistant("e")])];
    scene.dataset("chats.jsonl", &rows);
    let said = scene.run("render model --messages chats.jsonl");
    let want = "conversation 0, turn 0\n  prompt | <s>user: a⏎\n         | assistant: \n\
        response | b\\u{1b}[31m⏎\n         | c\n     end | </s>\n\n\
        conversation 1, turn 0\n  prompt | <s>user: d⏎\n         | assistant: \nresponse | e\n     end | </s>\n\n";
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), want), "{}", said.stderr);

    scene.dataset("bad.jsonl", &[json!({"messages": []}), rows[1].clone()]);
    let said = scene.run("render model --messages bad.jsonl --json");
    let lines: Vec<Value> = said.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((said.code, lines.len()), (Some(1), 2));
    assert!(lines[0]["error"].as_str().unwrap().contains("list of objects"));
    assert_eq!(lines[1]["turns"][0]["response"], "e");
    scene.run("render nowhere/at/all --messages bad.jsonl").expect(1, "nowhere");
    scene.write("empty/config.json", "{}");
    scene.run("render empty --messages bad.jsonl").expect(1, "has no chat template");
}
