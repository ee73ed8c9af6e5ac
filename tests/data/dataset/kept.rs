//! Kept fields: their types, and lists with a value per response.

use super::{keep, line, options, rows_of, scanned};
use tokshift::dataset::{ReadRow, RowOptions};
use tokshift::sample::Kept;
use tokshift::schema::KeptType;

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
