//! Whether k1 and k3 estimate KL(P‖Q): whose text it is.

use std::fs;

use arrow::array::{Array, AsArray};
use proptest::prelude::*;
use tokshift::shift::{self, Comparison, KlEstimate, Options, Pair};

use super::fixture::{Output, Sample, Three, drawn, read, sample, scored, token, token_mean};

const P: Three = [0.5, 0.25, 0.25];
const Q: Three = [0.5, 0.1, 0.4];
/// Gives tokens of P's probabilities as P does on average: ln p + H(P) has the expectation 0 on its text too.
const OTHER_STEP: Three = [0.5, 0.4, 0.1];

fn text_of(writer: &Three, samples: usize) -> Output {
    let output = Output::new();
    let texts = drawn(samples, writer);
    output.model("base", &scored(&texts, &P));
    output.model("tuned", &scored(&texts, &Q));
    output
}

fn answer(pair: &Pair) -> (&str, &str) {
    (pair.kl_estimate.answer(), pair.kl_estimate.reason())
}

#[test]
fn samples_of_p_are_its_own() {
    let comparison = text_of(&P, 40).compare().unwrap();
    assert_eq!(comparison.pairs[0].kl_estimate, KlEstimate::Yes);
    let [table, overview] = [shift::table(&comparison, 200), shift::overview(&comparison, 200)];
    assert!(!table.contains("(not KL)") && !table.contains("KL?"), "{table}");
    assert!(!overview.contains(['*', '?']), "{overview}");
}

/// What was sampled decides which samples are too long, or hold an id that Q lacks.
#[test]
fn samples_that_are_left_out_for_what_they_say_leave_chosen_ones() {
    let answer_with = |p: &'static str, q: &'static str| {
        let output = Output::new();
        let texts = drawn(41, &P);
        let (mut base, mut tuned) = (scored(&texts, &P), scored(&texts, &Q));
        (base[3].status, tuned[3].status) = (p, q);
        output.model("base", &base);
        output.model("tuned", &tuned);
        output.pair().kl_estimate
    };
    for (p, q) in [("ok", "failed"), ("too_long", "too_long")] {
        let KlEstimate::Unknown { reason } = answer_with(p, q) else { panic!("{p} {q}") };
        assert!(reason.starts_with("1 samples were left out for their length"), "{reason}");
    }
    assert_eq!(answer_with("empty", "empty"), KlEstimate::Yes);
}

/// Rollouts of another step in a file of this one's name.
#[test]
fn what_bounds_or_the_ratio_contradict_is_no_estimate() {
    let stale = text_of(&OTHER_STEP, 40).pair();
    let own = token_mean(&stale, "logprob_plus_entropy_p");
    assert!(own.value.abs() < 3.0 * own.stderr.unwrap(), "the first test sees nothing: {own:?}");
    let (answer_is, reason) = answer(&stale);
    assert!(answer_is == "no" && reason.ends_with("errors above kl_upper"), "{answer_is}: {reason}");

    // The other way: Q gives more to what the other step says.
    let output = Output::new();
    let texts = drawn(40, &OTHER_STEP);
    output.model("base", &scored(&texts, &P));
    output.model("tuned", &scored(&texts, &[0.5, 0.4, 0.1]));
    let pair = output.pair();
    assert!(token_mean(&pair, "kl_k1").value < 0.0);
    assert!(pair.kl_estimate.reason().ends_with("errors below kl_lower"), "{:?}", pair.kl_estimate);

    // Without lists and the rest there are no bounds.
    let without = |model: &Three| {
        let mut samples = scored(&texts, model);
        for token in samples.iter_mut().flat_map(|sample| &mut sample.tokens) {
            (token.top, token.top_logprobs, token.rest) = (Vec::new(), Vec::new(), None);
        }
        samples
    };
    output.model("base", &without(&P));
    output.model("tuned", &without(&Q));
    let pair = output.pair();
    let (answer_is, reason) = answer(&pair);
    assert!(answer_is == "no" && reason.starts_with("the mean ratio q/p is 0.8"), "{answer_is}: {reason}");
}

/// A stale text that one Q shows and another does not.
#[test]
fn what_one_q_shows_holds_for_all() {
    let output = text_of(&OTHER_STEP, 40);
    let texts = drawn(40, &OTHER_STEP);
    // As P, but for a shift that the text's own does not touch.
    let near: Three = [0.49, 0.255, 0.255];
    output.model("near", &scored(&texts, &near));
    let comparison = compare(&output, Options { slices: true, ..Options::default() });
    let [near, tuned] = &comparison.pairs[..] else { panic!("{}", comparison.pairs.len()) };
    assert!(answer(tuned).1.starts_with("the mean of kl_k1 lies"), "{:?}", tuned.kl_estimate);
    let (answer_is, reason) = answer(near);
    assert!(answer_is == "no" && reason.starts_with("compared with Q = `tuned`, the mean of kl_k1 lies"), "{reason}");
    assert!(
        near.notes[0].contains("compared with Q = `tuned`")
            && near.slices.iter().all(|s| s.kl_estimate.answer() == "no")
    );
    let [difference] = &comparison.differences[..] else { panic!("{}", comparison.differences.len()) };
    assert_eq!(difference.kl_estimate.answer(), "no");
    // Alone it is not refuted, and what another program wrote refutes no other pair.
    output.imported("tuned");
    assert_eq!(compare(&output, Options::default()).pairs[0].kl_estimate, KlEstimate::Yes);
}

