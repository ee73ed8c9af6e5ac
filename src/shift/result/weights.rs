//! Importance weights of two engines: how far what trains is from what sampled.
//!
//! Owns their shapes. Not here: computing them (`weights`), and showing them (`output`).

use std::collections::BTreeMap;

use crate::shift::numbers::json::number;
use crate::shift::numbers::stats::Estimate;

/// The weights w = q(t)/p(t) of Q, which trains or audits, on text that P sampled, as P's engine recorded it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Weights {
    /// Weights are cut to this, or masked above it, in the statistics that say so.
    pub cap: f64,
    /// What the mean of w is in expectation, by what P's numbers are of.
    pub expectation: String,
    /// Of all samples.
    pub all: WeightFigures,
    /// Of each value of the kept field `step`, ascending; empty if rows carry none.
    pub by_step: Vec<StepWeights>,
    /// Scalars under the names of a framework's dashboard, if they were requested: of each step, else of all samples.
    #[serde(default)]
    pub named: Vec<NamedScalars>,
}

/// The weights of one training step.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct StepWeights {
    /// The step.
    pub step: f64,
    /// Its weights.
    pub figures: WeightFigures,
}

/// One dashboard's numbers of one step.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct NamedScalars {
    /// The step, if rows carry one.
    pub step: Option<f64>,
    /// By the framework's own keys; those without a finite number are left out.
    pub scalars: BTreeMap<String, f64>,
}

/// What is known of the weights of some samples. d = ln q(t) − ln p(t).
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct WeightFigures {
    /// Tokens with a finite d.
    pub tokens: u64,
    /// Tokens without: one of the two gives them no probability. They are in no statistic.
    pub tokens_left_out: u64,
    /// Samples all of whose tokens have a finite d, of which sequence weights are.
    pub samples: u64,
    /// Samples with a token without, which have no sequence weight.
    pub samples_left_out: u64,
    /// w = e^d of each token.
    pub token: WeightLevel,
    /// W = e^Σd of each sample; null if no sample has one.
    pub sequence: Option<WeightLevel>,
    /// e^(mean d) of each sample: the geometric mean of its weights.
    pub sequence_mean: Option<WeightLevel>,
    /// Mean over tokens of −d.
    pub kl_k1: Estimate,
    /// Mean over tokens of ½d².
    pub kl_k2: Estimate,
    /// Mean over tokens of e^d − 1 − d.
    pub kl_k3: Estimate,
    /// Mean over tokens of |d|.
    pub abs_delta_logprob: Estimate,
    /// Mean over tokens of e^|d|.
    pub exp_abs_delta_logprob: Estimate,
    /// Pearson's correlation of p(t) and q(t) over tokens; null if one of them does not vary.
    pub probability_correlation: Option<f64>,
    /// exp(−mean log-probability over these tokens) of P.
    pub perplexity_p: Estimate,
    /// ... of Q.
    pub perplexity_q: Estimate,
    /// Perplexity of Q over that of P.
    pub perplexity_ratio: Estimate,
    /// The limits that frameworks state and these weights do not keep.
    pub alarms: Vec<Alarm>,
}

/// The distribution of one kind of weights.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct WeightLevel {
    /// Mean weight: 1 in expectation on text that P sampled from its whole distribution.
    pub mean: Estimate,
    /// The lowest weight.
    #[serde(deserialize_with = "number")]
    pub min: f64,
    /// The highest weight.
    #[serde(deserialize_with = "number")]
    pub max: f64,
    /// Share of weights below 0.5 or above 2.
    pub share_outside: Estimate,
    /// Share of weights above the cap, which a mask would leave out.
    pub share_above_cap: Estimate,
    /// Effective sample size as a share of the number of weights: (Σw)² / (n Σw²).
    pub ess: Estimate,
    /// Mean of the weights cut to the cap.
    pub mean_capped: Estimate,
    /// Effective sample size of the weights cut to the cap.
    pub ess_capped: Estimate,
    /// χ²(Q‖P) as the mean of w² − 1, which may be negative.
    pub chi2: Estimate,
    /// χ² of the normalised weights: 1/ESS − 1, which is not.
    pub chi2_of_ess: Estimate,
    /// Share of Σw² that the cluster with most of it has.
    #[serde(deserialize_with = "number")]
    pub largest_cluster: f64,
    /// Whether that is at most 5%: else few weights decide the mean and its error, and intervals are too narrow.
    pub is_reliable: bool,
}

/// A limit that a framework states, and a value beyond it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Alarm {
    /// The framework that states it: `verl` or `nemo-rl`.
    pub framework: String,
    /// What is beyond it, such as `sequence.ess`.
    pub statistic: String,
    /// Its value.
    #[serde(deserialize_with = "number")]
    pub value: f64,
    /// The limit, as `below 0.3` or `above 1.05`.
    pub limit: String,
    /// Whether the whole 95% interval is beyond it.
    pub is_clear: bool,
}
