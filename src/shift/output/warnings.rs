//! Lines about comparisons that are needed wherever their statistics go.
//!
//! Owns these lines. Not here: what concerns one pair's statistics alone, which is in its notes.

use crate::shift::result::aligned::{AlignedComparison, AlignedPair};
use crate::shift::result::comparison::{Comparison, NotCompared};
use crate::shift::result::pair::{Pair, Partial, title};

/// One line for every pair of which some or all parts are missing, whatever is done with its statistics.
pub fn warnings(comparison: &Comparison) -> Vec<String> {
    let of = |pair: &Pair| of_pair(&pair.title(), pair.partial.as_ref());
    comparison.not_compared.iter().map(not_compared).chain(comparison.pairs.iter().filter_map(of)).collect()
}

/// As [`warnings`].
pub fn aligned_warnings(comparison: &AlignedComparison) -> Vec<String> {
    let of = |pair: &AlignedPair| {
        let title = title(&pair.p, &pair.q, &pair.task, &pair.generation_model);
        of_pair(&title, pair.partial.as_ref())
    };
    comparison.not_compared.iter().map(not_compared).chain(comparison.pairs.iter().filter_map(of)).collect()
}

/// The line of a pair that is not compared.
pub fn not_compared(pair: &NotCompared) -> String {
    format!("not compared: {}", pair.described())
}

/// Of one pair, called `title`.
pub fn of_pair(title: &str, partial: Option<&Partial>) -> Option<String> {
    partial.map(|partial| format!("{title}: {}", incomplete(partial)))
}

/// How much was compared, and which parts a side lacks.
pub fn incomplete(partial: &Partial) -> String {
    let lacks = |side: &str, missing: &[u32]| {
        let parts = missing.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        if missing.is_empty() { String::new() } else { format!("; {side} lacks {parts}") }
    };
    let (compared, parts) = (partial.compared, partial.parts);
    let (p, q) = (lacks("P", &partial.missing_p), lacks("Q", &partial.missing_q));
    format!("INCOMPLETE: {compared} of {parts} parts compared{p}{q}")
}
