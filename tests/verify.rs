//! `tokshift verify`: nothing is said of what is well, and of one damaged thing precisely that.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use arrow::array::{
    Array, ArrayRef, AsArray, Float32Array, Float64Array, ListArray, RecordBatch, StringArray, UInt32Array,
};
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Schema, UInt32Type};
use common::{Columns, Scene, rows};
use parquet::file::metadata::ParquetMetaDataReader;
use serde_json::{Value, json};
use tokshift::table::{Format, Origin, Table, write};

const MODELS: [(&str, &str); 2] = [("tied", "qwen3-tied"), ("shifted", "qwen3-shifted")];

/// Real scores of two models over thirty rows, made once.
fn scored() -> &'static Scene {
    static SCENE: OnceLock<Scene> = OnceLock::new();
    SCENE.get_or_init(|| {
        let scene = Scene::new();
        scene.dataset("rl_demo.jsonl", &rows());
        scene.score("rl_demo.jsonl", &MODELS, "out", "--keep-fields reward,correct").expect(0, "");
        scene
    })
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() { copy(&entry.path(), &target) } else { _ = fs::copy(entry.path(), target).unwrap() }
    }
}

/// A copy of the scores that a test may damage.
fn damaged(damage: impl FnOnce(&Scene)) -> Value {
    let scene = Scene::new();
    copy(&scored().path("out"), &scene.path("out"));
    damage(&scene);
    report(&scene, "out", 1)
}

#[track_caller]
fn report(scene: &Scene, output: &str, code: i32) -> Value {
    let said = scene.run(&format!("verify {output} --json"));
    assert_eq!(said.code, Some(code), "{}{}", said.stdout, said.stderr);
    serde_json::from_str(&said.stdout).unwrap()
}

fn file(table: &str, model: &str, part: u32) -> String {
    format!("out/{table}/generation_model=rl/task=demo/model={model}/part-{part:08}.parquet")
}

