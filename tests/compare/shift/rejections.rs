//! Tables that must not be compared, and samples that only one side scored.

use std::fs;

use tokshift::shift::{self, LeftOut, Options, Partial};

use super::fixture::{Output, Sample, Token, sample, samples, token, token_mean};
use tokshift::sample::Status;

/// Three samples of two tokens.
fn three() -> Vec<Sample> {
    samples(&[&[-1.0, -2.0], &[-1.5, -0.5], &[-3.0, -1.0]])
}

#[test]
fn no_reference_asks_for_one() {
    let output = Output::new();
    output.parts("writer", "task", "base", &[&three()]);
    output.parts("writer", "task", "tuned", &[&three()]);
    let expected =
        "P would be `writer`, which did not score `task` by `writer`: choose --reference from `base`, `tuned`";
    assert_eq!(output.error(), expected);
    let options = Options { reference: Some("base".to_owned()), ..Options::default() };
    assert_eq!(output.compare_with(&options).unwrap().pairs.len(), 1);
}

#[test]
fn one_model_alone_is_nothing_to_compare() {
    let output = Output::new();
    output.model("base", &three());
    assert_eq!(output.error(), "nothing to compare: no response set was scored by two models");
}

#[test]
fn filters_choose_texts() {
    let output = Output::new();
    for (generation_model, task) in [("base", "a"), ("base", "b"), ("tuned", "a")] {
        output.parts(generation_model, task, "base", &[&three()]);
        output.parts(generation_model, task, "tuned", &[&three()]);
    }
    let texts = |options: &Options| {
        let pairs = output.compare_with(options).unwrap().pairs;
        pairs.into_iter().map(|p| (p.generation_model, p.task, p.p)).collect::<Vec<_>>()
    };
    let text = |g: &str, t: &str, p: &str| (g.to_owned(), t.to_owned(), p.to_owned());
    let all = [text("base", "a", "base"), text("base", "b", "base"), text("tuned", "a", "tuned")];
    assert_eq!(texts(&Options::default()), all);
    assert_eq!(texts(&Options { tasks: vec!["b".to_owned()], ..Options::default() }), all[1..2]);
    assert_eq!(texts(&Options { generation_models: vec!["tuned".to_owned()], ..Options::default() }), all[2..]);
}

#[test]
fn different_tokens_name_the_row() {
    let output = Output::new();
    output.model("base", &three());
    let mut other = three();
    other[1].tokens[1].id = Some(77);
    output.model("tuned", &other);
    assert!(output.error().ends_with("the tokens at sample_id 1, position 1 differ"), "{}", output.error());
}

#[test]
fn without_ids_the_texts_must_agree() {
    let texts = |texts: [&str; 2]| {
        let mut model = samples(&[&[-1.0, -2.0]]);
        for (token, text) in model[0].tokens.iter_mut().zip(texts) {
            (token.id, token.text) = (None, Some(text.to_owned()));
        }
        model
    };
    let output = Output::new();
    output.model("base", &texts(["a", "b"]));
    output.model("tuned", &texts(["a", "b"]));
    assert_eq!(output.pair().tokens, 2);
    output.model("tuned", &texts(["a", "c"]));
    assert!(output.error().ends_with("the tokens at sample_id 0, position 1 differ"), "{}", output.error());
}

#[test]
fn different_contexts_need_leave() {
    let output = Output::new();
    output.model("base", &three());
    let mut other = three();
    other[2].context_hash = Some("another".to_owned());
    output.model("tuned", &other);
    assert!(
        output.error().contains("different contexts for 1 samples, the first is sample_id 2"),
        "{}",
        output.error()
    );
    let options = Options { allow_different_context: true, ..Options::default() };
    let pair = output.compare_with(&options).unwrap().pairs.remove(0);
    assert!(pair.notes.contains(&"samples scored in different contexts: 1".to_owned()), "{:?}", pair.notes);
}

#[test]
fn files_out_of_order_are_rejected() {
    let output = Output::new();
    let all = three();
    output.parts("base", "task", "base", &[&all[..1], &all[1..]]);
    output.parts("base", "task", "tuned", &[&all[..1], &all[1..]]);
    let (first, second, spare) = (output.tokens("tuned", 0), output.tokens("tuned", 1), output.root().join("spare"));
    for (from, to) in [(&first, &spare), (&second, &first), (&spare, &second)] {
        fs::rename(from, to).unwrap();
    }
    let error = output.error();
    assert!(error.contains("model=tuned/part-00000001.parquet`: not sorted: sample_id 0"), "{error}");
}

#[test]
fn samples_out_of_order_in_a_file_are_rejected() {
    let output = Output::new();
    output.model("base", &three());
    output.model("tuned", &three());
    output.reorder(&output.tokens("tuned", 0), &[2, 3, 0, 1, 4, 5]);
    assert!(output.error().contains("not sorted: sample_id 0"), "{}", output.error());
}

#[test]
fn rows_out_of_order_in_a_row_group_are_rejected() {
    let output = Output::new();
    output.model("base", &three());
    output.model("tuned", &three());
    // Within one row group, where footers show nothing.
    output.reorder(&output.tokens("tuned", 0), &[1, 0, 2, 3, 4, 5]);
    let error = output.error();
    assert!(
        error.contains("model=tuned/part-00000000.parquet`: sample_id 0, position 0 does not come after"),
        "{error}"
    );
}

#[test]
fn a_missing_row_is_told_with_the_counts() {
    let output = Output::new();
    output.model("base", &three());
    let mut other = three();
    other[1].tokens.pop();
    output.model("tuned", &other);
    let expected = "tables do not match: P has 6 rows, Q 5, 5 in both; first mismatch in sample_id 1 (P ok: 2 rows, Q ok: 1, \
                    both: 1), 0 more samples";
    assert!(output.error().ends_with(expected), "{}", output.error());
}