#[test]
fn unknown_with_few_clusters_or_without_entropies() {
    let few = text_of(&OTHER_STEP, 29);
    assert_eq!(answer(&few.pair()).0, "unknown");
    let comparison = few.compare().unwrap();
    let note = "note: kl_k1 and kl_k3 are not known to be a KL estimate: of 29 clusters";
    let table = shift::table(&comparison, 200);
    assert!(table.contains("kl_k1 (KL?)") && table.contains("kl_k3 (KL?)") && table.contains(note), "{table}");
    assert!(shift::overview(&comparison, 200).contains("? k1 is not known to be a KL estimate: of 29 clusters"));

    let entropies = |unknown: fn(usize) -> bool| {
        let output = Output::new();
        let texts = drawn(40, &P);
        let mut of_p = scored(&texts, &P);
        let tokens = of_p.iter_mut().flat_map(|sample| &mut sample.tokens).enumerate();
        tokens.filter(|(place, _)| unknown(*place)).for_each(|(_, token)| token.entropy = None);
        output.model("base", &of_p);
        output.model("tuned", &scored(&texts, &Q));
        output.pair()
    };
    assert_eq!(answer(&entropies(|_| true)), ("unknown", "P's entropy is not known"));
    assert_eq!(answer(&entropies(|place| place == 7)), ("unknown", "P's entropy is not known at 1 of 800 tokens"));
    assert_eq!(answer(&entropies(|_| false)).0, "yes");
}

#[test]
fn a_token_that_p_cannot_say_is_not_its_own() {
    let output = Output::new();
    let texts = drawn(40, &P);
    let mut of_p = scored(&texts, &P);
    of_p[3].tokens[2].logprob = Some(f32::NEG_INFINITY);
    output.model("base", &of_p);
    output.model("tuned", &scored(&texts, &Q));
    assert_eq!(answer(&output.pair()), ("no", "P gives a token of the text no probability at all"));
}

fn compare(output: &Output, options: Options) -> Comparison {
    output.compare_with(&options).unwrap()
}

#[test]
fn whose_name_the_text_has_comes_first() {
    let output = text_of(&P, 40);
    let turned = compare(&output, Options { reference: Some("tuned".to_owned()), ..Options::default() });
    assert_eq!(answer(&turned.pairs[0]), ("no", "the responses are by `base`, not by P"));
    // A copy of the writer is not the writer.
    let texts = drawn(40, &P);
    output.model("copy", &scored(&texts, &P));
    let copy = compare(&output, Options { reference: Some("copy".to_owned()), ..Options::default() });
    assert!(copy.pairs.iter().all(|pair| pair.kl_estimate.answer() == "no"));
}

#[test]
fn windows_of_a_text_are_samples_of_no_model() {
    let (output, texts) = (text_of(&P, 40), drawn(40, &P));
    output.windows();
    output.model("base", &scored(&texts, &P));
    output.model("tuned", &scored(&texts, &Q));
    let comparison = output.compare().unwrap();
    assert_eq!(answer(&comparison.pairs[0]), ("no", "windows of a text are samples of no model"));
    assert!(shift::table(&comparison, 200).contains("kl_k1 (not KL)"));
    let described = Options { own_text: Some("base".to_owned()), ..Options::default() };
    let error = output.compare_with(&described).unwrap_err().to_string();
    assert!(error.starts_with("--own-text: `base` scored no response set whose writer is unknown"), "{error}");
}

#[test]
fn a_writer_is_told_where_the_name_says_none_that_was_scored() {
    let output = Output::new();
    let texts = drawn(40, &P);
    for (model, of) in [("base", &P), ("tuned", &Q)] {
        output.parts("human", "task", model, &[&scored(&texts, of)]);
    }
    let reference = |reference: &str| Options { reference: Some(reference.to_owned()), ..Options::default() };
    assert_eq!(answer(&compare(&output, reference("base")).pairs[0]), ("no", "the responses are by `human`, not by P"));
    // It is P too, unless another is requested.
    let described = Options { own_text: Some("base".to_owned()), ..Options::default() };
    let comparison = compare(&output, described.clone());
    assert_eq!((comparison.pairs[0].p.as_str(), comparison.pairs[0].kl_estimate.answer()), ("base", "yes"));
    let other = compare(&output, Options { own_text: described.own_text.clone(), ..reference("tuned") });
    assert_eq!(answer(&other.pairs[0]), ("no", "the responses are by `base`, not by P"));
    // What the name says stands, and who was not scored wrote nothing that is compared.
    let named = text_of(&P, 40);
    for writer in ["tuned", "unscored"] {
        let described = Options { own_text: Some(writer.to_owned()), ..Options::default() };
        assert!(named.compare_with(&described).unwrap_err().to_string().starts_with("--own-text: "));
    }
}

