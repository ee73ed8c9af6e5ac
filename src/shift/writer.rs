//! Who wrote a text.
//!
//! Owns that, as far as names and [`Options::own_text`] say. Refuses to look at the text: `estimate` does.

use super::Options;
use super::asked::{Asked, Text};
use crate::error::{Error, Result};

/// The model that the text's name says, unless that was not scored and [`Options::own_text`] names one that was. Windows of
/// a text are nobody's.
pub(super) fn writer<'a>(text: &Text<'a>, options: &'a Options) -> Option<&'a str> {
    if text.of_windows {
        return None;
    }
    let is_scored = |name: &str| text.models.contains(&name);
    let told = options.own_text.as_deref().filter(|told| !is_scored(text.generation_model) && is_scored(told));
    told.or(Some(text.generation_model))
}

/// Why the model called `p` cannot have sampled the text.
pub(super) fn foreign(p: &str, text: &Text, options: &Options) -> Option<String> {
    match writer(text, options) {
        None => Some("windows of a text are nobody's samples".to_owned()),
        Some(writer) if writer == p => None,
        Some(writer) => Some(format!("the text is by `{writer}`, not by P")),
    }
}

/// A writer who is told and whom no text of the pairs can be by would be heard by nobody.
///
/// # Errors
/// [`Error::Usage`] if that is so.
pub(super) fn must_be_heard(asked: &[Asked], options: &Options) -> Result<()> {
    let Some(told) = options.own_text.as_deref() else { return Ok(()) };
    let is_by = |asked: &&Asked| writer(&asked.text, options) == Some(told);
    if asked.iter().filter(is_by).any(|asked| !asked.pairs.is_empty()) {
        return Ok(());
    }
    let why = "a text is by the model that its name says, if that was scored, and windows are nobody's";
    Err(Error::Usage(format!("--own-text: `{told}` scored no text whose writer has to be told: {why}")))
}