/// Exactly one kind of problem, found `count` times, first at `found` in `path`; and `redo` is what to delete.
#[track_caller]
fn expect(report: &Value, kind: &str, count: u64, path: &str, found: &str, redo: &[String]) {
    let problems = report["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 1, "{report:#}");
    assert_eq!((&problems[0]["kind"], &problems[0]["count"]), (&json!(kind), &json!(count)), "{report:#}");
    let first = &problems[0]["first"][0];
    assert_eq!(first["file"], path, "{report:#}");
    assert!(first["found"].as_str().unwrap().contains(found), "{report:#}");
    assert_eq!(report["redo"], json!(redo), "{report:#}");
}

fn of_part(model: &str) -> Vec<String> {
    vec![file("tokens", model, 0), file("samples", model, 0)]
}

/// Writes a table anew with one column changed, as whoever wrote it would: hash and footer fit.
fn change(scene: &Scene, table: &str, column: &str, change: impl FnOnce(&RecordBatch, &ArrayRef) -> ArrayRef) {
    let path = scene.path(&file(table, "tied", 0));
    let Columns(batch) = Columns::read(path.parent().unwrap());
    let index = batch.schema().index_of(column).unwrap();
    let mut columns = batch.columns().to_vec();
    columns[index] = change(&batch, &columns[index]);
    rewrite(&path, table, &RecordBatch::try_new(batch.schema(), columns).unwrap());
}

fn rewrite(path: &Path, table: &str, batch: &RecordBatch) {
    let table = if table == "tokens" { Table::Tokens } else { Table::Samples };
    let origin = origin(path);
    write(fs::File::create(path).unwrap(), Format::Parquet, table, batch, origin.as_ref()).unwrap();
}

/// What a file says it is.
fn origin(path: &Path) -> Option<Origin> {
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&fs::File::open(path).unwrap()).unwrap();
    Origin::read(metadata.file_metadata().key_value_metadata())
}

/// A column with the value of row 7 set.
fn f32s(column: &ArrayRef, value: impl Fn(f32) -> f32) -> ArrayRef {
    let values = column.as_primitive::<Float32Type>().iter().enumerate();
    Arc::new(values.map(|(row, x)| if row == 7 { x.map(&value) } else { x }).collect::<Float32Array>())
}

fn u32s(column: &ArrayRef, value: impl Fn(u32) -> u32) -> ArrayRef {
    let values = column.as_primitive::<UInt32Type>().iter().enumerate();
    Arc::new(values.map(|(row, x)| if row == 7 { x.map(&value) } else { x }).collect::<UInt32Array>())
}

#[test]
fn what_is_well_is_well() {
    let report = report(scored(), "out", 0);
    assert_eq!((&report["problems"], &report["redo"]), (&json!([]), &json!([])));
    let checked = &report["checked"];
    assert_eq!((&checked["cells"], &checked["parts"], &checked["samples"]), (&json!(2), &json!(2), &json!(60)));
    assert_eq!(checked["files_without_hash"], 0);
    let said = scored().run("verify out");
    assert!(said.stdout.contains("2 parts, 60 samples, ") && said.stdout.ends_with("all is well\n"), "{}", said.stdout);
}

/// Rows that were not scored, truncated ones, ends of turns, tokens with nothing before them, no lists, JSON lines.
#[test]
fn awkward_runs_are_well() {
    let scene = Scene::new();
    let mut rows = rows();
    rows.extend([json!({"input": "a", "output": ""}), json!({"input": "", "output": "b c"}), json!({"output": 1})]);
    rows.push(json!({"prompt_token_ids": [5, 6], "response_token_ids": [7, 8, 9]}));
    rows.push(json!({"input": "x".repeat(900), "output": "y".repeat(3000)}));
    scene.dataset("rl_demo.jsonl", &rows);
    for (output, more) in [
        ("ends", "--end 3 --too-long truncate"),
        ("none", "--top-k 0"),
        ("separate", "--boundary separate --limit 3"),
        ("mock", "--engine mock"),
        ("lines", "--out jsonl --keep-fields reward,group"),
        ("losses", "--out token-losses"),
    ] {
        let said = scene.score("rl_demo.jsonl", &MODELS, output, more);
        assert!([Some(0), Some(4)].contains(&said.code), "{}", said.stderr);
        let report = report(&scene, output, 0);
        let unhashed = if output == "lines" { 4 } else { 0 };
        assert_eq!(report["checked"]["files_without_hash"], unhashed, "{output}");
    }
}

#[test]
fn an_import_is_well() {
    let scene = Scene::new();
    let token = |loss: f64| json!({"loss": loss, "token": "t", "rank": 1});
    let results = json!([null, {"token_losses": [token(0.5), token(1.25)]}, {"token_losses": [], "error": "oom"}]);
    for model in ["P", "Q"] {
        let file = json!({"model": model, "dataset": "P_task.jsonl", "results": results}).to_string();
        scene.write(&format!("{model}_P_task_token_losses.json"), file.replace("1.25", "Infinity"));
        scene.run(&format!("import {model}_P_task_token_losses.json --output-dir out")).expect(0, "");
    }
    report(&scene, "out", 0);
}

/// Any bit of a file, pages and footer: whether or not it can still be decoded.
#[test]
fn a_flipped_bit_is_told() {
    let [mut checksums, mut unreadable] = [0, 0];
    for (table, places) in [("tokens", 23), ("samples", 11)] {
        let path = file(table, "tied", 0);
        let bytes = fs::read(scored().path(&path)).unwrap();
        for at in (0..places).map(|place| place * (bytes.len() - 1) / (places - 1)) {
            let report = damaged(|scene| {
                let mut bytes = bytes.clone();
                bytes[at] ^= 4;
                fs::write(scene.path(&path), bytes).unwrap();
            });
            let kind = report["problems"][0]["kind"].as_str().unwrap();
            expect(&report, kind, 1, &path, "", &of_part("tied"));
            match kind {
                "checksum" => checksums += 1,
                "unreadable" => unreadable += 1,
                _ => panic!("{report:#}"),
            }
        }
    }
    assert!(checksums > unreadable, "{checksums} {unreadable}");
}

/// The hash of a file is its own: nothing that a person wrote with another tool passes.
#[test]
fn a_table_without_a_hash_is_told() {
    let path = file("tokens", "tied", 0);
    let report = damaged(|scene| {
        let Columns(batch) = Columns::read(scene.path(&path).parent().unwrap());
        let file = fs::File::create(scene.path(&path)).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    });
    expect(&report, "checksum", 1, &path, "holds no hash of itself", &of_part("tied"));
}

#[test]
fn a_file_cut_short_is_told() {
    let path = file("tokens", "shifted", 0);
    let report = damaged(|scene| {
        let bytes = fs::read(scene.path(&path)).unwrap();
        fs::write(scene.path(&path), &bytes[..bytes.len() / 2]).unwrap();
    });
    expect(&report, "unreadable", 1, &path, "", &of_part("shifted"));
}

#[test]
fn a_number_out_of_range_is_told_with_its_row() {
    for (column, value, found) in [
        ("entropy", f32::NAN, "entropy is NaN"),
        ("entropy", -0.5, "entropy is -0.5"),
        ("entropy", 30.0, "entropy is 30"),
        ("min_logprob", 0.0, "min_logprob is 0, above"),
        ("logit", f32::NAN, "logit is NaN"),
    ] {
        let report = damaged(|scene| change(scene, "tokens", column, |_, of_column| f32s(of_column, |_| value)));
        expect(&report, "value", 1, &file("tokens", "tied", 0), found, &of_part("tied"));
        assert_eq!(report["problems"][0]["first"][0]["row"], 7);
        assert_eq!(report["problems"][0]["first"][0]["sample_id"], 0);
    }
    let report = damaged(|scene| change(scene, "tokens", "rest_logprob", |_, rest| f32s(rest, |x| x + 0.01)));
    expect(&report, "mass", 1, &file("tokens", "tied", 0), "add up to 1.", &of_part("tied"));
}

#[test]
fn a_log_probability_must_be_that_of_the_list_and_of_the_mean() {
    let report = damaged(|scene| change(scene, "tokens", "logprob", |_, logprob| f32s(logprob, |_| 0.25)));
    let kinds: Vec<&str> =
        report["problems"].as_array().unwrap().iter().map(|problem| problem["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"value") && kinds.contains(&"mean"), "{report:#}");
    let report = damaged(|scene| {
        change(scene, "samples", "mean_logprob", |_, mean| {
            let mean = mean.as_primitive::<Float64Type>().iter().enumerate();
            Arc::new(mean.map(|(row, x)| if row == 3 { x.map(|x| x * 1.001) } else { x }).collect::<Float64Array>())
        });
    });
    let problem = &report["problems"][0];
    assert_eq!((&problem["kind"], &problem["first"][0]["sample_id"]), (&json!("mean"), &json!(3)), "{report:#}");
}

#[test]
fn a_rank_must_fit_the_list() {
    for value in [0, 200] {
        let report = damaged(|scene| {
            change(scene, "tokens", "rank", |batch, rank| {
                let lists = batch["top_ids"].as_list::<i32>();
                let id = batch["token_id"].as_primitive::<UInt32Type>();
                let listed =
                    |row: usize| lists.value(row).as_primitive::<UInt32Type>().values().contains(&id.value(row));
                let row = (0..lists.len()).find(|&row| listed(row)).unwrap();
                let ranks = rank.as_primitive::<UInt32Type>().iter().enumerate();
                Arc::new(ranks.map(|(at, x)| if at == row { Some(value) } else { x }).collect::<UInt32Array>())
            });
        });
        assert!(report.to_string().contains(&format!("rank is {value}")), "{report:#}");
        assert_eq!(report["redo"], json!(of_part("tied")));
    }
}

/// Lists of row 7 with their values changed.
fn lists<T: arrow::array::ArrowPrimitiveType>(column: &ArrayRef, change: impl Fn(&mut [T::Native])) -> ArrayRef {
    let lists = column.as_list::<i32>();
    let mut values = lists.values().as_primitive::<T>().values().to_vec();
    let offsets = lists.value_offsets();
    change(&mut values[offsets[7] as usize..offsets[8] as usize]);
    let DataType::List(item) = lists.data_type() else { panic!("no list") };
    let values = arrow::array::PrimitiveArray::<T>::from_iter_values(values);
    Arc::new(ListArray::new(item.clone(), lists.offsets().clone(), Arc::new(values), None))
}

#[test]
fn a_list_must_be_one() {
    let path = file("tokens", "tied", 0);
    let ascending = damaged(|scene| {
        change(scene, "tokens", "top_logprobs", |_, lists_| lists::<Float32Type>(lists_, |x| x.swap(18, 19)));
    });
    expect(&ascending, "list", 1, &path, "top_logprobs ascend", &of_part("tied"));
    let twice = damaged(|scene| {
        change(scene, "tokens", "top_ids", |_, lists_| lists::<UInt32Type>(lists_, |x| x[19] = x[18]));
    });
    expect(&twice, "list", 1, &path, "twice", &of_part("tied"));
}

#[test]
fn what_is_unknown_in_one_row_only_is_told() {
    let path = file("tokens", "tied", 0);
    for column in ["logprob", "entropy"] {
        let report = damaged(|scene| {
            change(scene, "tokens", column, |_, values| {
                let values = values.as_primitive::<Float32Type>().iter().enumerate();
                Arc::new(values.map(|(row, x)| x.filter(|_| row != 7)).collect::<Float32Array>())
            });
        });
        let problem = &report["problems"][0];
        assert_eq!((&problem["kind"], &problem["first"][0]["file"]), (&json!("value"), &json!(path)), "{report:#}");
        assert!(problem["first"][0]["found"].as_str().unwrap().starts_with(&format!("{column} is null")), "{report:#}");
    }
}

#[test]
fn a_samples_table_out_of_order_is_told() {
    let path = file("samples", "tied", 0);
    let report = damaged(|scene| {
        change(scene, "samples", "sample_id", |_, ids| u32s(ids, |id| id + 1));
    });
    let problem = &report["problems"][0];
    assert_eq!((&problem["kind"], &problem["first"][0]["file"]), (&json!("rows"), &json!(path)), "{report:#}");
    assert_eq!((&problem["first"][0]["row"], &problem["first"][0]["sample_id"]), (&json!(7), &json!(8)), "{report:#}");
}

/// No hash tells there, but what is impossible does.
#[test]
fn damaged_json_lines_are_told() {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &rows());
    scene.score("rl_demo.jsonl", &MODELS[..1], "out", "--out jsonl").expect(0, "");
    let path = file("tokens", "tied", 0).replace(".parquet", ".jsonl");
    let text = fs::read_to_string(scene.path(&path)).unwrap();
    let line = text.lines().nth(7).unwrap();
    let with = |field: &str, value: Value| {
        let mut row: Value = serde_json::from_str(line).unwrap();
        row[field] = value;
        row.to_string()
    };
    for (changed, kind, found) in [
        (with("logprob", json!(0.5)), "value", "logprob is 0.5, above 0"),
        (with("position", json!(8)), "rows", "position is Some(8), expected 7"),
        (with("rank", json!("one")), "unreadable", ""),
        (line[..line.len() / 2].to_owned(), "unreadable", ""),
    ] {
        fs::write(scene.path(&path), text.replace(line, &changed)).unwrap();
        let report = report(&scene, "out", 1);
        let problem = &report["problems"][0];
        assert_eq!((&problem["kind"], &problem["first"][0]["file"]), (&json!(kind), &json!(path)), "{report:#}");
        assert!(problem["first"][0]["found"].as_str().unwrap().contains(found), "{report:#}");
    }
}

#[test]
fn ranges_must_be_those_of_the_response() {
    let report = damaged(|scene| change(scene, "tokens", "start", |_, start| u32s(start, |x| x - 1)));
    expect(&report, "text", 1, &file("tokens", "tied", 0), "expected from", &of_part("tied"));
    let report = damaged(|scene| change(scene, "tokens", "end", |_, end| u32s(end, |x| x + 4000)));
    let problem = &report["problems"][0];
    assert_eq!((&problem["kind"], &problem["first"][0]["row"]), (&json!("text"), &json!(7)), "{report:#}");
    let report = damaged(|scene| {
        change(scene, "tokens", "token", |_, token| {
            let texts = token.as_string::<i32>().iter().enumerate();
            Arc::new(texts.map(|(row, text)| if row == 7 { Some("?!") } else { text }).collect::<StringArray>())
        });
    });
    expect(&report, "text", 1, &file("tokens", "tied", 0), "token is not what stands", &of_part("tied"));
}

#[test]
fn tokens_that_are_missing_or_out_of_order_are_told() {
    let path = file("tokens", "tied", 0);
    let cut = damaged(|scene| {
        let Columns(batch) = Columns::read(scene.path(&path).parent().unwrap());
        rewrite(&scene.path(&path), "tokens", &batch.slice(0, batch.num_rows() - 1));
    });
    expect(&cut, "rows", 1, &path, "tokens, its ok sample has", &of_part("tied"));
    assert_eq!(cut["problems"][0]["first"][0]["sample_id"], 29);
    let moved = damaged(|scene| change(scene, "tokens", "position", |_, position| u32s(position, |x| x + 1)));
    expect(&moved, "rows", 1, &path, "position is Some(8), expected 7", &of_part("tied"));
}

/// An id that is in no list of its row, so that the row by itself is well.
#[test]
fn other_token_ids_in_one_model_are_told() {
    let report = damaged(|scene| {
        change(scene, "tokens", "token_id", |batch, ids| {
            let ids = ids.as_primitive::<UInt32Type>();
            let lists = batch["top_ids"].as_list::<i32>();
            let list = |row: usize| lists.value(row).as_primitive::<UInt32Type>().values().to_vec();
            let row = (0..ids.len()).find(|&row| !list(row).contains(&ids.value(row))).unwrap();
            let other = (0..100).find(|id| !list(row).contains(id) && *id != ids.value(row)).unwrap();
            let values = ids.iter().enumerate();
            Arc::new(values.map(|(at, x)| if at == row { Some(other) } else { x }).collect::<UInt32Array>())
        });
    });
    // Which of two is right cannot be told.
    let redo = [of_part("shifted"), of_part("tied")].concat();
    expect(&report, "ids", 2, &file("tokens", "shifted", 0), "token ids of `shifted` are not those of `tied`", &redo);
}

#[test]
fn another_context_in_one_of_three_models_is_told() {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &rows());
    let models = [MODELS[0], MODELS[1], ("third", "qwen3-tied")];
    scene.score("rl_demo.jsonl", &models, "out", "").expect(0, "");
    change(&scene, "samples", "context_hash", |_, hashes| {
        let hashes = hashes.as_string::<i32>().iter().enumerate();
        Arc::new(hashes.map(|(row, hash)| if row == 7 { Some("other") } else { hash }).collect::<StringArray>())
    });
    let report = report(&scene, "out", 1);
    expect(&report, "ids", 1, &file("tokens", "tied", 0), "context_hash of `tied`", &of_part("tied"));
}

#[test]
fn swapped_parts_are_told() {
    let scene = Scene::new();
    let many: Vec<Value> = (0..300).map(|i| json!({"input": "a", "output": format!("b {i}")})).collect();
    scene.dataset("rl_demo.jsonl", &many);
    scene.score("rl_demo.jsonl", &MODELS[..1], "out", "--engine mock").expect(0, "");
    assert_eq!(report(&scene, "out", 0)["checked"]["parts"], 2);
    let [first, second] = [0, 1].map(|part| scene.path(&file("tokens", "tied", part)));
    let aside = scene.path("aside");
    fs::rename(&first, &aside).unwrap();
    fs::rename(&second, &first).unwrap();
    fs::rename(&aside, &second).unwrap();
    let report = report(&scene, "out", 1);
    assert_eq!(report["problems"].as_array().unwrap().len(), 1, "{report:#}");
    assert_eq!(report["problems"][0]["kind"], "moved");
    let redo: Vec<String> =
        [0, 1].into_iter().flat_map(|part| [file("tokens", "tied", part), file("samples", "tied", part)]).collect();
    assert_eq!(report["redo"], json!(redo));
}

#[test]
fn samples_that_were_deleted_are_told() {
    let path = file("samples", "tied", 0);
    let report = damaged(|scene| fs::remove_file(scene.path(&path)).unwrap());
    expect(&report, "missing", 1, &path, "was it deleted?", &[file("tokens", "tied", 0)]);
}

#[test]
fn foreign_parquet_is_told() {
    let batch = || {
        let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::UInt32, false)]));
        RecordBatch::try_new(schema, vec![Arc::new(UInt32Array::from(vec![1, 2]))]).unwrap()
    };
    let path = file("tokens", "tied", 0);
    let save = |path: PathBuf| {
        let mut writer =
            parquet::arrow::ArrowWriter::try_new(fs::File::create(path).unwrap(), batch().schema(), None).unwrap();
        writer.write(&batch()).unwrap();
        writer.close().unwrap();
    };
    let replaced = damaged(|scene| save(scene.path(&path)));
    expect(
        &replaced,
        "schema",
        1,
        &path,
        "column 0 is `x` (UInt32, never null), expected `sample_id`",
        &of_part("tied"),
    );
    let beside = file("tokens", "tied", 9);
    let stray = damaged(|scene| save(scene.path(&beside)));
    expect(&stray, "stray", 1, &beside, "no manifest explains it", std::slice::from_ref(&beside));
}

