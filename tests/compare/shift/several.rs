//! Quantiles, two Qs, several tasks, and the table of all figures.

use std::fs;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, UInt64Type};
use tokshift::shift::{self, Comparison, Options};

use super::fixture::{Output, Sample, assert_close, named, read, samples, token_mean};

const P: [&[f32]; 4] = [&[-1.0, -2.0, -0.5], &[-1.5], &[-0.25, -3.0], &[-2.0, -1.0]];
const ONE: [&[f32]; 4] = [&[-1.5, -1.0, -0.75], &[-2.5], &[-0.5, -2.0], &[-2.25, -4.0]];
const TWO: [&[f32]; 4] = [&[-1.25, -2.5, -0.5], &[-1.0], &[-1.0, -2.75], &[-3.0, -1.5]];

/// Samples of which the first two share a prompt.
fn clustered(logprobs: &[&[f32]]) -> Vec<Sample> {
    let mut samples = samples(logprobs);
    if samples.len() > 1 {
        let shared = samples[0].cluster.clone();
        samples[1].cluster = shared;
    }
    samples
}

fn compare(output: &Output) -> Comparison {
    output.compare_with(&Options { quantiles: Some(shift::EXACT), ..Options::default() }).unwrap()
}

/// Two Qs on one task.
fn two_models() -> Output {
    let output = Output::new();
    for (name, logprobs) in [("base", P), ("one", ONE), ("two", TWO)] {
        output.model(name, &clustered(&logprobs));
    }
    output
}

#[test]
fn quantiles_are_those_of_the_tokens() {
    let comparison = compare(&two_models());
    let all = &comparison.pairs[0].quantiles;
    // Nothing knew a rank.
    let names: Vec<_> = all.iter().map(|q| (q.measure.as_str(), q.exact)).collect();
    assert_eq!(names, [("kl_k1", true), ("kl_k3", true), ("delta_logprob", true), ("delta_p", true)]);
    let k1 = P.concat().into_iter().zip(ONE.concat()).map(|(a, b)| f64::from(a) - f64::from(b));
    let mut k1: Vec<f64> = k1.collect();
    k1.sort_by(f64::total_cmp);
    let value = |name: &str| all[0].quantiles.iter().find(|q| q.name == name).unwrap().estimate;
    assert_eq!([value("min").value, value("max").value], [k1[0], k1[7]]);
    assert_close(value("median").value, f64::midpoint(k1[3], k1[4]));
    assert_close(value("q0.90").value, k1[6] + (k1[7] - k1[6]) * 0.3);
    assert_eq!((value("median").n, value("median").clusters), (8, 3));
    // k1 is the difference of log-probability with its sign turned.
    let turned = all[2].quantiles.iter().find(|q| q.name == "q0.10").unwrap();
    assert_close(turned.estimate.value, -value("q0.90").value);
}

#[test]
fn more_values_than_fit_go_into_a_histogram() {
    let output = two_models();
    let exact = compare(&output).pairs.remove(0).quantiles;
    let options = Options { quantiles: Some(7), ..Options::default() };
    let binned = output.compare_with(&options).unwrap().pairs.remove(0).quantiles;
    assert_eq!((exact.len(), binned.len()), (4, 4));
    for (a, b) in exact.iter().zip(&binned) {
        assert_eq!((&a.measure, a.exact, b.exact), (&b.measure, true, false));
        for (a, b) in a.quantiles.iter().zip(&b.quantiles) {
            let largest = exact.iter().flat_map(|q| &q.quantiles).map(|q| q.estimate.value.abs()).fold(0.0, f64::max);
            assert_eq!((&a.name, a.estimate.n, a.estimate.clusters), (&b.name, b.estimate.n, b.estimate.clusters));
            assert!((a.estimate.value - b.estimate.value).abs() <= 0.005 * largest, "{a:?} {b:?}");
        }
    }
}

#[test]
fn quantiles_are_only_taken_if_asked_for() {
    assert!(two_models().compare().unwrap().pairs.iter().all(|p| p.quantiles.is_empty()));
}

