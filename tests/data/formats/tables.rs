//! Parquet as others write it. `tests/fixtures/parquet` is pyarrow's, by `scripts/make_parquet_fixtures.py`.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BinaryViewArray, DictionaryArray, FixedSizeBinaryArray, FixedSizeListBuilder,
    Int16Array, Int64Array, Int64Builder, IntervalMonthDayNanoArray, LargeBinaryArray, LargeListBuilder,
    LargeStringArray, MapBuilder, RecordBatch, StringArray, StringBuilder, StringViewArray, StructArray, UInt32Builder,
    new_null_array,
};
use arrow::datatypes::{DataType, Field, IntervalMonthDayNano, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};
use tokshift::dataset::{Content, Plan, Row, scan};
use tokshift::sample::Kept;

use super::{options, parquet, text};
use crate::common::Scene;

fn written(columns: Vec<(&str, ArrayRef)>, compression: Compression) -> Vec<u8> {
    let field = |(name, column): &(&str, ArrayRef)| Field::new(*name, column.data_type().clone(), true);
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    let batch = RecordBatch::try_new(schema.clone(), columns).unwrap();
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn plain(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    written(columns, Compression::UNCOMPRESSED)
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn rows(plan: &Plan) -> Vec<Result<Row, String>> {
    plan.read_part(0).unwrap().into_iter().map(|row| row.content).collect()
}

/// The rows of a table of these bytes, with fields to keep.
fn read(bytes: &[u8], keep: &[&str]) -> Result<Vec<Result<Row, String>>, String> {
    let scene = Scene::new();
    let plan = scan(&scene.write("G_t.parquet", bytes), options(keep)).map_err(|e| e.to_string())?;
    Ok(rows(&plan))
}

fn contents(bytes: &[u8]) -> Vec<Content> {
    read(bytes, &[]).unwrap().into_iter().flat_map(|row| row.unwrap().contents).collect()
}

fn fixture(name: &str) -> Plan {
    scan(&Path::new("tests/fixtures/parquet").join(name), options(&[])).unwrap()
}

#[test]
fn every_codec_is_read() {
    for name in ["none", "snappy", "gzip", "brotli", "zstd", "lz4"] {
        let rows = rows(&fixture(&format!("{name}.parquet")));
        let contents: Vec<_> = rows.into_iter().flat_map(|row| row.unwrap().contents).collect();
        assert_eq!(contents, [text("Hi", " there"), text("Hi", " and"), text("Hi", " here")], "{name}");
    }
    let columns = || vec![("prompt", texts(&[Some("Hi")])), ("response", texts(&[Some(" there")]))];
    for codec in [
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
    ] {
        assert_eq!(contents(&written(columns(), codec)), [text("Hi", " there")], "{codec:?}");
    }
}

#[test]
fn unused_columns_may_contain_anything() {
    let plan = fixture("everything.parquet");
    let rows = rows(&plan);
    let cut = |output: &str, cut| Content::Text { input: "Hi".into(), output: output.into(), cut };
    assert_eq!(rows[0].as_ref().unwrap().contents, [cut(" there", Some(true))]);
    assert_eq!(rows[1].as_ref().unwrap().contents, [cut(" and", None)]);

    let interval = IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(1, 2, 0)]);
    let odd: ArrayRef = Arc::new(BinaryArray::from(vec![&b"\xff"[..]]));
    let table = |name: &'static str, column: ArrayRef| {
        written(
            vec![(name, column), ("prompt", texts(&[Some("Hi")])), ("response", texts(&[Some(" there")]))],
            Compression::SNAPPY,
        )
    };
    if let Ok(bytes) = std::panic::catch_unwind(|| table("took", Arc::new(interval))) {
        assert_eq!(contents(&bytes), [text("Hi", " there")]);
    }
    // Of other shapes, or a name alone.
    for name in ["id", "output", "messages", "arguments", "tools"] {
        let rows = read(&table(name, odd.clone()), &[]);
        if name == "tools" || name == "id" {
            assert_eq!(rows.unwrap()[0].as_ref().unwrap().contents, [text("Hi", " there")], "{name}");
        } else if name == "messages" {
            assert!(rows.unwrap_err().contains("and also `messages`: choose one of them with --fields"), "{name}");
        } else {
            assert_eq!(rows.unwrap()[0].as_ref().unwrap().contents, [text("Hi", " there")], "{name}");
        }
    }
}

