//! The same rows however a file holds them, the shapes that rows have, and files that mean harm.

mod common;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::json::ReaderBuilder;
use arrow::json::reader::infer_json_schema;
use common::{Columns, Scene, many_rows, rows};
use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};
use tokshift::dataset::{Content, FieldNames, Plan, PlanOptions, ReadRow, Row, RowOptions, scan};

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
    PlanOptions { rows: RowOptions { keep, ..RowOptions::default() }, limit: None }
}

fn plan(scene: &Scene, name: &str, bytes: &[u8]) -> Plan {
    scan(&scene.write(name, bytes), options(&[])).unwrap()
}

/// Where each row is, and what it holds; lines and elements are numbered differently.
fn read(plan: &Plan, part: u32) -> Vec<ReadRow> {
    plan.read_part(part).unwrap().into_iter().map(|row| ReadRow { line: 0, ..row }).collect()
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
        ("[]", "holds no rows"),
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

/// The contents of a row, `--fields` as given.
fn contents_as(row: &Value, fields: &[&str]) -> Result<Vec<Content>, String> {
    let fields: Vec<String> = fields.iter().map(|&pair| pair.to_owned()).collect();
    let options = RowOptions { fields: FieldNames::parse(&fields)?, ..RowOptions::default() };
    Row::parse(row.to_string().as_bytes(), &options, &[]).map(|row| row.contents)
}

fn contents(row: &Value) -> Result<Vec<Content>, String> {
    contents_as(row, &[])
}

fn text(input: &str, output: &str) -> Content {
    Content::Text { input: input.into(), output: output.into(), cut: None }
}

#[test]
fn every_shape_is_known_by_its_fields() {
    for row in [
        json!({"input": "a", "output": "b", "prompt": "x"}),
        json!({"prompt": "a", "response": "b", "output": 7}),
        json!({"prompt": "a", "completion": "b", "response": null}),
        json!({"prompt": "a", "responses": ["b"]}),
        json!({"arguments": [["a", {"until": []}]], "resps": [["b"]], "filtered_resps": ["x"], "doc": {}}),
    ] {
        assert_eq!(contents(&row), Ok(vec![text("a", "b")]), "{row}");
    }
    let rollouts = json!({"prompt": "a", "responses": ["b", "", "c"], "finish_reason": ["stop", null, "length"]});
    let cut = Content::Text { input: "a".into(), output: "c".into(), cut: Some(true) };
    let ended = Content::Text { input: "a".into(), output: "b".into(), cut: Some(false) };
    assert_eq!(contents(&rollouts), Ok(vec![ended, text("a", ""), cut]));

    let messages = json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": [{"type": "text"}]},
        {"role": "tool"}, {"role": "assistant", "content": null, "tool_calls": []}]);
    let chat = json!({"messages": messages, "tools": [{"name": "f"}], "finish_reason": "length"});
    let expected = Content::Chat {
        messages: messages.to_string(),
        tools: Some(r#"[{"name":"f"}]"#.into()),
        before: 0,
        turns: 2,
        cut: Some(true),
    };
    assert_eq!(contents(&chat), Ok(vec![expected]));
}

