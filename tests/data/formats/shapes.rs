//! The shapes that rows have, and what is said of those that have none.

use serde_json::{Value, json};
use tokshift::dataset::{Content, FieldNames, Row, RowOptions};

use super::text;

/// The contents of a row, `--fields` as given.
fn contents_as(row: &Value, fields: &[&str]) -> Result<Vec<Content>, String> {
    let fields: Vec<String> = fields.iter().map(|&pair| pair.to_owned()).collect();
    let options = RowOptions { fields: FieldNames::parse(&fields)?, ..RowOptions::default() };
    Row::parse(row.to_string().as_bytes(), &options, &[]).map(|row| row.contents)
}

fn contents(row: &Value) -> Result<Vec<Content>, String> {
    contents_as(row, &[])
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
        kwargs: None,
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
        kwargs: None,
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
    // Messages next to ids are passed over, next to several as next to one.
    let message = json!([{"role": "assistant", "content": "b"}]);
    let single = json!({"prompt_token_ids": [1, 2], "response_token_ids": [3], "prompt": "a", "response": message});
    assert_eq!(contents(&single), Ok(vec![ids(&[3], None)]));
    for responses in [json!([message, "c"]), json!([message[0], "c"])] {
        let nested = json!({"prompt_token_ids": [1, 2], "response_token_ids": [[3], [4]], "prompt": "a", "responses": responses});
        assert_eq!(contents(&nested), Ok(vec![ids(&[3], None), ids(&[4], Some("c"))]), "{nested}");
    }
    let mixed = json!({"prompt_token_ids": [1, 2], "response_token_ids": [3, [4]]});
    assert!(contents(&mixed).unwrap_err().starts_with("`response_token_ids` holds no token ids"));
}

#[test]
fn dumps_of_rollouts_are_known_by_their_fields() {
    let is_dump = |row: Value| Row::parse(row.to_string().as_bytes(), &RowOptions::default(), &[]).unwrap().is_dump;
    assert!(is_dump(json!({"input": "a", "output": "b", "gts": "4", "score": 1.0, "step": 3, "acc": true})));
    assert!(is_dump(json!({"input": "a", "output": "b", "gts": null, "score": 1.0, "step": 3})));
    assert!(is_dump(json!({"step": 1, "prompt": "a", "completion": "b", "reward": 1, "advantage": -0.5})));
    assert!(!is_dump(json!({"input": "a", "output": "b", "score": 1.0, "step": 3})));
    assert!(!is_dump(json!({"prompt": "a", "completion": "b", "advantage": -0.5})));
}

