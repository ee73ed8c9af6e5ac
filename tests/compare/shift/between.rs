//! `kl --between`: the difference of two models' shifts, each on its own text.

use std::fs;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Float64Type;
use serde_json::Value;
use tokshift::shift::{self, Between, BetweenMeasure, BetweenModels, Comparison, Contrast, Estimate, Options};

use super::fixture::{Output, Sample, read, sample, samples, token};

/// Data, and what numpy made of it (`scripts/make_shift_fixtures.py`).
pub fn reference() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/shift/statistics.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The samples of one model's text of a task, as P or as the model that it is compared with.
fn text(reference: &Value, (text, task): (&str, &str), is_p: bool) -> Vec<Sample> {
    let of_text = reference["samples"].as_array().unwrap().iter().filter(|s| s["text"] == text && s["task"] == task);
    let made = |(id, of): (u32, &Value)| {
        let k1 = of["k1"].as_array().unwrap().iter().map(|k1| k1.as_f64().unwrap() as f32);
        // Multiples of 1/64: their differences are exact.
        let logprobs = k1.map(|k1| if is_p { -8.0 } else { -8.0 - k1 });
        Sample {
            cluster: of["prompt"].as_str().unwrap().to_owned(),
            reward: of["reward"].as_f64(),
            ..sample(id, logprobs.map(|logprob| token(1, logprob)).collect())
        }
    };
    (0..).zip(of_text).map(made).collect()
}

/// `sft` and `rl` on what they wrote for three tasks, each compared with `base`.
pub fn output(reference: &Value) -> Output {
    let output = Output::new();
    for task in ["chat", "code", "math"] {
        for writer in ["rl", "sft"] {
            output.parts(writer, task, writer, &[&text(reference, (writer, task), true)]);
            output.parts(writer, task, "base", &[&text(reference, (writer, task), false)]);
        }
    }
    output
}

fn sft_minus_rl() -> Options {
    let [model, minus, to] = ["sft", "rl", "base"].map(str::to_owned);
    Options { between: Some(BetweenModels { model, minus, to }), ..Options::default() }
}

fn compared(output: &Output) -> Comparison {
    output.compare_with(&sft_minus_rl()).unwrap()
}

#[track_caller]
pub fn assert_is(found: Estimate, expected: &Value) {
    let found = [Some(found.value), found.stderr, found.low, found.high];
    for (found, name) in found.into_iter().zip(["value", "stderr", "low", "high"]) {
        let (found, expected) = (found.unwrap(), expected[name].as_f64().unwrap());
        assert!((found - expected).abs() <= 1e-9 * (1.0 + expected.abs()), "{name}: {found}, not {expected}");
    }
}

fn assert_are(measures: &[BetweenMeasure], expected: &Value) {
    let k1 = measures.iter().find(|m| m.name == "kl_k1").unwrap();
    for (mean, contrast) in k1.means() {
        let Contrast { model, minus, difference } = contrast.unwrap();
        assert_is(difference, &expected[mean]);
        assert!((model.value - minus.value - difference.value).abs() < 1e-12, "{mean}");
    }
}

#[test]
fn differences_are_those_of_numpy() {
    let reference = reference();
    let between = compared(&output(&reference)).between.unwrap();
    let tasks: Vec<_> = between.tasks.iter().map(|task| (task.task.as_str(), task.prompts)).collect();
    assert_eq!(tasks, [("chat", 37), ("code", 4), ("math", 9)]);
    for task in &between.tasks {
        assert_are(&task.measures, &reference["expected"]["tasks"][&task.task]);
        assert_eq!((task.left_out_prompts.model, task.left_out_prompts.minus), (1, 2));
        assert!(task.left_out_samples.model >= 1 && task.left_out_samples.minus >= 2);
        let note = "left out: 1 prompts that only the responses of `sft` have";
        assert!(task.notes.iter().any(|of| of.starts_with(note)), "{:?}", task.notes);
    }
    let overall = between.overall.unwrap();
    assert_eq!((overall.prompts, overall.partial), (50, false));
    assert_are(&overall.measures, &reference["expected"]["overall"]);
    assert_are(&overall.mean_of_tasks, &reference["expected"]["mean_of_tasks"]);
}

#[test]
fn only_the_two_pairs_are_compared() {
    let output = output(&reference());
    output.parts("rl", "math", "third", &[&samples(&[&[-1.0]])]);
    output.parts("human", "math", "base", &[&samples(&[&[-1.0]])]);
    let comparison = compared(&output);
    let pairs: Vec<_> = comparison.pairs.iter().map(|pair| (pair.p.as_str(), pair.q.as_str())).collect();
    assert_eq!(pairs, [[("rl", "base"); 3], [("sft", "base"); 3]].concat());
    assert!(comparison.not_compared.is_empty());
}