/// The answers of k1's rows, and of all other measures' but k3's, by slice and by whether they are differences or over all
/// tasks.
#[test]
fn every_figure_has_its_answer() {
    let output = text_of(&P, 40);
    let few = drawn(10, &P);
    let own = drawn(40, &P);
    output.model("third", &scored(&own, &[0.4, 0.3, 0.3]));
    for (model, of) in [("base", &P), ("tuned", &Q)] {
        output.parts("base", "few", model, &[&scored(&few, of)]);
    }
    let comparison = compare(&output, Options { slices: true, ..Options::default() });
    assert_eq!(comparison.differences[0].kl_estimate, KlEstimate::Yes);
    let overall = &comparison.overall[0].kl_estimate;
    assert_eq!(overall.answer(), "unknown");
    assert!(overall.reason().starts_with("few: of 10 clusters"), "{overall:?}");
    let json = serde_json::to_value(&comparison).unwrap();
    assert_eq!(json["overall"][0]["kl_estimate"]["answer"], "unknown");
    let of_pair = &json["pairs"][0]["kl_estimate"];
    assert!(
        of_pair["answer"] == "unknown" && of_pair["reason"].as_str().unwrap().starts_with("of 10 clusters"),
        "{of_pair}"
    );
    assert!(json["pairs"][1]["kl_estimate"]["reason"].as_str().unwrap().starts_with("P wrote the text"));
    assert_eq!(json["pairs"][0]["slices"][0]["kl_estimate"]["answer"], "unknown");

    let path = output.root().join("statistics.parquet");
    fs::write(&path, shift::statistics_file(&comparison, shift::FileFormat::Parquet).unwrap()).unwrap();
    let table = read(&path);
    let text = |name: &str, row: usize| {
        let column = table[name].as_string::<i32>();
        column.is_valid(row).then(|| column.value(row))
    };
    for row in 0..table.num_rows() {
        let needs = text("measure", row).unwrap().starts_with("kl_k");
        let expected = match text("task", row) {
            _ if !needs => None,
            Some("task") => Some("yes"),
            _ => Some("unknown"),
        };
        assert_eq!((text("kl_estimate", row), text("kl_estimate_reason", row).is_some()), (expected, needs), "{row}");
    }
}

#[test]
fn one_no_among_several_is_a_no() {
    let output = text_of(&P, 40);
    let texts = drawn(40, &OTHER_STEP);
    for (model, of) in [("base", &P), ("tuned", &Q)] {
        output.parts("base", "stale", model, &[&scored(&texts, of)]);
        output.parts("base", "few", model, &[&scored(&texts[..3], of)]);
    }
    let comparison = output.compare().unwrap();
    let overall = &comparison.overall[0];
    assert_eq!(overall.kl_estimate.answer(), "no");
    assert!(overall.kl_estimate.reason().starts_with("stale: the mean of kl_k1 lies"), "{overall:?}");
    let table = shift::table(&comparison, 200);
    let all = table.split("over 3 tasks").nth(1).unwrap();
    assert!(
        all.contains("kl_k1 (not KL)") && all.contains("note: kl_k1 and kl_k3 are not a KL estimate: stale: "),
        "{all}"
    );
}

/// Nothing shows that two imports are of one text.
#[test]
fn tokens_without_ids_and_texts_are_told_of() {
    let output = Output::new();
    let bare = |logprob: f32| -> Vec<Sample> {
        let bare = |id| sample(id, vec![super::fixture::Token { id: None, ..token(0, logprob) }; 2]);
        (0..40).map(bare).collect()
    };
    output.model("base", &bare(-1.0));
    output.model("tuned", &bare(-2.0));
    let pair = output.pair();
    let note = "tokens of which `base` and `tuned` have neither ids nor texts, so that nothing shows that both read one text: 80";
    assert!(pair.notes.iter().any(|described| described == note), "{:?}", pair.notes);
    assert_eq!(pair.kl_estimate.answer(), "unknown");
    assert!(pair.kl_estimate.reason().starts_with("80 tokens have neither an id nor a text on both sides"));
}

fn three() -> impl Strategy<Value = Three> {
    (0.05..1.0, 0.05..1.0, 0.05..1.0).prop_map(|(a, b, c): (f64, f64, f64)| [a, b, c].map(|x| x / (a + b + c)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whoever wrote the text: what is shown as KL is it, but for noise.
    #[test]
    fn what_is_shown_as_kl_is_near_it(p in three(), q in three(), writer in prop::option::of(three())) {
        let kl: f64 = p.iter().zip(&q).map(|(p, q)| p * (p / q).ln()).sum();
        let output = Output::new();
        let texts = drawn(40, &writer.unwrap_or(p));
        output.model("base", &scored(&texts, &p));
        output.model("tuned", &scored(&texts, &q));
        let pair = compare(&output, Options::default()).pairs.remove(0);
        let k1 = token_mean(&pair, "kl_k1");
        let is_near = (k1.value - kl).abs() <= 3.0 * k1.stderr.unwrap() + 1e-4;
        prop_assert!(is_near || pair.kl_estimate.answer() == "no", "{k1:?} is not {kl}");
    }
}
