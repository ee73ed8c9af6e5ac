//! The same rows however a file holds them, the shapes that rows have, tables as others write them, and files that mean harm.

mod shapes;
mod tables;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use crate::common::{Columns, Scene, many_rows, rows};
use arrow::json::ReaderBuilder;
use arrow::json::reader::infer_json_schema;
use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};
use tokshift::dataset::{Content, Plan, PlanOptions, ReadRow, RowOptions, scan};

fn lines(rows: &[Value]) -> String {
    rows.iter().map(|row| row.to_string() + "\n").collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// A table with a column a field, some rows to a row group.
fn parquet(rows: &[Value]) -> Vec<u8> {
    let text = lines(rows);
    let (schema, _) = infer_json_schema(text.as_bytes(), None).unwrap();
    let batches = ReaderBuilder::new(Arc::new(schema.clone())).build(text.as_bytes()).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(100)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::new(schema), Some(properties)).unwrap();
    batches.for_each(|batch| writer.write(&batch.unwrap()).unwrap());
    writer.into_inner().unwrap()
}

/// Every way to hold rows: the name of a file and its bytes.
fn all_ways(rows: &[Value]) -> Vec<(&'static str, Vec<u8>)> {
    let text = lines(rows);
    let (head, tail) = text.split_at(text.len() / 3);
    let array = serde_json::to_vec_pretty(rows).unwrap();
    vec![
        ("rl_a.jsonl", text.clone().into_bytes()),
        ("rl_b.json", [&b"\xEF\xBB\xBF\n"[..], &array].concat()),
        ("rl_c.json.gz", gzip(&serde_json::to_vec(rows).unwrap())),
        ("rl_d.jsonl.gz", [gzip(head.as_bytes()), gzip(tail.as_bytes())].concat()),
        ("rl_e.jsonl.zst", [zstd(head.as_bytes()), zstd(tail.as_bytes())].concat()),
        ("rl_f.parquet", parquet(rows)),
    ]
}

fn options(keep: &[&str]) -> PlanOptions {
    let keep = keep.iter().map(|&name| name.to_owned()).collect();
    PlanOptions { rows: RowOptions { keep, ..RowOptions::default() }, ..PlanOptions::default() }
}

fn plan(scene: &Scene, name: &str, bytes: &[u8]) -> Plan {
    scan(&scene.write(name, bytes), options(&[])).unwrap()
}

/// Where each row is, and what it holds; lines and elements are numbered differently.
fn read(plan: &Plan, part: u32) -> Vec<ReadRow> {
    plan.read_part(part).unwrap().into_iter().map(|row| ReadRow { line: 0, ..row }).collect()
}

fn text(input: &str, output: &str) -> Content {
    Content::Text { input: input.into(), output: output.into(), cut: None }
}

#[test]
fn rows_are_the_same_in_every_format() {
    let scene = Scene::new();
    let rows = many_rows(600);
    let mut expected: Option<Vec<Vec<ReadRow>>> = None;
    for (name, bytes) in all_ways(&rows) {
        let plan = scan(&scene.write(name, bytes), options(&["reward", "correct"])).unwrap();
        assert_eq!((plan.rows, plan.samples, plan.parts.len()), (600, 600, 3), "{name}");
        assert_eq!(plan.hash, tokshift::digest::file(&plan.path).unwrap(), "{name}");
        let parts: Vec<_> = (0..3).map(|part| read(&plan, part)).collect();
        assert!(parts.iter().flatten().all(|row| row.content.is_ok()), "{name}");
        // In any order, twice: packed files go on where they were, or begin again.
        for part in [2, 0, 0, 2, 1] {
            assert_eq!(read(&plan, part), parts[part as usize], "{name}");
        }
        let expected = expected.get_or_insert_with(|| parts.clone());
        assert_eq!(&parts, expected, "{name}");
    }
}

#[test]
fn tables_are_the_same_in_every_format() {
    let scene = Scene::new();
    let mut expected = None;
    for (name, bytes) in all_ways(&rows()) {
        scene.write(name, bytes);
        let more = "--engine mock --keep-fields reward,correct --cluster group --generation-model rl --task demo";
        let out = &format!("out-{name}");
        scene.score(name, &[("tied", "qwen3-tied")], out, more).expect(0, "30 ok samples");
        // Rows, not bytes: a file says under which manifest it was written, and that knows the dataset's hash.
        let table = |table| {
            let Columns(batch) =
                Columns::read(&scene.path(&format!("{out}/{table}/generation_model=rl/task=demo/model=tied")));
            batch
        };
        let tables = ["tokens", "samples"].map(table);
        assert!(tables.iter().all(|batch| batch.num_rows() >= 30));
        assert!(expected.get_or_insert(tables.clone()) == &tables, "{name}");
    }
}

#[test]
fn a_limit_does_not_change_the_hash() {
    let scene = Scene::new();
    for (name, bytes) in all_ways(&many_rows(300)) {
        let limited = PlanOptions { limit: Some(3), ..options(&[]) };
        let plan = scan(&scene.write(name, bytes), limited).unwrap();
        assert_eq!((plan.rows, read(&plan, 0).len()), (3, 3), "{name}");
        assert_eq!(plan.hash, tokshift::digest::file(&plan.path).unwrap(), "{name}");
    }
}

