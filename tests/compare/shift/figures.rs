//! Figures against plain loops over the same numbers.

use polars::prelude::{col, lit};
use tokshift::shift::{self, ExactFigures, MovedTop, Options, ShiftedToken};

use super::fixture::{Output, Sample, Token, assert_close, named, sample, samples, token, token_mean};

/// A full token: `(id, logprob, rank, entropy, top list)`.
fn full((id, logprob, rank, entropy, top): (u32, f32, u32, f32, &[u32])) -> Token {
    Token { rank: Some(rank), entropy: Some(entropy), top: top.to_vec(), ..token(id, logprob) }
}

fn two_models() -> [Vec<Sample>; 2] {
    let p = vec![
        sample(0, vec![full((5, -0.25, 1, 0.5, &[5, 9])), full((6, -1.5, 2, 1.25, &[7, 6]))]),
        sample(1, vec![full((7, -3.0, 4, 2.0, &[1, 2]))]),
    ];
    let q = vec![
        sample(0, vec![full((5, -0.5, 1, 0.75, &[5, 6])), full((6, -1.0, 1, 1.0, &[6, 7]))]),
        sample(1, vec![full((7, -2.0, 2, 1.0, &[1, 7]))]),
    ];
    [p, q]
}

#[test]
fn every_measure_by_hand() {
    let output = Output::new();
    let [p, q] = two_models();
    output.model("base", &p);
    output.model("tuned", &q);
    let pair = output.pair();
    // d = b - a of the three tokens; the samples hold two and one of them.
    let d = [-0.25f64, 0.5, 1.0];
    let per_token = |name: &str, values: [f64; 3]| {
        let (tokens, samples) = (token_mean(&pair, name), named(&pair, name).sample_mean.unwrap());
        assert_close(tokens.value, values.iter().sum::<f64>() / 3.0);
        assert_close(samples.value, f64::midpoint(f64::midpoint(values[0], values[1]), values[2]));
        assert_eq!((tokens.n, samples.n, tokens.clusters, samples.clusters), (3, 2, 2, 2));
    };
    per_token("kl_k1", d.map(|d| -d));
    per_token("kl_k3", d.map(|d| d.exp_m1() - d));
    per_token("ratio", d.map(f64::exp));
    per_token("delta_logprob", d);
    per_token("delta_entropy", [0.25, -0.25, -1.0]);
    let (a, b) = ([-0.25f64, -1.5, -3.0], [-0.5f64, -1.0, -2.0]);
    per_token("delta_p", [0, 1, 2].map(|i| b[i].exp() - a[i].exp()));
    per_token("rank_shift", [0.0, -1.0, -2.0]);
    per_token("same_top", [1.0, 0.0, 1.0]);
    // Nats a response: the sums -0.25 and -1.
    let response = named(&pair, "kl_k1").response_mean.unwrap();
    assert_close(response.value, -0.625);
    assert_close(response.stderr.unwrap(), 0.375);
}

#[test]
fn errors_are_clustered() {
    let output = Output::new();
    // k1 of six tokens in three clusters: the numbers of `shift::stats`, whose error numpy computed.
    let logprobs: [&[f32]; 4] = [&[-1.0, -1.0], &[-1.0], &[-1.0], &[-1.0, -1.0]];
    let mut p = samples(&logprobs);
    let mut q = p.clone();
    let k1 = [&[0.5, 0.25][..], &[-0.75], &[1.0], &[0.0, 0.5]];
    for (sample, k1) in q.iter_mut().zip(k1) {
        sample.tokens.iter_mut().zip(k1).for_each(|(t, k1)| t.logprob = Some(-1.0 - k1));
    }
    p[1].cluster = p[0].cluster.clone();
    output.model("base", &p);
    output.model("tuned", &q);
    let k1 = token_mean(&output.pair(), "kl_k1");
    assert_close(k1.value, 0.25);
    assert_close(k1.stderr.unwrap(), 0.216_506_350_946_109_68);
    assert_close(k1.high.unwrap(), 1.181_551_641_906_373_6);
    assert_eq!((k1.clusters, k1.n), (3, 6));
}

