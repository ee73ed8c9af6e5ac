//! `tokshift kl` from end to end: a model against itself, and two models against their references.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::common::{Columns, Scene, rows};
use assert_cmd::cargo::CommandCargoExt;
use candle_core::{DType, Device};
use serde_json::{Value, json};

const P: &str = "qwen3-tied";
const Q: &str = "qwen3-shifted";

fn fixture(name: &str) -> String {
    format!("tests/fixtures/models/{name}")
}

/// The fixtures' reference rows as a dataset of token ids: the first id is the prompt.
fn write_dataset(directory: &Path) -> String {
    let lines = reference(P, "ids").into_iter().map(|ids| {
        let ids: Vec<u32> = ids.into_iter().map(|id| id as u32).collect();
        json!({"prompt_token_ids": ids[..1], "response_token_ids": ids[1..]}).to_string() + "\n"
    });
    let path = directory.join(format!("{P}_ids.jsonl"));
    std::fs::write(&path, lines.collect::<String>()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A column of the reference, row by row.
fn reference(model: &str, column: &str) -> Vec<Vec<f64>> {
    let path = Path::new(&fixture(model)).join("reference.safetensors");
    let all = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    let row = |row| Some(all.get(&format!("{row}.{column}"))?.to_dtype(DType::F64).unwrap().to_vec1().unwrap());
    (0..).map_while(row).collect()
}

fn tokshift(arguments: &[&str]) -> String {
    let output = Command::cargo_bin("tokshift").unwrap().args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn score(dataset: &str, models: &str, out: &Path, more: &[&str]) {
    let out = out.to_str().unwrap();
    tokshift(&[&["score", "--dataset", dataset, "--models", models, "--output-dir", out], more].concat());
}

/// The one pair of a comparison.
fn pair(out: &Path, more: &[&str]) -> Value {
    let text = tokshift(&[&["kl", "--json", "--data-dir", out.to_str().unwrap()], more].concat());
    let comparison: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(comparison["pairs"].as_array().unwrap().len(), 1);
    comparison["pairs"][0].clone()
}

fn mean(pair: &Value, measure: &str, mean: &str) -> f64 {
    let measures = pair["measures"].as_array().unwrap();
    let measure = measures.iter().find(|m| m["name"] == measure).unwrap();
    measure[mean]["value"].as_f64().unwrap()
}

#[test]
fn separate_runs_of_one_model_differ_by_nothing() {
    for dtype in ["f32", "bf16"] {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("out");
        let dataset = write_dataset(directory.path());
        let model = fixture(P);
        let first = ["--threads", "1", "--batch-tokens", "40", "--dtype", dtype];
        let second = ["--threads", "2", "--batch-tokens", "4096", "--dtype", dtype];
        score(&dataset, &format!("once={model}"), &out, &first);
        score(&dataset, &format!("again={model}"), &out, &second);
        let pair = pair(&out, &["--reference", "once"]);
        for measure in ["kl_k1", "kl_k3", "delta_logprob", "delta_p", "delta_entropy", "rank_shift"] {
            assert_eq!(mean(&pair, measure, "token_mean"), 0.0, "{dtype} {measure}");
            assert_eq!(mean(&pair, measure, "sample_mean"), 0.0, "{dtype} {measure}");
        }
        assert_eq!(mean(&pair, "same_top", "token_mean"), 1.0);
        assert_eq!(mean(&pair, "ratio", "token_mean"), 1.0);
    }
}

#[test]
fn two_models_differ_as_their_references_do() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let dataset = write_dataset(directory.path());
    score(&dataset, &format!("{P}={},{Q}={}", fixture(P), fixture(Q)), &out, &["--dtype", "f32"]);
    let results = directory.path().join("results.json");
    let pair = pair(&out, &["--output-file", results.to_str().unwrap()]);
    let alone = tokshift(&["kl", "--data-dir", out.to_str().unwrap(), "--only-study"]);
    assert_eq!(alone, std::fs::read_to_string(&results).unwrap());
    assert_eq!((pair["p"].as_str(), pair["q"].as_str()), (Some(P), Some(Q)));

    let (a, b) = (reference(P, "logprob"), reference(Q, "logprob"));
    let ratios: Vec<Vec<f64>> = a.iter().zip(&b).map(|(a, b)| a.iter().zip(b).map(|(a, b)| b - a).collect()).collect();
    let tokens: Vec<f64> = ratios.concat();
    let average = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let k1: Vec<f64> = tokens.iter().map(|d| -d).collect();
    let k3: Vec<f64> = tokens.iter().map(|d| d.exp_m1() - d).collect();
    let of_samples: Vec<f64> = ratios.iter().map(|row| -average(row)).collect();
    let rank = |model| reference(model, "rank").concat();
    let shift: Vec<f64> = rank(P).iter().zip(rank(Q)).map(|(p, q)| q - p).collect();
    for (measure, kind, want) in [
        ("kl_k1", "token_mean", average(&k1)),
        ("kl_k1", "sample_mean", average(&of_samples)),
        ("kl_k3", "token_mean", average(&k3)),
        ("rank_shift", "token_mean", average(&shift)),
    ] {
        let got = mean(&pair, measure, kind);
        println!("{measure} {kind}: {got} against {want}");
        assert!(want.abs() > 1e-3 && (got - want).abs() <= 1e-4 * want.abs().max(1.0), "{measure}: {got}, not {want}");
    }

    // The study leaves out the first token of every response, and adds 1e-10 to each probability.
    let smooth = |logprob: &f64| (logprob.exp() + 1e-10).ln();
    let term = |(a, b): (&f64, &f64)| smooth(a) - smooth(b);
    let rows = a.iter().zip(&b).map(|(a, b)| a.iter().zip(b).skip(1).map(term).collect::<Vec<_>>());
    let study: Vec<f64> = rows.filter(|row| !row.is_empty()).map(|row| average(&row)).collect();
    let written: Value = serde_json::from_slice(&std::fs::read(results).unwrap()).unwrap();
    let figure = &written[0];
    let want = average(&study).abs();
    assert!((figure["kl_divergence"].as_f64().unwrap() - want).abs() <= 1e-4 * want.max(1.0), "{figure}, not {want}");
    assert_eq!(figure["num_data_points"], study.len());
    assert_eq!(figure["total_tokens"], tokens.len() - ratios.len());
    let keys: Vec<&String> = figure.as_object().unwrap().keys().collect();
    let wanted =
        "generation_model task tested_model kl_divergence num_data_points total_tokens avg_tokens_per_data_point";
    assert_eq!(keys, wanted.split(' ').collect::<Vec<_>>());
}

#[test]
fn the_plan_and_the_table_can_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let dataset = write_dataset(directory.path());
    score(&dataset, &format!("{P}={},{Q}={}", fixture(P), fixture(Q)), &out, &[]);
    let data = out.to_str().unwrap();
    let plan = tokshift(&["kl", "--data-dir", data, "--explain"]);
    assert!(plan.contains("JOIN") && plan.contains("PROJECT"), "{plan}");
    let table = tokshift(&["kl", data, "--all"]);
    assert!(table.contains("kl_k1") && table.contains("nats/token") && table.contains(P), "{table}");
}

#[test]
fn limits_set_the_exit_code() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let dataset = write_dataset(directory.path());
    score(&dataset, &format!("{P}={},{Q}={}", fixture(P), fixture(Q)), &out, &["--dtype", "f32"]);
    let run = |limits: &[&str]| {
        let limits = limits.iter().flat_map(|limit| ["--fail-above", limit]);
        let data = ["kl", "--data-dir", out.to_str().unwrap()];
        let output = Command::cargo_bin("tokshift").unwrap().args(data.into_iter().chain(limits)).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(run(&["kl_upper=100", "shift_class.shifted=1.5"]).0, Some(0));
    let (code, described) = run(&["kl_upper=100", "kl_lower=0.001"]);
    assert_eq!(code, Some(3), "{described}");
    assert!(
        described.contains(&format!("P = `{P}`, Q = `{Q}`"))
            && described.contains("kl_lower: the 95% interval of the mean ends at"),
        "{described}"
    );
    assert!(!described.contains("kl_upper"), "{described}");
    let (code, described) = run(&["kld=1"]);
    assert!(code == Some(2) && described.contains("use one of kl, kl_reverse"), "{described}");

    // The references' exact KL lies between the bounds.
    let exact = candle_core::safetensors::load("tests/fixtures/models/pairs.safetensors", &Device::Cpu).unwrap();
    let of_row = |row| Some(exact.get(&format!("{P}.{Q}.{row}.kl"))?.to_vec1::<f64>().unwrap());
    let kl = (0..).map_while(of_row).collect::<Vec<_>>().concat();
    let exact = kl.iter().sum::<f64>() / kl.len() as f64;
    let pair = pair(&out, &[]);
    let (lower, upper) = (mean(&pair, "kl_lower", "token_mean"), mean(&pair, "kl_upper", "token_mean"));
    println!("{lower} <= {exact} <= {upper}");
    assert!(lower <= exact + 1e-4 && exact <= upper + 1e-4, "{lower} {exact} {upper}");
}

/// An end token has no text of its own in the tables: the vocabulary has it, as empty brackets would not say which it is.
#[test]
fn tokens_without_text_are_shown_as_the_vocabulary_has_them() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let row = json!({"input": "Why is the sky blue? ", "output": "It is."}).to_string() + "\n";
    let dataset = directory.path().join(format!("{P}_why.jsonl"));
    std::fs::write(&dataset, row.repeat(8)).unwrap();
    let models = [P, Q].map(|name| format!("{name}={}", fixture(name))).join(",");
    score(dataset.to_str().unwrap(), &models, &out, &["--end", "304", "--exact"]);
    let data = out.to_str().unwrap();
    let text = tokshift(&["kl", data, "--all"]);
    assert!(text.contains("[<|im_end|>] 0 of 8"), "{text}");
    assert!(!text.contains("[]"), "{text}");
}