#[test]
fn rows_of_ids_with_a_mask() {
    let masked = |ids: &[u32], sampled: &[bool], cut| {
        Ok(vec![Content::Masked { ids: ids.to_vec(), sampled: sampled.to_vec(), cut }])
    };
    let (ids, sampled) = ([5, 6, 7, 8, 9], [false, true, false, true, true]);
    for mask in [json!([0, 1, 0, 1, 1]), json!(sampled), json!([0.0, 1.0, 0, true, 1])] {
        assert_eq!(contents(&json!({"token_ids": ids, "mask": mask})), masked(&ids, &sampled, None), "{mask}");
        let beside = json!({"token_ids": ids, "loss_mask": mask, "prompt": "a", "response": "b", "truncated": true});
        assert_eq!(contents(&beside), masked(&ids, &sampled, Some(true)), "{mask}");
    }
    // What follows the last sampled token decides nothing: padding, or a tool's last answer.
    let padded = json!({"token_ids": [5, 6, 0, 0], "mask": [0, 1, 0, 0]});
    assert_eq!(contents(&padded), masked(&[5, 6], &[false, true], None));
    let none = json!({"token_ids": [5, 6], "mask": [0, 0]});
    assert_eq!(contents(&none), masked(&[5, 6], &[false, false], None));

    let both = json!({"token_ids": [5, 6], "mask": [0, 1], "loss_mask": [1, 1]});
    let choose =
        "the row has `token_ids` + `mask` and also `token_ids` + `loss_mask`: choose one of them with --fields";
    assert_eq!(contents(&both), Err(choose.to_owned()));
    assert_eq!(contents_as(&both, &["mask=loss_mask"]), masked(&[5, 6], &[true, true], None));
    assert_eq!(contents_as(&both, &["mask=mask"]), masked(&[5, 6], &[false, true], None));
    let nemo = json!({"token_ids": [5, 6], "token_loss_mask": [0, 1]});
    assert_eq!(contents_as(&nemo, &["mask=token_loss_mask"]), masked(&[5, 6], &[false, true], None));

    let bad = |row: Value, reason: &str| assert_eq!(contents(&row), Err(reason.to_owned()), "{row}");
    bad(json!({"token_ids": [5, 6], "mask": [1]}), "`mask` has 1 entries for 2 token ids in `token_ids`");
    bad(json!({"token_ids": [5, 6], "loss_mask": []}), "`loss_mask` has 0 entries for 2 token ids in `token_ids`");
    bad(json!({"token_ids": [5, 6], "mask": [0, 2]}), "`mask` is no list of flags: item 1 is 2");
    bad(json!({"token_ids": [5, 6]}), "no `mask` field (fields found: token_ids)");
    let two = json!({"prompt_token_ids": [5], "response_token_ids": [6], "token_ids": [5, 6], "mask": [0, 1]});
    bad(
        two,
        "the row has `prompt_token_ids` + `response_token_ids` and also `token_ids` + `mask`: choose one of them with --fields",
    );
    for wrong in [json!([5, -1]), json!([[5, 6]]), json!([5, "6"])] {
        let found = contents(&json!({"token_ids": wrong, "mask": [0, 1]})).unwrap_err();
        assert!(found.starts_with("`token_ids` holds no token ids"), "{found}");
    }
    let text = json!({"token_ids": [5, 6], "input": "a", "output": "b"});
    assert_eq!(
        contents(&text),
        Ok(vec![super::text("a", "b")]),
        "ids without a mask say nothing of which were sampled"
    );
    bad(json!({"mask": [1], "input": "a"}), "no `output` field (fields found: mask, input)");
}