#[test]
fn a_model_against_itself_is_exactly_zero() {
    let output = Output::new();
    let [p, _] = two_models();
    output.model("base", &p);
    output.model("copy", &p);
    let pair = output.pair();
    // The others say nothing about a difference, or these tables lack what they need (`bounds` has tables that do not).
    let ones = ["ratio", "same_top", "overlap"];
    let others = |name: &str| name.starts_with("shift_class_token.") || name == "logprob_plus_entropy_p";
    for measure in pair.measures.iter().filter(|m| !others(&m.name)) {
        let expected = f64::from(u8::from(ones.contains(&measure.name.as_str())));
        for mean in [measure.token_mean, measure.sample_mean].into_iter().flatten().chain(measure.response_mean) {
            let bits = [Some(mean.value), mean.low, mean.high].map(Option::unwrap);
            assert_eq!((bits, mean.stderr), ([expected; 3], Some(0.0)), "{}", measure.name);
        }
    }
    assert_eq!(pair.study.unwrap().kl_divergence, 0.0);
}

#[test]
fn null_numbers_are_skipped() {
    let output = Output::new();
    let first = Token { id: Some(9), ..Token::default() };
    output.model("base", &[sample(0, vec![first.clone(), token(1, -1.0)])]);
    output.model("tuned", &[sample(0, vec![first, token(1, -1.5)])]);
    let pair = output.pair();
    assert_eq!((pair.tokens, token_mean(&pair, "kl_k1").n), (2, 1));
    assert_eq!(token_mean(&pair, "kl_k1").value, 0.5);
    assert_eq!(pair.study.as_ref().map(|s| s.total_tokens), Some(1));
    // Nothing knew a rank, an entropy or a list.
    for name in ["rank_shift", "delta_entropy", "same_top"] {
        assert_eq!(named(&pair, name).token_mean, None);
    }
}

#[test]
fn parts_are_one_table() {
    let [p, q] = two_models();
    let (one, two) = (Output::new(), Output::new());
    one.model("base", &p);
    one.model("tuned", &q);
    two.parts("base", "task", "base", &[&p[..1], &p[1..]]);
    two.parts("base", "task", "tuned", &[&q[..1], &q[1..]]);
    assert_eq!(one.pair(), two.pair());
}

#[test]
fn a_part_may_have_no_token() {
    let output = Output::new();
    let [mut p, mut q] = two_models();
    for model in [&mut p, &mut q] {
        model[0].tokens.clear();
        model[0].status = "empty";
    }
    output.parts("base", "task", "base", &[&p[..1], &p[1..]]);
    output.parts("base", "task", "tuned", &[&q[..1], &q[1..]]);
    assert_eq!(token_mean(&output.pair(), "kl_k1").value, -1.0);
}

#[test]
fn names_come_back_from_their_folders() {
    let output = Output::new();
    let [p, q] = two_models();
    output.parts("Qwen%2FQwen3-4B", "a%20b%2A", "Qwen%2FQwen3-4B", &[&p]);
    output.parts("Qwen%2FQwen3-4B", "a%20b%2A", "x%5B1%5D", &[&q]);
    let pair = output.pair();
    assert_eq!((pair.p.as_str(), pair.q.as_str(), pair.task.as_str()), ("Qwen/Qwen3-4B", "x[1]", "a b*"));
    assert_eq!(pair.study.unwrap().tested_model, "x[1]");
}

