//! Where turns begin and end.

use super::{SIMPLE, assistant, expect, model, one, turns, user};
use crate::common::Scene;
use serde_json::{Value, json};
use tokshift::template::Rendering;

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
