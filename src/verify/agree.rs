//! Whether the models of a response set were given the same ids.
//!
//! Owns the vote on which of them is right. Not here: tables. It sees hashes only.

use std::collections::BTreeMap;
use std::path::Path;

use super::report::{Findings, Kind, Place};
use super::tokens::Ids;

/// What is compared, as text; `None` where it is not known.
type Field = fn(&Ids) -> Option<String>;

const FIELDS: [(&str, Field); 2] =
    [("context_hash", |ids| ids.context_hash.clone()), ("token ids", |ids| ids.response.map(|hash| hash.to_string()))];

/// One model's ids of a part.
pub(super) struct Given<'a> {
    pub model: &'a str,
    pub path: &'a Path,
    pub ids: Vec<Ids>,
    /// Each model read its own chat template: contexts differ.
    pub own_context: bool,
}

/// Tells every sample whose ids or contexts differ between models, and gives the models, by index, to be scored again:
/// those that differ from most, or all where no group is the largest.
pub(super) fn check(models: &[Given], findings: &mut Findings) -> Vec<usize> {
    let mut wrong = vec![false; models.len()];
    let mut samples: BTreeMap<u32, Vec<(usize, &Ids)>> = BTreeMap::new();
    for (index, given) in models.iter().enumerate() {
        for ids in &given.ids {
            samples.entry(ids.sample_id).or_default().push((index, ids));
        }
    }
    let fields = if models.iter().any(|given| given.own_context) { &FIELDS[1..] } else { &FIELDS };
    for (sample_id, of_models) in &samples {
        for &(name, field) in fields {
            for index in odd(of_models.iter().filter_map(|(index, ids)| Some((*index, field(ids)?)))) {
                wrong[index] = true;
                let others: Vec<&str> = others(of_models, index, field).map(|other| models[other].model).collect();
                let place = Place { row: None, sample_id: Some(*sample_id) };
                let what = format!("{name} of `{}` are not those of `{}`", models[index].model, others.join("`, `"));
                findings.add(Kind::Ids, models[index].path, place, what);
            }
        }
    }
    (0..models.len()).filter(|&index| wrong[index]).collect()
}

/// The models that are not in the largest group of equal values; all if two groups are.
fn odd(values: impl Iterator<Item = (usize, String)>) -> Vec<usize> {
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, value) in values {
        groups.entry(value).or_default().push(index);
    }
    let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
    match groups.as_slice() {
        [] | [_] => Vec::new(),
        [first, second, ..] if first.len() == second.len() => groups.concat(),
        [_, others @ ..] => others.concat(),
    }
}

/// The models whose value is known and another.
fn others<'a>(of_models: &'a [(usize, &'a Ids)], index: usize, field: Field) -> impl Iterator<Item = usize> + 'a {
    let own = of_models.iter().find(|(other, _)| *other == index).and_then(|(_, ids)| field(ids));
    of_models.iter().filter(move |(_, ids)| field(ids).is_some_and(|value| Some(value) != own)).map(|(index, _)| *index)
}