/// As TRL and verl write them: the turns of the prompt are context.
#[test]
fn a_prompt_of_messages_goes_on() {
    let user = json!({"role": "user", "content": "q"});
    let assistant = |text: &str| json!({"content": text, "role": "assistant"});
    let prompt = json!([user, assistant("first"), user]);
    let chat = |rest: &[Value], turns: u32, cut: Option<bool>| Content::Chat {
        messages: json!(prompt.as_array().unwrap().iter().chain(rest).collect::<Vec<_>>()).to_string(),
        tools: None,
        before: 1,
        turns,
        cut,
    };
    let same = |got: Result<Vec<Content>, String>, wanted: Vec<Content>| {
        // Field order of the messages that are written here does not matter.
        let parsed = |contents: Vec<Content>| -> Vec<(Value, Content)> {
            let mut contents = contents;
            let take = |content: &mut Content| match content {
                Content::Chat { messages, .. } => serde_json::from_str(&std::mem::take(messages)).unwrap(),
                other => panic!("{other:?}"),
            };
            contents.iter_mut().map(|content| (take(content), content.clone())).collect()
        };
        assert_eq!(parsed(got.unwrap()), parsed(wanted));
    };
    let messages = [assistant("a"), user.clone(), assistant("b")];
    same(contents(&json!({"prompt": prompt, "completion": messages})), vec![chat(&messages, 2, None)]);
    let one = [assistant("a")];
    same(contents(&json!({"prompt": prompt, "completion": "a"})), vec![chat(&one, 1, None)]);
    same(
        contents(&json!({"prompt": prompt, "response": one, "finish_reason": "length"})),
        vec![chat(&one, 1, Some(true))],
    );
    same(contents_as(&json!({"p": prompt, "r": "a"}), &["input=p", "output=r"]), vec![chat(&one, 1, None)]);
    let rollouts = json!({"prompt": prompt, "responses": ["a", "b"], "finish_reason": ["stop", "length"]});
    same(contents(&rollouts), vec![chat(&one, 1, Some(false)), chat(&[assistant("b")], 1, Some(true))]);

    let bad = |row: Value, reason: &str| assert_eq!(contents(&row), Err(reason.to_owned()), "{row}");
    bad(json!({"prompt": prompt, "completion": [user]}), "`completion` has no turn of the assistant");
    let open = "`prompt` ends with a turn of the assistant, which no template leaves open";
    bad(json!({"prompt": [assistant("a")], "completion": "b"}), open);
}

#[test]
fn ids_are_read_alone_and_win() {
    let ids = |response: &[u32], output: Option<&str>| Content::Ids {
        prompt: vec![1, 2],
        response: response.to_vec(),
        input: Some("a".into()),
        output: output.map(str::to_owned),
        cut: None,
    };
    let one = json!({"prompt_token_ids": [1, 2], "response_token_ids": [3], "prompt": "a", "response": "b"});
    assert_eq!(contents(&one), Ok(vec![ids(&[3], Some("b"))]));
    let several = json!({"prompt_token_ids": [1, 2], "response_token_ids": [[3], [], [4, 5]], "input": "a",
        "messages": [], "prompt": [{"role": "user"}], "responses": ["b"]});
    assert_eq!(contents(&several), Ok(vec![ids(&[3], Some("b")), ids(&[], None), ids(&[4, 5], None)]));
    let mixed = json!({"prompt_token_ids": [1, 2], "response_token_ids": [3, [4]]});
    assert!(contents(&mixed).unwrap_err().starts_with("`response_token_ids` holds no token ids"));
}

