//! `plot`: the values of `kl --json`, the same bytes every time, no text of data as markup, and what cannot be drawn.

use std::fs;

use serde_json::Value;

use crate::common::{Scene, fixture, rows, said};

const FIGURES: [&str; 8] =
    ["kl-by-task", "position", "classes", "rank-shift", "distribution", "quantiles", "entropy-kl", "tokens"];

/// Names that CSV, SVG and a formula would obey.
const TASK: &str = "a,\"b\"<b>&amp;$x$";
const MODEL: &str = "q<img_onerror>\"'$x$";

/// Exact measures of two models on responses whose task and Q have hostile names.
fn scored() -> Scene {
    let scene = Scene::new();
    scene.dataset("rows.jsonl", &rows()[..12]);
    let models = format!("rl={},{MODEL}={}", fixture("qwen3-tied").display(), fixture("qwen3-shifted").display());
    let mut command = scene.command("score --dataset rows.jsonl --output-dir out --top-k 5 --exact");
    said(command.args(["--generation-model", "rl", "--task", TASK, "--models", &models])).expect(0, "");
    scene
}

/// The lines of a CSV file as fields by the names of its head.
fn csv(text: &str) -> Vec<std::collections::HashMap<String, String>> {
    let mut lines = vec![vec![String::new()]];
    let (mut is_quoted, mut characters) = (false, text.chars().peekable());
    while let Some(c) = characters.next() {
        let line = lines.last_mut().unwrap();
        match c {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                line.last_mut().unwrap().push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => line.push(String::new()),
            '\n' if !is_quoted => lines.push(vec![String::new()]),
            c => line.last_mut().unwrap().push(c),
        }
    }
    assert_eq!(lines.pop().unwrap(), [""], "the last line ends");
    let head = lines.remove(0);
    let row = |line: Vec<String>| {
        assert_eq!(line.len(), head.len(), "{line:?}");
        head.iter().cloned().zip(line).collect()
    };
    lines.into_iter().map(row).collect()
}

fn number(field: &str) -> f64 {
    field.parse().unwrap()
}

fn named<'a>(list: &'a Value, key: &str, name: &str) -> &'a Value {
    list.as_array().unwrap().iter().find(|found| found[key] == name).unwrap_or_else(|| panic!("no {name} in {list}"))
}

#[test]
fn figures_have_the_values_of_the_comparison() {
    let scene = scored();
    let document: Value =
        serde_json::from_str(&scene.run("kl out --json --slices --quantiles").expect(0, "").stdout).unwrap();
    let pair = &document["pairs"][0];
    let mean = |name: &str| named(&pair["measures"], "name", name)["token_mean"].clone();
    let figure = |name: &str, more: &str| {
        scene.run(&format!("plot out --figure {name} {more} -o figure.csv")).expect(0, "");
        let rows = csv(&fs::read_to_string(scene.path("figure.csv")).unwrap());
        for row in rows.iter().filter(|_| name != "entropy-kl") {
            assert_eq!([&row["generation_model"], &row["task"], &row["p"], &row["q"]], ["rl", TASK, "rl", MODEL]);
        }
        rows
    };
    let kl = &figure("kl-by-task", "")[0];
    assert_eq!((number(&kl["kl"]), kl["by"].as_str()), (mean("kl")["value"].as_f64().unwrap(), "exact"));
    for (field, measure) in [("lower_bound", "kl_lower"), ("upper_bound", "kl_upper")] {
        assert_eq!(number(&kl[field]), mean(measure)["value"].as_f64().unwrap());
    }
    let classes = &figure("classes", "")[0];
    for class in ["unshifted", "marginal", "shifted"] {
        assert_eq!(number(&classes[class]), mean(&format!("shift_class.{class}"))["value"].as_f64().unwrap());
    }
    let ranks = &figure("rank-shift", "")[0];
    assert_eq!(number(&ranks["log2_rank_ratio"]), mean("log2_rank_ratio")["value"].as_f64().unwrap());

    let slices = pair["slices"].as_array().unwrap().iter().filter(|slice| slice["by"] == "position");
    let expected: Vec<(String, f64)> = slices
        .map(|slice| {
            let mean = &named(&slice["measures"], "name", "kl")["token_mean"]["value"];
            (slice["value"].as_str().unwrap().to_owned(), mean.as_f64().unwrap())
        })
        .collect();
    let found: Vec<(String, f64)> =
        figure("position", "").iter().map(|row| (row["position"].clone(), number(&row["mean"]))).collect();
    assert!(!found.is_empty());
    assert_eq!(found, expected);

    let of_kl = &named(&pair["quantiles"], "measure", "kl")["quantiles"];
    for row in figure("quantiles", "") {
        let expected = &named(of_kl, "name", &row["quantile"])["value"];
        assert_eq!(number(&row["value"]), expected.as_f64().unwrap(), "{}", row["quantile"]);
    }
    let tokens = pair["tokens"].as_u64().unwrap() as f64;
    for name in ["distribution", "entropy-kl"] {
        let counted: f64 = figure(name, "").iter().map(|row| number(&row["tokens"])).sum();
        assert_eq!(counted, tokens, "every token is in one bin of {name}");
    }
    let most = pair["exact"]["most_shifted"].as_array().unwrap();
    let rows = figure("tokens", "");
    assert_eq!(rows.len(), most.len().min(10));
    for (row, found) in rows.iter().zip(most) {
        assert_eq!(
            (number(&row["token_id"]), number(&row["shifted"])),
            (found["token_id"].as_f64().unwrap(), found["shifted"].as_f64().unwrap())
        );
    }
}

