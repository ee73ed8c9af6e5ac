//! `score --exact`: score several models and compare every pair of them.
//!
//! Owns the list of pairs, which finished parts are rescored because their hidden states are gone, and the deletion of
//! temporary hidden states. Not here: scoring (`scorer`) and comparing (`exact`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::datasets::Dataset;
use super::exact::Exact;
use super::models::Model;
use super::watch::Watch;
use crate::error::Result;
use crate::schema::folder;
use crate::shift::default_reference;
use crate::stop::Stop;
use crate::store::{self, Cell, FoundCell, PairCell, Store, TemporaryLock};

/// Several models on the same response sets.
pub struct InOneGo<'a> {
    root: &'a Path,
    /// In the order of --models.
    models: Vec<&'a str>,
    texts: Vec<(&'a str, &'a str)>,
}

/// The state at the beginning.
#[derive(Default)]
pub struct Begun {
    /// Parts of each cell that are to be rescored for their hidden states.
    pub again: BTreeMap<Cell, BTreeSet<u32>>,
    locked: BTreeMap<Cell, TemporaryLock>,
}

impl<'a> InOneGo<'a> {
    /// Of models and datasets, all of each with all of the other.
    pub fn new(root: &'a Path, models: &'a [Model], datasets: &'a [Dataset]) -> Self {
        let models = models.iter().map(|model| model.named.name.as_str()).collect();
        let texts = datasets.iter().map(|dataset| (&*dataset.generation_model, &*dataset.task)).collect();
        Self { root, models, texts }
    }

    /// What is there of them; others may be damaged.
    ///
    /// # Errors
    /// One that was asked for cannot be read.
    pub fn cells(&self) -> Result<Vec<FoundCell>> {
        if !self.has_runs() {
            return Ok(Vec::new());
        }
        let (found, damaged) = store::cells_and_damaged(self.root)?;
        match damaged.into_iter().find(|damaged| self.is_requested(&damaged.cell)) {
            Some(damaged) => Err(damaged.error),
            None => Ok(found.into_iter().filter(|found| self.is_requested(&found.cell)).collect()),
        }
    }

    /// What is there of them before they are scored: what is missing of a part then is made.
    fn begun(&self) -> Result<Vec<FoundCell>> {
        if !self.has_runs() {
            return Ok(Vec::new());
        }
        let (found, _) = store::cells_to_continue(self.root)?;
        Ok(found.into_iter().filter(|found| self.is_requested(&found.cell)).collect())
    }

    fn has_runs(&self) -> bool {
        self.root.join(folder::RUNS).is_dir()
    }

    fn is_requested(&self, Cell { generation_model, task, model }: &Cell) -> bool {
        self.models.contains(&&**model) && self.texts.contains(&(generation_model, task))
    }

    /// The pairs of a response set, P first, as `kl` compares them: P by default with each other model, in the order of the
    /// models; in all other pairs P is the first by name.
    fn pairs(&self, (generation_model, task): (&str, &str)) -> Vec<PairCell> {
        let mut models = self.models.clone();
        let reference = default_reference(generation_model, &models);
        models.sort_by_key(|model| (Some(*model) != reference, *model));
        let pair = |p: &str, q: &str| {
            let [generation_model, task, p, q] = [generation_model, task, p, q].map(str::to_owned);
            PairCell { generation_model, task, p, q }
        };
        let of = |(index, p): (usize, &&str)| models[index + 1..].iter().map(|q| pair(p, q)).collect::<Vec<_>>();
        models.iter().enumerate().flat_map(of).collect()
    }

    /// Looks at what exists, before anything is scored; temporary hidden states are kept until the end.
    ///
    /// # Errors
    /// Existing pairs that were computed with other options.
    pub fn begin(&self, exact: &Exact, store: &Store) -> Result<Begun> {
        exact.must_agree(&self.found_pairs(&self.begun()?))?;
        let mut locked = BTreeMap::new();
        for &(generation_model, task) in &self.texts {
            for &model in &self.models {
                let [generation_model, task, model] = [generation_model, task, model].map(str::to_owned);
                let cell = Cell { generation_model, task, model };
                locked.insert(cell.clone(), store.lock_temporary(&cell)?);
            }
        }
        // Compute this after locking; from then on no other process deletes files.
        Ok(Begun { again: self.again()?, locked })
    }

    /// Parts of each cell that are done, lack hidden states and are still to be compared. If a part is rescored, its pairs
    /// are recomputed too.
    fn again(&self) -> Result<BTreeMap<Cell, BTreeSet<u32>>> {
        let cells = self.begun()?;
        let is_done = |model: &String, part: u32, of: &Cell| {
            let cell = Cell { model: model.clone(), ..of.clone() };
            cells.iter().any(|found| found.cell == cell && found.parts.contains(&part))
        };
        let mut again = BTreeMap::new();
        for found in &cells {
            let pairs = self.pairs((&found.cell.generation_model, &found.cell.task));
            let own = pairs.iter().filter(|pair| [&pair.p, &pair.q].contains(&&found.cell.model));
            let parts = again.entry(found.cell.clone()).or_insert_with(BTreeSet::new);
            for pair in own {
                for (&part, _) in found.parts.iter().zip(&found.hidden).filter(|(_, hidden)| hidden.is_none()) {
                    let is_whole = [&pair.p, &pair.q].into_iter().all(|model| is_done(model, part, &found.cell));
                    if !is_whole || !pair.part(self.root, part)?.exists() {
                        parts.insert(part);
                    }
                }
            }
        }
        Ok(again)
    }

    /// P and Q of the pairs of which both exist.
    fn found_pairs(&self, cells: &[FoundCell]) -> Vec<[FoundCell; 2]> {
        let find = |pair: &PairCell, model: &String| {
            let is_it = |found: &&FoundCell| {
                let Cell { generation_model, task, model: found } = &found.cell;
                (generation_model, task, found) == (&pair.generation_model, &pair.task, model)
            };
            cells.iter().find(is_it).cloned()
        };
        let pairs = self.texts.iter().flat_map(|&text| self.pairs(text));
        pairs.filter_map(|pair| Some([find(&pair, &pair.p)?, find(&pair, &pair.q)?])).collect()
    }

    /// Compares what is not compared yet, and ends the loans.
    ///
    /// # Errors
    /// As [`Exact::run`].
    pub fn compare(&self, exact: &Exact, store: &Store, begun: Begun, seen: (&dyn Watch, &Stop)) -> Result<()> {
        let (cells, mut locked) = (self.cells()?, begun.locked);
        exact.run(&self.found_pairs(&cells), seen)?;
        let mut of_cells = cells.iter().filter_map(|found| Some((found, locked.remove(&found.cell)?)));
        of_cells.try_for_each(|(found, locked)| store.delete_temporary(found, locked))
    }
}
