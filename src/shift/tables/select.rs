//! Which tables are compared with which.
//!
//! Owns the filters, and the parts that both models have. Not here: opening tables.

use std::path::{Path, PathBuf};

use super::files::{self, PairTables};
use super::pair_files::damage;
use super::reference::{must_be_scored, remedy, wanted};
use super::requested::{self, Requested, requested};
use super::response_sets::{ResponseSet, is_requested, response_sets};
use super::{f32_versions, writer};
use crate::error::{Error, Result};
use crate::shift::options::Options;
use crate::shift::result::comparison::NotCompared;
use crate::store::{self, DamagedCell, FoundCell, FoundPair, PairCell};

/// What is compared, and what cannot be yet.
#[derive(Default)]
pub struct Selection {
    pub pairs: Vec<PairTables>,
    pub not_compared: Vec<NotCompared>,
}

/// The cells under one root.
struct Cells {
    root: PathBuf,
    found: Vec<FoundCell>,
    damaged: Vec<DamagedCell>,
}

impl Cells {
    fn of(root: &Path) -> Result<Self> {
        let (found, damaged) = store::cells_and_damaged(root)?;
        Ok(Self { root: root.to_owned(), found, damaged })
    }

    /// The cell of a model on a response set, or why it cannot be read; `None` if the model never scored the set.
    fn look(&self, set: &ResponseSet, model: &str) -> Option<Result<&FoundCell, &Error>> {
        let cell = set.key.cell(model);
        let found = self.found.iter().find(|found| found.cell == cell);
        let damaged = || self.damaged.iter().find(|damaged| damaged.cell == cell);
        found.map(Ok).or_else(|| damaged().map(|damaged| Err(&damaged.error)))
    }
}

/// Why a pair is not compared.
enum Why {
    /// Parts are missing that can still be scored.
    Yet(String),
    /// A model other than the default P never scored the response set.
    NotScored(String),
    /// The default P never scored the response set.
    WithoutP(String),
    Damaged(String),
}