#[test]
fn figures_are_the_same_every_time_and_names_are_no_markup() {
    let scene = scored();
    for figure in FIGURES {
        let drawn = |file: &str| {
            scene.run(&format!("plot out --figure {figure} -o {file}")).expect(0, "");
            fs::read_to_string(scene.path(file)).unwrap()
        };
        let svg = drawn("a.svg");
        assert_eq!(svg, drawn("b.svg"), "{figure}");
        assert_eq!(drawn("a.csv"), drawn("b.csv"), "{figure}");
        assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"") && svg.ends_with("</svg>\n"), "{figure}");
        assert!(!svg.contains("<img") && !svg.contains("<b>"), "{figure}");
        for element in ["text", "title", "rect", "circle", "style"] {
            let [begins, ends] = [format!("<{element}"), format!("</{element}>")].map(|tag| svg.matches(&tag).count());
            assert_eq!(begins, ends, "{figure}: {element}");
        }
        for wrong in ["NaN", "inf", "var("] {
            assert!(!svg.contains(wrong), "{figure} has {wrong}");
        }
        if figure == "kl-by-task" {
            assert!(svg.contains("&lt;b&gt;&amp;amp;$x$"), "the whole name is shown: {svg}");
        }
    }
}

#[test]
fn what_cannot_be_drawn_is_named() {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &rows());
    scene
        .score("rl_demo.jsonl", &[("rl", "qwen3-tied"), ("base", "qwen3-shifted")], "out", "--engine mock")
        .expect(0, "");
    let refused = |arguments: &str, why: &str| {
        scene.run(&format!("plot {arguments}")).expect(1, why);
    };
    refused(
        "out --figure kl-by-task -o a/fig.png",
        "use -o a/fig.svg, then rsvg-convert --format png --zoom 3 a/fig.svg -o a/fig.png",
    );
    refused("out --figure classes -o fig.PDF", "rsvg-convert --format pdf fig.svg -o fig.pdf");
    refused("out --figure classes -o fig.jpg", "`fig.jpg`: the name of --output must end with .svg or .csv");
    refused("out --figure classes -o -", "`-`: the name of --output must end with .svg or .csv");
    refused("out --figure tokens -o fig.svg", "tokens needs exact measures: run `tokshift kl --exact` first");
    refused("out --figure entropy-kl -o fig.svg", "entropy-kl needs exact measures: run `tokshift kl --exact` first");
    refused("out --figure position --measure nosuch -o fig.svg", "no pair has means of `nosuch` by position");
    refused("out --figure quantiles --measure nosuch -o fig.svg", "no pair has quantiles of `nosuch`");
    refused("nowhere --figure classes -o fig.svg", "nowhere");
    fs::create_dir(scene.path("empty")).unwrap();
    for figure in FIGURES {
        refused(&format!("empty --figure {figure} -o fig.svg"), "empty");
    }
    assert!(!scene.path("fig.svg").exists());
}
