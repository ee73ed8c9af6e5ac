//! What has to be told of comparisons wherever their figures go.
//!
//! Owns these lines. Refuses what a reader has to know of one pair's figures alone: those are its notes.

use super::align::AlignedPair;
use super::comparison::{Comparison, Partial, title};

/// A line for every pair of which parts are missing, whoever reads its figures where.
pub fn warnings(comparison: &Comparison) -> Vec<String> {
    comparison.pairs.iter().filter_map(|pair| of_pair(&pair.title(), pair.partial.as_ref())).collect()
}

/// As [`warnings`].
pub fn aligned_warnings(pairs: &[AlignedPair]) -> Vec<String> {
    let of = |pair: &AlignedPair| {
        let title = title(&pair.p, &pair.q, &pair.task, &pair.generation_model);
        of_pair(&title, pair.partial.as_ref())
    };
    pairs.iter().filter_map(of).collect()
}

/// Of one pair, called `title`.
pub(super) fn of_pair(title: &str, partial: Option<&Partial>) -> Option<String> {
    partial.map(|partial| format!("{title}: {}", incomplete(partial)))
}

/// How much was compared, and which parts a side lacks.
pub(super) fn incomplete(partial: &Partial) -> String {
    let lacks = |side: &str, missing: &[u32]| {
        let parts = missing.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        if missing.is_empty() { String::new() } else { format!("; {side} lacks {parts}") }
    };
    let (compared, parts) = (partial.compared, partial.parts);
    let (p, q) = (lacks("P", &partial.missing_p), lacks("Q", &partial.missing_q));
    format!("INCOMPLETE: {compared} of {parts} parts compared{p}{q}")
}
