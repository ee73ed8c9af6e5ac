//! Models that read the ids of a text as other texts are not scored on the same ids.

use std::fs;

use serde_json::{Value, json};

use crate::common::Scene;

/// A copy of a fixture whose tokenizer is changed.
fn model(scene: &Scene, name: &str, change: impl FnOnce(&mut Value)) {
    let path = scene.model(name, "llama3").join("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut tokenizer);
    fs::write(path, tokenizer.to_string()).unwrap();
}

/// The ids of merged words moved round, as in a tokenizer that was trained on other text.
fn moved(tokenizer: &mut Value) {
    for (_, id) in tokenizer["model"]["vocab"].as_object_mut().unwrap() {
        let was = id.as_u64().unwrap();
        if (256..302).contains(&was) {
            *id = json!(256 + (was - 256 + 7) % 46);
        }
    }
}

fn score(scene: &Scene, models: &str, more: &str) -> crate::common::Said {
    scene.run(&format!("score --dataset a_t.jsonl --models {models} --output-dir out {more}"))
}

/// A manifest of the text's folder.
fn manifest(scene: &Scene, name: &str) -> Value {
    let path = scene.path(&format!("out/runs/generation_model=a/task=t/{name}.json"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_model_of_another_vocabulary_is_rejected_before_anything_is_scored() {
    let scene = Scene::new();
    scene.dataset("a_t.jsonl", &[json!({"prompt": "x", "response": " the cat"})]);
    model(&scene, "a", |_| {});
    model(&scene, "b", moved);
    let said = score(&scene, "a=a,b=b", "");
    said.expect(
        1,
        "`b` reads 46 ids as other texts: its tokenizer is `b/tokenizer.json`, the ids are made by `a/tokenizer.json`",
    );
    said.expect(1, "`kl --align text --other-dir`").expect(1, "(id 256 is ");
    assert_eq!(scene.parts("out"), 0);
    // The stand-in has no vocabulary.
    score(&scene, "a=a,b=b", "--engine mock").expect(0, "b: 1 ok sample");
}

#[test]
fn a_model_of_the_same_vocabulary_is_told_by_its_digest() {
    let scene = Scene::new();
    scene.dataset("a_t.jsonl", &[json!({"prompt": "x", "response": " the cat"})]);
    model(&scene, "a", |_| {});
    // Written otherwise: merges that make no token of the text's, an id more, a token without a file.
    model(&scene, "b", |tokenizer| {
        tokenizer["added_tokens"].as_array_mut().unwrap().push(json!({
            "id": 400, "content": "<more>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            "special": true,
        }));
    });
    model(&scene, "c", |tokenizer| tokenizer["added_tokens"][0]["content"] = json!("<renamed>"));
    fs::remove_file(scene.model("d", "llama3").join("tokenizer.json")).unwrap();
    let said = score(&scene, "a=a,b=b,c=c,d=d", "");
    said.expect(0, "d: 1 ok sample")
        .expect(0, "warning: `c` calls 1 special tokens otherwise than the tokenizer in use: ids 302");
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|model| manifest(&scene, &format!("model={model}/manifest")));
    assert_eq!(a["engine"]["vocabulary"], manifest(&scene, "text")["tokens"]["vocabulary"]);
    assert!(a["engine"]["vocabulary"].is_string() && b["engine"]["vocabulary"].is_string());
    assert_ne!(a["engine"]["vocabulary"], b["engine"]["vocabulary"]);
    assert_eq!((&b["engine"]["other_texts"], &c["engine"]["other_texts"]), (&Value::Null, &json!([302])));
    assert_eq!(d["engine"]["vocabulary"], Value::Null);
    // A later comparison prints it too, and so does a row with the token.
    let kl = scene.run("kl --all --data-dir out --reference a");
    kl.expect_out("note: Q's own tokenizer has other texts for the ids 302");
    assert!(!said.stderr.contains("ids whose text is another"), "{}", said.stderr);
    scene.dataset("a_t.jsonl", &[json!({"prompt_token_ids": [302, 65], "response_token_ids": [66]})]);
    let said = scene.run("score --dataset a_t.jsonl --models a=a,c=c --output-dir again");
    said.expect(0, "1 sample: some id has another text in a model's own tokenizer");
}

/// Each model reads its own rendering, and all of them the same ids of the responses.
#[test]
fn own_templates_let_no_other_vocabulary_through() {
    let scene = Scene::new();
    let message = |role: &str, content: &str| json!({"role": role, "content": content});
    scene.dataset("a_t.jsonl", &[json!({"messages": [message("user", "x"), message("assistant", " the cat")]})]);
    let template = |name: &str| {
        let text = format!("{{% for m in messages %}}{name}: {{{{ m.content }}}}<|im_end|>{{% endfor %}}");
        scene.write(&format!("{name}/tokenizer_config.json"), json!({"chat_template": text}).to_string());
    };
    model(&scene, "a", |_| {});
    model(&scene, "b", moved);
    ["a", "b"].into_iter().for_each(template);
    score(&scene, "a=a,b=b", "--template own")
        .expect(1, "`b` reads 46 ids as other texts")
        .expect(1, "kl --align text");
    assert_eq!(scene.parts("out"), 0);
    // What it names is a way out.
    score(&scene, "a=a", "--template own").expect(0, "a: 1 ok");
    scene.run("score --dataset a_t.jsonl --models b=b --output-dir other --template own").expect(0, "b: 1 ok");
    let said = scene.run("kl --align text --data-dir out --other-dir other");
    said.expect(0, "").expect_out("P = `a`, Q = `b` on `t` by `a`");
    said.expect_out("note: contexts differ: each model read its own chat template\n");
}

#[test]
fn a_tokenizer_that_cannot_be_read_is_told_of() {
    let scene = Scene::new();
    scene.dataset("a_t.jsonl", &[json!({"prompt": "x", "response": " the cat"})]);
    model(&scene, "a", |_| {});
    model(&scene, "b", |tokenizer| tokenizer["model"]["type"] = json!("Another"));
    fs::write(
        scene.model("c", "llama3").join("tokenizer.json"),
        "version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
    )
    .unwrap();
    let said = score(&scene, "a=a,b=b,c=c", "");
    for (name, why) in [("b", "not a tokenizer.json"), ("c", "Git LFS")] {
        let line = said.stderr.lines().find(|line| line.contains(&format!("nothing says whether `{name}` reads")));
        let line = line.unwrap_or_else(|| panic!("{}", said.stderr));
        assert!(line.contains(&format!("{name}/tokenizer.json")) && line.contains(why), "{line}");
    }
    said.expect(0, "c: 1 ok sample");
    assert_eq!(manifest(&scene, "model=b/manifest")["engine"]["vocabulary"], Value::Null);
    // The one that makes the ids must be read.
    scene.run("score --dataset a_t.jsonl --models b=b --output-dir own").expect(1, "b/tokenizer.json");
}