/// How a generation ended, in the fields and words that servers, evaluations and trainers have for it.
#[test]
fn rows_say_whether_they_were_cut() {
    let cuts = |mut row: Value, fields: Value| -> Result<Vec<Option<bool>>, String> {
        row.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let cut = |content: &Content| match content {
            Content::Text { cut, .. } | Content::Ids { cut, .. } | Content::Chat { cut, .. } => *cut,
        };
        contents(&row).map(|contents| contents.iter().map(cut).collect())
    };
    let user = json!([{"role": "user", "content": "q"}]);
    for (name, value, is_cut) in [
        ("finish_reason", json!("length"), Some(true)),
        ("finish_reason", json!("MAX_TOKENS"), Some(true)),
        ("finish_reason", json!("FinishReason.LENGTH"), Some(true)),
        ("finish_reason", json!({"type": "length", "length": 512}), Some(true)),
        ("finish_reason", json!({"type": "stop", "matched": 151_645}), Some(false)),
        ("finish_reason", json!("tool_calls"), Some(false)),
        ("finish_reason", json!("whatever"), None),
        ("finish_reason", json!(null), None),
        ("stop_reason", json!("max_tokens"), Some(true)),
        ("stop_reason", json!("end_turn"), Some(false)),
        ("stop_reason", json!(1), None),
        ("truncated", json!(true), Some(true)),
        ("is_truncated", json!(false), Some(false)),
        ("response_truncated", json!(1.0), Some(true)),
        ("truncated", json!("the text"), None),
    ] {
        let said = json!({ name: value });
        for row in [
            json!({"input": "a", "output": "b"}),
            json!({"prompt": user, "completion": "b"}),
            json!({"messages": [{"role": "assistant", "content": "b"}]}),
            json!({"prompt_token_ids": [1], "response_token_ids": [2]}),
        ] {
            assert_eq!(cuts(row, said.clone()), Ok(vec![is_cut]), "{said}");
        }
        let each = json!({ name: [value, null] });
        for row in [
            json!({"prompt": "a", "responses": ["b", "c"]}),
            json!({"prompt": user, "responses": ["b", "c"]}),
            json!({"prompt_token_ids": [1], "response_token_ids": [[2], [3]]}),
        ] {
            assert_eq!(cuts(row.clone(), said.clone()), Ok(vec![is_cut; 2]), "{said}");
            assert_eq!(cuts(row, each.clone()), Ok(vec![is_cut, None]), "{each}");
        }
    }
    let (two, one) = (json!({"prompt": "a", "responses": ["b", "c"]}), json!({"input": "a", "output": "b"}));
    let both = json!({"finish_reason": "stop", "stop_reason": "length", "truncated": [true, false]});
    assert_eq!(cuts(two.clone(), both), Ok(vec![Some(true), Some(false)]), "the first reason, and any flag");
    assert_eq!(cuts(two.clone(), json!({"finish_reasons": ["length", "stop"]})), Ok(vec![Some(true), Some(false)]));
    assert_eq!(cuts(one.clone(), json!({"finish_reason": ["length"]})), Ok(vec![Some(true)]));
    assert_eq!(cuts(two.clone(), json!({"truncated": []})), Ok(vec![None; 2]));
    assert_eq!(
        cuts(two, json!({"finish_reason": ["stop", "stop", "length"]})),
        Err("`finish_reason` has 3 entries, the row has 2 responses that they could be of".to_owned())
    );
    let named = Row::parse(
        br#"{"input": "a", "output": "b", "why": "length"}"#,
        &RowOptions { fields: FieldNames::parse(&["finish_reason=why".into()]).unwrap(), ..RowOptions::default() },
        &[],
    );
    assert!(matches!(named.unwrap().contents[0], Content::Text { cut: Some(true), .. }));
}

#[test]
fn logs_of_evaluations_give_what_was_generated_or_weighed() {
    let row = json!({"doc_id": 0, "doc": {"question": "?"}, "target": "x", "resps": [["b", "c"], ["d"]],
        "arguments": {"gen_args_0": {"arg_0": "a", "arg_1": {"until": ["\n"]}}, "gen_args_1": {"arg_0": "e", "arg_1": {}}}});
    assert_eq!(contents(&row), Ok(vec![text("a", "b"), text("a", "c"), text("e", "d")]));
    // As the harness writes the answers to multiple choice: pairs of a log-likelihood and whether it was greedy.
    let row = json!({"arguments": {"gen_args_0": {"arg_0": "q", "arg_1": " yes"}, "gen_args_1": {"arg_0": "q", "arg_1": " no"}},
        "resps": [[["-1.5", "True"]], [["-2.0", "False"]]]});
    assert_eq!(contents(&row), Ok(vec![text("q", " yes"), text("q", " no")]));
    assert_eq!(contents(&json!({"arguments": [["whole"]], "resps": [["-9"]]})), Ok(vec![text("", "whole")]));
    for (arguments, resps, message) in [
        (json!([]), json!([]), "`arguments` + `resps` without a response"),
        (json!("a"), json!([]), "`arguments` is no list of requests"),
        (json!([["a", {}]]), json!([]), "request 0 of `arguments` has no list of texts in `resps`"),
        (json!([["a", "b"], [1]]), json!([]), "request 1 of `arguments` is neither a prompt with settings, nor one"),
    ] {
        let error = contents(&json!({"arguments": arguments, "resps": resps})).unwrap_err();
        assert!(error.starts_with(message), "{error}");
    }
}

