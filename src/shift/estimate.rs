//! Whether k1 and k3 estimate KL(P‖Q) on a text: only samples of P itself at temperature 1 make them do so.
//!
//! Owns the three answers and their reasons (docs/measures.md: is this text P's). Refuses to take silence for proof: where
//! nobody can tell, that is the answer.

use std::collections::BTreeSet;

use serde::{Serialize, Serializer};

use super::comparison::LeftOut;
use super::measures::{KL_BOUNDS, LOGPROBS, NEED_OWN_TEXT, OWN_TEXT};
use super::select::PairTables;
use super::stats::{FEW_CLUSTERS, clustered_mean, shares};
use super::sums::Sums;
use crate::error::Result;
use crate::escape::visible;
use crate::sample::Status;
use crate::schema::pair::KL;

/// Standard errors from which a mean is held to contradict what P's own samples give.
const FAR: f64 = 3.0;

/// Share of the mean entropy within which the text is P's whatever the errors: products in bf16 move a mean as far.
const CLOSE: f64 = 0.01;

/// What the lower bound, exact measures and f32 log-probabilities may be off by, and that share of them.
const ROUNDING: f64 = 1e-6;
const SHARE: f64 = 1e-5;

/// Whether k1 and k3 estimate KL(P‖Q).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KlEstimate {
    Yes,
    No { reason: String },
    Unknown { reason: String },
}

/// What speaks for it where nothing speaks against it.
const SUPPORTED: &str = "P wrote the text, and neither its entropy, the bounds nor the mean ratio contradicts that";

impl KlEstimate {
    pub fn answer(&self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No { .. } => "no",
            Self::Unknown { .. } => "unknown",
        }
    }

    pub fn reason(&self) -> &str {
        match self {
            Self::Yes => SUPPORTED,
            Self::No { reason } | Self::Unknown { reason } => reason,
        }
    }

    /// Why it is not known to be one, as a sentence goes on after "the measure is"; `None` if it is one.
    pub fn doubt(&self) -> Option<String> {
        match self {
            Self::Yes => None,
            Self::No { reason } => Some(format!("not a KL estimate: {reason}")),
            Self::Unknown { reason } => Some(format!("not known to be a KL estimate: {reason}")),
        }
    }

    /// What a reader of k1 and k3 has to know.
    pub(super) fn note(&self) -> Option<String> {
        Some(format!("kl_k1 and kl_k3 are {}", self.doubt()?))
    }

    /// What stands beside a number, and beside the name of a measure.
    pub(super) fn mark(&self) -> &'static str {
        match self {
            Self::Yes => "",
            Self::No { .. } => "*",
            Self::Unknown { .. } => "?",
        }
    }

    pub(super) fn name_mark(&self) -> &'static str {
        match self {
            Self::Yes => "",
            Self::No { .. } => " (not KL)",
            Self::Unknown { .. } => " (KL?)",
        }
    }

    /// Of a figure that several are part of, each of them called by its name: no if any is no, unknown if any is unknown.
    pub(super) fn of_all(parts: &[(&str, &Self)]) -> Self {
        let told = |(name, part): &(&str, &Self)| format!("{name}: {}", part.reason());
        let is_no = |(_, part): &&(&str, &Self)| matches!(part, Self::No { .. });
        let is_unknown = |(_, part): &&(&str, &Self)| matches!(part, Self::Unknown { .. });
        if let Some(no) = parts.iter().find(is_no) {
            return Self::No { reason: told(no) };
        }
        parts.iter().find(is_unknown).map_or(Self::Yes, |unknown| Self::Unknown { reason: told(unknown) })
    }

    /// Of some of the tokens that this is of, which `what` chose.
    pub(super) fn of_selected(&self, what: &str) -> Self {
        match self {
            Self::No { .. } => self.clone(),
            Self::Yes | Self::Unknown { .. } => Self::No { reason: format!("{what}: selected text is not P's") },
        }
    }
}