#[test]
fn equally_many_rows_of_other_samples_are_no_match() {
    let output = Output::new();
    let (mut one, mut other) = (three(), three());
    one[0].tokens.clear();
    other[2].tokens.clear();
    output.model("base", &one);
    output.model("tuned", &other);
    assert!(
        output.error().contains("P has 4 rows, Q 4, 2 in both; first mismatch in sample_id 0"),
        "{}",
        output.error()
    );
}

#[test]
fn foreign_tables_are_named() {
    let output = Output::new();
    output.model("base", &three());
    output.model("tuned", &three());
    let samples = output.folder("samples", "base", "task", "tuned").join("part-00000000.parquet");
    let spare = output.root().join("spare");
    fs::copy(output.tokens("tuned", 0), &spare).unwrap();
    fs::copy(&samples, output.tokens("tuned", 0)).unwrap();
    let error = output.error();
    assert!(
        error.contains("tokens/") && error.ends_with("not a table of tokshift: column `position` is missing"),
        "{error}"
    );
    fs::copy(spare, samples).unwrap();
    let error = output.error();
    assert!(error.contains("samples/") && error.ends_with("column `row_id` is missing"), "{error}");
}

#[test]
fn a_column_that_an_older_file_lacks_is_null() {
    let output = Output::new();
    output.model("base", &three());
    output.model("tuned", &three());
    let whole = output.compare().unwrap();
    // Null in all rows: numbers that these tables never knew.
    output.without(&output.tokens("tuned", 0), &["logit", "ties", "rank", "entropy", "rest_logprob", "min_logprob"]);
    let samples = output.folder("samples", "base", "task", "base").join("part-00000000.parquet");
    output.without(&samples, &["is_cut"]);
    assert_eq!(output.compare().unwrap(), whole);
    output.without(&output.tokens("base", 0), &["logprob"]);
    assert!(output.error().ends_with("not a table of tokshift: column `logprob` is missing"), "{}", output.error());
}

#[test]
fn a_sample_of_one_table_is_rejected() {
    let output = Output::new();
    output.model("base", &three());
    output.model("tuned", &three()[..2]);
    assert!(output.error().ends_with("1 samples are not in the samples table of `tuned`"), "{}", output.error());
}

#[test]
fn statuses_explain_missing_rows() {
    let output = Output::new();
    output.model("base", &three());
    let mut other = three();
    (other[0].status, other[1].status) = ("too_long", "truncated");
    other[0].tokens.clear();
    other[1].tokens.pop();
    output.model("tuned", &other);
    let pair = output.pair();
    assert_eq!((pair.samples, pair.tokens), (2, 3));
    assert_eq!(pair.left_out, [LeftOut { p: Status::Ok, q: Status::TooLong, samples: 1 }]);
    assert!(pair.notes.contains(&"samples cut to the shorter of the models' contexts: 1".to_owned()));
    assert!(shift::table(&output.compare().unwrap(), 200).contains("left out: P ok, Q too_long: 1 samples"));
}

#[test]
fn incomplete_tables_compare_what_both_have_and_say_so() {
    let output = Output::new();
    let all = three();
    let mut other = three();
    other[0].tokens[0] = token(0, -2.0);
    output.parts("base", "task", "base", &[&all[..1], &all[1..2], &all[2..]]);
    output.parts("base", "task", "tuned", &[&other[..1], &other[1..2], &other[2..]]);
    fs::remove_file(output.tokens("base", 1)).unwrap();
    fs::remove_file(output.tokens("tuned", 2)).unwrap();
    let pair = output.pair();
    assert_eq!(pair.partial, Some(Partial { compared: 1, parts: 3, missing_p: vec![1], missing_q: vec![2] }));
    assert_eq!(token_mean(&pair, "kl_k1").value, 0.5);
    let text = shift::table(&output.compare().unwrap(), 200);
    assert!(text.contains("INCOMPLETE: 1 of 3 parts compared; P lacks 1; Q lacks 2"), "{text}");
    let short = shift::overview(&output.compare().unwrap(), 200);
    assert!(
        short.contains("parts\n") && short.contains("1 of 3\n") && short.contains("INCOMPLETE: 1 of 3 parts compared"),
        "{short}"
    );
}

#[test]
fn incomplete_tables_of_other_parts_are_rejected() {
    let (of_p, of_q) = (Output::new(), Output::new());
    let all = three();
    of_p.parts("base", "task", "base", &[&all[..1], &all[1..]]);
    of_q.parts("base", "task", "tuned", &[&all[..2], &all[2..]]);
    let error = || shift::compare_aligned([of_p.root(), of_q.root()], &Options::default()).unwrap_err().to_string();
    assert!(!error().contains("split into different parts"), "{}", error());
    fs::remove_file(of_q.tokens("tuned", 1)).unwrap();
    assert!(error().contains("split into different parts"), "{}", error());
}

/// Tokens without ids are compared by their texts, also where the footer does not say how many have none.
#[test]
fn a_footer_that_does_not_count_nulls_hides_no_other_tokens() {
    let output = Output::new();
    let of = |texts: [&str; 2]| {
        let token = |text: &str| Token { text: Some(text.to_owned()), logprob: Some(-1.0), ..Token::default() };
        vec![sample(0, texts.map(token).to_vec())]
    };
    output.model("base", &of(["a", "b"]));
    output.model("tuned", &of(["a", "c"]));
    let described = "the tokens at sample_id 0, position 1 differ";
    assert!(output.error().contains(described), "{}", output.error());
    for model in ["base", "tuned"] {
        output.without_statistics(&output.tokens(model, 0));
    }
    assert!(output.error().contains(described), "{}", output.error());
}