/// `rl` wrote the text; of `base` as P no number of k1 is a divergence, on however few samples.
#[test]
fn no_limit_is_kept_on_anothers_text() {
    let scene = Scene::new();
    let demo = |name: &str| format!("{}/assets/demo/{name}", env!("CARGO_MANIFEST_DIR"));
    let models = ["rl", "base"].map(|name| format!("{name}={}", demo(name))).join(",");
    let (rows, tokenizer) = (demo("rl_arithmetic.jsonl"), demo("tokenizer.json"));
    let score = |out: &str, more: &str| {
        let options = format!("--models {models} --tokenizer {tokenizer} --output-dir {out} {more}");
        scene.run(&format!("score --dataset {rows} {options}")).expect(0, "");
    };
    score("out", "");
    let kl = |out: &str, more: &str| scene.run(&format!("kl --data-dir {out} {more}"));
    kl("out", "--fail-above kl_k1=1").expect(0, "");
    let described = "kl_k1: not a KL estimate: the responses are by `rl`, not by P, so it is not known to be at most 1";
    kl("out", "--reference base --fail-above kl_k1=1").expect(5, described);
    kl("out", "--reference base --fail-above kl_k3=1").expect(5, "so it is not known to be at most 1");
    // Bounds hold on any text.
    kl("out", "--reference base --fail-above kl_upper=1").expect(0, "");

    score("few", "--limit 20");
    kl("few", "--all --reference base").expect_out("kl_k1 (not KL)");
    kl("few", "--all").expect_out("kl_k1 (KL?)");
    kl("few", "--fail-above kl_k1=1").expect(5, "not known to be a KL estimate: of 5 clusters, below 30");
    // Rollouts of another step in a file named after this one: nothing shows their k1 as a KL.
    scene.write("rl_stale.jsonl", std::fs::read(demo("base_arithmetic.jsonl")).unwrap());
    let stale = format!("score --dataset rl_stale.jsonl --models {models} --tokenizer {tokenizer} --output-dir stale");
    scene.run(&stale).expect(0, "P = rl, which wrote them");
    for measure in ["kl_k1", "kl_k3", "kl_k1.sample_mean", "kl_k1.response_mean", "kl_k3.q0.99"] {
        for gate in ["--fail-above", "--fail-below"] {
            kl("stale", &format!("{gate} {measure}=0.1")).expect(5, "not a KL estimate: ");
        }
    }
    let shown = kl("stale", "");
    assert!(shown.expect(0, "").stdout.contains("k1 is not a KL estimate"), "{}", shown.stdout);
    assert!(shown.stdout.lines().nth(1).unwrap().contains("  -  "), "{}", shown.stdout);
    kl("stale", "--all").expect_out("kl_k1 (not KL)").expect_out("kl_k3 (not KL)");
    kl("stale", "--columns kl_k1,kl_k3,best_kl").expect_out("*");
    for more in ["--scalars", "--reference base --scalars"] {
        let scalars = kl("stale", more);
        assert!(!scalars.expect(0, "").stdout.contains("kl_k"), "{}", scalars.stdout);
    }
    // What is no finite number bounds nothing, and a plan has no values.
    kl("out", "--fail-above kl_k1=inf").expect(2, "`inf` is no finite number");
    kl("out", "--fail-above kl_k1=1 --explain").expect(2, "cannot be used with");
    kl("out", "--own-text base").expect(1, "--own-text: `base` scored no response set whose writer is unknown");

    // Windows of a text are samples of no model.
    scene.write("plain.txt", "one and two and three ".repeat(200));
    let windows = format!("--text plain.txt --window 16 --models {models} --tokenizer {tokenizer} --output-dir text");
    scene.run(&format!("score {windows}")).expect(0, "");
    let said = kl("text", "--quantiles --slices --fail-above kl_k1=1");
    said.expect(5, "not a KL estimate: windows of a text are samples of no model");
    let mut names = said.stdout.lines().filter(|line| line.starts_with("kl_k1") || line.starts_with("kl_k3"));
    assert!(names.clone().count() > 3 && names.all(|line| line.contains("(not KL)")), "{}", said.stdout);
    assert!(!said.stdout.contains(" (KL?)"));
}

