//! Numeric kept fields and the shift of responses, and groups that are the same in every text of a task.

use tokshift::shift::{self, FieldRelation, Options, Pair, Relation};

use super::between::{assert_is, output, reference};
use super::fixture::{Output, Sample, samples};

fn compared(output: &Output) -> Vec<Pair> {
    output.compare_with(&Options { slices: true, ..Options::default() }).unwrap().pairs
}

#[test]
fn slopes_and_correlations_are_those_of_numpy() {
    let reference = reference();
    let pairs = output(&reference).compare_with(&Options::default()).unwrap().pairs;
    let expected = reference["expected"]["relations"].as_array().unwrap();
    assert_eq!(pairs.len(), expected.len());
    for of in expected {
        let is_it = |pair: &&Pair| of["text"] == pair.p.as_str() && of["task"] == pair.task.as_str();
        let FieldRelation { field, measures, .. } = &pairs.iter().find(is_it).unwrap().fields[0];
        assert_eq!((field.as_str(), measures.len(), measures[0].name.as_str()), ("reward", 1, "kl_k1"));
        for (relation, name) in [(measures[0].per_token, "per_token"), (measures[0].per_response, "per_response")] {
            let Relation { slope, correlation } = relation.unwrap();
            assert_is(slope, &of[name]["slope"]);
            assert_is(correlation.unwrap(), &of[name]["correlation"]);
        }
    }
}

/// Log-probabilities of P are -1, of Q lower by a quarter of the sample's number.
fn rewarded(output: &Output, writer: &str, rewards: impl Fn(usize) -> Option<f64>) {
    let logprobs: Vec<Vec<f32>> = (0..48).map(|i| vec![-1.0 - 0.25 * (i % 3) as f32; 2]).collect();
    let of = |is_p: bool| -> Vec<Sample> {
        let lists: Vec<&[f32]> = logprobs.iter().map(|list| if is_p { &[-1.0, -1.0][..] } else { &list[..] }).collect();
        let with = |(i, s): (usize, Sample)| Sample { reward: rewards(i), cluster: (i / 2).to_string(), ..s };
        samples(&lists).into_iter().enumerate().map(with).collect()
    };
    output.parts(writer, "math", writer, &[&of(true)]);
    output.parts(writer, "math", "base", &[&of(false)]);
}

fn groups(pair: &Pair) -> Vec<(&str, u64)> {
    pair.slices.iter().filter(|s| s.by == "field.reward").map(|s| (s.value.as_str(), s.samples)).collect()
}

#[test]
fn every_text_of_a_task_has_the_same_groups() {
    let output = Output::new();
    rewarded(&output, "step_10", |i| Some((i % 4) as f64));
    rewarded(&output, "step_20", |i| Some(i as f64));
    let pairs = compared(&output);
    // 96 numbers: 0, 1, 2 and 3 are 13 each, the other 44 one each.
    assert_eq!(groups(&pairs[0]), [("<= 1", 24), ("1 to 3", 24)]);
    assert_eq!(groups(&pairs[1]), [("<= 1", 2), ("1 to 3", 2), ("3 to 23", 20), ("> 23", 24)]);
    // Alone, the first has few values.
    let alone = Options { slices: true, generation_models: vec!["step_10".to_owned()], ..Options::default() };
    let alone = output.compare_with(&alone).unwrap().pairs;
    assert_eq!(groups(&alone[0]), [("0", 12), ("1", 12), ("2", 12), ("3", 12)]);
}

/// A reward of the response selects text; one that the prompt decides does not.
#[test]
fn k1_beside_a_reward_of_the_response_is_not_kl() {
    let output = Output::new();
    rewarded(&output, "of_response", |i| Some((i % 2) as f64));
    rewarded(&output, "of_prompt", |i| Some((i / 2 % 2) as f64));
    let pairs = compared(&output);
    let answer = |pair: &Pair| pair.fields[0].kl_estimate.answer().to_owned();
    // No entropies: of the pair itself it is unknown.
    assert_eq!((answer(&pairs[0]), answer(&pairs[1])), ("unknown".to_owned(), "no".to_owned()));
    let table = shift::table(&output.compare().unwrap(), 200);
    assert!(table.contains("kl_k1* in nats/token") && table.contains("kl_k1? in nats/token"), "{table}");
    assert!(
        table.contains("* not a KL estimate: field.reward depends on the responses: selected text is not P's"),
        "{table}"
    );
}

#[test]
fn numbers_that_are_missing_are_left_out() {
    let output = Output::new();
    rewarded(&output, "writer", |i| (i % 3 > 0).then_some(if i == 1 { f64::NAN } else { i as f64 }));
    let pair = compared(&output).remove(0);
    assert_eq!(pair.fields[0].measures[0].per_token.unwrap().slope.n, 31);
    rewarded(&output, "writer", |_| Some(1.0));
    assert!(compared(&output).remove(0).fields.is_empty());
}