#[test]
fn tables_and_statistics_have_the_differences() {
    let output = output(&reference());
    let comparison = compared(&output);
    let table = shift::table(&comparison, 200);
    let title = "KL(`sft`‖`base`) on text by `sft` - KL(`rl`‖`base`) on text by `rl`, over 3 tasks\n";
    assert!(table.contains(title) && table.contains("mean of tasks: over prompts"), "{table}");
    // Of few clusters and without entropies it is not known whether k1 is KL.
    assert!(table.contains("kl_k1 (KL?)") && table.contains("note: kl_k1 is not known to be a KL estimate"), "{table}");
    let path = output.root().join("statistics.parquet");
    fs::write(&path, shift::statistics_file(&comparison, shift::FileFormat::Parquet).unwrap()).unwrap();
    let statistics = read(&path);
    let text = |name: &str, row: usize| {
        let column = statistics[name].as_string::<i32>();
        column.is_valid(row).then(|| column.value(row))
    };
    let find = |task: Option<&str>, statistic: &str| {
        let is_it = |row: &usize| {
            text("minus_p", *row).is_some() && (text("task", *row), text("statistic", *row)) == (task, Some(statistic))
        };
        let rows: Vec<usize> = (0..statistics.num_rows()).filter(is_it).collect();
        assert_eq!(rows.len(), 1, "{task:?} {statistic}");
        rows[0]
    };
    let Between { tasks, overall, .. } = comparison.between.as_ref().unwrap();
    let of = |measures: &[BetweenMeasure]| measures[0].prompt_mean.unwrap().difference.value;
    let overall = overall.as_ref().unwrap();
    for (row, value) in [
        (find(Some("chat"), "prompt_mean"), of(&tasks[0].measures)),
        (find(None, "prompt_mean"), of(&overall.measures)),
        (find(None, "mean_of_prompt_means"), of(&overall.mean_of_tasks)),
    ] {
        assert_eq!(statistics["value"].as_primitive::<Float64Type>().value(row).to_bits(), value.to_bits());
        let names =
            ["p", "q", "minus", "minus_p", "generation_model", "kl_estimate"].map(|name| text(name, row).unwrap());
        assert_eq!(names, ["sft", "base", "base", "rl", "sft", "unknown"]);
    }
}

#[test]
fn what_one_of_them_lacks_is_told() {
    let reference = reference();
    let output = output(&reference);
    output.parts("rl", "own", "rl", &[&text(&reference, ("rl", "math"), true)]);
    output.parts("rl", "own", "base", &[&text(&reference, ("rl", "math"), false)]);
    // Other prompts.
    for (writer, prompt) in [("rl", "a"), ("sft", "b")] {
        for model in [writer, "base"] {
            let samples: Vec<Sample> =
                samples(&[&[-1.0], &[-2.0]]).into_iter().map(|s| Sample { cluster: prompt.to_owned(), ..s }).collect();
            output.parts(writer, "apart", model, &[&samples]);
        }
    }
    let between = compared(&output).between.unwrap();
    let missing: Vec<_> = between.missing.iter().map(|of| (of.task.as_str(), of.why.as_str())).collect();
    assert!(missing[0].0 == "apart" && missing[0].1.starts_with("no prompt is in both response sets"), "{missing:?}");
    assert_eq!(missing[1], ("own", "`sft` wrote no responses to it that were scored"));
    assert_eq!(between.tasks.len(), 3);
    assert!(!between.overall.unwrap().partial);
    let alone = Options { tasks: vec!["apart".to_owned()], ..sft_minus_rl() };
    let error = output.compare_with(&alone).unwrap_err().to_string();
    assert!(error.starts_with("--between: nothing to compare: `apart`: no prompt is in both response sets"), "{error}");
}

#[test]
fn who_wrote_nothing_has_no_shift() {
    let output = output(&reference());
    let error = |model: &str, to: &str| {
        let [model, minus, to] = [model, "rl", to].map(str::to_owned);
        let options = Options { between: Some(BetweenModels { model, minus, to }), ..Options::default() };
        output.compare_with(&options).unwrap_err().to_string()
    };
    assert!(error("dpo", "base").starts_with("--between: no responses by `dpo` were scored, only by `rl`, `sft`"));
    assert!(error("sft", "rl").starts_with("--between: `rl` is compared with itself"));
}

/// Another base under the same name, in one of the two texts.
#[test]
fn another_base_is_told_of() {
    let output = output(&reference());
    let path = output.folder("runs", "rl", "math", "base").join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest["engine"]["dtype"] = "bf16".into();
    fs::write(&path, manifest.to_string()).unwrap();
    let between = compared(&output).between.unwrap();
    let of_math = between.tasks.iter().find(|task| task.task == "math").unwrap();
    let note = "the files or the dtype of `base` differ between the two response sets";
    assert!(of_math.notes.iter().any(|of| of == note), "{:?}", of_math.notes);
    assert!(between.overall.is_none());
}
