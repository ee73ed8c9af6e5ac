//! What a file's name says of its rows: who wrote the responses, for which task.

use std::path::Path;

use crate::common::{Scene, rows};
use tokshift::dataset::names_from_path;

fn names(file: &str, models: &[&str]) -> Option<(String, String)> {
    names_from_path(Path::new(file), &models.iter().map(|model| (*model).to_owned()).collect::<Vec<_>>())
}

fn both(generation_model: &str, task: &str) -> (String, String) {
    (generation_model.to_owned(), task.to_owned())
}

#[test]
fn files_name_generation_model_and_task() {
    assert_eq!(
        names("data/UniReason-RL_hendrycks_math_500.jsonl", &[]),
        Some(both("UniReason-RL", "hendrycks_math_500"))
    );
    assert_eq!(names("Qwen2.5-7B_coqa.v2.jsonl", &[]), Some(both("Qwen2.5-7B", "coqa.v2")));
    assert_eq!([names("coqa.jsonl", &[]), names("_coqa.jsonl", &[]), names("G_.jsonl", &[])], [None, None, None]);
}

#[test]
fn the_longest_model_that_a_name_begins_with_wrote_it() {
    assert_eq!(names("my_model_math.jsonl.gz", &["base", "my_model"]), Some(both("my_model", "math")));
    assert_eq!(names("my_model_v2_math.jsonl", &["my_model", "my_model_v2", "my"]), Some(both("my_model_v2", "math")));
    for models in [&["base"][..], &["my_mod", "my_model_math", "model", ""], &[]] {
        assert_eq!(names("my_model_math.jsonl", models), Some(both("my", "model_math")), "{models:?}");
    }
    assert_eq!(names("samples_x_2025-01-31T00-00-00.jsonl", &["samples"]), None, "a log of another program");
}

#[test]
fn score_knows_its_models_by_name() {
    let scene = Scene::new();
    scene.dataset("my_model_math.jsonl", &rows());
    let score = |more: &str| {
        let models = [("my_model", "qwen3-tied"), ("base", "qwen3-shifted")];
        scene.score("my_model_math.jsonl", &models, "out", &format!("--engine mock {more}")).expect(0, "30 ok");
    };
    score("");
    assert_eq!(scene.table("out", "samples", "my_model", "math", "base").len(), 30);
    scene.run("kl out --all").expect(0, "").expect_out("P = `my_model`, Q = `base` on `math` by `my_model`");
    score("--generation-model my");
    assert_eq!(scene.table("out", "samples", "my", "model_math", "base").len(), 30);
}
