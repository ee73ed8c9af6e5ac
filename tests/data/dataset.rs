//! Rows as people write them, parts, and what is said of what is wrong.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;

use tokshift::dataset::{Content, PART_BYTES, PART_ROWS, Plan, PlanOptions, ReadRow, Row, RowOptions, scan};
use tokshift::sample::Kept;
use tokshift::schema::KeptType;
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
fn known_fields_are_read_and_others_passed_over() {
    let row = parse(
        r#"{"id": 7, "input": "a", "output": "b\"NaN\" \u00e9\ud83d\ude00", "group": "g", "reward": 1.5, "tag": [1, "x y"],
           "x": {"y": NaN, "z": [-Infinity, 1e4000, "\ud800"]}, "finish_reason": "length"}"#,
    );
    let row = row.unwrap();
    assert_eq!(row.contents, [Content::Text { input: "a".into(), output: "b\"NaN\" é😀".into(), cut: Some(true) }]);
    assert_eq!((row.id.as_deref(), row.cluster.as_deref()), (Some("7"), Some("g")));
    assert_eq!(wholes(&row), [Kept::Number(1.5), Kept::Text(r#"[1,"x y"]"#.into())]);

    let row = parse(r#"{"output": "", "input": "", "id": "007", "group": 3, "finish_reason": "stop"}"#).unwrap();
    assert_eq!((row.id.as_deref(), row.cluster.as_deref()), (Some("007"), Some("3")));
    assert_eq!(row.contents, [Content::Text { input: String::new(), output: String::new(), cut: Some(false) }]);
    assert_eq!(wholes(&row), [Kept::Null, Kept::Null]);
    let row = parse(r#"{"output": "", "input": "", "id": null, "group": true, "finish_reason": null}"#).unwrap();
    assert_eq!((row.id, row.cluster.as_deref(), row.contents), (None, Some("true"), vec![text("", "")]));

    let deep = format!(r#"{{"x": {}{}, "input": "a", "output": "b"}}"#, "[".repeat(5000), "]".repeat(5000));
    assert!(parse(&deep).is_ok());
}

#[test]
fn token_ids_are_taken_as_they_are() {
    let row = parse(r#"{"prompt_token_ids": [1, 2], "response_token_ids": [4294967295], "output": "x"}"#).unwrap();
    let ids =
        Content::Ids { prompt: vec![1, 2], response: vec![u32::MAX], input: None, output: Some("x".into()), cut: None };
    assert_eq!(row.contents, [ids]);
    assert_eq!(row.text_bytes(), 12);
}

#[test]
fn values_that_are_no_numbers_are_kept_as_what_they_are() {
    let kept = |value: &str| {
        parse(&format!(r#"{{"input": "", "output": "", "reward": {value}}}"#)).unwrap().kept[0].whole.clone()
    };
    assert!(matches!(kept("NaN"), Kept::Number(x) if x.is_nan()));
    assert_eq!(kept("[NaN, {\"NaN\": -Infinity}]"), Kept::Text(r#"[NaN,{"NaN":-Infinity}]"#.into()));
    assert_eq!(kept("Infinity"), Kept::Number(f64::INFINITY));
    assert_eq!(kept("-Infinity"), Kept::Number(f64::NEG_INFINITY));
    assert_eq!(kept("false"), Kept::Bool(false));
    assert_eq!(kept("-0.5e-3"), Kept::Number(-0.0005));
    assert_eq!(kept("9007199254740992"), Kept::Number(9_007_199_254_740_992.0));
    assert_eq!(kept("9007199254740993"), Kept::Text("9007199254740993".into()), "a float cannot hold it");
    let big = "1".repeat(400);
    assert_eq!(kept(&big), Kept::Text(big.clone()));
    assert_eq!(kept(r#"{ "a" : "b \" c" , "d": [ ] }"#), Kept::Text(r#"{"a":"b \" c","d":[]}"#.into()));
}

#[test]
fn what_is_wrong_is_said() {
    for (line, message) in [
        (r#"{"input": "a"}"#, "no `output` field (fields found: input)"),
        ("{}", "no `input` field (fields found: none)"),
        (
            r#"{"input": "a", "b": 0, "c": 0, "d": 0, "e": 0, "f": 0, "g": 0, "h": 0, "i": 0}"#,
            "no `output` field (fields found: input, b, c, d, e, f, g, h, …)",
        ),
        (r#"{"input": "a", "output": 3}"#, "`output` is a number, expected a string"),
        (r#"{"input": ["a"], "output": "b"}"#, "`input` is a list, expected a string"),
        (r#"{"input": {}, "output": "b"}"#, "`input` is an object, expected a string"),
        (r#"{"input": true, "output": "b"}"#, "`input` is a boolean, expected a string"),
        (r#"{"input": "a", "output": null}"#, "`output` is null"),
        (r#"{"input": "a", "output": NaN}"#, "`output` is NaN"),
        (
            r#"{"messages": [{"role": "assistant", "content": "NaN", "x": [1, NaN]}]}"#,
            "`messages` holds NaN, which is no number of JSON: give it as a text",
        ),
        (
            r#"{"prompt": [{"role": "user", "content": "", "x": -Infinity}], "completion": "a"}"#,
            "`prompt` holds -Infinity, ",
        ),
        (
            r#"{"prompt": [{"role": "user"}], "completion": [{"role": "assistant", "x": 1e400}]}"#,
            "`completion` holds 1e400, ",
        ),
        (
            r#"{"messages": [{"role": "assistant", "content": "Infinity"}], "tools": [{"n": Infinity}]}"#,
            "`tools` holds Infinity, ",
        ),
        (
            r#"{"messages": [{"role": "assistant"}], "chat_template_kwargs": {"n": -1e400}}"#,
            "`chat_template_kwargs` holds -1e400, ",
        ),
        (r#"{"arguments": [["a", {"t": NaN}]], "resps": [["b"]]}"#, "`arguments` holds NaN, "),
        (r#"{"input": "a", "output": "b", "x": Infinity5}"#, "broken JSON: "),
        (r#"["a", "b"]"#, "the row is a list, expected an object with `input` and `output`"),
        (r#""a""#, "the row is a string, expected an object with `input` and `output`"),
        ("\u{FEFF}{}", "begins with a byte order mark, which stands at the beginning of a file alone"),
        ("7", "the row is a number, expected an object with `input` and `output`"),
        ("null", "the row is null, expected an object with `input` and `output`"),
        ("[1", "broken JSON: EOF while parsing a list at column 2"),
        (r#"{"input": "a", "input": "b", "output": "c"}"#, "field `input` stands twice at column "),
        (r#"{"x": 1, "x": 1, "input": "b", "output": "c"}"#, "field `x` stands twice at column "),
        (r#"{"input": "a", "output": "b""#, "broken JSON: EOF while parsing an object at column 28"),
        (r#"{"input": "a", "output": "b"} x"#, "broken JSON: trailing characters at column 31"),
        (r#"{"input": "a", "output": "b", "x": nan}"#, "broken JSON: expected ident at column 37"),
        (r#"{"input": "a", "output": "\ud800"}"#, "`output` is a string that cannot be read: "),
        (r#"{"input": "\ud83d x", "output": "b"}"#, "`input` is a string that cannot be read: "),
        (r#"{"prompt_token_ids": [1], "response_token_ids": [-1]}"#, "`response_token_ids` holds no token ids: "),
        (r#"{"prompt_token_ids": [4294967296], "response_token_ids": []}"#, "`prompt_token_ids` holds no token ids: "),
        (
            r#"{"prompt_token_ids": [1], "response_token_ids": "a"}"#,
            "`response_token_ids` is a string, expected a list",
        ),
        (r#"{"prompt_token_ids": [1]}"#, "no `response_token_ids` field (fields found: prompt_token_ids)"),
        (r#"{"prompt_token_ids": [1], "response_token_ids": [2], "output": 3}"#, "`output` is a number"),
    ] {
        let error = parse(line).unwrap_err();
        assert!(error.starts_with(message), "{line}: {error}");
    }
    let error = Row::parse(b"{\"input\": \"\xff\"}", &RowOptions::default(), &[]).unwrap_err();
    assert_eq!(error, "invalid UTF-8 at byte 11");
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
fn kept_fields_have_one_type_each() {
    let content = br#"{"input": "", "output": "", "group": 1, "a": true, "b": 1, "c": 1.50, "d": [1, 2], "e": 1}
{"input": "", "output": "", "a": null, "b": 2.5, "c": "x", "d": null, "e": true}
{"input": "", "output": "", "c": -Infinity, "e": 10000000000000000001}
broken
"#;
    let (_folder, plan) = scanned(content, options(keep(&["a", "b", "c", "d", "e", "input"]))).unwrap();
    let kinds: Vec<_> = plan.kept.iter().map(|field| field.kind).collect();
    let text = KeptType::Text;
    assert_eq!(kinds, [KeptType::Bool, KeptType::Number, text, text, text, text]);
    let column = |index: usize| -> Vec<Kept> {
        rows_of(&plan).into_iter().filter_map(|row| Some(row.content.ok()?.kept[index].whole.clone())).collect()
    };
    let texts = |values: [&str; 3]| values.map(|value| Kept::Text(value.into()));
    assert_eq!(column(0), [Kept::Bool(true), Kept::Null, Kept::Null]);
    assert_eq!(column(1), [Kept::Number(1.0), Kept::Number(2.5), Kept::Null]);
    assert_eq!(column(2), texts(["1.50", "x", "-inf"]), "in a field of text, numbers stay as they were written");
    assert_eq!(column(3), [Kept::Text("[1,2]".into()), Kept::Null, Kept::Null]);
    assert_eq!(column(4), texts(["1", "true", "10000000000000000001"]));
}

#[test]
fn fields_that_cannot_be_kept_are_rejected() {
    let content = b"{\"input\": \"\", \"output\": \"\", \"group\": 1, \"a\": null}\n";
    for (names, message) in [
        (&["b"][..], "no row has a value in the field `b` of --keep-fields"),
        (&["a"], "no row has a value in the field `a` of --keep-fields"),
        (&["status"], "--keep-fields status: the samples table has a column of that name"),
        (&["model"], "--keep-fields model: the samples table has a column of that name"),
        (&["input", "input"], "--keep-fields input: named twice"),
    ] {
        let error = scanned(content, options(keep(names))).unwrap_err().to_string();
        assert!(error.ends_with(message), "{error}");
    }
    let error = scanned(line(1).as_bytes(), options(keep(&[]))).unwrap_err().to_string();
    assert!(error.ends_with("no row has a value in the field `group` of --cluster"), "{error}");
    let error = scanned(b"broken\n", options(keep(&["a"]))).unwrap_err().to_string();
    assert!(error.contains("contains no usable row"), "what no row shows is no error of the option: {error}");
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

/// The kept values of every response of a dataset of rollouts, and the types that they have.
fn per_response(rows: &[serde_json::Value]) -> (Vec<Kept>, KeptType, bool) {
    let content: String = rows.iter().map(|row| row.to_string() + "\n").collect();
    let rows = RowOptions { keep: vec!["rewards".to_owned()], ..RowOptions::default() };
    let (_folder, plan) = scanned(content.as_bytes(), options(rows)).unwrap();
    let of_row = |row: ReadRow| {
        let row = row.content.unwrap();
        (0..row.contents.len()).map(|response| row.kept[0].of(response).clone()).collect::<Vec<_>>()
    };
    let values = rows_of(&plan).into_iter().flat_map(of_row).collect();
    (values, plan.kept[0].kind, plan.kept[0].per_response)
}

#[test]
fn a_list_as_long_as_the_responses_is_a_value_for_each() {
    use serde_json::json;
    let row = |responses: &[&str], rewards: serde_json::Value| json!({"prompt": "a", "responses": responses, "rewards": rewards});
    let number = Kept::Number;
    let all = [row(&["b", "c"], json!([1.0, 0])), row(&["d"], json!([0.5])), row(&["e", "f"], json!(null))];
    let expected = [number(1.0), number(0.0), number(0.5), Kept::Null, Kept::Null];
    assert_eq!(per_response(&all), (expected.to_vec(), KeptType::Number, true));
    let texts = per_response(&[row(&["b", "c"], json!(["x", [1, 2]])), row(&["d", "e"], json!([3, null]))]);
    let text = |text: &str| Kept::Text(text.to_owned());
    assert_eq!(texts, (vec![text("x"), text("[1,2]"), text("3"), Kept::Null], KeptType::Text, true));
    // One list of another length, and none is read so: it may be about something else.
    let (values, kind, each) = per_response(&[row(&["b", "c"], json!([1, 2])), row(&["d", "e"], json!([1, 2, 3]))]);
    assert_eq!(
        (values, kind, each),
        (vec![text("[1,2]"), text("[1,2]"), text("[1,2,3]"), text("[1,2,3]")], KeptType::Text, false)
    );
    assert_eq!(per_response(&[row(&["b", "c"], json!(7))]), (vec![number(7.0); 2], KeptType::Number, false));
    let ids = json!({"prompt_token_ids": [1], "response_token_ids": [[2], [3]], "rewards": [true, false]});
    assert_eq!(per_response(&[ids]), (vec![Kept::Bool(true), Kept::Bool(false)], KeptType::Bool, true));
    let one = json!({"prompt": "a", "response": "b", "rewards": [1]});
    assert_eq!(per_response(&[one]), (vec![text("[1]")], KeptType::Text, false));
}

#[test]
fn parts_that_earlier_runs_have_keep_their_boundaries() {
    let (_folder, path) = file(line(1).repeat(600).as_bytes());
    let first = scan(&path, PlanOptions { limit: Some(20), ..PlanOptions::default() }).unwrap();
    let again = scan(&path, PlanOptions { earlier: first.parts.clone(), ..PlanOptions::default() }).unwrap();
    assert_eq!(again.parts.iter().map(|part| part.rows).collect::<Vec<_>>(), [20, 256, 256, 68]);
    assert_eq!(again.parts[0], first.parts[0]);
    let bytes = first.parts[0].bytes as usize;
    assert_eq!(again.hash_of_earlier, Some(blake3::hash(&fs::read(&path).unwrap()[..bytes]).to_hex().to_string()));
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
