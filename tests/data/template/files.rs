//! The files that a template and its special tokens come from.

use super::{assistant, user};
use crate::common::Scene;
use serde_json::{Value, json};
use tokshift::template::ChatTemplate;

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
