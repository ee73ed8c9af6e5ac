//! Whether k1 and k3 estimate KL(P‖Q) on the text of a pair.
//!
//! Owns how the answer is found (docs/measures.md: "Did P write this text?"). A lack of evidence is not evidence:
//! where it cannot be known, the answer is *unknown*.

use super::contradictions::{Of, contradiction};
use crate::error::Result;
use crate::sample::Status;
use crate::shift::numbers::stats::FEW_CLUSTERS;
use crate::shift::pass::sums::Sums;
use crate::shift::result::kl_estimate::{KlEstimate, NEED_OWN_TEXT};
use crate::shift::result::pair::LeftOut;
use crate::shift::tables::files::PairTables;
use crate::shift::token::measures::OWN_TEXT;

/// The answer for a pair, in the order in which docs/measures.md lists the reasons. `exact` says whether the pairs table
/// is at temperature 1 and over all ids.
pub fn of_pair(tables: &PairTables, sums: &Sums, left_out: &[LeftOut], exact: bool) -> Result<KlEstimate> {
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
/// themselves. Below [`FEW_CLUSTERS`] their errors are too rough for that, so nobody can tell.
pub fn of_prompts(of_pair: &KlEstimate, sums: &Sums, holds: &dyn Fn(usize) -> bool, exact: bool) -> Result<KlEstimate> {
    let of = Of::some(sums, holds);
    let clusters = of.mean(OWN_TEXT)?.map_or(0, |mean| mean.clusters);
    if clusters < FEW_CLUSTERS {
        let why = format!("of {clusters} clusters, below {FEW_CLUSTERS}, it cannot be known whether they contradict P");
        return Ok(of_pair.of_chosen_somehow(&why));
    }
    match of_pair {
        KlEstimate::Yes => Ok(contradiction(&of, exact)?.map_or(KlEstimate::Yes, |reason| KlEstimate::No { reason })),
        KlEstimate::No { .. } | KlEstimate::Unknown { .. } => Ok(of_pair.clone()),
    }
}

/// Samples that are left out because of what was sampled: the longest, or those with a token that a model lacks. Empty
/// responses and unreadable rows are left out of both tables alike, whatever P's scores.
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

/// Why it cannot be known.
fn unknown(sums: &Sums) -> Result<Option<String>> {
    let unchecked = sums.unchecked();
    if unchecked > 0 {
        let what = "tokens have neither an id nor a text on both sides, so it cannot be known whether both models read one text";
        return Ok(Some(format!("{unchecked} {what}")));
    }
    let Some(mean) = sums.mean(OWN_TEXT)? else { return Ok(Some("P's entropy is not known".to_owned())) };
    if mean.clusters < FEW_CLUSTERS {
        let clusters = mean.clusters;
        return Ok(Some(format!(
            "of {clusters} clusters, below {FEW_CLUSTERS}, it cannot be known whether P wrote the text"
        )));
    }
    let all = Of::all(sums).total(NEED_OWN_TEXT[0])?.1;
    if mean.n < all {
        return Ok(Some(format!("P's entropy is not known at {} of {all} tokens", all - mean.n)));
    }
    Ok(mean.value.is_nan().then(|| "P's log-probabilities or entropies are not numbers".to_owned()))
}