/// Strings of every type, and bytes that decode to them: Impala, old Spark and fastparquet write no others.
#[test]
fn text_is_text_whatever_type_it_has() {
    let (hi, there) = ("Hi", " thére");
    let bytes = there.as_bytes();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![there])),
        Arc::new(LargeStringArray::from(vec![there])),
        Arc::new(StringViewArray::from(vec![there])),
        Arc::new(BinaryArray::from(vec![bytes])),
        Arc::new(LargeBinaryArray::from(vec![bytes])),
        Arc::new(BinaryViewArray::from(vec![bytes])),
        Arc::new(FixedSizeBinaryArray::try_from_iter([bytes].into_iter()).unwrap()),
        Arc::new(DictionaryArray::new(Int16Array::from(vec![1]), Arc::new(StringArray::from(vec!["x", there])))),
    ];
    for column in columns {
        let kind = column.data_type().clone();
        let table = plain(vec![("prompt", texts(&[Some(hi)])), ("response", column)]);
        assert_eq!(contents(&table), [text(hi, there)], "{kind}");
    }
    let broken: ArrayRef = Arc::new(BinaryArray::from(vec![&b"ok"[..], b"\xff\xfe"]));
    let table = plain(vec![("prompt", texts(&[Some(hi); 2])), ("response", broken)]);
    let rows = read(&table, &[]).unwrap();
    assert_eq!(rows[0].as_ref().unwrap().contents, [text(hi, "ok")]);
    let message =
        "row 1 of the table (from 0): `response` contains bytes that are not UTF-8 (the column is of type Binary)";
    assert_eq!(rows[1], Err(message.to_owned()));
    let error = read(&std::fs::read("tests/fixtures/parquet/everything.parquet").unwrap(), &["by_number"]).unwrap_err();
    assert!(error.contains("`by_number` is a map by keys of type Int64, which is not read"), "{error}");
}