#[test]
fn an_array_is_read_element_by_element() {
    let scene = Scene::new();
    let content = r#" [ {"input": "[,]}", "output": "\"]\\"} , 7,
        {"input": {"deep": [1, 2]}, "output": ""},"x" ] "#;
    let plan = plan(&scene, "G_t.json", content.as_bytes());
    let rows = plan.read_part(0).unwrap();
    assert_eq!(rows.iter().map(|row| (row.row, row.line)).collect::<Vec<_>>(), [(0, 1), (1, 2), (2, 3), (3, 4)]);
    let first = Content::Text { input: "[,]}".into(), output: "\"]\\".into(), cut: None };
    assert_eq!(rows[0].content.as_ref().unwrap().contents, [first]);
    let reasons = rows[1..].iter().map(|row| row.content.clone().unwrap_err()).collect::<Vec<_>>();
    assert_eq!(
        reasons,
        [
            "element 2: the row is a number, expected an object with `input` and `output`",
            "element 3: `input` is an object, expected a string",
            "element 4: the row is a string, expected an object with `input` and `output`",
        ]
    );
    for (content, message) in [
        ("[", "element 1: the array ends before it"),
        ("[]", "contains no rows"),
        ("[1", "element 1: the array ends inside it"),
        ("[1,", "element 2: the array ends before it"),
        ("[1,]", "element 2: it is missing"),
        ("[1,,2]", "element 2: it is missing"),
        ("[1] [2]", "element 2: text stands after the end of its array"),
        ("[1}2]", "element 2: no comma stands before it"),
        ("[{\"input\": \"", "element 1: the array ends inside it"),
    ] {
        let error = scan(&scene.write("G_t.json", content), options(&[])).unwrap_err().to_string();
        assert!(error.ends_with(message), "{content}: {error}");
    }
}

#[test]
fn samples_are_numbered_through_rows_of_several() {
    let scene = Scene::new();
    let rows = [
        json!({"prompt": "a", "responses": ["b", "c"]}),
        json!({"prompt": "a"}),
        json!({"messages": [{"role": "assistant"}, {"role": "assistant"}, {"role": "assistant"}]}),
        json!({"input": "a", "output": "b"}),
    ];
    let plan = plan(&scene, "G_t.jsonl", lines(&rows).repeat(100).as_bytes());
    assert_eq!((plan.rows, plan.samples), (400, 700));
    let first: Vec<u32> = read(&plan, 0)[..5].iter().map(|row| row.first_sample).collect();
    assert_eq!(first, [0, 2, 3, 6, 7]);
    assert_eq!((plan.parts[1].first_row, plan.parts[1].first_sample), (256, 448));
    assert_eq!(read(&plan, 1)[0].first_sample, 448);
}

#[test]
fn files_that_mean_harm_are_errors() {
    let scene = Scene::new();
    let error = |name: &str, bytes: &[u8]| {
        let path: PathBuf = scene.write(name, bytes);
        scan(&path, options(&[])).unwrap_err().to_string()
    };
    let text = lines(&many_rows(300));
    let packed = gzip(text.as_bytes());
    assert!(error("G_t.jsonl.gz", &packed[..packed.len() / 2]).contains("cannot read the dataset"));
    assert!(error("G_t.jsonl.gz", &[&packed[..], b"more"].concat()).contains("cannot read the dataset"));
    let packed = zstd(text.as_bytes());
    assert!(error("G_t.jsonl.zst", &packed[..packed.len() / 2]).contains("cannot read the dataset"));
    // A quarter of a gigabyte of blank lines in a few kilobytes.
    let bomb = zstd(&vec![b'\n'; 256 << 20]);
    assert!(error("G_t.jsonl.zst", &bomb).ends_with("it decompresses to more than 1000 times its size"));

    let table = parquet(&rows());
    assert!(error("G_t.parquet", &table[..table.len() - 9]).contains("not a Parquet file that can be read"));
    assert!(error("G_t.parquet", b"PAR1").contains("not a Parquet file that can be read"));
    let middle = table.len() / 3;
    let damaged = [&table[..40], &vec![0xFF; middle], &table[40 + middle..]].concat();
    assert!(error("G_t.parquet", &damaged).contains("its Parquet cannot be read"));
}

/// For a file without rows the error says what it is, and what to do.
#[test]
fn files_of_another_kind_are_named() {
    let scene = Scene::new();
    let utf_16 = |little: bool, mark: bool| -> Vec<u8> {
        let units = mark.then_some(0xFEFF).into_iter().chain("{\"input\": 1}\n".encode_utf16());
        units.flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
    };
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    for (bytes, message) in [
        (utf_16(true, true), "is text in UTF-16 or UTF-32: write it in UTF-8"),
        (utf_16(false, true), "is text in UTF-16 or UTF-32"),
        (utf_16(true, false), "is text in UTF-16 or UTF-32"),
        (utf_16(false, false), "is text in UTF-16 or UTF-32"),
        (pointer.to_vec(), "is a Git LFS pointer, not the file that it points to: `git lfs pull` fetches that"),
        (gzip(pointer), "is a Git LFS pointer"),
        (b"\n<!DOCTYPE html>\n<html>404</html>".to_vec(), "is a web page (HTML or XML)"),
        (b"PARE....PARE".to_vec(), "is Parquet whose footer is encrypted"),
        (b"ARROW1\0\0".to_vec(), "is an Arrow (Feather) file: write it as Parquet"),
        (b"ORC\x08".to_vec(), "is an ORC file"),
        (b"PK\x03\x04".to_vec(), "is a zip archive"),
        (b"BZh91AY".to_vec(), "is compressed with bzip2"),
        (b"\xFD7zXZ\0".to_vec(), "is compressed with xz"),
        (b"\x80\x04\x95".to_vec(), "is a Python pickle, which is never read"),
        (b"SQLite format 3\0".to_vec(), "is a SQLite database"),
    ] {
        let error = scan(&scene.write("G_t.jsonl", &bytes), options(&[])).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}
