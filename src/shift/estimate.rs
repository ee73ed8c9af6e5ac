//! Whether k1 and k3 estimate KL(P‖Q) on a text: only samples of P itself at temperature 1 make them do so.
//!
//! Owns the three answers and their reasons (docs/measures.md: is this text P's), but for what figures say against it:
//! `contradictions` do. Refuses to take silence for proof: where nobody can tell, that is the answer.

use std::collections::BTreeSet;

use serde::{Serialize, Serializer};

use super::comparison::LeftOut;
use super::contradictions::{Of, contradiction};
use super::measures::{NEED_OWN_TEXT, OWN_TEXT};
use super::stats::FEW_CLUSTERS;
use super::sums::Sums;
use super::tables::PairTables;
use crate::error::Result;
use crate::escape::visible;
use crate::sample::Status;

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

    /// Of some of the tokens that this is of, of which nobody can tell what chose them.
    pub(super) fn of_chosen_somehow(&self, why: &str) -> Self {
        match self {
            Self::Yes => Self::Unknown { reason: why.to_owned() },
            Self::No { .. } | Self::Unknown { .. } => self.clone(),
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
    Ok(contradiction(&Of::all(sums), exact)?.map_or(KlEstimate::Yes, |reason| KlEstimate::No { reason }))
}

/// The answer for the samples that `holds` says, which were chosen by their prompts: the pair's, unless they contradict it by
/// themselves. Below [`FEW_CLUSTERS`] their errors are too rough for that.
pub(super) fn of_prompts(
    of_pair: &KlEstimate,
    sums: &Sums,
    holds: &dyn Fn(usize) -> bool,
    exact: bool,
) -> Result<KlEstimate> {
    let of = Of::some(sums, holds);
    let clusters = of.mean(OWN_TEXT)?.map_or(0, |mean| mean.clusters);
    match of_pair {
        KlEstimate::Yes if clusters >= FEW_CLUSTERS => {
            Ok(contradiction(&of, exact)?.map_or(KlEstimate::Yes, |reason| KlEstimate::No { reason }))
        }
        _ => Ok(of_pair.clone()),
    }
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
    let all = Of::all(sums).total(NEED_OWN_TEXT[0])?.1;
    if mean.n < all {
        return Ok(Some(format!("P's entropy is not known at {} of {all} tokens", all - mean.n)));
    }
    Ok(mean.value.is_nan().then(|| "P's log-probabilities or entropies are not numbers".to_owned()))
}