#[test]
fn two_models_differ_by_their_paired_tokens() {
    let comparison = two_models().compare().unwrap();
    let [difference] = &comparison.differences[..] else { panic!("{:?}", comparison.differences) };
    assert_eq!((difference.q.as_str(), difference.minus.as_str(), difference.samples), ("one", "two", 4));
    let k1 = &difference.measures[0];
    let [one, two] = [0, 1].map(|i| token_mean(&comparison.pairs[i], "kl_k1"));
    assert_close(k1.token_mean.unwrap().value, one.value - two.value);
    let sample_means = [0, 1].map(|i| named(&comparison.pairs[i], "kl_k1").sample_mean.unwrap().value);
    assert_close(k1.sample_mean.unwrap().value, sample_means[0] - sample_means[1]);
    // P drops out: the same as k1 of P = two, Q = one.
    let options = Options { reference: Some("two".to_owned()), ..Options::default() };
    let turned = two_models().compare_with(&options).unwrap();
    let turned = token_mean(turned.pairs.iter().find(|p| p.q == "one").unwrap(), "kl_k1");
    assert_close(k1.token_mean.unwrap().stderr.unwrap(), turned.stderr.unwrap());
}

#[test]
fn a_sample_that_one_model_lacks_is_not_paired() {
    let output = two_models();
    let mut fewer = clustered(&TWO);
    fewer[3].status = "too_long";
    fewer[3].tokens.clear();
    output.model("fewer", &fewer);
    let comparison = output.compare().unwrap();
    let found = comparison.differences.iter().find(|d| (d.q.as_str(), d.minus.as_str()) == ("fewer", "two")).unwrap();
    let k1 = found.measures[0].token_mean.unwrap();
    assert_eq!((found.samples, k1.n, k1.value, k1.stderr), (3, 6, 0.0, Some(0.0)));
}

/// One pair on two tasks whose clusters have the same names.
fn two_tasks() -> Output {
    let output = Output::new();
    for (task, p, q) in [("easy", &P[..], &ONE[..]), ("hard", &P[..2], &TWO[..2])] {
        output.parts("base", task, "base", &[&clustered(p)]);
        output.parts("base", task, "tuned", &[&clustered(q)]);
    }
    output
}

/// A name that means one model in one task and another in the next.
#[test]
fn tasks_of_different_weights_are_not_pooled() {
    let output = two_tasks();
    let manifest = output.folder("runs", "base", "hard", "tuned").join("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("\"dtype\": \"f32\"", "\"dtype\": \"bf16\"")).unwrap();
    let comparison = output.compare().unwrap();
    assert_eq!((comparison.pairs.len(), comparison.overall.len()), (2, 0));
    let note = "tasks `easy`, `hard` are not pooled: the files or the dtype of a model differ between them";
    assert!(comparison.pairs.iter().all(|pair| pair.notes.iter().any(|n| n == note)), "{comparison:?}");
}

#[test]
fn tasks_are_pooled_and_averaged() {
    let comparison = two_tasks().compare().unwrap();
    let [overall] = &comparison.overall[..] else { panic!("{:?}", comparison.overall) };
    assert_eq!(overall.tasks, ["easy", "hard"]);
    assert!(overall.partial_tasks.is_empty() && overall.missing_tasks.is_empty());
    let [easy, hard] = [0, 1].map(|i| token_mean(&comparison.pairs[i], "kl_k1"));
    let k1 = &overall.measures[0];
    let pooled = k1.token_mean.unwrap();
    assert_close(pooled.value, (easy.value * easy.n as f64 + hard.value * hard.n as f64) / (easy.n + hard.n) as f64);
    // The prompt that both tasks have is one cluster, whose tokens of both move together.
    assert_eq!((pooled.n, pooled.clusters), (12, 3));
    let k1_of = |p: &[&[f32]], q: &[&[f32]]| -> Vec<f64> {
        p.concat().iter().zip(q.concat()).map(|(a, b)| f64::from(*a) - f64::from(b)).collect()
    };
    let shared = [k1_of(&P[..2], &ONE[..2]), k1_of(&P[..2], &TWO[..2])].concat();
    let clusters = [shared, k1_of(&P[2..3], &ONE[2..3]), k1_of(&P[3..], &ONE[3..])];
    let squares = clusters.map(|of| (of.iter().sum::<f64>() - pooled.value * of.len() as f64).powi(2));
    assert_close(pooled.stderr.unwrap(), (3.0 / 2.0 * squares.iter().sum::<f64>()).sqrt() / 12.0);
    assert_close(k1.mean_of_token_means.unwrap().value, f64::midpoint(easy.value, hard.value));
    // One cluster has no error, nor has a mean over it.
    assert_eq!((hard.stderr, k1.mean_of_token_means.unwrap().stderr), (None, None));
}

