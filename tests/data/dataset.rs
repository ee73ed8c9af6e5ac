//! Rows as people write them, parts, and what is said of what is wrong.

mod fields;
mod kept;

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;

use tokshift::dataset::{Content, PART_BYTES, PART_ROWS, Plan, PlanOptions, ReadRow, Row, RowOptions, scan};
use tokshift::sample::Kept;
use tokshift::{Result, digest};

/// A file that lasts as long as its folder.
fn file(content: &[u8]) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("G_task.jsonl");
    fs::write(&path, content).unwrap();
    (folder, path)
}

fn scanned(content: &[u8], options: PlanOptions) -> Result<(TempDir, Plan)> {
    let (folder, path) = file(content);
    scan(&path, options).map(|plan| (folder, plan))
}

fn plan(content: &[u8]) -> (TempDir, Plan) {
    scanned(content, PlanOptions::default()).unwrap()
}

fn rows_of(plan: &Plan) -> Vec<ReadRow> {
    (0..plan.parts.len() as u32).flat_map(|part| plan.read_part(part).unwrap()).collect()
}

/// A line with this much output.
fn line(bytes: usize) -> String {
    format!("{{\"input\": \"\", \"output\": \"{}\"}}\n", "x".repeat(bytes))
}

/// Rows of each part.
fn sizes(content: &str) -> Vec<u32> {
    plan(content.as_bytes()).1.parts.iter().map(|part| part.rows).collect()
}

fn text(input: &str, output: &str) -> Content {
    Content::Text { input: input.into(), output: output.into(), cut: None }
}

fn keep(names: &[&str]) -> RowOptions {
    RowOptions {
        cluster: Some("group".into()),
        keep: names.iter().map(|&name| name.to_owned()).collect(),
        ..RowOptions::default()
    }
}

fn options(rows: RowOptions) -> PlanOptions {
    PlanOptions { rows, ..PlanOptions::default() }
}

fn parse(line: &str) -> std::result::Result<Row, String> {
    Row::parse(line.as_bytes(), &keep(&["reward", "tag"]), &[])
}

/// The kept values of a row, lists as they are.
fn wholes(row: &Row) -> Vec<Kept> {
    row.kept.iter().map(|value| value.whole.clone()).collect()
}

#[test]
fn parts_close_at_rows_or_at_text() {
    assert_eq!(sizes(&line(1).repeat(600)), [256, 256, 88]);
    let half = PART_BYTES as usize / 2;
    assert_eq!(sizes(&line(half).repeat(5)), [2, 2, 1]);
    assert_eq!(sizes(&[line(9), line(3 * half), line(0), line(9)].concat()), [1, 1, 2], "a longer row is a part alone");
    assert_eq!(sizes(&[line(2 * half), line(0), line(1)].concat()), [2, 1], "the limit itself fits");
    let bad = format!("{}\n", "x".repeat(half)).repeat(3) + &line(half);
    assert_eq!(sizes(&bad), [1, 1, 1, 1], "an unreadable row counts with its line, whose end is one byte more");
}

#[test]
fn lines_are_read_as_people_write_them() {
    let content = "\u{FEFF}{\"input\": \"a\", \"output\": \"b\"}\r\n\r\n  \n\t{\"input\": \"c\", \"output\": \"d\"} ";
    let (_folder, plan) = plan(content.as_bytes());
    assert_eq!(plan.hash, digest::file(&plan.path).unwrap());
    let rows = plan.read_part(0).unwrap();
    assert_eq!(rows.iter().map(|r| (r.row, r.line, r.first_sample)).collect::<Vec<_>>(), [(0, 1, 0), (1, 4, 1)]);
    let texts = |row: &ReadRow| row.content.as_ref().unwrap().contents.clone();
    assert_eq!((texts(&rows[0]), texts(&rows[1])), (vec![text("a", "b")], vec![text("c", "d")]));
}

#[test]
fn bad_rows_keep_their_place() {
    let content =
        b"{\"input\": \"a\", \"output\": \"b\"}\n{broken\n\xff\xfe\n\n{\"input\": \"a\", \"output\": \"b\"}\n";
    let (_folder, plan) = plan(content);
    let rows = plan.read_part(0).unwrap();
    assert_eq!(rows.len(), 4);
    assert!(rows[1].content.as_ref().unwrap_err().starts_with("line 2: broken JSON: key must be a string at column"));
    assert_eq!(rows[2].content.as_ref().unwrap_err(), "line 3: invalid UTF-8 at byte 0");
    assert_eq!((rows[3].row, rows[3].line, rows[3].content.is_ok()), (3, 5, true));
}

#[test]
fn the_limit_counts_rows() {
    let (_folder, path) = file(line(1).repeat(300).as_bytes());
    let limited = scan(&path, PlanOptions { limit: Some(257), ..PlanOptions::default() }).unwrap();
    assert_eq!((limited.rows, limited.samples), (257, 257));
    assert_eq!(limited.parts.iter().map(|part| part.rows).collect::<Vec<_>>(), [256, 1]);
    assert_eq!(limited.hash, digest::file(&path).unwrap(), "the hash is of the file, not of what is used of it");
    assert_eq!(rows_of(&limited).len(), 257);
    let more = scan(&path, PlanOptions { limit: Some(1000), ..PlanOptions::default() }).unwrap();
    assert_eq!(more.rows, 300);
}

