//! The cells of a file of experiments, model by model.
//!
//! Owns which cells go through the pipeline together, and what a failure ends: its own cells alone. Only a [`Stop`] ends
//! the whole. Not here: comparing what was scored.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::assignment::{self, Assignment};
use super::cells::{Cell, Cells, State};
use super::exact_many;
use super::models::EngineChoice;
use super::opened::Models;
use super::prepare::{Places, open_models, open_outputs, open_sessions};
use super::scorer::Scorer;
use super::session::{Output, Session};
use super::watch::{Event, Watch};
use crate::error::{Error, Result};
use crate::experiments::OutFormat;
use crate::hub;
use crate::pipeline::WhichParts;
use crate::stop::Stop;
use crate::store;

/// The results of scoring other than the cells' states.
pub struct Scored<'a> {
    /// Every output directory that something could be written to.
    pub outputs: BTreeMap<&'a Path, Output>,
    /// Samples that this run read and could not score.
    pub unscored: u64,
}

/// Scores what `parts` has of every cell that is to do.
///
/// # Errors
/// [`Error::Stopped`] if `stop` was raised. Anything else becomes the state of the cells that it ends.
pub fn score_cells<'a>(
    cells: &mut Cells<'a>,
    engine: EngineChoice,
    parts: WhichParts,
    watch: &dyn Watch,
    stop: &Stop,
) -> Result<Scored<'a>> {
    let mut models = Models::new(engine);
    let places = open_models(cells, &mut models, watch, &|_| true);
    let sessions = open_sessions(cells, &models, &places, watch);
    watch.event(&Event::ResponseSets(&cells.response_sets()));
    let outputs = open_outputs(cells);
    let to_do = cells.all.iter().filter(|cell| cell.state == State::ToDo);
    // How many parts contain a failed sample is not known in advance.
    if !parts.retry_failed {
        watch.event(&Event::Planned { bytes: to_do.map(|cell| cells.bytes_missing(cell)).sum() });
    }
    let exact = exact_many::Comparisons::of(cells);
    let mut begun = exact.begin(cells, &outputs);
    let (places, sessions) = (&places, &sessions);
    let again = begun.again();
    let mut run = Scoring { cells, places, sessions, outputs: &outputs, again: &again, watch, unscored: 0 };
    for (place, opened) in models.opened.iter().enumerate() {
        if let Ok(model) = &opened.model {
            run.model(place, &mut Scorer::new(model, watch, stop, parts))?;
        }
    }
    let unscored = run.unscored;
    export(cells, &outputs, watch);
    exact.compare(cells, &outputs, &mut begun, (watch, stop))?;
    Ok(Scored { outputs, unscored })
}

/// What is known to fail before anything is fetched, loaded or written becomes the state of its cells. Experiments of which
/// a model is not on this machine are left as they are.
pub fn check(cells: &mut Cells, engine: EngineChoice, watch: &dyn Watch) {
    let is_here = |source: &str| {
        let (base, adapter) = hub::parts(source);
        let is_found = |source, kind| hub::find(source, kind).is_ok_and(|path| path.is_some());
        is_found(base, hub::Kind::Model) && adapter.is_none_or(|adapter| is_found(adapter, hub::Kind::Adapter))
    };
    let here: Vec<bool> = cells.experiments.iter().map(|e| e.models.iter().all(|m| is_here(&m.source))).collect();
    let mut models = Models::new(engine);
    let places = open_models(cells, &mut models, watch, &|experiment| here[experiment]);
    let sessions = open_sessions(cells, &models, &places, watch);
    for index in 0..cells.all.len() {
        let cell = &cells.all[index];
        let model = places[cell.experiment][cell.model].and_then(|place| models.opened[place].model.as_ref().ok());
        let (Some(session), Some(model), Some(dataset)) = (&sessions[cell.experiment], model, cells.dataset(cell))
        else {
            continue;
        };
        if let Err(why) = session.must_render(model, &dataset.plan)
            && cell.state == State::ToDo
        {
            cells.all[index].state = State::Failed(why.to_string());
        }
    }
}

struct Scoring<'r, 'a> {
    cells: &'r mut Cells<'a>,
    places: &'r Places,
    sessions: &'r [Option<Session>],
    outputs: &'r BTreeMap<&'a Path, Output>,
    /// By experiment, parts of each cell that are scored again for their hidden states.
    again: &'r [BTreeMap<store::Cell, BTreeSet<u32>>],
    watch: &'r dyn Watch,
    unscored: u64,
}

