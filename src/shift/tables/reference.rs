//! Which model is P.
//!
//! Owns that rule, for `kl`, `run` and `score`: the requested model, else the one that wrote the responses if it was
//! scored, else the first of `--models`, as the response set's manifest recorded them. Directories whose manifests
//! record nothing keep the rule that made them: of responses the writer is P, scored or not; of windows of a text, the
//! first model of `score --exact`, or the first by name.

use std::cmp::Reverse;

use super::response_sets::ResponseSet;
use super::writer::writer;
use crate::error::{Error, Result};
use crate::shift::options::Options;
use crate::store::{PairCell, ReferenceFacts};

/// Why a model is P of a response set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// It was requested when the responses were scored first.
    Requested,
    /// It wrote the responses.
    Writer,
    /// It was the first of `--models` when the responses were scored first, and no writer is among them.
    First,
}

/// P of a response set as its manifest decides it, of the models that scored it. A requested model is P though it has not
/// scored; otherwise `None` if neither the writer nor the first model has.
pub fn default_p<'a>(
    facts: &'a ReferenceFacts,
    writer: Option<&'a str>,
    models: &[&str],
) -> Option<(&'a str, Because)> {
    let scored = |name: Option<&'a str>| name.filter(|name| models.contains(name));
    let requested = facts.requested.as_deref().map(|name| (name, Because::Requested));
    let writer = || scored(writer).map(|name| (name, Because::Writer));
    let first = || scored(facts.first_model.as_deref()).map(|name| (name, Because::First));
    requested.or_else(writer).or_else(first)
}

/// That P is among the models of some response set that can be read: else P was chosen wrongly, or must be.
///
/// # Errors
/// [`Error::Usage`] for the first response set, if all of them lack P.
pub fn must_be_scored(sets: &[(&ResponseSet, &str)]) -> Result<()> {
    let lacks = |(set, p): &(&ResponseSet, &str)| set.is_readable && !set.models.contains(p);
    match sets.first() {
        Some((set, p)) if sets.iter().all(lacks) => {
            Err(Error::Usage(format!("P would be `{p}`, which did not score {}: {}", set.key, remedy(set))))
        }
        _ => Ok(()),
    }
}

/// What to do about a response set that P never scored.
pub fn remedy(set: &ResponseSet) -> String {
    let scored = set.models.iter().map(|model| format!("`{model}`")).collect::<Vec<_>>().join(", ");
    format!("choose --reference from {scored}")
}

/// P of a response set, whether it was scored or not; `exact` are all pairs tables. Of windows of a text, which no model wrote,
/// there is a P all the same.
pub fn wanted<'a>(set: &ResponseSet<'a>, exact: &[PairCell], options: &'a Options) -> &'a str {
    if let Some(requested) = &options.reference {
        return requested;
    }
    let writer = writer(set, options);
    let named = writer.or(Some(set.key.generation_model.as_str()));
    if let Some((p, _)) = set.reference.and_then(|facts| default_p(facts, named, &set.models)) {
        return p;
    }
    let is_scored = |name: &&str| set.models.contains(name);
    match writer {
        Some(writer) => writer,
        None if is_scored(&&*set.key.generation_model) => &set.key.generation_model,
        None => in_order(set, exact).first().copied().unwrap_or_default(),
    }
}

/// The first model given to `score --exact`, as far as the pairs tables show it: it is compared with all others.
/// Without exact measures, the first by name.
fn in_order<'a>(set: &ResponseSet<'a>, exact: &[PairCell]) -> Vec<&'a str> {
    let is_p = |pair: &&PairCell, name: &str| pair.set == *set.key && pair.p == name;
    let mut names = set.models.clone();
    names.sort_by_key(|name| Reverse(exact.iter().filter(|pair| is_p(pair, name)).count()));
    names
}
