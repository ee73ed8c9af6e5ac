//! The requested pairs, by the names of models.
//!
//! Owns P and Q of every response set, whether their tables can be read or not. Not here: looking at tables
//! (`select`).

use std::collections::BTreeSet;

use super::f32_versions;
use super::reference::{must_be_scored, wanted};
use super::response_sets::{ResponseSet, is_requested};
use super::writer::writer;
use crate::error::{Error, Result};
use crate::shift::options::{F32Version, Options};
use crate::store::PairCell;

/// A response set, and P and Q of every requested pair of its models.
#[derive(Clone, Debug)]
pub struct Requested<'a> {
    pub set: ResponseSet<'a>,
    /// Whether it scored the response set or not.
    pub p: &'a str,
    pub pairs: Vec<[&'a str; 2]>,
    /// Pairs of the generation model's other response sets, requested or not, that this one is missing from: one of the two
    /// never scored it.
    pub unscored: Vec<[&'a str; 2]>,
}

/// Every pair that `options` request; `sets` are all that were scored, and `exact` all pairs tables.
///
/// # Errors
/// [`Error::Usage`] if P was not scored on any requested response set, no two models scored any, a noise floor is requested
/// of a model that scored none, or one of two models whose shifts are to be compared wrote no responses.
pub fn requested<'a>(
    sets: Vec<ResponseSet<'a>>,
    exact: &[PairCell],
    options: &'a Options,
) -> Result<Vec<Requested<'a>>> {
    must_be_writers(&sets, options)?;
    let mut requested = Vec::with_capacity(sets.len());
    for set in sets {
        let p = wanted(&set, exact, options);
        let pairs = pairs(&set, p, options);
        requested.push(Requested { set, p, pairs, unscored: Vec::new() });
    }
    let unscored: Vec<_> = requested.iter().map(|one| unscored(one, &requested)).collect();
    requested.iter_mut().zip(unscored).for_each(|(requested, unscored)| requested.unscored = unscored);
    requested.retain(|requested| is_requested(requested.set.key, options));
    let of_sets: Vec<_> = requested.iter().map(|requested| (&requested.set, requested.p)).collect();
    must_be_scored(&of_sets)?;
    if requested.iter().all(|requested| requested.pairs.is_empty() && requested.unscored.is_empty()) {
        return Err(Error::Usage("nothing to compare: no response set was scored by two models".to_owned()));
    }
    let mut of_floors = options.noise_floor.iter().flat_map(|F32Version { model, in_f32 }| [model, in_f32]);
    if let Some(absent) =
        of_floors.find(|name| !requested.iter().any(|requested| requested.set.models.contains(&name.as_str())))
    {
        return Err(Error::Usage(format!("--noise-floor: no response set was scored by `{absent}`")));
    }
    Ok(requested)
}

/// What the generation model's other response sets have and this one lacks, since a model never scored it.
fn unscored<'a>(one: &Requested<'a>, all: &[Requested<'a>]) -> Vec<[&'a str; 2]> {
    let of_model = all.iter().filter(|other| other.set.key.generation_model == one.set.key.generation_model);
    let pairs: BTreeSet<[&str; 2]> = of_model.flat_map(|other| other.pairs.iter().copied()).collect();
    let is_scored = |pair: &[&str; 2]| pair.iter().all(|model| one.set.models.contains(model));
    pairs.into_iter().filter(|pair| !is_scored(pair) && !one.pairs.contains(pair)).collect()
}

/// Both models whose shifts are to be compared wrote a requested response set.
///
/// # Errors
/// [`Error::Usage`] with the names of those that did.
fn must_be_writers(sets: &[ResponseSet], options: &Options) -> Result<()> {
    let Some(between) = &options.between else { return Ok(()) };
    if between.is_writer(&between.to) {
        return Err(Error::Usage(format!(
            "--between: `{}` is compared with itself: --to names a third model",
            between.to
        )));
    }
    let wrote =
        |model: &str| sets.iter().any(|set| set.key.generation_model == model && is_requested(set.key, options));
    let Some(absent) = [&between.model, &between.minus].into_iter().find(|model| !wrote(model)) else { return Ok(()) };
    let writers: BTreeSet<_> = sets.iter().map(|set| format!("`{}`", set.key.generation_model)).collect();
    let writers: Vec<_> = writers.into_iter().collect();
    Err(Error::Usage(format!(
        "--between: no responses by `{absent}` were scored, only by {}: a model's shift is measured on what it wrote itself",
        writers.join(", ")
    )))
}

/// Those of P, whether it scored the response set or not, and the other requested ones.
fn pairs<'a>(set: &ResponseSet<'a>, p: &'a str, options: &'a Options) -> Vec<[&'a str; 2]> {
    if let Some(between) = &options.between {
        return if between.is_writer(&set.key.generation_model) { vec![[p, between.to.as_str()]] } else { Vec::new() };
    }
    let mut ps = vec![p];
    ps.extend(set.models.iter().filter(|other| options.all_pairs && **other != p));
    let mut pairs = Vec::new();
    for (i, p) in ps.iter().enumerate() {
        pairs.extend(set.models.iter().filter(|q| !ps[..=i].contains(q)).map(|q| [*p, *q]));
    }
    let is_in_f32 = |model: &str| set.in_f32.contains(&model);
    for pair in f32_versions::pairs(&options.noise_floor, &pairs, is_in_f32) {
        if pair.iter().all(|name| set.models.contains(name)) && !pairs.contains(&pair) {
            pairs.push(pair);
        }
    }
    pairs
}

/// `--own-text` must name the writer of at least one response set of the pairs; otherwise it would have no effect.
///
/// # Errors
/// [`Error::Usage`] if that is so.
pub fn must_apply(requested: &[Requested], options: &Options) -> Result<()> {
    let Some(writer_name) = options.own_text.as_deref() else { return Ok(()) };
    let is_by = |requested: &&Requested| writer(&requested.set, options) == Some(writer_name);
    if requested.iter().filter(is_by).any(|requested| !requested.pairs.is_empty()) {
        return Ok(());
    }
    let why = "a response set is by the model that its name says, if that was scored, and windows are of no model";
    Err(Error::Usage(format!("--own-text: `{writer_name}` scored no response set whose writer is unknown: {why}")))
}