impl Scoring<'_, '_> {
    /// Every cell of one model, which is loaded once.
    fn model(&mut self, place: usize, scorer: &mut Scorer) -> Result<()> {
        for group in self.groups(place) {
            match self.group(scorer, &group) {
                Err(error) if error.is_stopped() => return Err(error),
                // Scored one by one, each cell shows its own failure, and those without one are done.
                Err(_) if group.len() > 1 => group.iter().try_for_each(|&index| self.one(scorer, index))?,
                Err(error) => self.fail(group[0], &error),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    fn one(&mut self, scorer: &mut Scorer, index: usize) -> Result<()> {
        match self.group(scorer, &[index]) {
            Err(error) if error.is_stopped() => Err(error),
            Err(error) => {
                self.fail(index, &error);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn fail(&mut self, index: usize, error: &Error) {
        let why = error.to_string();
        let cell = &self.cells.all[index];
        let (model, task) = (&self.cells.model(cell).name, &self.cells.task_file(cell).task);
        let experiment = &self.cells.experiment(cell).name;
        self.watch.event(&Event::Failed { experiment, task, model, why: &why });
        self.cells.all[index].state = State::Failed(why);
    }

    /// Indices of cells that go through the pipeline together: one task's response sets share prompts.
    fn groups(&self, place: usize) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for (index, cell) in self.cells.all.iter().enumerate() {
            if cell.state != State::ToDo || self.places[cell.experiment][cell.model] != Some(place) {
                continue;
            }
            let fits = |group: &&mut Vec<usize>| {
                let first = &self.cells.all[group[0]];
                let sessions = [first, cell].map(|cell| self.sessions[cell.experiment].as_ref());
                let [Some(a), Some(b)] = sessions else { return false };
                let names = |cell| (&self.cells.task_file(cell).task, &self.cells.model(cell).name);
                names(first) == names(cell) && a.goes_with(b)
            };
            match groups.iter_mut().find(fits) {
                Some(group) => group.push(index),
                None => groups.push(vec![index]),
            }
        }
        groups
    }

    fn group(&mut self, scorer: &mut Scorer, group: &[usize]) -> Result<()> {
        let cells = &self.cells;
        let assignment = |&index: &usize| {
            let cell = &cells.all[index];
            let none = Assignment {
                session: self.sessions[cell.experiment].as_ref()?,
                output: self.outputs.get(cells.experiment(cell).output.as_path())?,
                dataset: cells.dataset(cell)?,
                model: &cells.model(cell).name,
                again: &assignment::NONE,
            };
            let again = self.again[cell.experiment].get(&none.cell()).unwrap_or(&assignment::NONE);
            Some(Assignment { again, ..none })
        };
        let assignments: Option<Vec<Assignment>> = group.iter().map(assignment).collect();
        let assignments = assignments.ok_or_else(|| Error::usage("a cell was not prepared"))?;
        let name = &format!("{} on {}", assignments[0].model, assignments[0].dataset.set.task);
        let outcome = scorer.score(name, &assignments)?;
        self.unscored += outcome.map_or(0, |outcome| outcome.counts.unscored());
        for &index in group {
            self.cells.all[index].state = State::Done;
        }
        Ok(())
    }
}

/// Writes the study's files where they are requested; a cell whose file cannot be written has failed.
fn export(cells: &mut Cells, outputs: &BTreeMap<&Path, Output>, watch: &dyn Watch) {
    for (path, output) in outputs {
        let is_requested = |cell: &Cell| {
            let experiment = &cells.experiments[cell.experiment];
            cell.state == State::Done
                && experiment.output == *path
                && experiment.options.out() == OutFormat::TokenLosses
        };
        let requested: Vec<usize> = (0..cells.all.len()).filter(|&index| is_requested(&cells.all[index])).collect();
        if requested.is_empty() {
            continue;
        }
        let found = store::cells_and_damaged(path).map_err(|error| error.to_string());
        for index in requested {
            let cell = &cells.all[index];
            let written = match &found {
                Ok((found, damaged)) => {
                    let found = found.iter().find(|found| found.cell == cells.cell(cell));
                    let damaged = damaged.iter().find(|damaged| damaged.cell == cells.cell(cell));
                    match (found, damaged) {
                        (Some(found), _) => output.export(found, watch).map_err(|e| e.to_string()),
                        (None, Some(damaged)) => Err(damaged.error.to_string()),
                        (None, None) => Ok(()),
                    }
                }
                Err(why) => Err(why.clone()),
            };
            if let Err(why) = written {
                cells.all[index].state = State::Failed(why);
            }
        }
    }
}
