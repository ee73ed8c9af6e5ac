//! Contents in parts, as OpenAI's API has them: parts for templates that take them, one text for those that do not, and never
//! what Python shows of a list.

use crate::common::{Columns, Scene};
use serde_json::{Value, json};
use tokshift::template::{ChatTemplate, Rendering, SpecialTokens, Turn};

/// ChatML, as Qwen writes it.
const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}\
    {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// Writes `[` before what it was given in parts, and a mark for an image.
const TAKES_PARTS: &str = "{% for m in messages %}{{ m.role }}:{% if m.content is string %}{{ m.content }}{% else %}[\
    {% for p in m.content %}{% if p.type == 'image' %}<image>{% elif p.type == 'text' %}{{ p.text }}{% endif %}{% endfor %}\
    {% endif %};{% endfor %}";

fn template(source: &str) -> ChatTemplate {
    let scene = Scene::new();
    ChatTemplate::from_file(&scene.write("t.jinja", source), SpecialTokens::default()).unwrap()
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn message(role: &str, content: impl Into<Value>) -> Value {
    json!({"role": role, "content": content.into()})
}

fn rendered(source: &str, messages: &[Value]) -> Result<String, String> {
    template(source).render(&json!(messages), None, false)
}

fn turn(source: &str, messages: &[Value]) -> Turn {
    template(source).turns(&json!(messages), None, 0).unwrap().remove(0)
}

/// The same samples from texts and from parts, though the template would show a list, or fail on it.
#[test]
fn where_a_template_takes_texts_parts_are_scored_as_texts() {
    let adds = CHATML.replace("{{ m.role }}\n{{ m.content }}", "{{ m.role + '\n' + m.content }}");
    let shows = CHATML.replace("{{ m.content }}", "{{ m.content | tojson if m.content is not string else m.content }}");
    for source in [CHATML.to_owned(), adds, shows] {
        let scene = Scene::new();
        scene.model("m", "qwen3-tied");
        scene.write(
            "m/tokenizer_config.json",
            json!({"eos_token": "<|endoftext|>", "chat_template": source}).to_string(),
        );
        let texts = [message("user", "What is 2 - 1?"), message("assistant", "Answer: 1")];
        let parts = [
            message("user", vec![text("What is 2 - 1?")]),
            message("assistant", vec![text("Answer: "), json!({"type": "output_text", "text": "1"})]),
        ];
        scene.dataset("m_texts.jsonl", &[json!({"messages": texts}), json!({"prompt": texts[..1], "response": "1"})]);
        scene.dataset("m_parts.jsonl", &[json!({"messages": parts}), json!({"prompt": parts[..1], "response": "1"})]);
        for name in ["texts", "parts"] {
            scene
                .run(&format!("score --dataset m_{name}.jsonl --models m=m --output-dir out --engine mock"))
                .expect(0, "2 ok");
        }
        let table = |table: &str, name: &str| scene.table("out", table, "m", name, "m");
        let of_samples = |samples: Columns| [samples.texts("prompt"), samples.texts("response")];
        let samples = of_samples(table("samples", "parts"));
        assert_eq!(samples[1][0].as_deref(), Some("Answer: 1"), "{source}");
        assert_eq!(samples, of_samples(table("samples", "texts")), "{source}");
        assert_eq!(table("tokens", "parts").u32s("token_id"), table("tokens", "texts").u32s("token_id"), "{source}");
    }
}

#[test]
fn parts_of_a_prompt_are_lines_as_vllm_sends_them() {
    let parts = message("user", vec![text("a"), text("b")]);
    let data = message("tool", vec![json!({"t": 21})]);
    let source = "{% for m in messages %}{{ m.content if m.content is string else m.content | tojson }};{% endfor %}";
    assert_eq!(rendered(source, &[parts, message("system", json!([])), data]).unwrap(), "a\nb;;[{\"t\": 21}];");
}

/// What a tool answered may look like parts, and is none.
#[test]
fn lists_that_a_tool_answered_are_data() {
    let source = "{% for m in messages %}{{ m.content if m.content is string else m.content | tojson }};{% endfor %}";
    for data in [json!([{"text": "Paris", "id": 7}]), json!([{"type": "city", "name": "Paris"}]), json!([])] {
        let python = data.to_string().replace(':', ": ").replace(',', ", ");
        assert_eq!(rendered(source, &[message("tool", data)]).unwrap(), format!("{python};"));
    }
    assert_eq!(rendered(source, &[message("tool", vec![text("21 degrees")])]).unwrap(), "21 degrees;");
}

#[test]
fn a_text_that_is_none_is_no_text() {
    for none in [json!(null), json!(["a"])] {
        let broken = message("user", vec![json!({"type": "text", "text": none})]);
        let reason = rendered(CHATML, &[broken]).unwrap_err();
        assert_eq!(reason, "message 0 has a part of text whose `text` is none");
    }
}

#[test]
fn many_parts_take_one_look() {
    let many = message("user", vec![text("é"); 50_000]);
    assert_eq!(rendered(CHATML, &[many]).unwrap().matches('é').count(), 50_000);
}

#[test]
fn a_template_that_takes_parts_is_given_them() {
    let parts = |role: &str| message(role, vec![text("a"), text("b")]);
    assert_eq!(rendered(TAKES_PARTS, &[parts("user"), parts("system")]).unwrap(), "user:[ab;system:[ab;");
    let only = TAKES_PARTS.replace("{% if m.content is string %}{{ m.content }}{% else %}", "{% if true %}");
    let turn = turn(&only, &[parts("user"), parts("assistant")]);
    assert_eq!((turn.prompt.as_str(), turn.response.as_str()), ("user:[ab;assistant:[", "ab"));
    // Texts look as they like.
    let shown = "[{'type': 'text', 'text': 'a'}] {\"type\": \"text\", \"text\": \"a\"}";
    assert_eq!(rendered(TAKES_PARTS, &[message("user", vec![text(shown)])]).unwrap(), format!("user:[{shown};"));
    // An older name of a text, which this template does not know.
    let older = message("user", vec![json!({"type": "input_text", "text": "a"})]);
    assert_eq!(rendered(TAKES_PARTS, &[older]).unwrap(), "user:a;");
}

/// As Llama 3.2 Vision: of the system a text, of others parts.
#[test]
fn each_message_is_given_as_the_template_takes_it() {
    let source = format!(
        "{{% if messages[0].role == 'system' %}}{{{{ messages[0].content | trim }}}}|{{% endif %}}{}",
        TAKES_PARTS.replace("in messages", "in messages if m.role != 'system'")
    );
    let parts = |role: &str| message(role, vec![text("a")]);
    assert_eq!(rendered(&source, &[parts("system"), parts("user")]).unwrap(), "a|user:[a;");
    // One that writes the first part alone.
    let first = "{% for m in messages %}{{ m.content if m.content is string else m.content[0].text }};{% endfor %}";
    assert_eq!(rendered(first, &[message("user", vec![text("a"), text("b")])]).unwrap(), "a\nb;");
}

#[test]
fn a_part_that_is_no_text_is_written_by_the_template_or_rejected() {
    let image = json!({"type": "image"});
    let shown = [message("user", vec![image.clone(), text("what?")]), message("assistant", vec![text("A cat.")])];
    assert_eq!(turn(TAKES_PARTS, &shown).prompt, "user:[<image>what?;assistant:[");
    let alone = [message("user", vec![image.clone()])];
    assert_eq!(rendered(TAKES_PARTS, &alone).unwrap(), "user:[<image>;");
    let drawn = turn(TAKES_PARTS, &[shown[0].clone(), message("assistant", vec![text("a"), image, text("b")])]);
    assert_eq!((drawn.response.as_str(), drawn.rendering), ("assistant:[a<image>b", Rendering::Partial));

    let url = json!({"type": "image_url", "image_url": {"url": "https://a/b.png"}});
    let linked = [message("user", vec![text("what?"), url]), message("assistant", "A cat.")];
    let blind = "{% for m in messages %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}";
    for (source, messages) in
        [(CHATML, &shown[..]), (CHATML, &alone), (CHATML, &linked), (TAKES_PARTS, &linked), (blind, &shown)]
    {
        let reason = rendered(source, messages).unwrap_err();
        assert!(reason.starts_with("message 0 has a part of type \"image"), "{reason}");
        let of_turns = template(source).turns(&json!(messages), None, 0);
        assert_eq!(of_turns.err().unwrap_or_else(|| reason.clone()), reason, "nothing to score is no turn");
    }
    let scene = Scene::new();
    scene.model("m", "qwen3-tied");
    scene.write("m/chat_template.jinja", CHATML);
    scene.dataset("m_t.jsonl", &[json!({"messages": linked})]);
    scene
        .run("score --dataset m_t.jsonl --models m=m --output-dir out --engine mock -v")
        .expect(4, "message 0 has a part of type \\\"image_url\\\", which the chat template does not write");
}
