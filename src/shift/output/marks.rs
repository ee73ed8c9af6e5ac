//! The marks of k1 and k3 where they do not estimate KL, or might not.
//!
//! Owns the marks and their legend. Not here: the answer that they stand for.

use std::collections::BTreeSet;

use crate::escape::visible;
use crate::shift::result::kl_estimate::{KlEstimate, of_measure};

/// The mark next to a number.
pub fn mark(estimate: &KlEstimate) -> &'static str {
    match estimate {
        KlEstimate::Yes => "",
        KlEstimate::No { .. } => "*",
        KlEstimate::Unknown { .. } => "?",
    }
}

/// The mark next to the name of a measure.
fn name_mark(estimate: &KlEstimate) -> &'static str {
    match estimate {
        KlEstimate::Yes => "",
        KlEstimate::No { .. } => " (not KL)",
        KlEstimate::Unknown { .. } => " (KL?)",
    }
}

/// A measure's name with its mark.
pub fn named(measure: &str, estimate: &KlEstimate) -> String {
    format!("{measure}{}", of_measure(measure, estimate).map_or("", name_mark))
}

/// The legend of the marks: one line for each reason.
pub fn legend<'a>(estimates: impl Iterator<Item = &'a KlEstimate>) -> Vec<String> {
    let line = |estimate: &KlEstimate| Some(visible(&format!("{} {}", mark(estimate), estimate.caveat()?)));
    estimates.filter_map(line).collect::<BTreeSet<_>>().into_iter().collect()
}
