//! Which model is P.
//!
//! Owns that choice, for `kl` and for `score --exact`. If none of the models wrote the responses, P is not guessed.

use std::cmp::Reverse;

use super::texts::Text;
use super::writer::writer;
use crate::error::{Error, Result};
use crate::shift::options::Options;
use crate::store::PairCell;

/// P of a response set unless another is requested: the model that wrote it, or else the first of `models`.
pub fn default_reference<'a>(generation_model: &str, models: &[&'a str]) -> Option<&'a str> {
    models.iter().find(|model| **model == generation_model).or(models.first()).copied()
}

/// P among the models that scored a text; `exact` are all pairs tables.
///
/// # Errors
/// [`Error::Usage`] if it was not scored; if none is asked for and responses were written by none of the models: only of
/// windows of a text, which no model wrote, is there a P all the same.
pub fn reference<'a>(text: &Text<'a>, exact: &[PairCell], options: &'a Options) -> Result<&'a str> {
    let wanted = wanted(text, exact, options);
    if text.models.contains(&wanted) {
        return Ok(wanted);
    }
    let scored = text.models.iter().map(|model| format!("`{model}`")).collect::<Vec<_>>().join(", ");
    Err(Error::Usage(format!(
        "P would be `{wanted}`, which did not score `{}` by `{}`: choose --reference from {scored}",
        text.task, text.generation_model
    )))
}

/// The same, whether it was scored or not.
pub fn wanted<'a>(text: &Text<'a>, exact: &[PairCell], options: &'a Options) -> &'a str {
    let wanted = match &options.reference {
        None if text.of_windows => default_reference(text.generation_model, &in_order(text, exact)),
        None => writer(text, options),
        Some(asked) => Some(asked.as_str()),
    };
    wanted.unwrap_or_default()
}

/// The first model given to `score --exact`, as far as the pairs tables show it: it is compared with all others.
/// Without exact measures, the first by name.
fn in_order<'a>(text: &Text<'a>, exact: &[PairCell]) -> Vec<&'a str> {
    let is_p = |pair: &&PairCell, name: &str| text.is_called(&pair.generation_model, &pair.task) && pair.p == name;
    let mut names = text.models.clone();
    names.sort_by_key(|name| Reverse(exact.iter().filter(|pair| is_p(pair, name)).count()));
    names
}