#[test]
fn manifests_that_are_broken_or_disagree_are_told() {
    let path = "out/runs/generation_model=rl/task=demo/model=tied/manifest.json";
    let edit = |from: &str, to: &str| {
        damaged(|scene| {
            let text = fs::read_to_string(scene.path(path)).unwrap();
            assert!(text.contains(from), "{text}");
            fs::write(scene.path(path), text.replacen(from, to, 1)).unwrap();
        })
    };
    let redo = [of_part("tied"), vec![path.to_owned()]].concat();
    for (from, to, found) in [
        ("\"joint\"", "\"separate\"", "tokens.boundary"),
        ("\"model\": \"tied\"", "\"model\": \"other\"", "folders are called"),
    ] {
        let report = edit(from, to);
        // Its parts were written under what it was, besides.
        assert_eq!([0, 1].map(|index| &report["problems"][index]["kind"]), ["manifest", "moved"], "{report}");
        let first = &report["problems"][0]["first"][0];
        assert!(first["found"].as_str().unwrap().contains(found) && first["file"] == path, "{report}");
        let mut told: Vec<String> = serde_json::from_value(report["redo"].clone()).unwrap();
        told.sort();
        let mut expected = redo.clone();
        expected.sort();
        assert_eq!(told, expected);
    }
    let broken = edit("{", "");
    assert_eq!(broken["problems"][0]["kind"], "manifest");
    assert_eq!(broken["problems"][1]["kind"], "stray", "its tables are explained by nothing");
}

