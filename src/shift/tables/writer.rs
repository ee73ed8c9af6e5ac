//! Which model wrote a response set.
//!
//! Owns that, as far as names and [`Options::own_text`] say. Not here: evidence from the text (`estimate`).

use super::texts::Text;
use crate::shift::options::Options;

/// The model that the text's name says, unless that was not scored and [`Options::own_text`] names one that was.
/// Windows of a text have no writer.
pub fn writer<'a>(text: &Text<'a>, options: &'a Options) -> Option<&'a str> {
    if text.of_windows {
        return None;
    }
    let is_scored = |name: &str| text.models.contains(&name);
    let named = options.own_text.as_deref().filter(|named| !is_scored(&text.set.generation_model) && is_scored(named));
    named.or(Some(&text.set.generation_model))
}

/// Why the model called `p` cannot have sampled the text.
pub fn foreign(p: &str, text: &Text, options: &Options) -> Option<String> {
    match writer(text, options) {
        None => Some("windows of a text are nobody's samples".to_owned()),
        Some(writer) if writer == p => None,
        Some(writer) => Some(format!("the text is by `{writer}`, not by P")),
    }
}
