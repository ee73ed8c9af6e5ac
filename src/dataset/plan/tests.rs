use std::io::Write;

use proptest::prelude::*;
use tempfile::NamedTempFile;

use super::*;
use crate::dataset::Content;

fn file(content: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    file.flush().unwrap();
    file
}

fn plan(content: &[u8]) -> Result<Plan> {
    scan(file(content).into_temp_path().keep().unwrap().as_path(), PlanOptions::default())
}

fn line(bytes: usize) -> String {
    format!("{{\"input\": \"\", \"output\": \"{}\"}}\n", "x".repeat(bytes))
}

/// Rows of each part.
fn sizes(plan: &Plan) -> Vec<u32> {
    plan.parts.iter().map(|part| part.rows).collect()
}

#[test]
fn parts_close_at_rows_or_at_text() {
    assert_eq!(sizes(&plan(line(1).repeat(600).as_bytes()).unwrap()), [256, 256, 88]);
    let half = PART_BYTES as usize / 2;
    assert_eq!(sizes(&plan(line(half).repeat(5).as_bytes()).unwrap()), [2, 2, 1]);
    let long = [line(9), line(3 * half), line(9), line(9)].concat();
    assert_eq!(sizes(&plan(long.as_bytes()).unwrap()), [1, 1, 2], "a longer row is a part alone");
}

#[test]
fn lines_are_read_as_people_write_them() {
    let content = b"\xEF\xBB\xBF{\"input\": \"a\", \"output\": \"b\"}\r\n\r\n  \n{\"input\": \"c\", \"output\": \"d\"}";
    let plan = plan(content).unwrap();
    let rows = plan.read_part(0).unwrap();
    assert_eq!(rows.iter().map(|r| (r.row, r.line)).collect::<Vec<_>>(), [(0, 1), (1, 4)]);
    let last = rows[1].content.as_ref().unwrap();
    assert_eq!(last.content, Content::Text { input: "c".into(), output: "d".into() });
}

#[test]
fn bad_rows_keep_their_place() {
    let content = b"{\"input\": \"a\", \"output\": \"b\"}\n{broken\n\xff\xfe\n{\"input\": \"a\", \"output\": \"b\"}\n";
    let rows = plan(content).unwrap().read_part(0).unwrap();
    assert_eq!(rows.len(), 4);
    assert!(rows[1].content.as_ref().unwrap_err().starts_with("line 2: broken JSON"));
    assert_eq!(rows[2].content.as_ref().unwrap_err(), "line 3: invalid UTF-8 at byte 0");
    assert!(rows[3].content.is_ok());
}

#[test]
fn the_limit_counts_rows() {
    let file = file(line(1).repeat(300).as_bytes());
    let options = PlanOptions { limit: Some(257), ..PlanOptions::default() };
    let plan = scan(file.path(), options).unwrap();
    assert_eq!((plan.rows, sizes(&plan)), (257, vec![256, 1]));
    let whole = scan(file.path(), PlanOptions::default()).unwrap();
    assert_eq!(plan.hash, whole.hash, "the hash is of the file, not of what is used of it");
    assert_eq!(plan.hash, crate::digest::file(file.path()).unwrap());
}

#[test]
fn kept_fields_have_one_type_each() {
    let rows = br#"{"input": "", "output": "", "a": true, "b": 1, "c": 1, "d": null}
{"input": "", "output": "", "a": null, "b": 2.5, "c": "x"}
"#;
    let file = file(rows);
    let keep = |names: &[&str]| PlanOptions {
        rows: RowOptions { cluster: None, keep: names.iter().map(|n| (*n).to_owned()).collect() },
        limit: None,
    };
    let kept = scan(file.path(), keep(&["a", "b", "c"])).unwrap().kept;
    assert_eq!(kept.iter().map(|f| f.kind).collect::<Vec<_>>(), [KeptType::Bool, KeptType::Number, KeptType::Text]);
    for (names, message) in [
        (["d", "a"], "no row has the field `d` of --keep-fields"),
        (["a", "status"], "--keep-fields status: the samples table has a column of that name"),
        (["a", "model"], "--keep-fields model: the samples table has a column of that name"),
        (["a", "a"], "--keep-fields a: named twice"),
    ] {
        let error = scan(file.path(), keep(&names)).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    let cluster =
        |name: &str| PlanOptions { rows: RowOptions { cluster: Some(name.to_owned()), keep: Vec::new() }, limit: None };
    scan(file.path(), cluster("b")).unwrap();
    let error = scan(file.path(), cluster("d")).unwrap_err().to_string();
    assert!(error.ends_with("no row has the field `d` of --cluster"), "{error}");
}

#[test]
fn files_that_are_no_dataset_are_refused() {
    for (result, message) in [
        (plan(b"\n \n"), "holds no rows"),
        (scan(Path::new("no/such/file.jsonl"), PlanOptions::default()), "cannot read the dataset"),
        (scan(Path::new("src"), PlanOptions::default()), "is a directory"),
    ] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn a_file_that_changes_under_the_run_is_noticed() {
    let mut file = file(line(1).repeat(10).as_bytes());
    let plan = scan(file.path(), PlanOptions::default()).unwrap();
    file.write_all(line(1).as_bytes()).unwrap();
    assert!(plan.read_part(0).unwrap_err().to_string().contains("changed while it was read"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn parts_hold_every_row_once(lengths in proptest::collection::vec(0_usize..40_000, 1..60), blank in 0_usize..3) {
        let lines: Vec<String> = lengths.iter().map(|&n| line(n) + &"\n".repeat(blank)).collect();
        let plan = plan(lines.concat().as_bytes()).unwrap();
        let rows: Vec<ReadRow> = (0..plan.parts.len() as u32).flat_map(|i| plan.read_part(i).unwrap()).collect();
        prop_assert_eq!(rows.iter().map(|r| r.row).collect::<Vec<_>>(), (0..lengths.len() as u32).collect::<Vec<_>>());
        for (row, &length) in rows.iter().zip(&lengths) {
            prop_assert_eq!(row.content.as_ref().unwrap().text_bytes(), length as u64);
        }
        for part in &plan.parts {
            let text: usize = lengths[part.first_row as usize..][..part.rows as usize].iter().sum();
            prop_assert!(part.rows == 1 || (part.rows <= PART_ROWS && text as u64 <= PART_BYTES));
        }
    }
}
