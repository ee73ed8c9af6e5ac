//! The study's files: hand-written ones in, our own out and in again.

use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use serde_json::{Value, json};

fn tokshift(arguments: &[&str]) -> Output {
    Command::cargo_bin("tokshift").unwrap().args(arguments).output().unwrap()
}

fn succeed(arguments: &[&str]) -> String {
    let output = tokshift(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A file as the study's script writes one; `losses` holds a row's losses, `null` or the text of an error.
fn write_losses(directory: &Path, model: &str, losses: &Value) -> PathBuf {
    let token = |(place, loss): (usize, &Value)| json!({"loss": loss, "token": format!("t{place}"), "rank": 1});
    let row = |row: &Value| match row {
        Value::Array(losses) => json!({
            "avg_loss": 0.0, "perplexity": 1.0,
            "token_losses": losses.iter().enumerate().map(token).collect::<Vec<_>>(),
        }),
        Value::String(error) => json!({"avg_loss": 0.0, "perplexity": 0.0, "token_losses": [], "error": error}),
        _ => Value::Null,
    };
    let rows: Vec<Value> = losses.as_array().unwrap().iter().map(row).collect();
    let file = json!({"model": format!("org/{model}"), "dataset": "some/where/P_task.jsonl", "results": rows});
    let path = directory.join(format!("{model}_P_task_token_losses.json"));
    // Python writes these words bare.
    std::fs::write(&path, file.to_string().replace("\"Infinity\"", "Infinity")).unwrap();
    path
}

/// The study's figures of hand-written losses of P and Q.
fn figures(p: &Value, q: &Value) -> Vec<Value> {
    let directory = tempfile::tempdir().unwrap();
    let (out, results) = (directory.path().join("out"), directory.path().join("results.json"));
    for (model, losses) in [("P", p), ("Q", q)] {
        let file = write_losses(directory.path(), model, losses);
        succeed(&["import", file.to_str().unwrap(), "--output-dir", out.to_str().unwrap()]);
    }
    succeed(&["kl", "--data-dir", out.to_str().unwrap(), "--output-file", results.to_str().unwrap()]);
    serde_json::from_slice(&std::fs::read(results).unwrap()).unwrap()
}

#[track_caller]
fn check(figure: &Value, kl: f64, points: u64, tokens: u64) {
    assert!((figure["kl_divergence"].as_f64().unwrap() - kl).abs() <= 1e-9, "{figure}: expected {kl}");
    assert_eq!((&figure["num_data_points"], &figure["total_tokens"]), (&json!(points), &json!(tokens)), "{figure}");
}

/// ln(e^−loss + 1e-10), as the study smooths a probability.
fn smooth(loss: f64) -> f64 {
    ((-loss).exp() + 1e-10).ln()
}

#[test]
fn the_worked_example() {
    // Means of a − b: (0.5 + 0)/2 and −0.5; their mean is −0.125.
    let figures = figures(&json!([[0.5, 1.0], [2.0]]), &json!([[1.0, 1.0], [1.5]]));
    check(&figures[0], 0.125, 2, 3);
    assert_eq!(figures[0]["tested_model"], "Q");
    assert_eq!(figures[0]["avg_tokens_per_data_point"], 1.5);
}

#[test]
fn null_and_failed_rows_keep_their_places() {
    // Row 0 is null in both, row 2 failed in Q, row 3 is longer in P: rows 1 and 3 count, the latter with one token: (0.25 + 0.5)/2.
    let p = json!([null, [0.5, 1.0], [3.0], [0.25, 9.0]]);
    let q = json!([null, [1.0, 1.0], "out of memory", [0.75]]);
    check(&figures(&p, &q)[0], 0.375, 2, 3);
}

#[test]
fn both_pairings_are_given_where_they_differ() {
    // By row: rows 0 and 2, (0.5 + 0.25)/2 and 0.5. As the script pairs, nulls removed: P's row 1 meets Q's row 2,
    // 2.5 - 3.
    let p = json!([[1.0, 1.0], [3.0], [2.0]]);
    let q = json!([[1.5, 1.25], null, [2.5]]);
    let figure = &figures(&p, &q)[0];
    check(figure, f64::midpoint(0.375, 0.5), 2, 3);
    check(&figure["null_rows_removed"], f64::midpoint(0.375, -0.5).abs(), 2, 3);
    // The same rows are null on both sides: one figure.
    let same = &figures(&json!([[1.0], null]), &json!([[1.5], null]))[0];
    assert_eq!(same.get("null_rows_removed"), None);
}

#[test]
fn a_failed_row_keeps_its_place_in_both_pairings() {
    let p = json!([null, [1.0], [2.0]]);
    let q = json!([[9.0], "out of memory", [2.5]]);
    let figure = &figures(&p, &q)[0];
    check(figure, 0.5, 1, 1);
    // P's [1.0] and [2.0] meet Q's [9.0] and the failed row.
    check(&figure["null_rows_removed"], smooth(1.0) - smooth(9.0), 1, 1);
}

#[test]
fn infinity_is_a_probability_of_nothing() {
    let p = json!([[0.5, "Infinity"]]);
    let q = json!([["Infinity", "Infinity"]]);
    check(&figures(&p, &q)[0], ((smooth(0.5) - 1e-10_f64.ln()) / 2.0).abs(), 1, 2);
}

#[test]
fn a_generation_model_that_was_not_scored_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    for model in ["Q", "R"] {
        let file = write_losses(directory.path(), model, &json!([[1.0]]));
        succeed(&["import", file.to_str().unwrap(), "--output-dir", out.to_str().unwrap()]);
    }
    let output = tokshift(&["kl", "--data-dir", out.to_str().unwrap()]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        message.contains("P would be `P`, which did not score `task` by `P`") && message.contains("--reference"),
        "{message}"
    );
}

#[test]
fn files_that_are_not_the_studys_are_rejected() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let path = directory.path().join("x_token_losses.json");
    for (content, message) in [
        ("{\"results\": []}", "missing field `model`"),
        ("{\"model\": \"m\", \"dataset\": \"P_t.jsonl\", \"results\": []}", "`results` are empty"),
        ("{\"model\": \"m\", \"dataset\": \"nameless\", \"results\": [null]}", "is not called GEN_task.jsonl"),
        (
            "{\"model\": \"m\", \"dataset\": \"P_t.jsonl\", \"results\": [{\"token_losses\": [{\"loss\": \"x\"}]}]}",
            "`x` is no number",
        ),
        ("{", "not a token-loss file"),
    ] {
        std::fs::write(&path, content).unwrap();
        let output = tokshift(&["import", path.to_str().unwrap(), "--output-dir", out.to_str().unwrap()]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{content}");
        assert!(error.contains(message) && error.contains("x_token_losses.json"), "{content}: {error}");
    }
}

#[test]
fn exported_tables_come_back_with_the_same_figure() {
    let directory = tempfile::tempdir().unwrap();
    let dataset = directory.path().join("qwen3-tied_words.jsonl");
    let rows = [("Count: one, two,", " three, four, five"), ("Say it.", ""), ("a\n\n", "\n\nb — done"), ("x", "y z")];
    let lines: String =
        rows.iter().map(|(input, output)| json!({"input": input, "output": output}).to_string() + "\n").collect();
    std::fs::write(&dataset, lines).unwrap();
    let (out, again) = (directory.path().join("out"), directory.path().join("again"));
    let models = "qwen3-tied=tests/fixtures/models/qwen3-tied,qwen3-shifted=tests/fixtures/models/qwen3-shifted";
    let scored = tokshift(&[
        "score",
        "--dataset",
        dataset.to_str().unwrap(),
        "--models",
        models,
        "--out",
        "token-losses",
        "--output_dir",
        out.to_str().unwrap(),
    ]);
    assert_eq!(scored.status.code(), Some(4), "the empty response is not scored");

    let file = |model: &str| out.join(format!("token_losses/{model}_qwen3-tied_words_token_losses.json"));
    let written: Value = serde_json::from_slice(&std::fs::read(file("qwen3-tied")).unwrap()).unwrap();
    assert_eq!(written["results"].as_array().unwrap().len(), rows.len());
    assert!(written["results"][1].is_null(), "a row without output is null");

    for model in ["qwen3-tied", "qwen3-shifted"] {
        succeed(&["import", file(model).to_str().unwrap(), "--output-dir", again.to_str().unwrap()]);
    }
    let figure = |from: &Path| {
        let results = directory.path().join("results.json");
        succeed(&["kl", "--data-dir", from.to_str().unwrap(), "--output-file", results.to_str().unwrap()]);
        serde_json::from_slice::<Value>(&std::fs::read(results).unwrap()).unwrap()
    };
    assert_eq!(figure(&out), figure(&again));
}
