//! Whether k1 and k3 estimate KL(P‖Q) on the text of a pair.
//!
//! Owns how the answer is found (docs/measures.md: "Did P write this text?"). A lack of evidence is not evidence:
//! where it cannot be known, the answer is *unknown*.

use super::contradictions::{Contradiction, Of, contradiction, contradictions};
use crate::error::Result;
use crate::sample::Status;
use crate::shift::numbers::stats::FEW_CLUSTERS;
use crate::shift::pass::sums::Sums;
use crate::shift::result::exact::ExactFigures;
use crate::shift::result::kl_estimate::{K1, KlEstimate};
use crate::shift::result::pair::{LeftOut, Pair};
use crate::shift::tables::files::PairTables;
use crate::shift::token::measures::OWN_TEXT;

/// The answer for a pair, in the order in which docs/measures.md lists the reasons. `exact` says whether the pairs
/// table is at temperature 1 and over all ids.
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

/// Standard errors beyond which a contradiction that one Q shows counts for all Qs: far enough for any number of Qs.
const FAR_FOR_ALL: f64 = 4.0;

/// Whether P wrote a text does not depend on Q: what one pair contradicts clearly is *no* for all pairs of P on the
/// text. Only of numbers that were computed here: those of another program may be at fault themselves.
pub fn agree(tables: &[&PairTables], found: &mut [(Pair, Sums)]) -> Result<()> {
    let mut known: Vec<(String, String)> = Vec::new();
    for (tables, (pair, sums)) in tables.iter().zip(found.iter()) {
        let is_tested = matches!(pair.kl_estimate, KlEstimate::No { .. }) && tables.foreign.is_none();
        if !is_tested || tables.p.recorded || tables.q.recorded || known.iter().any(|(p, _)| *p == pair.p) {
            continue;
        }
        let is_clear = |of: &Contradiction| of.errors > FAR_FOR_ALL;
        if let Some(clear) =
            contradictions(&Of::all(sums), is_of_all(tables, pair.exact.as_ref()))?.into_iter().find(is_clear)
        {
            known.push((pair.p.clone(), format!("compared with Q = `{}`, {}", pair.q, clear.what)));
        }
    }
    for (pair, _) in found {
        if let Some((_, reason)) = known.iter().find(|(p, _)| *p == pair.p) {
            refute(pair, reason);
        }
    }
    Ok(())
}

/// The answer is *no*, for the pair and all of its parts, unless it is already.
fn refute(pair: &mut Pair, reason: &str) {
    let before = pair.kl_estimate.note();
    let slices = pair.slices.iter_mut().map(|slice| &mut slice.kl_estimate);
    let fields = pair.fields.iter_mut().map(|field| &mut field.kl_estimate);
    for estimate in slices.chain(fields).chain([&mut pair.kl_estimate]) {
        if !matches!(estimate, KlEstimate::No { .. }) {
            *estimate = KlEstimate::No { reason: reason.to_owned() };
        }
    }
    if before != pair.kl_estimate.note() {
        pair.notes.retain(|note| Some(note) != before.as_ref());
        pair.notes.splice(0..0, pair.kl_estimate.note());
    }
}

/// Whether exact measures are at temperature 1 and over all ids.
pub fn is_of_all(tables: &PairTables, exact: Option<&ExactFigures>) -> bool {
    tables.heads.is_none() && exact.is_some_and(|exact| exact.temperature == 1.0)
}

/// The answer for the samples that `holds` says, which were chosen by their prompts: the pair's, unless they contradict
/// it by themselves. Below [`FEW_CLUSTERS`] their errors are too rough for that, so the answer is unknown.
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
    let has_no_numbers = |one: &&LeftOut| one.p == one.q && matches!(one.p, Status::Empty | Status::Failed);
    let samples: u64 = left_out.iter().filter(|one| !has_no_numbers(one)).map(|one| one.samples).sum();
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
    let all = Of::all(sums).total(K1)?.1;
    if mean.n < all {
        return Ok(Some(format!("P's entropy is not known at {} of {all} tokens", all - mean.n)));
    }
    Ok(mean.value.is_nan().then(|| "P's log-probabilities or entropies are not numbers".to_owned()))
}