/// How a generation ended, in the fields and words that servers, evaluations and trainers have for it.
#[test]
fn rows_say_whether_they_were_cut() {
    let cuts = |mut row: Value, fields: Value| -> Result<Vec<Option<bool>>, String> {
        row.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let cut = |content: &Content| match content {
            Content::Text { cut, .. }
            | Content::Ids { cut, .. }
            | Content::Masked { cut, .. }
            | Content::Chat { cut, .. } => *cut,
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
        ("stop_reason", json!("length"), Some(true)),
        ("stop_reason", json!(1), None),
        // vLLM's is the text that stopped it.
        ("stop_reason", json!("truncated"), None),
        ("stop_reason", json!("Length"), None),
        ("stop_reason", json!("x.length"), None),
        ("stop_type", json!("limit"), Some(true)),
        ("stop_type", json!("eos"), Some(false)),
        ("stop_type", json!("word"), Some(false)),
        ("stop_type", json!("none"), None),
        ("finish_reason", json!({"type": "stop", "matched": "length"}), Some(false)),
        ("finish_reason", json!(""), None),
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
    // A reason of any word leaves nothing to a text that stopped it; what is null does.
    for (finish, is_cut) in
        [("stop", Some(false)), ("repetition", None), ("content_filter", None), ("length", Some(true))]
    {
        for stop in ["max_tokens", "length", "abort"] {
            let both = json!({"finish_reason": finish, "stop_reason": stop});
            assert_eq!(cuts(one.clone(), both.clone()), Ok(vec![is_cut]), "{both}");
        }
    }
    let null = json!({"finish_reason": null, "stop_reason": "max_tokens"});
    assert_eq!(cuts(one.clone(), null), Ok(vec![Some(true)]));
    // llama.cpp's `truncated` is about the context.
    assert_eq!(cuts(one.clone(), json!({"truncated": false, "stop_type": "limit"})), Ok(vec![Some(true)]));
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
        (json!("a"), json!([]), "`arguments` is not a list of requests"),
        (json!([["a", {}]]), json!([]), "request 0 of `arguments` has no list of texts in `resps`"),
        (json!([["a", "b"], [1]]), json!([]), "request 1 of `arguments` is neither a prompt with settings, nor one"),
        (
            json!({"gen_args_0": {"arg_0": "a <image>", "arg_1": {}, "arg_2": {"visual": ["PIL"], "audio": []}}}),
            json!([["b"]]),
            "request 0 of `arguments` has more than text, `visual`, `audio`: only text requests are scored",
        ),
        (json!([["a", " b", {"visual": []}]]), json!([]), "request 0 of `arguments` has more than text, `visual`"),
        (json!([[["[{\"role\": \"user\"}]"], {}]]), json!([["b"]]), "request 0 of `arguments` is a chat for a server"),
        (json!({"gen_args_0": {"arg_0": "a", "arg_2": {}}}), json!([["b"]]), "request 0 of `arguments` is neither"),
        (json!({"gen_args_0": ["a", {}], "more": 1}), json!([["b"]]), "`arguments` is not a list of requests"),
        (json!([["a", {}]]), json!([["b"], ["c"]]), "`resps` are of 2 requests, `arguments` are 1"),
    ] {
        let error = contents(&json!({"arguments": arguments, "resps": resps})).unwrap_err();
        assert!(error.starts_with(message), "{error}");
    }
}

#[test]
fn a_row_of_two_shapes_is_rejected_until_it_is_said_which() {
    let both = json!({"input": "a", "output": "b", "prompt": "c", "completion": "d"});
    let error = "the row has `input` + `output` and also `prompt` + `completion`: choose one of them with --fields";
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

/// As ShareGPT's files have them, and as trainers read them.
#[test]
fn conversations_are_read_as_messages() {
    let turns = json!([{"from": "system", "value": "s"}, {"from": "human", "value": "a"},
        {"from": "gpt", "value": "b", "weight": 1}, {"from": "user", "value": "c"}, {"from": "chatgpt", "value": "d"}]);
    let message = |role: &str, content: &str| json!({"role": role, "content": content});
    let mut second = message("assistant", "b");
    second["weight"] = json!(1);
    let messages =
        json!([message("system", "s"), message("user", "a"), second, message("user", "c"), message("assistant", "d")]);
    let chat = |messages: &Value, turns| Content::Chat {
        messages: messages.to_string(),
        tools: None,
        kwargs: None,
        before: 0,
        turns,
        cut: None,
    };
    assert_eq!(contents(&json!({"conversations": turns, "system": ""})), Ok(vec![chat(&messages, 2)]));
    let as_messages = json!([message("user", "a"), message("assistant", "b")]);
    assert_eq!(contents(&json!({"conversations": as_messages})), Ok(vec![chat(&as_messages, 1)]));
    // What was made of the conversation is read, where a row has it.
    let both = json!({"conversations": turns, "prompt": "a", "response": "b"});
    assert_eq!(contents(&both), Ok(vec![text("a", "b")]));
    assert_eq!(contents_as(&both, &["conversations=conversations"]), Ok(vec![chat(&messages, 2)]));
    for (row, message) in [
        (
            json!({"conversations": [{"from": "observation", "value": "x"}]}),
            "turn 0 (from 0) of `conversations` is from `observation`; known are `system`, `human`, ",
        ),
        (
            json!({"conversations": [{"from": "gpt", "value": ["x"]}]}),
            "turn 0 (from 0) of `conversations` has neither texts `from` and `value` nor a `role`",
        ),
        (
            json!({"conversations": [{"from": "gpt", "value": "x", "role": "user"}]}),
            "turn 0 (from 0) of `conversations` has neither",
        ),
        (json!({"conversations": [{"from": "human", "value": "x"}]}), "`conversations` has no turn of the assistant"),
        (
            json!({"conversations": turns, "system": "s"}),
            "the row has both `system` and `conversations`, which programs read differently",
        ),
    ] {
        let error = contents(&row).unwrap_err();
        assert!(error.starts_with(message), "{error}");
    }
}