#[test]
fn files_that_are_no_dataset_are_rejected() {
    for (result, message) in [
        (scanned(b"", PlanOptions::default()).map(|_| ()), "contains no rows"),
        (scanned(b"\xEF\xBB\xBF\n \n", PlanOptions::default()).map(|_| ()), "contains no rows"),
        (scan(Path::new("no/such/file.jsonl"), PlanOptions::default()).map(|_| ()), "cannot read the dataset"),
        (scan(Path::new("src"), PlanOptions::default()).map(|_| ()), "is a directory, expected a file of rows"),
    ] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn a_file_that_changes_under_the_run_is_noticed() {
    let content = line(1).repeat(300);
    for changed in [content.clone() + &line(1), line(1).repeat(299), content.replace('x', "y"), String::new()] {
        let (_folder, path) = file(content.as_bytes());
        let plan = scan(&path, PlanOptions::default()).unwrap();
        assert_eq!(plan.read_part(1).unwrap().len(), 44);
        // File systems keep times in steps of some milliseconds.
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::write(&path, changed).unwrap();
        assert!(plan.read_part(1).unwrap_err().to_string().ends_with("changed while it was read: run again"));
    }
    let (folder, plan) = plan(content.as_bytes());
    assert!(plan.read_part(2).unwrap_err().to_string().contains("has 2 parts, no part 2"));
    drop(folder);
    assert!(plan.read_part(0).unwrap_err().to_string().contains("cannot read the dataset"));
}

#[test]
fn parts_that_earlier_runs_have_keep_their_boundaries() {
    let (_folder, path) = file(line(1).repeat(600).as_bytes());
    let first = scan(&path, PlanOptions { limit: Some(20), ..PlanOptions::default() }).unwrap();
    let again = scan(&path, PlanOptions { earlier: first.parts.clone(), ..PlanOptions::default() }).unwrap();
    assert_eq!(again.parts.iter().map(|part| part.rows).collect::<Vec<_>>(), [20, 256, 256, 68]);
    assert_eq!(again.parts[0], first.parts[0]);
    let bytes = first.parts[0].bytes as usize;
    assert_eq!(
        again.hashes.of_earlier_file,
        Some(blake3::hash(&fs::read(&path).unwrap()[..bytes]).to_hex().to_string())
    );
    // Longer parts of an earlier version stay long.
    let long = tokshift::dataset::Part { rows: 500, samples: 500, ..first.parts[0].clone() };
    let kept = scan(&path, PlanOptions { earlier: vec![long], ..PlanOptions::default() }).unwrap();
    assert_eq!(kept.parts.iter().map(|part| part.rows).collect::<Vec<_>>(), [500, 100]);
}

/// One line of a file, whatever it holds.
fn lines() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => (0_usize..60_000).prop_map(|bytes| line(bytes).trim_end().to_owned()),
        2 => (any::<String>(), any::<String>()).prop_map(|(input, output)| serde_json::json!({"input": input, "output": output}).to_string()),
        1 => Just(String::new()),
        1 => "[^\r\n]{0,40}",
        1 => Just(line(PART_BYTES as usize + 1).trim_end().to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn parts_together_are_the_file(lines in prop::collection::vec(lines(), 1..60), end in prop::sample::select(vec!["\n", "\r\n"]), last in any::<bool>(), mark in any::<bool>()) {
        let mut content = lines.join(end) + if last { end } else { "" };
        if mark {
            content.insert(0, '\u{FEFF}');
        }
        // As the file would be read without parts: its lines, blank ones left out.
        let whole = content.strip_prefix('\u{FEFF}').unwrap_or(&content).split('\n').map(|line| line.as_bytes().trim_ascii());
        let whole: Vec<(u64, &[u8])> = (1..).zip(whole).filter(|(_, line)| !line.is_empty()).collect();
        let (_folder, path) = file(content.as_bytes());
        let Ok(plan) = scan(&path, PlanOptions::default()) else {
            // A file without any usable row is rejected as a whole.
            prop_assert!(whole.iter().all(|(_, line)| Row::parse(line, &RowOptions::default(), &[]).is_err()));
            return Ok(());
        };
        let rows = rows_of(&plan);
        prop_assert_eq!(rows.len(), whole.len());
        for ((row, &(number, line)), place) in rows.iter().zip(&whole).zip(0..) {
            let content = Row::parse(line, &RowOptions::default(), &[]).map_err(|what| format!("line {number}: {what}"));
            prop_assert_eq!(row, &ReadRow { row: place, line: number, first_sample: place, content });
        }
        let text = |row: &ReadRow| row.content.as_ref().map_or(0, Row::text_bytes);
        for part in &plan.parts {
            let bytes: u64 = rows[part.first_row as usize..][..part.rows as usize].iter().map(text).sum();
            prop_assert!(part.rows == 1 || (part.rows <= PART_ROWS && bytes <= PART_BYTES));
        }
        prop_assert_eq!(plan.hash, digest::file(&path).unwrap());
    }

    #[test]
    fn any_text_comes_back_as_python_writes_it(input in any::<String>(), output in any::<String>(), number in any::<f64>()) {
        let ascii: String = serde_json::to_string(&output).unwrap().encode_utf16().map(|unit| match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
            _ => format!("\\u{unit:04x}"),
        }).collect();
        let row = parse(&format!(r#"{{"x": NaN, "input": {}, "output": {ascii}, "reward": {number:e}}}"#, serde_json::to_string(&input).unwrap())).unwrap();
        prop_assert_eq!(row.contents, [text(&input, &output)]);
        prop_assert_eq!(&row.kept[0].whole, &Kept::Number(number));
    }

    #[test]
    fn any_bytes_are_a_row_or_a_reason(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = Row::parse(&bytes, &keep(&["a"]), &[]);
    }
}
