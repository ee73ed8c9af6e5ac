//! Which model wrote a response set.
//!
//! Owns that, as far as names and [`Options::own_text`] say. Not here: evidence from the text (`estimate`).

use super::response_sets::ResponseSet;
use crate::shift::options::Options;

/// The model that the response set's name says, unless that was not scored and [`Options::own_text`] names one that was.
/// Windows of a text have no writer.
pub fn writer<'a>(set: &ResponseSet<'a>, options: &'a Options) -> Option<&'a str> {
    if set.of_windows {
        return None;
    }
    let is_scored = |name: &str| set.models.contains(&name);
    let named = options.own_text.as_deref().filter(|named| !is_scored(&set.key.generation_model) && is_scored(named));
    named.or(Some(&set.key.generation_model))
}

/// Why the model called `p` cannot have sampled the responses.
pub fn foreign(p: &str, set: &ResponseSet, options: &Options) -> Option<String> {
    match writer(set, options) {
        None => Some("windows of a text are samples of no model".to_owned()),
        Some(writer) if writer == p => None,
        Some(writer) => Some(format!("the responses are by `{writer}`, not by P")),
    }
}