#[test]
fn few_clusters_are_noted_and_the_table_reads_well() {
    let output = Output::new();
    let [p, q] = two_models();
    output.model("base", &p);
    output.model("tuned", &q);
    let comparison = output.compare().unwrap();
    insta::assert_snapshot!(shift::table(&comparison, 200), @r"
    P = `base`, Q = `tuned` on `task` by `base`
    2 samples, 3 tokens, 2 clusters

    measure                      unit             mean ± s.e.     95% interval  sample mean ± s.e.
    kl_k1 (KL?)                  nats/token      -0.42 ± 0.39    -5.36 to 4.52        -0.56 ± 0.44
    kl_k1 (KL?)                  nats/response   -0.62 ± 0.38    -5.39 to 4.14                   -
    kl_k3 (KL?)                  nats/token       0.30 ± 0.28    -3.26 to 3.85         0.40 ± 0.31
    kl_lower                     nats/token                 -                                    -
    kl_upper                     nats/token                 -                                    -
    ratio                        q/p              1.72 ± 0.67    -6.78 to 10.2         1.97 ± 0.75
    delta_logprob                nats/token       0.42 ± 0.39    -4.52 to 5.36         0.56 ± 0.44
    delta_entropy                nats/token      -0.33 ± 0.44    -5.98 to 5.31        -0.50 ± 0.50
    delta_p                      probability    0.019 ± 0.044  -0.541 to 0.580       0.036 ± 0.050
    rank_shift                   ranks           -1.00 ± 0.67    -9.47 to 7.47        -1.25 ± 0.75
    log2_rank_ratio              doublings       -0.67 ± 0.22    -3.49 to 2.16        -0.75 ± 0.25
    same_top                     share            0.67 ± 0.22    -2.16 to 3.49         0.75 ± 0.25
    overlap                      share            0.67 ± 0.11   -0.745 to 2.08         0.62 ± 0.12
    shift_class.unshifted        share                      -                                    -
    shift_class.marginal         share                      -                                    -
    shift_class.shifted          share                      -                                    -
    shift_class_token.unshifted  share                   1.00                                 1.00
    shift_class_token.marginal   share                      0                                    0
    shift_class_token.shifted    share                      0                                    0
    shift_class_token.unclassed  share            0.67 ± 0.22    -2.16 to 3.49         0.75 ± 0.25
    logprob_plus_entropy_p       nats/token      -0.33 ± 0.44    -5.98 to 5.31        -0.50 ± 0.50

    perplexity over tokens: P 4.9 ± 4.6 (2.99e-5 to 7.93e5), Q 3.2 ± 1.8 (0.00276 to 3736)
    mean of sample perplexities: P 11.2 ± 8.8 (-101 to 124), Q 4.8 ± 2.6 (-28.7 to 38.2)
    perplexity of Q / of P: 0.66 ± 0.26 (0.00471 to 92.3)
    perplexity of Q - of P: -1.7 ± 2.8 (-37.4 to 34.1)
    correlation of log-probabilities: 0.99054
    root mean square of q - p: 0.139 ± 0.029 (0 to 0.348)
    largest differences (rows and tokens counted from 1):
      row 2: ln p - ln q = -1.0000 nats over 1 tokens
      row 1: ln p - ln q = -0.25000 nats over 2 tokens
      row 2, token 1: ln p -3.0000, ln q -2.0000: [#7]
      row 1, token 2: ln p -1.5000, ln q -1.0000: [#6]

    note: kl_k1 and kl_k3 are not known to be a KL estimate: of 2 clusters, below 30, it cannot be known whether P wrote the text
    note: only 2 clusters: standard errors and intervals are rough below 30
    ");
}

#[test]
fn programs_ask_the_query_that_defines_the_figures() {
    let output = Output::new();
    let [p, q] = two_models();
    output.model("base", &p);
    output.model("tuned", &q);
    let pairs = shift::pairs(output.root(), &Options::default()).unwrap();
    let half_a_square = (col("delta_logprob") * col("delta_logprob") / lit(2.0)).alias("k2");
    let frame =
        shift::joined(&pairs[0]).unwrap().select([col("kl_k1"), half_a_square, col("q.rank")]).collect().unwrap();
    let mean = |name: &str| frame.column(name).unwrap().f64().unwrap().iter().flatten().sum::<f64>() / 3.0;
    assert_close(mean("kl_k1"), token_mean(&output.pair(), "kl_k1").value);
    assert_close(mean("k2"), (0.25 * 0.25 + 0.5 * 0.5 + 1.0) / 6.0);
    let ranks: Vec<_> = frame.column("q.rank").unwrap().u32().unwrap().iter().collect();
    assert_eq!(ranks, [Some(1), Some(1), Some(2)]);
}

#[test]
fn the_plan_merges_ordered_scans() {
    let output = Output::new();
    let [p, q] = two_models();
    output.model("base", &p);
    output.model("tuned", &q);
    let plan = shift::explain(output.root(), &Options::default()).unwrap();
    assert!(plan.starts_with("P = `base`, Q = `tuned` on `task` by `base`\n"), "{plan}");
    assert_eq!(plan.matches("hint.sorted('sample_id'").count(), 4, "{plan}");
    // Of the seventeen columns of the tokens table, ranges, logits and ties stay on disk.
    assert_eq!(plan.matches("PROJECT 11/17 COLUMNS").count(), 2, "{plan}");
    assert!(plan.contains("p.top_logprobs") && plan.contains("q.top_logprobs"), "{plan}");
}

#[test]
fn empty_lists_do_not_travel() {
    let output = Output::new();
    let models = samples(&[&[-1.0]]);
    output.model("base", &models);
    output.model("tuned", &models);
    let plan = shift::explain(output.root(), &Options::default()).unwrap();
    assert!(!plan.contains("p.top_ids") && !plan.contains("top_logprobs"), "{plan}");
}

#[test]
fn tokens_are_shown_by_their_text_or_else_by_their_ids() {
    let output = Output::new();
    let texts = [Some("\u{1b}[2J"), Some(""), None, Some("é")];
    let model = |logprob: f32| {
        let tokens = |(id, text): (u32, Option<&str>)| Token { text: text.map(str::to_owned), ..token(id, logprob) };
        (0..).zip(texts).map(|one| sample(one.0, vec![tokens(one)])).collect::<Vec<_>>()
    };
    output.model("base", &model(-1.0));
    output.model("tuned", &model(-2.0));
    let mut comparison = output.compare().unwrap();
    let shown = shift::table(&comparison, 200);
    for (row, text) in [(0, "[\\u{1b}[2J]"), (1, "[#1]"), (2, "[#2]")] {
        let line = format!("  row {}, token 1: ln p -1.0000, ln q -2.0000: {text}\n", row + 1);
        assert!(shown.contains(&line), "{shown}");
    }
    let of = |(token_id, text): (u32, Option<&str>)| ShiftedToken {
        token_id,
        token: text.map(str::to_owned),
        tokens: 2,
        shifted: 1,
        kl: 0.5,
    };
    let tokens: Vec<ShiftedToken> = (0..).zip(texts).map(of).collect();
    let moved = |from: usize, to: usize| MovedTop {
        from_id: from as u32,
        from: texts[from].map(str::to_owned),
        to_id: to as u32,
        to: texts[to].map(str::to_owned),
        places: 2,
        kl: 0.5,
        share_of_kl: 0.25,
        example: comparison.pairs[0].read_first.tokens.first().cloned(),
    };
    let most_moved = vec![moved(0, 1), moved(2, 3)];
    let exact =
        ExactFigures { temperature: 1.0, most_shifted: tokens.clone(), most_kl: tokens, most_moved, stop: None };
    comparison.pairs[0].exact = Some(exact);
    let overview = shift::overview(&comparison, 200);
    assert!(overview.contains(": [\\u{1b}[2J] → [#1] 2 (25.0%), [#2] → [é] 2 (25.0%)\n"), "{overview}");
    let shown = shift::table(&comparison, 200);
    assert!(shown.contains("most of KL(P‖Q): [\\u{1b}[2J] 1 of 2, 0.50000 nats; [#1] 1 of 2"), "{shown}");
}

#[test]
fn responses_that_a_limit_ended_stand_beside_nats_a_response() {
    let output = Output::new();
    let cut = |logprob: f32| {
        let mut samples = samples(&[&[logprob, -1.0], &[-1.0], &[-1.0], &[-1.0]]);
        (samples[0].is_cut, samples[1].is_cut, samples[2].is_cut) = (Some(true), Some(false), Some(false));
        samples
    };
    output.model("base", &cut(-1.0));
    output.model("tuned", &cut(-3.0));
    let comparison = output.compare().unwrap();
    let pair = &comparison.pairs[0];
    let found = pair.cut.unwrap();
    assert_eq!((found.samples, found.share.value, found.share.n), (1, 0.25, 4));
    // It counts as far as it goes.
    assert_eq!(named(pair, "kl_k1").response_mean.unwrap().value, 0.5);
    let note = "responses that a token limit ended: 1 of 4 (25.0%); nats per response include them as they are, the \
                probability to end leaves them out";
    assert!(pair.notes.iter().any(|described| described == note), "{:?}", pair.notes);
    let table = shift::table(&comparison, 200);
    assert!(table.contains("nats/response (25.0% cut)"), "{table}");
    output.model("base", &samples(&[&[-1.0]]));
    output.model("tuned", &samples(&[&[-1.0]]));
    assert_eq!(output.pair().cut, None, "no row says it");
    let whole = || {
        let mut samples = samples(&[&[-1.0], &[-2.0]]);
        for sample in &mut samples {
            sample.is_cut = Some(false);
        }
        samples
    };
    output.model("base", &whole());
    output.model("tuned", &whole());
    let comparison = output.compare().unwrap();
    assert_eq!(comparison.pairs[0].cut.unwrap().samples, 0);
    assert!(!shift::table(&comparison, 200).contains("cut"));
    // A limit on the share that was cut is known to be kept.
    assert_eq!(shift::unmet(&comparison, &[shift::Limit::at_most("is_cut", 0.01).unwrap()]), []);
}

/// Characters that take two columns, or none.
#[test]
fn columns_stay_in_line_beside_wide_characters() {
    let rows = [["law", "1.5"], ["数学与物理", "22"], ["e\u{301}te\u{301}", "3"], ["🎉", "4"]];
    let lines = shift::aligned(&rows.map(|row| row.map(str::to_owned).to_vec()), 1);
    assert_eq!(lines, ["law         1.5", "数学与物理   22", "e\u{301}te\u{301}           3", "🎉            4"]);
}