/// The other pairs, their statistics, and an exit code that says that something is missing.
#[test]
fn a_pair_that_cannot_be_compared_ends_no_other() {
    let scene = Scene::new();
    scene.dataset("p_t.jsonl", &rows());
    let models = [("p", P), ("q", Q), ("r", Q), ("s", P)];
    scene.score("p_t.jsonl", &models, "out", "").expect(0, "30 ok");
    let table =
        |name: &str, kind: &str| format!("out/{kind}/generation_model=p/task=t/model={name}/part-00000000.parquet");
    let kl = |more: &str| scene.run(&format!("kl --data-dir out {more}"));
    let whole = std::fs::read(scene.path(&table("r", "tokens"))).unwrap();
    let spoilt = {
        let mut bytes = whole.clone();
        bytes[4..68].fill(0);
        bytes
    };
    // A footer, the first page, another model's table.
    let others = std::fs::read(scene.path(&table("s", "tokens"))).unwrap();
    std::fs::create_dir(scene.path("figures")).unwrap();
    for bytes in [vec![0; 500], spoilt, others] {
        let is_footer = bytes.len() == 500;
        scene.write(&table("r", "tokens"), bytes);
        let said = kl("--all --statistics figures/statistics.parquet");
        said.expect(1, "not compared: P = `p`, Q = `r` on `t` by `p`: ").expect(1, &table("r", "tokens"));
        assert_eq!(said.stdout.matches("P = `p`, Q = ").count(), 2, "{}", said.stdout);
        let qs = Columns::read(&scene.path("figures")).texts("q");
        assert_eq!(qs.into_iter().flatten().collect::<BTreeSet<_>>(), ["q", "s"].map(str::to_owned).into());
        let json: Value = serde_json::from_str(&kl("--json").stdout).unwrap();
        assert_eq!((json["pairs"].as_array().unwrap().len(), &json["not_compared"][0]["failed"]), (2, &json!(true)));
        if is_footer {
            let described = "not compared: P = `p`, Q = `r`";
            kl("--only-study").expect(1, described).expect_out("\"tested_model\": \"s\"");
        }
        kl("--fail-above same_top=1").expect(5, "Q = `r` on `t` by `p`: ");
        kl("--reference r").expect(1, &table("r", "tokens"));
    }
    scene.write(&table("r", "tokens"), &whole);
    kl("").expect(0, "");
    // A manifest: of a Q, of P.
    for name in ["r", "p"] {
        let manifest = format!("out/runs/generation_model=p/task=t/model={name}/manifest.json");
        let whole = std::fs::read(scene.path(&manifest)).unwrap();
        std::fs::remove_file(scene.path(&manifest)).unwrap();
        let code = if name == "r" { 5 } else { 1 };
        kl("--fail-above same_top=1")
            .expect(code, &format!("`{manifest}`: is missing, so the options of its tables are unknown"));
        scene.write(&manifest, "junk");
        if name == "r" {
            kl("").expect(1, &format!("not compared: P = `p`, Q = `r` on `t` by `p`: `{manifest}`"));
            kl("--all").expect_out("P = `p`, Q = `s`");
        } else {
            kl("").expect(1, &format!("error: `{manifest}`"));
            kl("--reference q").expect(1, &format!("not compared: P = `q`, Q = `p` on `t` by `p`: `{manifest}`"));
        }
        scene.write(&manifest, whole);
    }
    // The samples table.
    let samples = std::fs::read(scene.path(&table("r", "samples"))).unwrap();
    scene.write(&table("r", "samples"), &samples[..samples.len() / 2]);
    kl("--all").expect(1, "not compared: P = `p`, Q = `r` on `t` by `p`: ").expect_out("P = `p`, Q = `s`");
}

