//! Limits on means.

use tokshift::shift::{Comparison, Limit, exceeded};

use crate::fixture::{Output, samples, token_mean};

/// k1 of 0, 0.5, 1 and 1.5, each in a cluster of its own.
fn comparison() -> Comparison {
    let output = Output::new();
    output.model("base", &samples(&[&[-1.0], &[-1.0], &[-1.0], &[-1.0]]));
    output.model("tuned", &samples(&[&[-1.0], &[-1.5], &[-2.0], &[-2.5]]));
    output.compare().unwrap()
}

#[test]
fn the_upper_end_decides() {
    let comparison = comparison();
    let mean = token_mean(&comparison.pairs[0], "kl_k1");
    let high = mean.high.unwrap();
    assert!(mean.value < 1.0 && high > 1.0);
    let limit = |value| [Limit::new("kl_k1", value).unwrap()];
    assert!(exceeded(&comparison, &limit(high)).is_empty());
    let told = exceeded(&comparison, &limit(1.0));
    let pair = "P = `base`, Q = `tuned` on `task` by `base`";
    assert_eq!(told, [format!("{pair}: kl_k1: upper 95% end of the mean is {high}, above 1")]);
}

#[test]
fn an_unknown_value_keeps_no_limit() {
    let limits = ["overlap", "kl_k1"].map(|name| Limit::new(name, 1e9).unwrap());
    let told = exceeded(&comparison(), &limits);
    assert!(told.len() == 1 && told[0].contains("overlap: no token has it"), "{told:?}");
}

#[test]
fn an_unknown_measure_is_told_with_those_there_are() {
    let told = Limit::new("kld", 0.1).unwrap_err().to_string();
    assert!(told.starts_with("there is no measure `kld`: give one of kl, kl_reverse, js, tv, kl_k1, "), "{told}");
}
