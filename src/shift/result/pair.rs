//! The result of comparing two models on one response set.
//!
//! Owns its shape and the name of each statistic. Not here: computing it (`figures`), and showing it (`output`).

use super::exact::ExactFigures;
use super::kl_estimate::KlEstimate;
use super::means::{Measure, NoiseFloor, Quantiles, Sides, Slice};
use super::read_first::ReadFirst;
use super::relation::FieldRelation;
use super::study::StudyFigure;
use super::weights::Weights;
use crate::escape::visible;
use crate::sample::Status;
use crate::shift::numbers::stats::{Estimate, FEW_CLUSTERS};

/// Q compared with P on one response set. Every difference is Q − P.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Pair {
    /// Name of the model that wrote the responses.
    pub generation_model: String,
    /// Name of the task.
    pub task: String,
    /// Name of P.
    pub p: String,
    /// Name of Q.
    pub q: String,
    /// Samples that both scored, and the tokens that both scored of them.
    pub samples: u64,
    /// Tokens that both scored.
    pub tokens: u64,
    /// Clusters of those samples.
    pub clusters: u64,
    /// Samples that were not compared, by their two statuses.
    pub left_out: Vec<LeftOut>,
    /// Present if the rows say of some of them whether a limit of tokens ended their generation.
    pub cut: Option<Cut>,
    /// Present if a table is not complete.
    pub partial: Option<Partial>,
    /// Whether k1 and k3 estimate KL(P‖Q) on this text.
    pub kl_estimate: KlEstimate,
    /// Present if one model gives ids a probability that the other does not have.
    pub heads: Option<Heads>,
    /// Means by measure.
    pub measures: Vec<Measure>,
    /// exp(−mean log-probability over tokens).
    pub perplexity: Sides,
    /// Perplexity of Q over that of P, with the error of the two together: what moves both moves it less.
    pub perplexity_ratio: Option<Estimate>,
    /// Perplexity of Q less that of P; as the ratio.
    pub perplexity_difference: Option<Estimate>,
    /// Pearson's correlation of ln p(t) and ln q(t) over tokens.
    pub log_perplexity_correlation: Option<f64>,
    /// Root of the mean of (q(t) − p(t))² over tokens.
    pub rms_delta_p: Option<Estimate>,
    /// Statistics that need full distributions, if there is a pairs table.
    pub exact: Option<ExactFigures>,
    /// Where both models were also scored in f32.
    pub noise_floor: Option<NoiseFloor>,
    /// Mean over samples of each sample's perplexity.
    pub mean_sample_perplexity: Sides,
    /// Over tokens; empty if they are not requested.
    #[serde(default)]
    pub quantiles: Vec<Quantiles>,
    /// By region, kind, position and kept field; empty if they are not requested.
    #[serde(default)]
    pub slices: Vec<Slice>,
    /// Numeric kept fields and the shift, response by response.
    #[serde(default)]
    pub fields: Vec<FieldRelation>,
    /// Importance weights, if another program recorded P's numbers of its own text.
    #[serde(default)]
    pub weights: Option<Weights>,
    /// Samples that moved most, to look at first.
    pub read_first: ReadFirst,
    /// The study's KL value, if P is the generation model.
    pub study: Option<StudyFigure>,
    /// Notes that qualify the statistics.
    pub notes: Vec<String>,
}

impl Pair {
    /// The two models and the response set.
    /// What a reader has to know of so few clusters; nothing if they are enough.
    pub fn few_clusters(clusters: u64) -> Option<String> {
        let what = format!("only {clusters} clusters: standard errors and intervals are rough below {FEW_CLUSTERS}");
        (clusters < FEW_CLUSTERS).then_some(what)
    }

    /// The two models and the response set, as messages name them.
    pub fn title(&self) -> String {
        title(&self.p, &self.q, &self.task, &self.generation_model)
    }
}

/// What a reader has to know of so few clusters; nothing if they are enough.
pub fn few_clusters(clusters: u64) -> Option<String> {
    let what = format!("only {clusters} clusters: standard errors and intervals are rough below {FEW_CLUSTERS}");
    (clusters < FEW_CLUSTERS).then_some(what)
}

/// The two models and the response set, as messages name them.
pub fn title(p: &str, q: &str, task: &str, generation_model: &str) -> String {
    visible(&format!("P = `{p}`, Q = `{q}` on `{task}` by `{generation_model}`"))
}

/// Ids that each model can score, where the two are not equally many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Heads {
    /// Of P.
    pub p: usize,
    /// Of Q.
    pub q: usize,
}

impl Heads {
    /// Why there is no upper bound on KL(P‖Q), if P has ids to which Q gives no probability.
    pub fn no_upper_bound(&self) -> Option<String> {
        let Self { p, q } = self;
        let what = format!("P gives {p} ids a probability, Q {q}, so that KL(P‖Q) has no upper bound");
        (p > q).then(|| format!("{what}: `kl --exact` compares the ids of both"))
    }
}

/// Responses that a limit of tokens ended: what they say is counted, that they end is not.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Cut {
    /// Number of such samples.
    pub samples: u64,
    /// Of all samples that were compared.
    pub share: Estimate,
}

/// Samples that one side at least did not score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LeftOut {
    /// Status in P's samples table.
    #[serde(with = "status")]
    pub p: Status,
    /// Status in Q's samples table.
    #[serde(with = "status")]
    pub q: Status,
    /// Number of such samples.
    pub samples: u64,
}

/// A status by its name in the samples table.
mod status {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::sample::Status;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub fn serialize<S: Serializer>(status: &Status, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(status.as_str())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Status, D::Error> {
        let name = String::deserialize(deserializer)?;
        Status::of_name(&name).ok_or_else(|| D::Error::custom(format!("there is no status `{name}`")))
    }
}

/// A comparison over the parts that both tables have.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Partial {
    /// Parts that were compared, of how many.
    pub compared: u64,
    /// Parts of the response set.
    pub parts: u64,
    /// Parts that a side lacks.
    pub missing_p: Vec<u32>,
    /// Numbers of the parts that Q lacks.
    pub missing_q: Vec<u32>,
}