#[test]
fn leftovers_of_the_dead_are_told() {
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let scene = Scene::new();
    copy(&scored().path("out"), &scene.path("out"));
    // Where process ids are not comparable, a leftover is told after a day.
    let path = format!("out/.tmp/0badcafe-{}-0-tokens-00000000", child.id());
    let file = fs::File::create(scene.write(&path, "")).unwrap();
    report(&scene, "out", 0);
    file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_hours(25)).unwrap();
    let report = report(&scene, "out", 1);
    expect(&report, "leftover", 1, &path, "a process that is gone left it", std::slice::from_ref(&path));
}

/// What is told is enough: after deleting it, the same command makes it again.
#[test]
fn deleting_what_is_told_and_scoring_again_heals() {
    let scene = Scene::new();
    copy(&scored().path("out"), &scene.path("out"));
    scene.dataset("rl_demo.jsonl", &rows());
    change(&scene, "tokens", "entropy", |_, entropy| f32s(entropy, |_| -1.0));
    let before = report(&scene, "out", 1);
    for file in before["redo"].as_array().unwrap() {
        fs::remove_file(scene.path(file.as_str().unwrap())).unwrap();
    }
    assert_eq!(report(&scene, "out", 0)["checked"]["unfinished_parts"], 1);
    scene.score("rl_demo.jsonl", &MODELS, "out", "--keep-fields reward,correct").expect(0, "");
    assert_eq!(report(&scene, "out", 0)["checked"]["unfinished_parts"], 0);
    assert_eq!(scene.files("out"), scored().files("out"));
}

