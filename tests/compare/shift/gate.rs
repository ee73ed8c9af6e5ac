//! Limits on means.

use tokshift::shift::{self, Comparison, Limit, Options, unmet};

use super::fixture::{Output, Three, drawn, exceeded, samples, scored, token_mean};

/// k1 of 0, 0.5, 1 and 1.5, each in a cluster of its own.
fn comparison() -> Comparison {
    let output = Output::new();
    output.model("base", &samples(&[&[-1.0], &[-1.0], &[-1.0], &[-1.0]]));
    output.model("tuned", &samples(&[&[-1.0], &[-0.5], &[-0.0], &[0.5]]));
    output.compare().unwrap()
}

#[test]
fn the_upper_end_decides() {
    let comparison = comparison();
    let mean = token_mean(&comparison.pairs[0], "delta_logprob");
    let high = mean.high.unwrap();
    assert!(mean.value < 1.0 && high > 1.0);
    let limit = |value| [Limit::at_most("delta_logprob", value).unwrap()];
    assert!(exceeded(&comparison, &limit(high)).is_empty());
    let described = exceeded(&comparison, &limit(1.0));
    let pair = "P = `base`, Q = `tuned` on `task` by `base`";
    assert_eq!(described, [format!("{pair}: delta_logprob: the 95% interval of the mean ends at {high}, above 1")]);
}

#[test]
fn an_unknown_value_keeps_no_limit() {
    let limits = ["overlap", "delta_logprob"].map(|name| Limit::at_most(name, 1e9).unwrap());
    let described = exceeded(&comparison(), &limits);
    assert!(described.len() == 1 && described[0].contains("overlap: no token has it"), "{described:?}");
}

#[test]
fn an_unknown_measure_is_told_with_those_there_are() {
    let described = Limit::at_most("kld", 0.1).unwrap_err().to_string();
    let named = described.strip_prefix("there is no measure `kld`: use one of kl, kl_reverse, ");
    assert!(named.is_some_and(|named| named.contains(", kl_k1, ")), "{described}");
}

const P: Three = [0.6, 0.3, 0.1];
const Q: Three = [0.5, 0.3, 0.2];

/// The answers to limits on k1 and k3, on samples of P.
fn described(samples: usize, reference: &str, limit: f64) -> Vec<String> {
    let output = Output::new();
    let texts = drawn(samples, &P);
    output.model("base", &scored(&texts, &P));
    output.model("tuned", &scored(&texts, &Q));
    let options = Options { reference: Some(reference.to_owned()), ..Options::default() };
    let comparison = output.compare_with(&options).unwrap();
    exceeded(&comparison, &["kl_k1", "kl_k3"].map(|name| Limit::at_most(name, limit).unwrap()))
}

#[test]
fn yes_is_as_good_as_its_interval() {
    assert_eq!(described(60, "base", 1.0), [""; 0]);
    let described = described(60, "base", 0.01);
    assert!(
        described.len() == 2 && described.iter().all(|described| described.contains("of the mean ends at 0.0")),
        "{described:?}"
    );
}

#[test]
fn no_keeps_no_limit() {
    // ln q − ln p of the other's text is negative on average: below any limit, and no divergence.
    let title = "P = `tuned`, Q = `base` on `task` by `base`";
    let why = "not a KL estimate: the responses are by `base`, not by P, so it is not known to be at most 1";
    assert_eq!(described(60, "tuned", 1.0), ["kl_k1", "kl_k3"].map(|measure| format!("{title}: {measure}: {why}")));
}

#[test]
fn unknown_keeps_no_limit() {
    let title = "P = `base`, Q = `tuned` on `task` by `base`";
    let why = "not known to be a KL estimate: of 29 clusters, below 30, it cannot be known whether P wrote the text, so it is not \
               known to be at most 1";
    assert_eq!(described(29, "base", 1.0), ["kl_k1", "kl_k3"].map(|measure| format!("{title}: {measure}: {why}")));
}

/// What is known to lie beyond a limit, and what is not known, are two answers.
#[test]
fn what_is_beyond_a_limit_is_told_from_what_is_not_known() {
    let output = Output::new();
    output.model("base", &samples(&[&[-1.0], &[-1.0], &[-1.0], &[-1.0]]));
    output.model("tuned", &samples(&[&[-1.0], &[-0.5], &[-0.0], &[0.5]]));
    let comparison = output.compare_with(&Options { quantiles: Some(shift::EXACT), ..Options::default() }).unwrap();
    let mean = token_mean(&comparison.pairs[0], "delta_logprob");
    let of =
        |limit: Limit| unmet(&comparison, &[limit]).into_iter().map(|unmet| (unmet.is_known, unmet.message)).next();
    let low = mean.low.unwrap();
    assert_eq!(of(Limit::at_least("delta_logprob", low).unwrap()), None);
    let (is_known, message) = of(Limit::at_least("delta_logprob", 1.0).unwrap()).unwrap();
    assert!(
        is_known && message.ends_with(&format!("the 95% interval of the mean begins at {low}, below 1")),
        "{message}"
    );
    let (is_known, message) = of(Limit::at_least("overlap", 0.5).unwrap()).unwrap();
    assert!(!is_known && message.ends_with("no token has it, so it is not known to be at least 0.5"), "{message}");
    // Quantiles and ratios keep limits too; the ends of the values are known.
    assert_eq!(of(Limit::at_most("delta_logprob.max", 1.5).unwrap()), None);
    let (is_known, message) = of(Limit::at_most("delta_logprob.max", 1.25).unwrap()).unwrap();
    assert!(is_known && message.ends_with("delta_logprob.max: is 1.5, above 1.25"), "{message}");
    let (is_known, message) = of(Limit::at_most("delta_logprob.q0.999", 9.0).unwrap()).unwrap();
    assert!(
        !is_known && message.contains("delta_logprob.q0.999: there are too few clusters for its interval"),
        "{message}"
    );
    let ratio = comparison.pairs[0].perplexity_ratio.unwrap();
    assert_eq!(of(Limit::at_most("perplexity_ratio", ratio.high.unwrap()).unwrap()), None);
    let (is_known, message) = of(Limit::at_most("ppl_ratio", ratio.value).unwrap()).unwrap();
    assert!(is_known && message.contains("perplexity_ratio: the 95% interval of the mean ends at"), "{message}");
}