/// What Python shows of each value; numbers that no double holds and what has no number are texts.
#[test]
fn kept_columns_hold_what_the_file_holds() {
    let bytes = std::fs::read("tests/fixtures/parquet/everything.parquet").unwrap();
    let kept = |name: &str| -> [Kept; 2] {
        let rows = read(&bytes, &[name]).unwrap();
        let kept: Vec<Kept> = rows.into_iter().map(|row| row.unwrap().kept.remove(0).whole).collect();
        kept.try_into().unwrap()
    };
    let number = Kept::Number;
    let text = |value: &str| Kept::Text(value.to_owned());
    let is_nan = |value: &Kept| matches!(value, Kept::Number(x) if x.is_nan());
    let [reward, none] = kept("reward");
    assert!(reward == number(f64::INFINITY) && is_nan(&none), "{none:?}");
    let [nothing, null] = kept("nothing");
    assert!(is_nan(&nothing) && null == Kept::Null, "a value though no number: {nothing:?}, {null:?}");
    assert_eq!(kept("single"), [number(0.100_000_001_490_116_12), number(-1.000_000_015_047_466_2e30)]);
    assert_eq!(kept("half"), [number(0.5), number(65504.0)]);
    assert_eq!(kept("large"), [text("18446744073709551615"), text("1")]);
    assert_eq!(kept("snowflake"), [text("9007199254740993"), text("-9223372036854775808")]);
    assert_eq!(kept("price"), [number(1.5), Kept::Null]);
    assert_eq!(kept("exact"), [text("12345678901234567890.12"), Kept::Null]);
    assert_eq!(kept("naive"), [text("2025-01-02T12:00:00.500"), Kept::Null]);
    assert_eq!(kept("zoned"), [text("2025-01-02T12:00:00.500Z"), Kept::Null]);
    assert_eq!(kept("day"), [text("2025-01-02"), Kept::Null]);
    assert_eq!(kept("time"), [text("12:00:00.500"), Kept::Null]);
    assert_eq!(kept("nested"), [text(r#"[{"role":"user","content":"a","tool_calls":null}]"#), text("[]")]);
    assert_eq!(kept("tags"), [text(r#"["a",null]"#), Kept::Null]);
    assert_eq!(kept("names"), [text(r#"{"a":1}"#), text("{}")]);
}

/// As `datasets` 4 reads it: `None` in every field that a row does not have. Templates see no such field of a message.
#[test]
fn a_table_has_every_field_in_every_row() {
    let call = |arguments: Value| json!({"role": "assistant", "content": "", "tool_calls": [{"arguments": arguments}]});
    let tool = |more: Value| json!({"type": "function", "function": more});
    let rows = [
        json!({"messages": [{"role": "user", "content": "q"}, call(json!({"city": "Ulm"}))], "tools": [tool(json!({"a": 1}))]}),
        json!({"messages": [call(json!({"unit": "C"}))], "tools": [tool(json!({"b": 2}))]}),
    ];
    let want = [
        (
            json!([{"role": "user", "content": "q", "tool_calls": null}, call(json!({"city": "Ulm", "unit": null}))]),
            json!([tool(json!({"a": 1, "b": null}))]),
        ),
        (json!([call(json!({"city": null, "unit": "C"}))]), json!([tool(json!({"a": null, "b": 2}))])),
    ];
    let read = contents(&parquet(&rows));
    let parsed = |content: &Content| match content {
        Content::Chat { messages, tools, .. } => {
            let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            (json(messages), json(tools.as_deref().unwrap()))
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(read.iter().map(parsed).collect::<Vec<_>>(), want);

    // A request that only other rows have is none.
    let request = |text: &str| json!({"arg_0": text, "arg_1": {"until": ["."]}});
    let rows = [
        json!({"arguments": {"gen_args_0": request("a")}, "resps": [["b"]]}),
        json!({"arguments": {"gen_args_0": request("c"), "gen_args_1": request("d")}, "resps": [["e"], ["f"]]}),
    ];
    assert_eq!(contents(&parquet(&rows)), [text("a", "b"), text("c", "e"), text("d", "f")]);
}

#[test]
fn an_object_has_no_field_twice() {
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for (key, value) in [("a", 1), ("b", 2), ("a", 3)] {
        map.keys().append_value(key);
        map.values().append_value(value);
    }
    map.append(true).unwrap();
    let field = || Arc::new(Field::new("x", DataType::Utf8, true));
    let two = StructArray::new(vec![field(), field()].into(), vec![texts(&[Some("a")]), texts(&[Some("b")])], None);
    for (column, what) in [
        (Arc::new(map.finish()) as ArrayRef, "`y` holds a map with the key \"a\" twice, of which JSON keeps one"),
        (Arc::new(two), "`y` holds objects with two fields `x`, of which JSON keeps one"),
    ] {
        let table = plain(vec![("input", texts(&[Some("a")])), ("output", texts(&[Some("b")])), ("y", column)]);
        let error = read(&table, &["y"]).unwrap_err();
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn ids_are_lists_of_any_whole_numbers() {
    let mut large = LargeListBuilder::new(Int64Builder::new());
    large.values().append_slice(&[1, 2]);
    large.append(true);
    let mut fixed = FixedSizeListBuilder::new(UInt32Builder::new(), 2);
    fixed.values().append_slice(&[3, u32::MAX]);
    fixed.append(true);
    let table =
        plain(vec![("prompt_token_ids", Arc::new(large.finish())), ("response_token_ids", Arc::new(fixed.finish()))]);
    let ids = Content::Ids { prompt: vec![1, 2], response: vec![3, u32::MAX], input: None, output: None, cut: None };
    assert_eq!(contents(&table), [ids]);
}

#[test]
fn what_is_missing_is_told_in_the_tables_terms() {
    let table = plain(vec![("input", texts(&[Some("a"), None])), ("output", texts(&[Some("b"), Some("c")]))]);
    let rows = read(&table, &[]).unwrap();
    assert_eq!(rows[0].as_ref().unwrap().contents, [text("a", "b")]);
    assert_eq!(rows[1], Err("row 1 of the table (from 0): `input` is null".to_owned()));

    let number: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let table = plain(vec![("question", texts(&[Some("a")])), ("n", number.clone()), ("answer", texts(&[Some("b")]))]);
    let error = read(&table, &[]).unwrap_err();
    assert!(error.contains("no `input` field (fields found: question, n, answer)"), "{error}");
    let many = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"].map(|name| (name, number.clone()));
    let error = read(&plain(many.to_vec()), &[]).unwrap_err();
    assert!(error.contains("(fields found: a, b, c, d, e, f, g, h, …)"), "{error}");
    let table = plain(vec![("prompt", texts(&[Some("a")])), ("response", new_null_array(&DataType::Null, 1))]);
    assert!(read(&table, &[]).unwrap_err().contains("`response` is null"));
    let twice = vec![("input", texts(&[Some("a")])), ("input", texts(&[Some("b")])), ("output", texts(&[Some("c")]))];
    assert!(read(&plain(twice), &[]).unwrap_err().contains("field `input` stands twice"));

    let error = scan(Path::new("tests/fixtures/parquet/empty.parquet"), options(&[])).unwrap_err().to_string();
    assert!(error.ends_with("contains no rows"), "{error}");
}
