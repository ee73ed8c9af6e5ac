//! Who wrote a text.
//!
//! Owns that, as far as names and [`Options::own_text`] say. Refuses to look at the text: `estimate` does.

use super::Options;
use super::select::text;
use crate::error::{Error, Result};
use crate::store::FoundCell;

/// Who wrote the text of the first of `models`, which all scored it: the model that its name says, unless that was not
/// scored and [`Options::own_text`] names one that was. Windows of a text are nobody's.
pub(super) fn writer<'a>(models: &'a [FoundCell], options: &'a Options) -> Option<&'a str> {
    writer_of(models.first()?, models, options)
}

/// The same of the text of `found`, whatever else is among the cells.
fn writer_of<'a>(found: &'a FoundCell, cells: &[FoundCell], options: &'a Options) -> Option<&'a str> {
    if found.manifest.dataset.window.is_some() {
        return None;
    }
    let is_scored = |name: &str| cells.iter().any(|other| text(other) == text(found) && other.cell.model == name);
    let named = found.cell.generation_model.as_str();
    let told = options.own_text.as_deref().filter(|told| !is_scored(named) && is_scored(told));
    told.or(Some(named))
}

/// Why P cannot have sampled its text.
pub(super) fn foreign(p: &FoundCell, cells: &[FoundCell], options: &Options) -> Option<String> {
    match writer_of(p, cells, options) {
        None => Some("windows of a text are nobody's samples".to_owned()),
        Some(writer) if writer == p.cell.model => None,
        Some(writer) => Some(format!("the text is by `{writer}`, not by P")),
    }
}

/// A writer who is told and whom no text of the `chosen` pairs can be by would be heard by nobody.
///
/// # Errors
/// [`Error::Usage`] if that is so.
pub(super) fn must_be_heard(cells: &[FoundCell], chosen: &[[FoundCell; 2]], options: &Options) -> Result<()> {
    let Some(told) = options.own_text.as_deref() else { return Ok(()) };
    if chosen.iter().any(|[p, _]| writer_of(p, cells, options) == Some(told)) {
        return Ok(());
    }
    let why = "a text is by the model that its name says, if that was scored, and windows are nobody's";
    Err(Error::Usage(format!("--own-text: `{told}` scored no text whose writer has to be told: {why}")))
}
