//! llama.cpp's logits files: written from kept hidden states, and read as a model that others are compared with.

use std::fs;

use serde_json::Value;
use tokshift::llama_logits::File;

use crate::common::{self, Scene};

/// A text of some hundred tokens by any tokenizer.
fn text() -> String {
    (0..40).fold(String::new(), |text, i| text + &format!("Line {i} of a text: naïve café, 你好 🙂.\n"))
}

/// Two models of one vocabulary, as they are typed.
fn models() -> [String; 2] {
    ["qwen3-tied", "qwen3-shifted"].map(|name| common::fixture(name).display().to_string())
}

/// Scene with a scored text, and the file of its first model.
fn scene() -> Scene {
    let scene = Scene::new();
    scene.write("wiki.raw", text());
    let [p, q] = models();
    let score = format!("score --text wiki.raw --window 16 --models p={p},q={q} --dtype f32 --output-dir out");
    scene.run(&format!("{score} --keep-hidden")).expect(0, "ok samples");
    scene.run(&format!("kl out --exact --models p={p},q={q}")).expect(0, "");
    let export = format!("export out --format llama-logits --text wiki.raw --models p={p} -o p.kld");
    scene.run(&export).expect(0, "wrote p.kld: ");
    scene
}

fn mean(scene: &Scene, out: &str, name: &str) -> Option<f64> {
    let said = scene.run(&format!("kl {out} --json"));
    let result: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|e| panic!("{e}: {}", said.stderr));
    let measures = result["pairs"][0]["measures"].as_array().unwrap().clone();
    let measure = measures.into_iter().find(|measure| measure["name"] == name)?;
    measure["token_mean"]["value"].as_f64()
}

#[test]
fn a_file_is_a_model_that_others_are_compared_with() {
    let scene = scene();
    let file = File::open(&scene.path("p.kld")).unwrap();
    assert_eq!((file.window(), file.rows_of_window()), (16, 7));
    let of_p = scene.table("out", "tokens", "text", "wiki", "p");
    assert_eq!((file.rows(), of_p.len()), (of_p.len(), of_p.len()));

    let [_, q] = models();
    let score = format!("score --text p.kld --models base=p.kld,q={q} --dtype f32 --output-dir read --task wiki");
    scene.run(&format!("{score} --exact")).expect(0, "P = base").expect(0, "llama.cpp counts a mean KLD of ");
    let of_base = scene.table("read", "tokens", "text", "wiki", "base");
    // The same ids, and numbers that are half a step apart: 16 nats in 65,535 steps.
    assert_eq!(of_base.u32s("token_id"), of_p.u32s("token_id"));
    let (found, exact) = (of_base.f32s("logprob"), of_p.f32s("logprob"));
    // What is more than 16 nats less likely than the likeliest has no number of its own.
    let in_range = found.iter().zip(&exact).map(|(a, b)| (a.unwrap(), b.unwrap())).filter(|(_, exact)| *exact > -15.5);
    assert!(in_range.clone().count() > of_p.len() / 2);
    let apart = in_range.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart > 0.0 && apart <= 0.5 * 16.0 / 65535.0 + 1e-5, "{apart}");
    let (found, exact) = (of_base.f32s("entropy"), of_p.f32s("entropy"));
    assert!(found.iter().zip(&exact).all(|(a, b)| (a.unwrap() - b.unwrap()).abs() < 2e-3));
    let ranks = of_base.u32s("rank").into_iter().zip(of_p.u32s("rank"));
    let in_range = ranks.zip(of_p.f32s("logprob")).filter(|(_, exact)| exact.unwrap() > -15.5);
    let (all, same) = in_range.fold((0, 0), |(all, same), ((a, b), _)| (all + 1, same + usize::from(a == b)));
    assert!(same * 10 > all * 9, "{same} of {all} ranks");

    for name in ["kl", "js", "tv"] {
        let (found, exact) = (mean(&scene, "read", name).unwrap(), mean(&scene, "out", name).unwrap());
        assert!(exact > 1e-3 && (found - exact).abs() < 1e-4, "{name}: {found} for {exact}");
    }
    scene.run("kl read").expect_out("P is a logits file of llama.cpp");
    scene.run("verify read").expect(0, "");
    scene.run(&format!("{score} --exact")).expect(0, "already scored");
    // Another model's tables of the text itself go with the file, as the ids are the same.
    let beside = format!("score --text wiki.raw --window 16 --models q={q},base=p.kld --dtype f32 --output-dir beside");
    scene.run(&beside).expect(0, "base: ");
}

#[test]
fn files_that_do_not_fit_are_refused_by_name() {
    let scene = scene();
    let [p, q] = models();
    let bytes = fs::read(scene.path("p.kld")).unwrap();
    scene
        .run("import p.kld --output-dir i")
        .expect(1, "is a logits file of llama.cpp, which is read as a model: tokshift score");
    let score = |file: &str, more: &str| {
        scene.run(&format!("score --text {file} --models base={file},q={q} --output-dir new {more}"))
    };
    scene.write("cut.kld", &bytes[..bytes.len() - 1000]);
    score("cut.kld", "").expect(1, "llama.cpp was stopped, or a copy was; write it again");
    score("p.kld", "--window 32").expect(1, "has windows of 16 tokens, not of --window 32");
    // A file of another vocabulary, before anything is scored.
    let file = File::open(&scene.path("p.kld")).unwrap();
    let mut other = Vec::new();
    let mut writer = tokshift::llama_logits::Writer::new(&mut other, 16, 7, &[3; 16]).unwrap();
    (0..7).for_each(|_| writer.row(&[0.5; 7]).unwrap());
    writer.finish().unwrap();
    scene.write("other.kld", &other);
    let said = score("other.kld", "--exact");
    said.expect(1, &format!("has distributions over 7 ids (byte 12), `q` over {}", file.vocab()));
    // Alone it has no tokenizer; of another text it knows nothing.
    scene
        .run("score --text p.kld --models base=p.kld --output-dir new")
        .expect(1, "a logits file, which has no tokenizer");
    scene.write("more.raw", text().replace("Line", "Lime"));
    let said = scene.run(&format!("score --text more.raw --window 16 --models q={q},base=p.kld --output-dir more"));
    said.expect(4, "are no window of `p.kld`");
    // What was not scored, or with other files, is not written.
    let export = |text: &str, model: &str| {
        scene.run(&format!("export out --format llama-logits --text {text} --models {model} -o new.kld"))
    };
    export("more.raw", &format!("p={p}")).expect(1, "was another text scored?");
    export("wiki.raw", &format!("nobody={p}")).expect(1, "has scored no text of that task");
    export("wiki.raw", &format!("p={q}")).expect(1, "is not the file that scored `p`");
    assert!(!scene.path("new.kld").exists());
}