impl Serialize for KlEstimate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Told<'a> {
            answer: &'a str,
            reason: &'a str,
        }
        Told { answer: self.answer(), reason: self.reason() }.serialize(serializer)
    }
}

/// Of a measure; `None` of those that hold on any text.
pub(super) fn of_measure<'a>(measure: &str, estimate: &'a KlEstimate) -> Option<&'a KlEstimate> {
    NEED_OWN_TEXT.contains(&measure).then_some(estimate)
}

/// A measure's name with its mark.
pub(super) fn named(measure: &str, estimate: &KlEstimate) -> String {
    format!("{measure}{}", of_measure(measure, estimate).map_or("", KlEstimate::name_mark))
}

/// What the marks of some figures mean: a line for each reason.
pub(super) fn legend<'a>(estimates: impl Iterator<Item = &'a KlEstimate>) -> Vec<String> {
    let line = |estimate: &KlEstimate| Some(visible(&format!("{} {}", estimate.mark(), estimate.doubt()?)));
    estimates.filter_map(line).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The answer for a pair, in the order in which docs/measures.md lists the reasons. `exact` says whether the pairs table
/// is at temperature 1 and over all ids.
pub(super) fn of_pair(tables: &PairTables, sums: &Sums, left_out: &[LeftOut], exact: bool) -> Result<KlEstimate> {
    if let Some(reason) = tables.foreign.clone() {
        return Ok(KlEstimate::No { reason });
    }
    if let Some(reason) = chosen(left_out) {
        return Ok(KlEstimate::Unknown { reason });
    }
    if let Some(reason) = unknown(sums)? {
        return Ok(KlEstimate::Unknown { reason });
    }
    // The ratio's tail is heavy where KL is large, so that its error says too little: the exact KL knows better.
    let ratio = if exact && paired(sums, KL)?.is_some() { None } else { off_1(sums)? };
    let contradictions = [not_at_temperature_1(sums)?, outside_the_bounds(sums)?, off_the_exact(sums, exact)?, ratio];
    Ok(contradictions.into_iter().flatten().next().map_or(KlEstimate::Yes, |reason| KlEstimate::No { reason }))
}

/// Samples that are left out for what was sampled: the longest, or those with a token that a model lacks. Empty responses and
/// rows that cannot be read are left out on both sides alike, whatever P thinks.
fn chosen(left_out: &[LeftOut]) -> Option<String> {
    let is_nobodys = |one: &&LeftOut| one.p == one.q && matches!(one.p, Status::Empty | Status::Failed);
    let samples: u64 = left_out.iter().filter(|one| !is_nobodys(one)).map(|one| one.samples).sum();
    (samples > 0).then(|| {
        format!(
            "{samples} samples were left out for their length, or since one model could not score them, so that what was \
             sampled chose those compared"
        )
    })
}

/// Why nobody can tell.
fn unknown(sums: &Sums) -> Result<Option<String>> {
    let unchecked = sums.unchecked();
    if unchecked > 0 {
        let what =
            "tokens have neither an id nor a text on both sides, so nobody can tell that both models read one text";
        return Ok(Some(format!("{unchecked} {what}")));
    }
    let Some(mean) = sums.mean(OWN_TEXT)? else { return Ok(Some("P's entropy is not known".to_owned())) };
    if mean.clusters < FEW_CLUSTERS {
        let clusters = mean.clusters;
        return Ok(Some(format!(
            "of {clusters} clusters, below {FEW_CLUSTERS}, nobody can tell whether P wrote the text"
        )));
    }
    let all = total(sums, NEED_OWN_TEXT[0])?.1;
    if mean.n < all {
        return Ok(Some(format!("P's entropy is not known at {} of {all} tokens", all - mean.n)));
    }
    Ok(mean.value.is_nan().then(|| "P's log-probabilities or entropies are not numbers".to_owned()))
}

/// E[ln p + H(P)] is 0 at every position of P's own text at temperature 1.
fn not_at_temperature_1(sums: &Sums) -> Result<Option<String>> {
    let Some(mean) = sums.mean(OWN_TEXT)? else { return Ok(None) };
    if mean.value.is_infinite() {
        return Ok(Some("P gives a token of the text no probability at all".to_owned()));
    }
    let Some(error) = mean.stderr else { return Ok(None) };
    let (of_text, n) = total(sums, LOGPROBS[0])?;
    let entropy = mean.value - of_text / n as f64;
    let size = mean.value.abs();
    if size <= FAR * error || size <= CLOSE * entropy {
        return Ok(None);
    }
    let (how, sign) = if mean.value > 0.0 { ("sharper", '+') } else { ("flatter", '−') };
    Ok(Some(format!(
        "the text is {how} ({sign}) than P at temperature 1 (mean of logprob + entropy of P: {sign}{size:.4} ± {error:.4} \
         nats/token)"
    )))
}

/// The expectation of k1 lies between the bounds, position by position.
fn outside_the_bounds(sums: &Sums) -> Result<Option<String>> {
    let [lower, upper] = KL_BOUNDS;
    if let Some(errors) =
        paired(sums, lower)?.and_then(|excess| beyond(-excess.0, excess.1, ROUNDING + SHARE * excess.2))
    {
        return Ok(Some(format!("the mean of kl_k1 lies {errors} errors below {lower}")));
    }
    let above = paired(sums, upper)?.and_then(|excess| beyond(excess.0, excess.1, ROUNDING + SHARE * excess.2));
    Ok(above.map(|errors| format!("the mean of kl_k1 lies {errors} errors above {upper}")))
}

/// It is the exact KL.
fn off_the_exact(sums: &Sums, exact: bool) -> Result<Option<String>> {
    let Some((excess, error, size)) = paired(sums, KL)?.filter(|_| exact) else { return Ok(None) };
    let errors = beyond(excess.abs(), error, ROUNDING + SHARE * size);
    Ok(errors.map(|errors| format!("the mean of kl_k1 lies {errors} errors from the exact KL")))
}

/// E[q/p] is 1.
fn off_1(sums: &Sums) -> Result<Option<String>> {
    let Some((mean, error)) = sums.mean("ratio")?.and_then(|mean| Some((mean, mean.stderr?))) else { return Ok(None) };
    let errors = beyond((mean.value - 1.0).abs(), error, ROUNDING);
    Ok(errors.map(|errors| format!("the mean ratio q/p is {:.4} ± {error:.4}, {errors} errors from 1", mean.value)))
}

/// How many errors `excess` is above 0, if that is more than [`FAR`] beyond `slack`.
fn beyond(excess: f64, error: f64, slack: f64) -> Option<String> {
    let is_far = excess.is_finite() && excess > FAR * error + slack;
    is_far.then(|| if error > 0.0 { format!("{:.1}", excess / error) } else { "many".to_owned() })
}

/// The mean of k1 less another measure, its error, and the size of that measure, over the samples that have both at
/// the same number of tokens: what their contexts have in common cancels.
fn paired(sums: &Sums, other: &str) -> Result<Option<(f64, f64, f64)>> {
    let (k1, other) = (sums.of(NEED_OWN_TEXT[0])?, sums.of(other)?);
    let both = || k1.iter().zip(&other).zip(&sums.facts).filter(|(((_, n), (_, m)), _)| n == m && *n > 0);
    let rows = both().map(|(((k1, n), (other, _)), facts)| (facts.cluster, k1 - other, *n));
    let size: f64 = both().map(|((_, (other, _)), _)| other).sum();
    let mean = clustered_mean(&shares(sums.clusters, rows));
    Ok(mean.and_then(|mean| Some((mean.value, mean.stderr?, size.abs() / mean.n as f64))))
}

/// Sum over all tokens that have it, and their number.
fn total(sums: &Sums, name: &str) -> Result<(f64, u64)> {
    Ok(sums.of(name)?.into_iter().fold((0.0, 0), |(sum, n), (s, m)| (sum + s, n + m)))
}
