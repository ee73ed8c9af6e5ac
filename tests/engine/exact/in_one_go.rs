//! `score --exact`: the pairs tables in one go, without hidden states that stay.

use serde_json::Value;

use super::runs::{exact, ids_dataset, models, pairs_folder, score};
use crate::common::{Columns, Scene, fixture};

/// In one go: the tables of `score`, the pairs tables of `kl --exact`, and no hidden states left.
#[test]
fn score_can_compare_exactly_and_leave_nothing_behind() {
    let scene = Scene::new();
    ids_dataset(&scene);
    let (p, q) = (("qwen3-tied", "qwen3-tied"), ("qwen3-shifted", "qwen3-shifted"));
    exact(&scene, p.0, q.0, "");
    let run = |output: &str, more: &str| score(&scene, "g_ids.jsonl", &[p, q], output, more);
    run("plain", "").expect(0, "");
    run("at-once", "--exact").expect(0, "exact: KL(qwen3-tied‖qwen3-shifted)");
    // Their footers differ: one is of runs that keep hidden states.
    let pairs = |output: &str| {
        let folder = pairs_folder(p.0, q.0).replace("out/", &format!("{output}/"));
        Columns::read(&scene.path(&folder)).0
    };
    assert_eq!(tables(&scene, "at-once"), scene.files("plain"));
    assert_eq!(pairs("at-once"), pairs("out"));
    let whole = scene.files("at-once");
    scene.run("verify at-once").expect_out("no problem found");
    run("at-once", "--exact").expect(0, "qwen3-tied: already scored");
    run("at-once", "").expect(0, "qwen3-tied: already scored");
    assert_eq!(scene.files("at-once"), whole);

    // Where tables are there and hidden states are not, they are made again and the tables stay.
    run("plain", "--exact").expect(0, "exact: KL(qwen3-tied‖qwen3-shifted)");
    assert_eq!(scene.files("plain"), whole);
    // What is kept on request stays, also next to what is new.
    let kept = scene.files("out");
    run("out", "--exact").expect(0, "already scored");
    assert_eq!(scene.files("out"), kept);
    score(&scene, "g_ids.jsonl", &[p, q, ("twin", "qwen3-tied")], "out", "--exact")
        .expect(0, "exact: KL(qwen3-tied‖twin)");
    let hidden = |scene: &Scene| scene.files("out").into_keys().filter(|name| name.starts_with("hidden/")).count();
    assert_eq!(hidden(&scene), 2, "the f32 version's were temporary");

    score(&scene, "g_ids.jsonl", &[p], "one", "--exact").expect(1, "--exact compares models with one another");
}

/// Without the pairs and their manifests.
fn tables(scene: &Scene, output: &str) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut files = scene.files(output);
    files.retain(|name, _| !name.starts_with("pairs/") && !name.contains("/p="));
    files
}

/// A model that keeps its hidden states and one that does not.
#[test]
fn kept_and_lent_rows_go_together() {
    let scene = Scene::new();
    ids_dataset(&scene);
    let (p, q) = (("p", "qwen3-tied"), ("q", "qwen3-shifted"));
    score(&scene, "g_ids.jsonl", &[p], "out", "--keep-hidden").expect(0, "");
    score(&scene, "g_ids.jsonl", &[q], "out", "").expect(0, "");
    let kl = format!("kl --data-dir out --reference p --exact --models {}", models(&[p, q]));
    scene.run(&kl).expect(1, "or run `score --exact` with both models");
    score(&scene, "g_ids.jsonl", &[p, q], "out", "--exact").expect(0, "exact: KL(p‖q)");
    let hidden: Vec<String> = scene.files("out").into_keys().filter(|name| name.starts_with("hidden/")).collect();
    assert_eq!(hidden, ["hidden/generation_model=g/task=ids/model=p/part-00000000.safetensors"]);
    scene.run("verify out").expect_out("no problem found");
}