#[test]
fn a_row_of_two_shapes_is_refused_until_it_is_said_which() {
    let both = json!({"input": "a", "output": "b", "prompt": "c", "completion": "d"});
    let error =
        "the row has `input` + `output` and also `prompt` + `completion`: say with --fields which of them is meant";
    assert_eq!(contents(&both), Err(error.to_owned()));
    assert_eq!(contents_as(&both, &["input=input"]), Ok(vec![text("a", "b")]));
    assert_eq!(contents_as(&both, &["completion=completion"]), Ok(vec![text("c", "d")]));

    let other = json!({"question": "q", "answer": "r", "input": "a", "output": "b", "messages": []});
    assert_eq!(contents_as(&other, &["input=question", "output=answer"]), Ok(vec![text("q", "r")]));
    assert_eq!(contents_as(&other, &["prompt=question", "response=answer"]), Ok(vec![text("q", "r")]));
    assert_eq!(contents_as(&other, &["output=answer"]), Ok(vec![text("a", "r")]));
    let missing = contents_as(&other, &["input=question", "output=reply"]).unwrap_err();
    assert!(missing.starts_with("no `reply` field (fields found: "), "{missing}");
    let row = Row::parse(
        br#"{"uid": 4, "input": "a", "output": "b"}"#,
        &RowOptions { fields: FieldNames::parse(&["id=uid".into()]).unwrap(), ..RowOptions::default() },
        &[],
    );
    assert_eq!(row.unwrap().id.as_deref(), Some("4"));

    for (fields, message) in [
        (&["input"][..], "`input`: expected NAME=FIELD, as in input=question"),
        (&["input="], "`input=`: expected NAME=FIELD, as in input=question"),
        (&["question=input"], "`question=input`: no kind of row has a field `question`"),
        (&["id=a", "id=b"], "`id=b`: `id` stands twice"),
        (&["input=a", "messages=b"], "`input=a,messages=b`: no kind of row has all of these"),
    ] {
        assert_eq!(contents_as(&json!({}), fields), Err(message.to_owned()));
    }
}

#[test]
fn rows_without_a_response_are_bad_rows() {
    for (row, message) in [
        (json!({"prompt": "a"}), "no `response` field (fields found: prompt)"),
        (json!({"prompt": "a", "responses": []}), "`prompt` + `responses` without a response"),
        (json!({"prompt": "a", "responses": "b"}), "`responses` is a string, expected a list of responses"),
        (json!({"prompt": "a", "responses": ["b", null]}), "`responses` holds no responses as strings: "),
        (json!({"prompt": ["a"], "response": "b"}), "`prompt` is a list, expected a string"),
        (json!({"prompt": [], "response": "b"}), "`prompt` is a list, expected a string"),
        (json!({"prompt": [{"a": 1}], "response": "b"}), "`prompt` holds no messages with a `role` each: "),
        (json!({"prompt": [{"role": "user"}], "response": 1}), "`response` is a number, expected a string"),
        (json!({"messages": [{"role": "user"}]}), "`messages` has no turn of the assistant"),
        (json!({"messages": [{"content": "a"}]}), "`messages` holds no messages with a `role` each: "),
        (json!({"messages": {}}), "`messages` is an object, expected a list of messages"),
        (
            json!({"prompt": "x".repeat(1 << 20), "responses": vec![""; 257]}),
            "257 samples that repeat 1048576 bytes each are too much",
        ),
    ] {
        let error = contents(&row).unwrap_err();
        assert!(error.starts_with(message), "{error}");
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
    assert!(error("G_t.jsonl.zst", &bomb).ends_with("it unpacks to more than 1000 times its size"));

    let table = parquet(&rows());
    assert!(error("G_t.parquet", &table[..table.len() - 9]).contains("not a Parquet file that can be read"));
    assert!(error("G_t.parquet", b"PAR1").contains("not a Parquet file that can be read"));
    let middle = table.len() / 3;
    let damaged = [&table[..40], &vec![0xFF; middle], &table[40 + middle..]].concat();
    assert!(error("G_t.parquet", &damaged).contains("its Parquet cannot be read"));
}

#[test]
fn columns_of_a_table_are_fields() {
    let scene = Scene::new();
    let column = |values: Vec<Option<&str>>| Arc::new(arrow::array::LargeStringArray::from(values)) as ArrayRef;
    let columns = [("input", column(vec![Some("a"), None])), ("output", column(vec![Some("b"), Some("c")]))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    let plan = plan(&scene, "whatever", &writer.into_inner().unwrap());
    let rows = plan.read_part(0).unwrap();
    assert_eq!(rows[0].content.as_ref().unwrap().contents, [text("a", "b")]);
    assert_eq!(rows[1].content, Err("row 2 of the table: no `input` field (fields found: output)".into()));
}