/// The same text wherever it goes, but for its width: that of `COLUMNS`, else 100.
#[test]
fn what_is_printed_fits_and_has_no_colour() {
    let scene = Scene::new();
    let name = "Qwen3-14B-GRPO-lr1e-6-kl0.001-seed42";
    scene.dataset(&format!("{name}_t.jsonl"), &rows());
    let long = format!("{name}-of-a-longer-name");
    scene.score(&format!("{name}_t.jsonl"), &[(name, P), (&long, Q)], "out", "").expect(0, "30 ok");
    let kl = |more: &str, environment: &[(&str, &str)]| {
        let mut command = scene.command(&format!("kl out {more}"));
        let output = command.envs(environment.iter().copied()).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let piped = kl("", &[]);
    assert_eq!(kl("", &[("NO_COLOR", "1")]), piped);
    assert_eq!(kl("", &[("TERM", "xterm-256color"), ("CLICOLOR_FORCE", "1")]), piped);
    assert_eq!(kl("", &[("COLUMNS", "100")]), piped);
    assert!(!piped.contains('\u{1b}'), "{piped}");
    let all = kl("--all --quantiles --slices", &[("COLUMNS", "80"), ("NO_COLOR", "1")]);
    assert!(!all.contains('\u{1b}') && all.contains("left out to fit 80 columns: "), "{all}");
    assert!(all.lines().all(|line| unicode_width::UnicodeWidthStr::width(line) <= 80), "{all}");
    for (width, text) in [(100, piped), (80, kl("", &[("COLUMNS", "80")])), (200, kl("", &[("COLUMNS", "200")]))] {
        let widest = text.lines().map(unicode_width::UnicodeWidthStr::width).max().unwrap();
        assert!(widest <= width, "{widest} columns: {text}");
        assert!(text.contains("Every measure, pair by pair: tokshift kl out --all"), "{text}");
        // A name is whole where there is room for it.
        assert_eq!(text.contains(&format!("{long}  ")), width == 200, "{text}");
    }
    // One pair is requested by its models, and shown with everything; for an unknown one the error lists what there is.
    let pair = scene.run(&format!("kl out --pair {name},{long}"));
    pair.expect(0, "").expect_out(&format!("P = `{name}`, Q =\n  `{long}` on `t`")).expect_out("kl_k3");
    scene.run(&format!("kl out --pair {long},{name}")).expect(1, &format!("{name},{long}"));
    scene.run("kl out --pair one").expect(2, "expected the names of two models, P,Q");
}

#[test]
fn tables_columns_and_files_are_what_is_asked_for() {
    let scene = Scene::new();
    scene.dataset("p_t.jsonl", &rows());
    scene.score("p_t.jsonl", &[("p", P), ("q", Q)], "out", "--exact").expect(0, "30 ok");
    let kl = |more: &str| scene.run(&format!("kl out {more}"));
    kl("--table markdown").expect(0, "").expect_out("| task | P | Q | KL(P‖Q) | same top | shifted | clusters |\n");
    kl("--columns kl.q0.99,ppl_ratio").expect(0, "").expect_out("KL(P‖Q) 99%  PPL(Q)/PPL(P)\n");
    kl("--card")
        .expect(0, "")
        .expect_out("| file | size | KL(P‖Q) | KL(P‖Q) 99% | KL(P‖Q) 99.9% | same top | PPL(Q)/PPL(P) |");
    let csv = kl("--table csv --columns kl");
    let json: Value = serde_json::from_str(&kl("--json").stdout).unwrap();
    let mean = mean(&json["pairs"][0], "kl", "token_mean");
    csv.expect_out("task,tasks,generation_model,p,q,clusters,partial,kl_estimate,kl,kl_stderr,kl_low,kl_high\n");
    csv.expect_out("t,1,p,p,q,").expect_out(&format!(",{mean},"));
    kl("--columns kld").expect(2, "there is no measure `kld`").expect(2, "best_kl, bounds");
    // The same table in every format.
    for ending in ["parquet", "csv", "json", "jsonl"] {
        kl(&format!("--statistics statistics.{ending}")).expect(0, "");
    }
    kl("--statistics statistics.xlsx").expect(2, "has to end in .parquet, .csv, .json or .jsonl");
    kl("--statistics statistics").expect(2, "has to end in .parquet");
    std::fs::create_dir(scene.path("figures")).unwrap();
    std::fs::rename(scene.path("statistics.parquet"), scene.path("figures/statistics.parquet")).unwrap();
    let table = Columns::read(&scene.path("figures"));
    let lines = |ending: &str| std::fs::read_to_string(scene.path(&format!("statistics.{ending}"))).unwrap();
    let (csv, list) = (lines("csv"), serde_json::from_str::<Vec<Value>>(&lines("json")).unwrap());
    let rows: Vec<Value> = lines("jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows, list);
    assert_eq!((list.len(), csv.lines().count()), (table.len(), table.len() + 1));
    let head: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
    assert_eq!(head, list[0].as_object().unwrap().keys().collect::<Vec<_>>());
    let value = head.iter().position(|name| *name == "value").unwrap();
    for ((row, line), number) in list.iter().zip(csv.lines().skip(1)).zip(table.f64s("value")) {
        assert_eq!(row["value"].as_f64(), number);
        let cells: Vec<&str> = line.split(',').collect();
        // Reasons contain commas, and come after it.
        assert_eq!(cells[value].parse().ok(), number);
    }
}

#[test]
fn help_is_there_however_it_is_asked_for() {
    let scene = Scene::new();
    let help = scene.run("help");
    help.expect(0, "").expect_out("First steps:\n  tokshift demo\n").expect_out("Commands:");
    assert_eq!(scene.run("--help").stdout, help.stdout);
    let kl = scene.run("help kl");
    kl.expect(0, "").expect_out("Examples:\n  tokshift kl out").expect_out("Exit codes: 0 done");
    assert_eq!(scene.run("kl --help").stdout, kl.stdout);
    let (examples, options) = (kl.stdout.find("Examples:").unwrap(), kl.stdout.find("Which pairs:").unwrap());
    assert!(examples < options, "examples come first");
    scene.run("kl").expect(2, "<OUT>");
    scene.run("kl nowhere").expect(1, "nowhere");
}
