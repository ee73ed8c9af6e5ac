//! The study's figure.

use serde_json::Value;
use tokshift::shift::{self, Options};

use super::fixture::{Output, Sample, assert_close, sample, samples, token};

#[test]
fn the_worked_example() {
    let output = Output::new();
    output.model("base", &samples(&[&[-0.5, -1.0], &[-2.0]]));
    output.model("tuned", &samples(&[&[-1.0, -1.0], &[-1.5]]));
    let study = output.pair().study.unwrap();
    assert!((study.kl_divergence - 0.125).abs() < 1e-9);
    assert_eq!((study.num_data_points, study.total_tokens), (2, 3));
    assert_close(study.avg_tokens_per_data_point, 1.5);
}

#[test]
fn json_has_the_studys_keys_in_its_order() {
    let output = Output::new();
    output.model("base", &samples(&[&[-0.5]]));
    output.model("tuned", &samples(&[&[-0.5]]));
    let json = shift::study_figures(&output.compare().unwrap()).to_json().unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&json).unwrap().to_string(),
        r#"[{"generation_model":"base","task":"task","tested_model":"tuned","kl_divergence":0.0,"num_data_points":1,"total_tokens":1,"avg_tokens_per_data_point":1.0}]"#
    );
}

/// A sample of three tokens, the last an end token, whose first id stands at `context_tokens` among all ids.
fn counted(id: u32, context_tokens: u32, prompt_tokens_alone: u32, logprobs: [f32; 3]) -> Sample {
    let mut tokens: Vec<_> = logprobs.into_iter().zip(0..).map(|(l, id)| token(id, l)).collect();
    tokens[2].is_end = true;
    let (context_tokens, prompt_tokens_alone) = (Some(context_tokens), Some(prompt_tokens_alone));
    Sample { context_tokens, prompt_tokens_alone, ..sample(id, tokens) }
}

#[test]
fn tokens_before_the_studys_first_and_end_tokens_do_not_count() {
    let output = Output::new();
    // No BOS leaves out the first token, a BOS none, a merged boundary two: that sample has none left.
    let places = [(0, 4, 4), (1, 5, 4), (2, 3, 4)];
    let model = |l| places.map(|(id, context, alone)| counted(id, context, alone, l));
    output.model("base", &model([-0.5, -1.0, -9.0]));
    output.model("tuned", &model([-1.0, -4.0, -1.0]));
    let study = output.pair().study.unwrap();
    assert!((study.kl_divergence - f64::midpoint(3.0, f64::midpoint(0.5, 3.0))).abs() < 1e-8);
    assert_eq!((study.num_data_points, study.total_tokens), (2, 3));
}

#[test]
fn a_row_without_input_is_none_of_the_studys() {
    let output = Output::new();
    let places = [(0, 1, 0), (1, 5, 4)];
    let model = |l| places.map(|(id, context, alone)| counted(id, context, alone, l));
    output.model("base", &model([-0.5, -1.0, -9.0]));
    output.model("tuned", &model([-1.0, -4.0, -1.0]));
    let study = output.pair().study.unwrap();
    assert_eq!((study.num_data_points, study.total_tokens), (1, 2));
}

/// P scored three samples, Q all but the first, whose context has this many tokens.
fn one_missing(context_tokens: u32) -> shift::StudyFigure {
    let output = Output::new();
    let places = [(0, context_tokens, 4), (1, 4, 4), (2, 5, 4)];
    let model = |l| places.map(|(id, context, alone)| counted(id, context, alone, l));
    output.model("base", &model([-0.5, -1.0, -9.0]));
    let mut tuned = model([-2.0, -4.0, -1.0]);
    tuned[0].status = "too_long";
    tuned[0].tokens.clear();
    output.model("tuned", &tuned);
    output.pair().study.unwrap()
}