/// Whatever order models are named in: `score` compares what `kl` then asks for.
#[test]
fn score_compares_the_pairs_that_kl_shows() {
    let scene = Scene::new();
    ids_dataset(&scene);
    let of = |name: &'static str| (name, if name == "b" { "qwen3-shifted" } else { "qwen3-tied" });
    for (output, order, reference) in [("one", ["r", "c", "b"], "r"), ("two", ["c", "g", "b"], "g")] {
        let pairs = |more: &str| {
            let said = scene.run(&format!("kl --data-dir {output} --json {more}"));
            let comparison: Value = serde_json::from_str(&said.expect(0, "").stdout).unwrap();
            comparison["pairs"].as_array().unwrap().clone()
        };
        let is_exact = |pair: &Value| !pair["exact"].is_null();
        let said = score(&scene, "g_ids.jsonl", &order.map(of), output, "--exact");
        assert_eq!(said.expect(0, "exact: ").stderr.matches("exact: ").count(), 2, "{}", said.stderr);
        // P with each of the others, as `kl` shows them; the other pairs if they are requested.
        let shown = pairs("");
        assert!(shown.len() == 2 && shown.iter().all(|pair| is_exact(pair) && pair["p"] == reference), "{shown:?}");
        assert_eq!(pairs("--all-pairs").iter().filter(|pair| is_exact(pair)).count(), 2);
        score(&scene, "g_ids.jsonl", &order.map(of), output, "--exact --all-pairs").expect(0, "exact: ");
        let all = pairs("--all-pairs");
        assert!(all.len() == 3 && all.iter().all(is_exact), "{all:?}");
    }
    // A table of Q and P is read the other way round, by either computation.
    let said = scene.run("kl one --all --reference b");
    said.expect_out("exact measures are those of P = `r`, Q = `b`, read the other way round");
    let pair = |more: &str| {
        let said = scene.run(&format!("kl one --json --quantiles {more}"));
        let comparison: Value = serde_json::from_str(&said.expect(0, "").stdout).unwrap();
        comparison["pairs"][0].clone()
    };
    let (straight, turned) = (pair("--pair r,b"), pair("--reference b --pair b,r"));
    let mean = |pair: &Value, name: &str| {
        let measures = pair["measures"].as_array().unwrap();
        measures.iter().find(|of| of["name"] == name).unwrap()["token_mean"].clone()
    };
    for (of, like) in [("kl", "kl_reverse"), ("kl_reverse", "kl"), ("js", "js"), ("tv", "tv")] {
        assert_eq!(mean(&turned, of), mean(&straight, like), "{of}");
    }
    assert_ne!(mean(&turned, "kl"), mean(&straight, "kl"));
    let [from, to] = [&straight, &turned].map(|pair| pair["exact"]["most_moved"].as_array().unwrap());
    assert!(!from.is_empty() && !to.is_empty());
    let swapped = |moved: &Value| (moved["to_id"].clone(), moved["from_id"].clone(), moved["places"].clone());
    let all: Vec<_> = from.iter().map(swapped).collect();
    assert!(to.iter().any(|of| all.contains(&(of["from_id"].clone(), of["to_id"].clone(), of["places"].clone()))));
    assert_eq!(turned["exact"]["stop"]["p"], straight["exact"]["stop"]["q"]);
    assert_eq!(turned["exact"]["most_shifted"], serde_json::json!([]), "nothing says Q's ranks");
    let plain = pair("--reference b --pair b,r --plain");
    let near = |name: &str| {
        (mean(&plain, name)["value"].as_f64().unwrap() - mean(&turned, name)["value"].as_f64().unwrap()).abs()
    };
    assert!(near("kl") < 1e-12 && near("kl_reverse") < 1e-12);
    scene.run("kl one --reference b --fail-above kl=100").expect(0, "");
}

#[path = "../../../examples/score.rs"]
#[expect(dead_code, reason = "its `main` is the example's")]
mod example;

/// The library alone gives the figure that the commands print.
#[test]
fn a_program_scores_and_compares_through_the_library() {
    let scene = Scene::new();
    ids_dataset(&scene);
    let [p, q] = ["qwen3-tied", "qwen3-shifted"].map(fixture);
    let [p, q] = [p.to_str().unwrap(), q.to_str().unwrap()];
    let kl = example::mean_kl(p, q, &scene.path("g_ids.jsonl"), &scene.path("library")).unwrap();
    let options = "--generation-model p --task example --exact";
    score(&scene, "g_ids.jsonl", &[("p", "qwen3-tied"), ("q", "qwen3-shifted")], "commands", options).expect(0, "");
    assert_eq!(scene.files("library"), scene.files("commands"));
    let figures: Value = serde_json::from_str(&scene.run("kl --json --data-dir commands").stdout).unwrap();
    let measures = figures["pairs"][0]["measures"].as_array().unwrap();
    let printed = measures.iter().find(|measure| measure["name"] == "kl").unwrap();
    assert_eq!(printed["token_mean"]["value"].as_f64(), Some(kl));
    assert!(kl > 0.0);
}
