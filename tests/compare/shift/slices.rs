//! Slices of the tokens, and the largest differences.

use tokshift::shift::{Options, Pair, ReadFirst, Slice};

use super::fixture::{Output, Sample, Token, assert_close, sample, token, token_mean};

/// A sample whose tokens are these texts with P's or Q's log-probabilities, and an end token.
fn written(id: u32, group: &str, tokens: &[(&str, f32)], end: f32) -> Sample {
    let text = |(text, logprob): &(&str, f32)| Token { text: Some((*text).to_owned()), ..token(1, *logprob) };
    let mut all: Vec<Token> = tokens.iter().map(text).collect();
    all.push(Token { text: Some(String::new()), is_end: true, ..token(2, end) });
    let response = Some(tokens.iter().map(|t| t.0).collect());
    Sample { response, group: Some(group.to_owned()), cluster: "one".to_owned(), ..sample(id, all) }
}

const TEXTS: [&str; 6] = ["<think>", "Hm", "</think>", " 42", "!", "\n"];

fn model(logprobs: [[f32; 7]; 2]) -> [Sample; 2] {
    let sample = |id: usize, group| {
        let tokens: Vec<_> = TEXTS.into_iter().zip(logprobs[id]).collect();
        written(id as u32, group, &tokens, logprobs[id][6])
    };
    [sample(0, "easy"), Sample { cluster: "two".to_owned(), ..sample(1, "hard") }]
}

fn output() -> Output {
    let output = Output::new();
    output.model("base", &model([[-1.0; 7], [-2.0; 7]]));
    output.model(
        "tuned",
        &model([[-1.5, -2.0, -1.0, -4.0, -1.25, -1.0, -1.5], [-2.0, -3.0, -2.0, -2.0, -2.0, -2.0, -9.0]]),
    );
    output
}

fn compared() -> Pair {
    let options = Options { slices: true, ..Options::default() };
    output().compare_with(&options).unwrap().pairs.remove(0)
}

fn slice<'a>(pair: &'a Pair, by: &str, value: &str) -> &'a Slice {
    pair.slices.iter().find(|s| (s.by.as_str(), s.value.as_str()) == (by, value)).unwrap()
}

/// Tokens, and the mean of k1 over them.
fn k1(pair: &Pair, by: &str, value: &str) -> (u64, f64) {
    let slice = slice(pair, by, value);
    let mean = slice.measures.iter().find(|m| m.name == "kl_k1").unwrap().token_mean.unwrap();
    assert_eq!(mean.n, slice.tokens);
    (slice.tokens, mean.value)
}

#[test]
fn every_slice_has_the_mean_of_its_tokens() {
    let pair = compared();
    let expect = |by: &str, value: &str, tokens: u64, sum: f64| {
        let (n, mean) = k1(&pair, by, value);
        assert_eq!(n, tokens, "{by} {value}");
        assert_close(mean, sum / tokens as f64);
    };
    expect("region", "think", 6, 0.5 + 1.0 + 1.0);
    expect("region", "answer", 6, 3.0 + 0.25);
    expect("region", "end", 2, 0.5 + 7.0);
    expect("kind", "word", 6, 0.5 + 1.0 + 1.0);
    expect("kind", "number", 2, 3.0);
    expect("kind", "punctuation", 2, 0.25);
    expect("kind", "whitespace", 2, 0.0);
    expect("kind", "special", 2, 7.5);
    expect("position", "0", 2, 0.5);
    expect("position", "1", 2, 2.0);
    expect("position", "2-3", 4, 3.0);
    expect("position", "4-7", 6, 0.25 + 7.5);
    expect("field.group", "easy", 7, 0.5 + 1.0 + 3.0 + 0.25 + 0.5);
    expect("field.group", "hard", 7, 1.0 + 7.0);
    assert_eq!(pair.slices.len(), 14);
}

#[test]
fn slices_of_a_dimension_add_up_to_the_whole() {
    let pair = compared();
    let whole = token_mean(&pair, "kl_k1");
    for by in ["region", "kind", "position", "field.group"] {
        let of = pair.slices.iter().filter(|s| s.by == by).map(|s| k1(&pair, by, &s.value));
        let (n, sum) = of.fold((0, 0.0), |(n, sum), (tokens, mean)| (n + tokens, sum + mean * tokens as f64));
        assert_eq!(n, whole.n);
        assert_close(sum / n as f64, whole.value);
    }
}

#[test]
fn a_slices_error_is_clustered() {
    let pair = compared();
    let easy = slice(&pair, "field.group", "easy").measures[0].token_mean.unwrap();
    assert_eq!((easy.clusters, easy.stderr), (1, None));
    // Sums 0.5 and 7 over one token in each cluster, mean 3.75: se = sqrt(2 (3.25² + 3.25²)) / 2.
    let end = slice(&pair, "region", "end");
    let end = end.measures.iter().find(|m| m.name == "kl_k1").unwrap().token_mean.unwrap();
    assert_eq!(end.clusters, 2);
    assert_close(end.stderr.unwrap(), 3.25);
}

#[test]
fn slices_are_only_taken_if_asked_for() {
    assert!(output().pair().slices.is_empty());
}

#[test]
fn what_moved_most_comes_first() {
    let first = output().pair().read_first;
    let responses: Vec<_> = first.responses.iter().map(|r| (r.place.sample_id, r.tokens, r.nats)).collect();
    assert_eq!(responses, [(1, 7, 8.0), (0, 7, 5.25)]);
    let tokens: Vec<_> = first.tokens.iter().map(|t| (t.place.sample_id, t.position)).collect();
    assert_eq!(tokens, [(1, 6), (0, 3)]);
    let number = &first.tokens[1];
    assert_eq!((number.token.as_deref(), number.before.as_deref()), (Some(" 42"), Some("<think>Hm</think>")));
    assert_eq!((number.logprob_p, number.logprob_q), (Some(-1.0), Some(-4.0)));
}

#[test]
fn a_model_against_itself_has_nothing_to_read() {
    let output = Output::new();
    for name in ["base", "same"] {
        output.model(name, &model([[-1.0; 7], [-2.0; 7]]));
    }
    assert_eq!(output.pair().read_first, ReadFirst::default());
}
