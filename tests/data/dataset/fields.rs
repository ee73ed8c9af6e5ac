//! Fields of a row: which are read, and what is wrong with them.

use super::{parse, text, wholes};
use tokshift::dataset::{Content, Row, RowOptions};
use tokshift::sample::Kept;

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
