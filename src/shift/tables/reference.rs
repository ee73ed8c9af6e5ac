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

/// That P is among the models of some text that can be read: else P was chosen wrongly, or must be.
///
/// # Errors
/// [`Error::Usage`] for the first text, if all of them lack P.
pub fn must_be_scored(texts: &[(&Text, &str)]) -> Result<()> {
    let lacks = |(text, p): &(&Text, &str)| text.is_readable && !text.models.contains(p);
    match texts.first() {
        Some((text, p)) if texts.iter().all(lacks) => {
            Err(Error::Usage(format!("P would be `{p}`, which did not score {}: {}", text.set, remedy(text))))
        }
        _ => Ok(()),
    }
}

/// What to do about a text that P never scored.
pub fn remedy(text: &Text) -> String {
    let scored = text.models.iter().map(|model| format!("`{model}`")).collect::<Vec<_>>().join(", ");
    format!("choose --reference from {scored}")
}

/// P of a text, whether it was scored or not; `exact` are all pairs tables. Of windows of a text, which no model wrote,
/// there is a P all the same.
pub fn wanted<'a>(text: &Text<'a>, exact: &[PairCell], options: &'a Options) -> &'a str {
    let wanted = match &options.reference {
        None if text.of_windows => default_reference(&text.set.generation_model, &in_order(text, exact)),
        None => writer(text, options),
        Some(requested) => Some(requested.as_str()),
    };
    wanted.unwrap_or_default()
}

/// The first model given to `score --exact`, as far as the pairs tables show it: it is compared with all others.
/// Without exact measures, the first by name.
fn in_order<'a>(text: &Text<'a>, exact: &[PairCell]) -> Vec<&'a str> {
    let is_p = |pair: &&PairCell, name: &str| pair.set == *text.set && pair.p == name;
    let mut names = text.models.clone();
    names.sort_by_key(|name| Reverse(exact.iter().filter(|pair| is_p(pair, name)).count()));
    names
}