#[test]
fn rows_that_the_script_pairs_otherwise_are_paired_by_their_counted_tokens() {
    // P's rows 0 and 1 meet Q's rows 1 and 2, which count from position 1 and 0: -0.5 + 4 and -1 + 2.
    let removed = one_missing(5).null_rows_removed.unwrap();
    assert!((removed.kl_divergence - 2.25).abs() < 1e-8, "{removed:?}");
    assert_eq!((removed.num_data_points, removed.total_tokens), (2, 2));
    // No token of row 0 counts: it is null on both sides, and all is paired by row.
    assert_eq!(one_missing(3).null_rows_removed, None);
}

#[test]
fn without_contexts_samples_of_unequal_length_count_up_to_the_shorter() {
    let output = Output::new();
    let (p, q) = (samples(&[&[-0.5, -1.0], &[-2.0, -7.0]]), samples(&[&[-1.0, -1.0], &[-1.5]]));
    output.model("base", &p);
    output.model("tuned", &q);
    assert!(output.error().contains("P has 4 rows, Q 3"));
    let unknown = |of: Sample| Sample { context_hash: None, context_tokens: None, ..of };
    let output = Output::new();
    output.model("base", &p.into_iter().map(unknown).collect::<Vec<_>>());
    output.model("tuned", &q.into_iter().map(unknown).collect::<Vec<_>>());
    let pair = output.pair();
    let study = pair.study.unwrap();
    assert!((study.kl_divergence - 0.125).abs() < 1e-9);
    assert_eq!((study.num_data_points, study.total_tokens), (2, 3));
    assert!(pair.notes.iter().any(|n| n.ends_with("compared up to the shorter: 1")), "{:?}", pair.notes);
}

#[test]
fn the_impossible_is_finite() {
    let output = Output::new();
    output.model("base", &samples(&[&[-1.0]]));
    output.model("tuned", &samples(&[&[f32::NEG_INFINITY]]));
    let pair = output.pair();
    let expected = ((-1.0f64).exp() + 1e-10).ln() - 1e-10f64.ln();
    assert_close(pair.study.unwrap().kl_divergence, expected);
    assert_eq!(pair.measures[0].token_mean.unwrap().value, f64::INFINITY);
    assert!(
        pair.notes.iter().any(|n| n.starts_with("1 tokens have an infinite or NaN log-probability difference")),
        "{:?}",
        pair.notes
    );
}

#[test]
fn another_reference_has_no_figure() {
    let output = Output::new();
    for model in ["base", "one", "two"] {
        output.model(model, &samples(&[&[-1.0]]));
    }
    let options = Options { reference: Some("one".to_owned()), ..Options::default() };
    let comparison = output.compare_with(&options).unwrap();
    let names: Vec<_> = comparison.pairs.iter().map(|p| (p.p.as_str(), p.q.as_str(), p.study.is_some())).collect();
    assert_eq!(names, [("one", "base", false), ("one", "two", false)]);
    // Without a request for the study's value it is not printed.
    assert!(!comparison.pairs[0].notes.iter().any(|note| note.contains("study")));
    let error = shift::study_figures(&comparison).to_json().unwrap_err().to_string();
    let why = "on `task` by `base`: the study's figure takes the generation model `base` as P: left out";
    assert_eq!(error, format!("P = `one`, Q = `base` {why}; P = `one`, Q = `two` {why}"));
}

#[test]
fn a_text_of_which_no_token_counts_is_left_out_of_the_list() {
    let output = Output::new();
    let [counts, not] = [counted(0, 5, 4, [-0.5, -1.0, -9.0]), counted(0, 1, 0, [-0.5, -1.0, -9.0])].map(|s| [s]);
    for model in ["base", "tuned"] {
        output.parts("base", "counts", model, &[&counts]);
        output.parts("base", "empty", model, &[&not]);
    }
    let comparison = output.compare().unwrap();
    let figures = shift::study_figures(&comparison);
    let list: Value = serde_json::from_str(&figures.to_json().unwrap()).unwrap();
    assert_eq!((list.as_array().unwrap().len(), &list[0]["task"]), (1, &Value::from("counts")));
    let why = "no token counts for the study's figure: left out";
    assert_eq!(figures.left_out, [format!("P = `base`, Q = `tuned` on `empty` by `base`: {why}")]);
    assert!(!comparison.pairs[1].notes.iter().any(|note| note.contains("study")));
}
