//! Which model is P.
//!
//! Owns that choice, for `kl` and for `score --exact`. Refuses to guess of responses that none of the models wrote.

use std::cmp::Reverse;

use super::Options;
use super::select::text;
use super::writer::writer;
use crate::error::{Error, Result};
use crate::store::{FoundCell, FoundPair};

/// P of a text unless another is asked for: the model that wrote it, or else the first of `models`.
pub fn default_reference<'a>(generation_model: &str, models: &[&'a str]) -> Option<&'a str> {
    models.iter().find(|model| **model == generation_model).or(models.first()).copied()
}

/// P among the models that scored one text, in the order of their names; `exact` are all pairs tables.
///
/// # Errors
/// [`Error::Usage`] if it was not scored; if none is asked for and responses were written by none of the models: only of
/// windows of a text, which no model wrote, is there a P all the same.
pub(super) fn reference<'a>(models: &'a [FoundCell], exact: &[FoundPair], options: &Options) -> Result<&'a FoundCell> {
    let (cell, of_windows) = (&models[0].cell, models[0].manifest.dataset.window.is_some());
    let wanted = match &options.reference {
        None if of_windows => default_reference(&cell.generation_model, &in_order(models, exact)),
        None => writer(models, options),
        Some(asked) => Some(asked.as_str()),
    };
    let wanted = wanted.unwrap_or_default();
    models.iter().find(|m| m.cell.model == wanted).ok_or_else(|| {
        let scored = models.iter().map(|m| format!("`{}`", m.cell.model)).collect::<Vec<_>>().join(", ");
        Error::Usage(format!(
            "`{wanted}` was not scored on `{}` by `{}`: give --reference, one of {scored}",
            cell.task, cell.generation_model
        ))
    })
}

/// As `score --exact` was given them, as far as that can be told: it compares the first with all others. Where nothing was
/// compared exactly, by name.
fn in_order<'a>(models: &'a [FoundCell], exact: &[FoundPair]) -> Vec<&'a str> {
    let is_p = |pair: &&FoundPair, name: &str| {
        (pair.cell.generation_model.as_str(), pair.cell.task.as_str()) == text(&models[0]) && pair.cell.p == name
    };
    let mut names: Vec<&str> = models.iter().map(|found| found.cell.model.as_str()).collect();
    names.sort_by_key(|name| Reverse(exact.iter().filter(|pair| is_p(pair, name)).count()));
    names
}
