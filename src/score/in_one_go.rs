//! `score --exact`: score several models and compare P of each response set with the others.
//!
//! Owns the list of pairs, which finished parts are rescored because their hidden states are gone, and the deletion of
//! temporary hidden states. Not here: scoring (`scorer`) and comparing (`exact`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::exact::Exact;
use super::response_sets::ResponseSet;
use super::watch::Watch;
use crate::error::{Error, Result};
use crate::natural;
use crate::schema::folder;
use crate::stop::Stop;
use crate::store::{self, Cell, FoundCell, PairCell, Store, TemporaryLock};

/// Several models on the same response sets.
pub struct InOneGo<'a> {
    root: &'a Path,
    /// In the order of --models.
    models: Vec<&'a str>,
    sets: &'a [ResponseSet],
    /// Whether the other models are compared with one another too.
    all_pairs: bool,
}

/// The state at the beginning.
#[derive(Default)]
pub struct Begun {
    /// Parts of each cell that are to be rescored for their hidden states.
    pub again: BTreeMap<Cell, BTreeSet<u32>>,
    locked: BTreeMap<Cell, TemporaryLock>,
}

impl<'a> InOneGo<'a> {
    /// Of models and response sets, all of each with all of the other.
    pub fn new(root: &'a Path, models: Vec<&'a str>, sets: &'a [ResponseSet], all_pairs: bool) -> Self {
        Self { root, models, sets, all_pairs }
    }

    /// # Errors
    /// [`Error::Usage`] for a response set whose P was scored by an earlier run and is not scored by this one: its hidden
    /// states are not there to compare it with the others.
    pub fn must_have_p(&self) -> Result<()> {
        let p = |set: &'a ResponseSet| {
            set.p.as_ref().map(|(p, _)| (set, p)).filter(|(_, p)| !self.models.contains(&p.as_str()))
        };
        match self.sets.iter().find_map(p).filter(|_| !self.all_pairs) {
            Some((ResponseSet { set, .. }, p)) => Err(Error::usage(format!(
                "--exact: P of {set} is `{p}`: add it to --models, so that it can be compared with the others"
            ))),
            None => Ok(()),
        }
    }

    /// What is there of them; others may be damaged.
    ///
    /// # Errors
    /// A requested one cannot be read.
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

    fn is_requested(&self, Cell { set, model }: &Cell) -> bool {
        self.models.contains(&&**model) && self.sets.iter().any(|requested| requested.set == *set)
    }

    /// The pairs of a response set, P first, as `kl` compares them: P with each other model; with `all_pairs` also the
    /// others with one another, and there P is the first by name.
    fn pairs(&self, set: &ResponseSet) -> Vec<PairCell> {
        let mut models = self.models.clone();
        let p = set.p.as_ref().map(|(p, _)| p.as_str());
        models.sort_by(|a, b| (Some(*a) != p).cmp(&(Some(*b) != p)).then_with(|| natural::compare(a, b)));
        let of =
            |(index, p): (usize, &&str)| models[index + 1..].iter().map(|q| set.set.pair(*p, *q)).collect::<Vec<_>>();
        let ps = if self.all_pairs { models.len() } else { 1 };
        models.iter().enumerate().take(ps).flat_map(of).collect()
    }

    /// The pairs of the response set that a requested cell is of.
    fn pairs_of(&self, cell: &Cell) -> Vec<PairCell> {
        let set = self.sets.iter().find(|set| set.set == cell.set);
        set.map_or_else(Vec::new, |set| self.pairs(set))
    }

    /// Looks at what exists, before anything is scored; temporary hidden states are kept until the end.
    ///
    /// # Errors
    /// Existing pairs that were computed with other options.
    pub fn begin(&self, exact: &Exact, store: &Store) -> Result<Begun> {
        exact.must_agree(&self.found_pairs(&self.begun()?))?;
        let mut locked = BTreeMap::new();
        for set in self.sets {
            for &model in &self.models {
                let cell = set.set.cell(model);
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
        let is_done =
            |cell: &Cell, part: u32| cells.iter().any(|found| found.cell == *cell && found.parts.contains(&part));
        let mut again = BTreeMap::new();
        for found in &cells {
            let pairs = self.pairs_of(&found.cell);
            let own = pairs.iter().filter(|pair| pair.cells().contains(&found.cell));
            let parts = again.entry(found.cell.clone()).or_insert_with(BTreeSet::new);
            for pair in own {
                for (&part, _) in found.parts.iter().zip(&found.hidden).filter(|(_, hidden)| hidden.is_none()) {
                    let is_whole = pair.cells().iter().all(|cell| is_done(cell, part));
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
        let find = |cell: Cell| cells.iter().find(|found| found.cell == cell).cloned();
        let pairs = self.sets.iter().flat_map(|set| self.pairs(set)).map(|pair| pair.cells().map(find));
        pairs.filter_map(|[p, q]| Some([p?, q?])).collect()
    }

    /// Compares what is not compared yet, and deletes the temporary hidden states.
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