/// polars panics on this footer: `kl` looks first, and names the file.
#[test]
fn comparing_damaged_tables_is_an_error_that_names_the_file() {
    let scene = Scene::new();
    copy(&scored().path("out"), &scene.path("out"));
    let found = fs::read("fuzz/corpus/tables/polars-bool").unwrap();
    fs::write(scene.path(&file("samples", "tied", 0)), &found[1..]).unwrap();
    for more in ["", "--explain"] {
        let said = scene.run(&format!("kl --data-dir out --reference shifted {more}"));
        said.expect(1, "model=tied/part-00000000.parquet`: ");
    }
}

/// The engine fills every column and every list, within its vocabulary.
#[test]
fn what_the_engine_promises_must_be_there() {
    let report = damaged(|scene| {
        change(scene, "tokens", "rank", |_, rank| Arc::new(UInt32Array::from(vec![None; rank.len()])));
    });
    assert!(report["problems"][0]["first"][0]["found"].as_str().unwrap().contains("rank is null"), "{report}");
    let report = damaged(|scene| change(scene, "tokens", "entropy", |_, x| f32s(x, |_| 6.0)));
    assert!(report["problems"][0]["first"][0]["found"].as_str().unwrap().contains("entropy is 6, outside"), "{report}");
}

/// What would turn every sign: each file is whole, and stands under the other model's name.
#[test]
fn files_that_were_moved_are_told_and_not_compared() {
    let scene = Scene::new();
    copy(&scored().path("out"), &scene.path("out"));
    let folder =
        |table: &str, model: &str| scene.path(&format!("out/{table}/generation_model=rl/task=demo/model={model}"));
    for table in ["tokens", "samples"] {
        fs::rename(folder(table, "tied"), folder(table, "moving")).unwrap();
        fs::rename(folder(table, "shifted"), folder(table, "tied")).unwrap();
        fs::rename(folder(table, "moving"), folder(table, "shifted")).unwrap();
    }
    let report = report(&scene, "out", 1);
    let problems = report["problems"].as_array().unwrap();
    assert_eq!((problems.len(), &problems[0]["kind"]), (1, &json!("moved")), "{report}");
    let told = problems[0]["first"][0]["found"].as_str().unwrap();
    assert!(told.contains("part 0 of model `tied`, task `demo`, text by `rl`"), "{told}");
    assert_eq!(problems[0]["count"], json!(report["redo"].as_array().unwrap().len()));
    scene.run("kl --data-dir out --reference shifted").expect(1, "was written as part 0 of model");
}

