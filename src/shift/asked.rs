//! Which pairs are asked for, by the names of models.
//!
//! Owns P and Q of every text, whether their tables can be read or not. Refuses to look at tables: `select` does.

use std::collections::{BTreeMap, BTreeSet};

use super::reference::{reference, wanted};
use super::{Options, Twin, floor};
use crate::error::{Error, Result};
use crate::store::{Cell, DamagedCell, FoundCell, PairCell};

/// A text, and the models that scored it.
#[derive(Clone, Debug)]
pub(super) struct Text<'a> {
    pub generation_model: &'a str,
    pub task: &'a str,
    /// Its samples are windows of a text, as far as a manifest that can be read says so.
    pub of_windows: bool,
    /// In the order of their names; of some nothing may be readable.
    pub models: Vec<&'a str>,
    /// Whether any of them can be read.
    is_readable: bool,
}

impl Text<'_> {
    /// Whether a cell is of this text.
    pub fn is_of(&self, cell: &Cell) -> bool {
        self.is_called(&cell.generation_model, &cell.task)
    }

    /// What it is called.
    pub fn is_called(&self, generation_model: &str, task: &str) -> bool {
        (self.generation_model, self.task) == (generation_model, task)
    }
}

/// A text, and P and Q of every pair of its models that is asked for.
#[derive(Clone, Debug)]
pub(super) struct Asked<'a> {
    pub text: Text<'a>,
    pub pairs: Vec<[&'a str; 2]>,
    /// Pairs of the generation model's other texts that this one is missing from: one of the two never scored it.
    pub unscored: Vec<[&'a str; 2]>,
}

/// The texts that `options` ask for, by generation model and task.
///
/// # Errors
/// [`Error::Usage`] for a task that nothing of was scored.
pub(super) fn texts<'a>(
    found: &'a [FoundCell],
    damaged: &'a [DamagedCell],
    options: &Options,
) -> Result<Vec<Text<'a>>> {
    let readable = found.iter().map(|found| (&found.cell, Some(found.manifest.dataset.window.is_some())));
    let cells = readable.chain(damaged.iter().map(|damaged| (&damaged.cell, None)));
    must_have_tasks(&cells.clone().map(|(cell, _)| cell.task.as_str()).collect(), options)?;
    let mut texts: BTreeMap<(&str, &str), Text> = BTreeMap::new();
    for (cell, windows) in cells.filter(|(cell, _)| is_wanted(cell, options)) {
        let (generation_model, task) = (cell.generation_model.as_str(), cell.task.as_str());
        let text = texts.entry((generation_model, task)).or_insert_with(|| {
            let (of_windows, models, is_readable) = (false, Vec::new(), false);
            Text { generation_model, task, of_windows, models, is_readable }
        });
        text.models.push(&cell.model);
        text.of_windows |= windows == Some(true);
        text.is_readable |= windows.is_some();
    }
    let mut texts: Vec<Text> = texts.into_values().collect();
    for text in &mut texts {
        text.models.sort_unstable();
    }
    Ok(texts)
}

/// Every pair that `options` ask for; `exact` are all pairs tables.
///
/// # Errors
/// [`Error::Usage`] if P was not scored on some text, no two models scored any, or a noise floor is asked of a model that
/// scored none.
pub(super) fn asked<'a>(texts: Vec<Text<'a>>, exact: &[PairCell], options: &'a Options) -> Result<Vec<Asked<'a>>> {
    let mut asked = Vec::with_capacity(texts.len());
    for text in texts {
        let pairs = pairs(&text, exact, options)?;
        asked.push(Asked { text, pairs, unscored: Vec::new() });
    }
    if asked.iter().all(|asked| asked.pairs.is_empty()) {
        return Err(Error::Usage("nothing to compare: no text was scored by two models".to_owned()));
    }
    let mut of_floors = options.noise_floor.iter().flat_map(|Twin { model, in_f32 }| [model, in_f32]);
    if let Some(absent) = of_floors.find(|name| !asked.iter().any(|asked| asked.text.models.contains(&name.as_str()))) {
        return Err(Error::Usage(format!("--noise-floor: no text was scored by `{absent}`")));
    }
    let unscored: Vec<_> = asked.iter().map(|one| unscored(one, &asked)).collect();
    asked.iter_mut().zip(unscored).for_each(|(asked, unscored)| asked.unscored = unscored);
    Ok(asked)
}

/// What the generation model's other texts have and this one lacks, since a model never scored it.
fn unscored<'a>(one: &Asked<'a>, all: &[Asked<'a>]) -> Vec<[&'a str; 2]> {
    let of_model = all.iter().filter(|other| other.text.generation_model == one.text.generation_model);
    let pairs: BTreeSet<[&str; 2]> = of_model.flat_map(|other| other.pairs.iter().copied()).collect();
    let is_scored = |pair: &[&str; 2]| pair.iter().all(|model| one.text.models.contains(model));
    pairs.into_iter().filter(|pair| !is_scored(pair) && !one.pairs.contains(pair)).collect()
}

fn pairs<'a>(text: &Text<'a>, exact: &[PairCell], options: &'a Options) -> Result<Vec<[&'a str; 2]>> {
    // Of a text of which nothing can be read, all that is known is which pairs there would be.
    let p = if text.is_readable { reference(text, exact, options)? } else { wanted(text, exact, options) };
    let mut ps = vec![p];
    ps.extend(text.models.iter().filter(|other| options.all_pairs && **other != p));
    let mut pairs = Vec::new();
    for (i, p) in ps.iter().enumerate() {
        pairs.extend(text.models.iter().filter(|q| !ps[..=i].contains(q)).map(|q| [*p, *q]));
    }
    for pair in floor::pairs(&options.noise_floor, &pairs) {
        if pair.iter().all(|name| text.models.contains(name)) && !pairs.contains(&pair) {
            pairs.push(pair);
        }
    }
    Ok(pairs)
}

/// A task that was asked for by a name that is none would be missed by nobody.
fn must_have_tasks(tasks: &BTreeSet<&str>, options: &Options) -> Result<()> {
    match options.tasks.iter().find(|task| !tasks.contains(task.as_str())) {
        None => Ok(()),
        Some(absent) => {
            let there: Vec<_> = tasks.iter().map(|task| format!("`{task}`")).collect();
            Err(Error::Usage(format!("no text of task `{absent}` was scored: there is {}", there.join(", "))))
        }
    }
}

/// Whether its text is asked for.
pub(super) fn is_wanted(cell: &Cell, options: &Options) -> bool {
    let fits = |filter: &[String], name: &String| filter.is_empty() || filter.contains(name);
    fits(&options.tasks, &cell.task) && fits(&options.generation_models, &cell.generation_model)
}