/// Two models on a response set, and where their cells are.
struct Wanted<'a> {
    set: &'a ResponseSet<'a>,
    /// P of the response set, which need not be one of `models`.
    p: &'a str,
    models: [&'a str; 2],
    cells: [&'a Cells; 2],
    /// Whether an option names P. That such a P did not score some responses is no failure.
    is_requested: bool,
}

impl<'a> Wanted<'a> {
    /// Both cells, if they can be compared.
    fn cells(&self, exact: &[FoundPair]) -> Result<[&'a FoundCell; 2], Why> {
        let [p, q] = [0, 1].map(|side| self.cells[side].look(self.set, self.models[side]));
        let (p, q) = match (p, q) {
            (Some(Ok(p)), Some(Ok(q))) => (p, q),
            (Some(Err(error)), _) | (_, Some(Err(error))) => return Err(Why::Damaged(error.to_string())),
            (found, _) => {
                let absent = self.models[usize::from(found.is_some())];
                let why = format!("`{absent}` was not scored on it");
                let is_p = absent == self.p;
                return Err(if is_p && !self.is_requested {
                    Why::WithoutP(format!("{why}: {}", remedy(self.set)))
                } else {
                    Why::NotScored(why)
                });
            }
        };
        if let Some(why) = damage(p, q, exact) {
            return Err(Why::Damaged(why));
        }
        unfinished(p, q).map_or(Ok([p, q]), |why| Err(Why::Yet(why.to_owned())))
    }
}

impl Selection {
    fn add(&mut self, wanted: &Wanted, exact: &[FoundPair], foreign: Option<String>) {
        let tables = |[p, q]: [&FoundCell; 2]| {
            let vocabulary = store::vocabulary(&wanted.cells[0].root, &p.manifest.tokens.tokenizer);
            let tables = files::of_pair(p, q, exact, foreign).map_err(|error| Why::Damaged(error.to_string()))?;
            Ok(PairTables { vocabulary, ..tables })
        };
        let why = match wanted.cells(exact).and_then(tables) {
            Ok(tables) => return self.pairs.push(tables),
            Err(why) => why,
        };
        let failed = matches!(why, Why::Damaged(_) | Why::WithoutP(_));
        let not_scored = matches!(why, Why::NotScored(_) | Why::WithoutP(_));
        let (Why::Yet(why) | Why::NotScored(why) | Why::WithoutP(why) | Why::Damaged(why)) = why;
        self.not_compared.push(NotCompared {
            generation_model: wanted.set.key.generation_model.clone(),
            task: wanted.set.key.task.clone(),
            p: wanted.models[0].to_owned(),
            q: wanted.models[1].to_owned(),
            why,
            failed,
            not_scored,
        });
    }

    /// # Errors
    /// [`Error::Usage`] if there are pairs, and none of them can be compared.
    fn checked(self) -> Result<Self> {
        if self.pairs.is_empty() && !self.not_compared.is_empty() {
            return Err(Error::Usage(NotCompared::all(&self.not_compared)));
        }
        Ok(self)
    }
}

/// Every pair that `options` request, by generation model, task, P and Q.
///
/// # Errors
/// [`Error::Usage`] if nothing fits, nothing is done on both sides, or P was not scored on any response set.
pub fn pairs(root: &Path, options: &Options) -> Result<Selection> {
    let (exact, cells) = (store::found_pairs(root)?, Cells::of(root)?);
    let selected = requested_of_cells(&cells, &exact, options).and_then(|requested| {
        requested::must_apply(&requested, options)?;
        let mut selection = Selection::default();
        for Requested { set, p, pairs, unscored } in &requested {
            for models in pairs.iter().chain(unscored) {
                let foreign = writer::foreign(models[0], set, options);
                let is_requested = options.reference.is_some();
                let wanted = Wanted { set, p, models: *models, cells: [&cells; 2], is_requested };
                selection.add(&wanted, &exact, foreign);
            }
        }
        Ok(selection)
    });
    let damaged = cells.damaged.into_iter().find(|damaged| is_requested(&damaged.cell.set, options));
    match (selected, damaged) {
        // The damaged cell may be the cause, so its error comes first.
        (Err(_), Some(first)) => Err(first.error),
        (Ok(selection), Some(first)) if is_all(&selection, &first.error) => Err(first.error),
        (selected, _) => selected?.checked(),
    }
}

/// Whether no pair is compared, and `error` is the reason for each.
fn is_all(selection: &Selection, error: &Error) -> bool {
    let why = error.to_string();
    selection.pairs.is_empty() && selection.not_compared.iter().all(|pair| pair.why == why)
}

/// P of every response set under the first root, with each model under the second.
///
/// # Errors
/// Those of [`pairs`].
pub fn pairs_across(roots: [&Path; 2], options: &Options) -> Result<Selection> {
    let [of_p, of_q] = [Cells::of(roots[0])?, Cells::of(roots[1])?];
    let others = response_sets(
        &of_q.found,
        &of_q.damaged,
        &Options { tasks: Vec::new(), generation_models: Vec::new(), ..options.clone() },
    )?;
    let mut selection = Selection::default();
    let all = response_sets(&of_p.found, &of_p.damaged, options)?;
    let is_in_both = |set: &ResponseSet| others.iter().any(|other| other.key == set.key);
    let requested = all.iter().filter(|set| is_requested(set.key, options) && is_in_both(set));
    let requested: Vec<(&ResponseSet, &str)> = requested.map(|set| (set, wanted(set, &[], options))).collect();
    must_be_scored(&requested)?;
    for &(set, p) in &requested {
        let of_set = others.iter().filter(|other| other.key == set.key);
        for q in of_set.flat_map(|other| &other.models) {
            let is_requested = options.reference.is_some();
            let wanted = Wanted { set, p, models: [p, *q], cells: [&of_p, &of_q], is_requested };
            selection.add(&wanted, &[], None);
        }
    }
    let selection = selection.checked()?;
    if selection.pairs.is_empty() {
        return Err(Error::Usage("nothing to compare: no response set was scored under both directories".to_owned()));
    }
    Ok(selection)
}

/// P and Q of every pair that [`pairs`] would compare.
///
/// # Errors
/// Those of [`pairs`] that do not concern a single pair.
pub fn chosen(root: &Path, options: &Options) -> Result<Vec<[FoundCell; 2]>> {
    let (exact, cells) = (store::found_pairs(root)?, Cells::of(root)?);
    let requested = requested_of_cells(&cells, &exact, options)?;
    let pairs = requested.iter().flat_map(|requested| requested.pairs.iter().map(move |pair| (requested, *pair)));
    let is_requested = options.reference.is_some();
    let wanted = pairs.map(|(Requested { set, p, .. }, models)| {
        let cells = [&cells; 2];
        Wanted { set, p, models, cells, is_requested }
    });
    let fit = wanted.filter_map(|wanted| wanted.cells(&exact).ok());
    Ok(fit.map(|both| both.map(Clone::clone)).collect())
}

fn requested_of_cells<'a>(cells: &'a Cells, exact: &[FoundPair], options: &'a Options) -> Result<Vec<Requested<'a>>> {
    let exact: Vec<PairCell> = exact.iter().map(|pair| pair.cell.clone()).collect();
    let sets = response_sets(&cells.found, &cells.damaged, options)?;
    for set in sets.iter().filter(|set| is_requested(set.key, options)) {
        let models: Vec<&FoundCell> = cells.found.iter().filter(|found| found.cell.set == *set.key).collect();
        f32_versions::must_be_f32_versions(&models, &options.noise_floor)?;
    }
    requested(sets, &exact, options)
}

/// Why two tables cannot be compared until more parts are scored.
fn unfinished(p: &FoundCell, q: &FoundCell) -> Option<&'static str> {
    let is_complete = p.missing.is_empty() && q.missing.is_empty();
    if !is_complete && boundaries(p) != boundaries(q) {
        return Some("P or Q is incomplete, and their datasets are split into different parts");
    }
    let is_common = |part| q.parts.contains(part);
    (!p.parts.iter().any(is_common)).then_some("no part is done on both sides")
}

/// First sample and number of samples of every part. Offsets are left out, because each imported file has its own.
fn boundaries(found: &FoundCell) -> Vec<(u32, u32)> {
    found.manifest.parts.iter().map(|part| (part.first_sample, part.samples)).collect()
}