/// Manifests moved along: each part was written under the other's.
#[test]
fn whole_cells_that_change_names_are_told() {
    let scene = Scene::new();
    copy(&scored().path("out"), &scene.path("out"));
    for table in ["tokens", "samples", "runs"] {
        let folder = |model: &str| scene.path(&format!("out/{table}/generation_model=rl/task=demo/model={model}"));
        fs::rename(folder("tied"), folder("renamed")).unwrap();
    }
    let report = report(&scene, "out", 1);
    assert!(report["problems"].as_array().unwrap().iter().any(|problem| problem["kind"] == "moved"), "{report}");
}

#[test]
fn people_read_a_table_without_control_characters() {
    let scene = Scene::new();
    copy(&scored().path("out"), &scene.path("out"));
    scene.write("out/tokens/a\u{1b}[2Jb", "");
    let said = scene.run("verify out");
    assert_eq!(said.code, Some(1));
    let stray = "out/tokens/a\\u{1b}[2Jb";
    let told = format!("\nstray (1)\n  {stray}: no manifest explains it; remove it by hand: its name holds control");
    assert!(said.stdout.contains(&told), "{}", said.stdout);
}

/// Of a list that is read line by line, each line is a file's name.
#[test]
fn no_name_in_the_list_to_redo_leads_elsewhere() {
    let scene = Scene::new();
    copy(&scored().path("out"), &scene.path("out"));
    scene.write("precious", "");
    scene.write("out/tokens/a\nprecious", "");
    scene.write("out/tokens/plain", "");
    let said = scene.run("verify out --json");
    let report: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(report["redo"], serde_json::json!(["out/tokens/plain"]));
    assert!(report.to_string().contains("remove it by hand"));
}

#[test]
fn a_folder_that_holds_no_runs_is_an_error() {
    let scene = Scene::new();
    scene.run("verify nowhere").expect(1, "no such directory");
    fs::create_dir(scene.path("empty")).unwrap();
    scene.run("verify empty").expect(1, "holds no runs");
}

/// A file may be called what no text can hold; the report is JSON all the same.
#[test]
fn names_that_are_no_text_are_told() {
    use std::os::unix::ffi::OsStrExt;
    let report = damaged(|scene| {
        let folder = scene.path(&file("tokens", "tied", 9)).parent().unwrap().to_owned();
        fs::write(folder.join(std::ffi::OsStr::from_bytes(b"a\xff.parquet")), "").unwrap();
    });
    let found = report["problems"][0]["first"][0]["file"].as_str().unwrap();
    assert!(found.ends_with("a\u{fffd}.parquet"), "{report}");
}
