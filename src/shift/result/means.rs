//! Means and quantiles: of a pair, of some of its tokens, of two Qs, over several tasks.
//!
//! Owns their shapes. Not here: computing them (`figures`).

use super::kl_estimate::KlEstimate;
use crate::shift::numbers::quantiles::Quantile;
use crate::shift::numbers::stats::Estimate;

/// A statistic of each model by itself; absent if it has no log-probability.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Sides {
    /// Of P.
    pub p: Option<Estimate>,
    /// Of Q.
    pub q: Option<Estimate>,
}

/// Both means of one measure over some tokens, or of its difference.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Means {
    /// Name of the measure.
    pub name: String,
    /// Of both means.
    pub unit: String,
    /// Mean over tokens.
    pub token_mean: Option<Estimate>,
    /// Mean over samples of their token means.
    pub sample_mean: Option<Estimate>,
}

/// The means of one measure.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Measure {
    /// Name of the measure.
    pub name: String,
    /// Of both means.
    pub unit: String,
    /// Mean over tokens; absent if no token has the measure.
    pub token_mean: Option<Estimate>,
    /// Mean over samples of each sample's mean over tokens.
    pub sample_mean: Option<Estimate>,
    /// Mean over samples of each sample's sum: nats a response.
    pub response_mean: Option<Estimate>,
}

/// The means of Q minus those of another Q, on the samples that both were compared on token by token.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Difference {
    /// Name of the model that wrote the responses.
    pub generation_model: String,
    /// Name of the task.
    pub task: String,
    /// Name of P.
    pub p: String,
    /// The Q whose means are taken from, and the one whose means are taken away.
    pub q: String,
    /// The Q that is subtracted.
    pub minus: String,
    /// What logits were divided by for exact measures, which are left out where both have none or not the same.
    pub temperature: Option<f64>,
    /// Samples of which both have the same number of tokens.
    pub samples: u64,
    /// Whether differences of k1 and k3 estimate those of KL(P‖Q).
    pub kl_estimate: KlEstimate,
    /// Differences by measure.
    pub measures: Vec<Means>,
}

/// How much of a pair's KL is below the noise floor.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct NoiseFloor {
    /// KL(model‖model in f32), of P and of Q.
    pub p: Estimate,
    /// KL of Q to its f32 version.
    pub q: Estimate,
    /// KL(P‖Q), both in f32.
    pub in_f32: Option<Estimate>,
    /// The upper end of KL(P‖Q) lies under the higher of both floors.
    pub is_below: bool,
    /// Share of tokens whose KL(P‖Q) lies under the higher of both floors' 99th percentiles.
    pub tokens_below: f64,
}

/// Q compared with P over every task that one generation model wrote text for, if they are several.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Overall {
    /// Name of the model that wrote the responses.
    pub generation_model: String,
    /// Name of P.
    pub p: String,
    /// Name of Q.
    pub q: String,
    /// What logits were divided by for exact measures, which are left out unless all tasks have them at the same.
    pub temperature: Option<f64>,
    /// Tasks that were pooled.
    pub tasks: Vec<String>,
    /// Those of them of which parts are missing, and those that are not among them because nothing of them was compared.
    #[serde(default)]
    pub partial_tasks: Vec<String>,
    /// Tasks of which nothing was compared.
    #[serde(default)]
    pub missing_tasks: Vec<String>,
    /// Whether k1 and k3 estimate KL(P‖Q) on the texts of all tasks.
    pub kl_estimate: KlEstimate,
    /// Means by measure.
    pub measures: Vec<OverallMeasure>,
}

impl Overall {
    /// Which tasks are not there as a whole, if that is so of any.
    pub fn incomplete(&self) -> Option<String> {
        let described = |what: &str, tasks: &[String]| {
            let tasks = tasks.iter().map(|task| format!("`{task}`")).collect::<Vec<_>>().join(", ");
            (!tasks.is_empty()).then(|| format!("{what} {tasks}"))
        };
        let partial = described("parts are missing of", &self.partial_tasks);
        let missing = described("nothing was compared of", &self.missing_tasks);
        let what: Vec<_> = partial.into_iter().chain(missing).collect();
        (!what.is_empty()).then(|| format!("INCOMPLETE: {}", what.join("; ")))
    }
}

/// One measure over several tasks.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct OverallMeasure {
    /// Name of the measure.
    pub name: String,
    /// Unit of the values.
    pub unit: String,
    /// All tasks' tokens, or samples, as if they were one task's; a cluster belongs to one task.
    pub token_mean: Option<Estimate>,
    /// Mean over all samples.
    pub sample_mean: Option<Estimate>,
    /// Means over tasks of each task's mean, every task with the same weight.
    pub mean_of_token_means: Option<Estimate>,
    /// Mean of the tasks' sample means.
    pub mean_of_sample_means: Option<Estimate>,
}

/// The quantiles of one measure.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Quantiles {
    /// Name of the measure.
    pub measure: String,
    /// Of every value.
    pub unit: String,
    /// Whether they are those of the values themselves: else each is within 0.5% of it, `min` and `max` aside.
    pub exact: bool,
    /// The quantiles, ascending.
    pub quantiles: Vec<Quantile>,
}

/// Tokens of a pair that have something in common.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Slice {
    /// `region`, `kind`, `position`, or a kept field as `field.NAME`.
    pub by: String,
    /// What they have in common: `answer`, `number`, `8-15`, `true`, …
    pub value: String,
    /// Samples in the slice.
    pub samples: u64,
    /// Tokens in the slice.
    pub tokens: u64,
    /// Whether k1 and k3 estimate KL(P‖Q) at these tokens.
    pub kl_estimate: KlEstimate,
    /// Means by measure.
    pub measures: Vec<Means>,
}
