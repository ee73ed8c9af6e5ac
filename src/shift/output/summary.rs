//! The rows of a summary: every pair, and the pairs that are pooled over tasks.
//!
//! Owns which statistics a row has, and which of them is its KL. Not here: digits, widths and formats.

use crate::schema::pair::KL;
use crate::shift::numbers::stats::{Estimate, FEW_CLUSTERS};
use crate::shift::result::comparison::Comparison;
use crate::shift::result::kl_estimate::{K1, KlEstimate};
use crate::shift::result::means::Overall;
use crate::shift::result::pair::Pair;
use crate::shift::token::measures::KL_BOUNDS;

/// Where a row's statistics are.
#[derive(Clone, Copy, Debug)]
pub enum Of<'a> {
    /// One task.
    Pair(&'a Pair),
    /// All tokens of several tasks.
    Pooled(&'a Overall),
}

/// How far Q is from P.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kl {
    /// The mean of the exact KL.
    Exact(Estimate),
    /// The mean of k1, which estimates KL, or might.
    K1(Estimate),
    /// Nothing says it but the bounds.
    Unknown,
}

impl<'a> Of<'a> {
    /// The task, or how many tasks are pooled.
    pub fn task(self) -> String {
        match self {
            Self::Pair(pair) => pair.task.clone(),
            Self::Pooled(overall) => format!("all {} tasks", overall.tasks.len()),
        }
    }

    /// P and Q.
    pub fn models(self) -> [&'a str; 2] {
        match self {
            Self::Pair(Pair { p, q, .. }) | Self::Pooled(Overall { p, q, .. }) => [p, q],
        }
    }

    /// The model that wrote the responses.
    pub fn generation_model(self) -> &'a str {
        match self {
            Self::Pair(pair) => &pair.generation_model,
            Self::Pooled(overall) => &overall.generation_model,
        }
    }

    /// The mean over tokens of a measure.
    pub fn mean(self, name: &str) -> Option<Estimate> {
        match self {
            Self::Pair(pair) => pair.measures.iter().find(|m| m.name == name)?.token_mean,
            Self::Pooled(overall) => overall.measures.iter().find(|m| m.name == name)?.token_mean,
        }
    }

    /// Whether k1 and k3 estimate KL.
    pub fn kl_estimate(self) -> &'a KlEstimate {
        match self {
            Self::Pair(pair) => &pair.kl_estimate,
            Self::Pooled(overall) => &overall.kl_estimate,
        }
    }

    /// The exact KL if it is known, else k1 unless it is known not to estimate KL.
    pub fn kl(self) -> Kl {
        let k1 = || self.mean(K1).filter(|_| !matches!(self.kl_estimate(), KlEstimate::No { .. }));
        self.mean(KL).map_or_else(|| k1().map_or(Kl::Unknown, Kl::K1), Kl::Exact)
    }

    /// The guaranteed bounds; the upper one is absent if there is none.
    pub fn bounds(self) -> Option<(f64, Option<f64>)> {
        let [lower, upper] = KL_BOUNDS.map(|name| self.mean(name).map(|mean| mean.value));
        Some((lower?, upper))
    }

    /// What logits were divided by for the exact KL, if that is not 1.
    pub fn temperature(self) -> Option<f64> {
        let temperature = match self {
            Self::Pair(pair) => pair.exact.as_ref().map(|exact| exact.temperature),
            Self::Pooled(overall) => overall.temperature,
        };
        temperature.filter(|temperature| *temperature != 1.0 && self.mean(KL).is_some())
    }

    /// Samples that were compared; over several tasks, those with k1.
    pub fn samples(self) -> Option<u64> {
        match self {
            Self::Pair(pair) => Some(pair.samples),
            Self::Pooled(overall) => {
                let k1 = overall.measures.iter().find(|m| m.name == K1)?;
                Some(k1.sample_mean?.n)
            }
        }
    }

    /// Clusters of its samples.
    pub fn clusters(self) -> u64 {
        match self {
            Self::Pair(pair) => pair.clusters,
            Self::Pooled(overall) => {
                overall.measures.iter().filter_map(|m| Some(m.token_mean?.clusters)).max().unwrap_or_default()
            }
        }
    }

    /// Whether these are so few that standard errors are rough.
    pub fn has_few_clusters(self) -> bool {
        self.clusters() < FEW_CLUSTERS
    }

    /// How much of it was compared, unless that is all.
    pub fn parts(self) -> Option<String> {
        match self {
            Self::Pair(pair) => pair.partial.as_ref().map(|of| format!("{} of {}", of.compared, of.parts)),
            Self::Pooled(overall) => overall.incomplete().map(|_| "not all".to_owned()),
        }
    }
}

/// Every pair, those of one generation model followed by what is pooled of them.
pub fn rows(comparison: &Comparison) -> Vec<Of<'_>> {
    let mut rows = Vec::new();
    for pairs in comparison.pairs.chunk_by(|a, b| a.generation_model == b.generation_model) {
        rows.extend(pairs.iter().map(Of::Pair));
        let pooled = comparison.overall.iter().filter(|of| of.generation_model == pairs[0].generation_model);
        rows.extend(pooled.map(Of::Pooled));
    }
    rows
}