/// Whoever reads what several tasks give together sees that it is of some of the text.
#[test]
fn what_is_missing_of_a_task_is_told_beside_all_of_them() {
    let output = two_tasks();
    for (model, logprobs) in [("base", &P), ("tuned", &TWO)] {
        let all = clustered(&logprobs[..]);
        output.parts("base", "long", model, &[&all[..2], &all[2..]]);
        output.parts("base", "other", model, &[&all]);
    }
    fs::remove_file(output.folder("tokens", "base", "long", "tuned").join("part-00000001.parquet")).unwrap();
    fs::write(output.folder("tokens", "base", "other", "tuned").join("part-00000000.parquet"), "no table").unwrap();
    let comparison = output.compare().unwrap();
    let overall = &comparison.overall[0];
    assert_eq!(overall.tasks, ["easy", "hard", "long"]);
    assert_eq!((&overall.partial_tasks[..], &overall.missing_tasks[..]), (&["long".into()][..], &["other".into()][..]));
    let text = shift::table(&comparison, 200);
    let head =
        "over 3 tasks by `base`\nINCOMPLETE: parts are missing of `long`; nothing was compared of `other`\n\nmeasure";
    assert!(text.contains(head), "{text}");
    let path = output.root().join("statistics.parquet");
    fs::write(&path, shift::statistics_file(&comparison, shift::FileFormat::Parquet).unwrap()).unwrap();
    let table = read(&path);
    let of_all = |row: &usize| table["task"].is_null(*row);
    assert!((0..table.num_rows()).filter(of_all).all(|row| table["partial"].as_boolean().value(row)));
}

#[test]
fn statistics_are_one_long_table() {
    let (output, comparison) = (two_tasks(), compare(&two_tasks()));
    let path = output.root().join("statistics.parquet");
    fs::write(&path, shift::statistics_file(&comparison, shift::FileFormat::Parquet).unwrap()).unwrap();
    let table = read(&path);
    let text = |name: &str| table[name].as_string::<i32>();
    let find = |task: Option<&str>, measure: &str, statistic: &str| {
        (0..table.num_rows()).find(|i| {
            let task_of = text("task").is_valid(*i).then(|| text("task").value(*i));
            (task_of, text("measure").value(*i), text("statistic").value(*i)) == (task, measure, statistic)
        })
    };
    let row = find(Some("easy"), "kl_k1", "token_mean").unwrap();
    let expected = token_mean(&comparison.pairs[0], "kl_k1");
    let number = |name: &str| table[name].as_primitive::<Float64Type>().value(row);
    assert_eq!(
        [number("value"), number("stderr"), number("low")].map(Some)[..],
        [Some(expected.value), expected.stderr, expected.low]
    );
    assert_eq!(table["n"].as_primitive::<UInt64Type>().value(row), expected.n);
    let names = ["p", "q", "generation_model", "slice"].map(|name| text(name).value(row));
    assert_eq!(names, ["base", "tuned", "base", "all"]);
    assert!(find(Some("hard"), "kl_k3", "q0.999").is_some() && find(Some("hard"), "kl_k1", "response_mean").is_some());
    assert!(find(None, "ratio", "mean_of_token_means").is_some() && find(None, "ratio", "median").is_none());
}

#[test]
fn statistics_hold_slices_and_differences() {
    let output = two_models();
    let options = Options { slices: true, ..Options::default() };
    let comparison = output.compare_with(&options).unwrap();
    let path = output.root().join("statistics.parquet");
    fs::write(&path, shift::statistics_file(&comparison, shift::FileFormat::Parquet).unwrap()).unwrap();
    let table = read(&path);
    let text = |name: &str, row| {
        table[name].as_string::<i32>().is_valid(row).then(|| table[name].as_string::<i32>().value(row))
    };
    let rows = |name: &str, value: &str| (0..table.num_rows()).filter(|i| text(name, *i) == Some(value)).count();
    // Two pairs, a token at either position, nine measures with two means where the columns have them.
    assert!(rows("slice", "position=0") > 0 && rows("slice", "position=0") == rows("slice", "position=1"));
    assert_eq!(rows("minus", "two"), 2 * comparison.differences[0].measures.len());
    let row = (0..table.num_rows()).find(|i| text("minus", *i) == Some("two")).unwrap();
    let value = table["value"].as_primitive::<Float64Type>().value(row);
    assert_eq!(Some(value), comparison.differences[0].measures[0].token_mean.map(|m| m.value));
    assert!(rows("measure", "perplexity_q") > 0);
}

#[test]
fn the_table_goes_on_below_the_pairs() {
    let text = shift::table(&compare(&two_models()), 200);
    assert!(text.contains("`one` - `two`, P = `base`, on `task` by `base`: 4 samples\n\nmeasure"), "{text}");
    assert!(text.contains("median ± s.e."), "{text}");
    let text = shift::table(&two_tasks().compare().unwrap(), 200);
    assert!(text.contains("P = `base`, Q = `tuned` over 2 tasks by `base`\n\nmeasure"), "{text}");
}
