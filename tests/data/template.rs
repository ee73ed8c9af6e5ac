//! Chat templates: what transformers renders, where turns begin and end, and templates that mean no good.

mod limits;
mod files;
mod turns;

use std::fs;
use std::path::Path;

use crate::common::Scene;
use serde_json::{Value, json};
use tokshift::template::{ChatTemplate, Rendering, SpecialTokens, Turn};

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
fn messages_that_are_none_are_rejected() {
    let template = model(&Scene::new(), SIMPLE);
    for messages in [json!(null), json!([]), json!("x"), json!([1]), json!([{"content": "x"}]), json!([{"role": 1}])] {
        assert!(template.render(&messages, None, false).unwrap_err().contains("list of objects"), "{messages}");
        assert!(template.turns(&messages, None, 0).is_err(), "{messages}");
    }
}
