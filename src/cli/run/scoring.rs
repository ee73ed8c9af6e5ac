//! The cells of a file, model by model.
//!
//! Owns which cells go through the pipeline together, and what a failure ends. Only a signal ends the whole.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::cells::{Cell, Cells, State};
use super::models::{Models, Opened};
use crate::cli::args::RunArgs;
use crate::cli::inputs;
use crate::cli::models::{Model, Resident};
use crate::cli::progress::{self, Display};
use crate::cli::scorer::Scorer;
use crate::cli::session::{self, Output, Session, Text};
use crate::cli::tell;
use crate::error::Error;
use crate::experiments::OutFormat;
use crate::store;

/// What scoring leaves behind beside the cells' states.
pub struct Scored<'a> {
    /// Every output directory that something could be written to.
    pub outputs: BTreeMap<&'a Path, Output>,
    /// Samples that this run came to and that got no numbers.
    pub unscored: u64,
}

/// Scores every cell that is to do.
///
/// # Errors
/// The run was asked to stop. Anything else becomes the state of the cells that it ends.
pub fn score<'a>(cells: &mut Cells<'a>, args: &RunArgs) -> Result<Scored<'a>> {
    let mut models = Models::new(args.engine);
    let places = open_models(cells, &mut models);
    let sessions = open_sessions(cells, &models, &places);
    let outputs = open_outputs(cells);
    let mut run = Scoring { cells, places: &places, sessions: &sessions, outputs: &outputs, unscored: 0 };
    let bytes = run.cells.all.iter().filter(|cell| cell.state == State::ToDo).map(|cell| run.cells.bytes_missing(cell));
    // How much of it holds a failed sample is not known before.
    let display = if args.retry_failed { Display::of_one() } else { Display::of_all(bytes.sum()) };
    let resident = Resident::default();
    for (place, opened) in models.opened.iter().enumerate() {
        if let Ok(model) = &opened.model {
            run.model(place, &mut Scorer::new(model, &display, &resident, args.retry_failed))?;
        }
    }
    let unscored = run.unscored;
    export(cells, &outputs);
    Ok(Scored { outputs, unscored })
}

/// By experiment and model, the place among the opened ones; `None` where nothing is to be scored.
type Places = Vec<Vec<Option<usize>>>;

/// Opens the models that have something to do; cells of those that cannot be used have failed unless they are finished:
/// models are moved away when they were scored.
fn open_models(cells: &mut Cells, models: &mut Models) -> Places {
    let mut places: Places = cells.experiments.iter().map(|e| vec![None; e.models.len()]).collect();
    for index in 0..cells.all.len() {
        let cell = &cells.all[index];
        let slot = &mut places[cell.experiment][cell.model];
        if cell.state == State::ToDo && slot.is_none() {
            *slot = Some(models.open(cells.model(cell)));
        }
    }
    for index in 0..cells.all.len() {
        let cell = &cells.all[index];
        let opened = places[cell.experiment][cell.model].map(|place| &models.opened[place].model);
        if let Some(Err(why)) = opened {
            settle_without_model(cells, index, why);
        }
    }
    places
}

/// A cell to do whose model cannot be used has failed, unless it is finished.
fn settle_without_model(cells: &mut Cells, index: usize, why: &str) {
    let cell = &cells.all[index];
    if cell.state != State::ToDo {
        return;
    }
    let complete = cells.is_complete(cell);
    if complete {
        let (model, task) = (&cells.model(cell).name, &cells.text(cell).task);
        progress::say(&format!("{model} on {task}: scored before and kept, though the model cannot be used: {why}"));
    }
    cells.all[index].state = if complete { State::Done } else { State::Failed(why.to_owned()) };
}

/// A session an experiment; without one, its cells have failed.
fn open_sessions(cells: &mut Cells, models: &Models, places: &Places) -> Vec<Option<Session>> {
    let mut sessions = Vec::new();
    for (index, experiment) in cells.experiments.iter().enumerate() {
        let opened: Vec<_> = places[index].iter().flatten().map(|&place| &models.opened[place]).collect();
        let usable: Vec<&Model> = opened.iter().filter_map(|opened| opened.model.as_ref().ok()).collect();
        if usable.is_empty() {
            sessions.push(None);
            continue;
        }
        let tokenizer = || match &experiment.options.tokenizer {
            Some(source) => inputs::tokenizer_path(source),
            None => match opened.first().map(|first| &first.named) {
                Some(Ok(first)) => first.tokenizer(),
                Some(Err(why)) => bail!("its tokenizer would make the ids, unless `tokenizer` names one: {why}"),
                None => bail!("it has no model"),
            },
        };
        match tokenizer().and_then(|path| Session::of_those_that_fit(&experiment.options, &usable, &path)) {
            Ok((session, refused)) => {
                for (model, why) in refused {
                    let is_it = |opened: &Opened| opened.model.as_ref().is_ok_and(|one| std::ptr::eq(one, model));
                    let place = models.opened.iter().position(is_it);
                    for cell in 0..cells.all.len() {
                        let of = &cells.all[cell];
                        if of.experiment == index && places[index][of.model] == place {
                            settle_without_model(cells, cell, &tell(&why));
                        }
                    }
                }
                sessions.push(Some(session));
            }
            Err(error) => {
                cells.settle(&State::Failed(tell(&error)), |cell| cell.experiment == index);
                sessions.push(None);
            }
        }
    }
    sessions
}

/// The directories of the cells that are done or to do; cells of those that cannot be written have failed.
fn open_outputs<'a>(cells: &mut Cells<'a>) -> BTreeMap<&'a Path, Output> {
    let mut outputs = BTreeMap::new();
    for index in 0..cells.all.len() {
        let path = cells.experiment(&cells.all[index]).output.as_path();
        if !matches!(cells.all[index].state, State::ToDo | State::Done) || outputs.contains_key(path) {
            continue;
        }
        match Output::open(path) {
            Ok(output) => {
                outputs.insert(path, output);
            }
            Err(error) => {
                let experiments = cells.experiments;
                let is_there = |cell: &Cell| experiments[cell.experiment].output == path;
                cells.settle(&State::Failed(tell(&error)), is_there);
            }
        }
    }
    outputs
}

struct Scoring<'r, 'a> {
    cells: &'r mut Cells<'a>,
    places: &'r Places,
    sessions: &'r [Option<Session>],
    outputs: &'r BTreeMap<&'a Path, Output>,
    unscored: u64,
}

impl Scoring<'_, '_> {
    /// Every cell of one model, which is loaded once.
    fn model(&mut self, place: usize, scorer: &mut Scorer) -> Result<()> {
        for group in self.groups(place) {
            match self.group(scorer, &group) {
                Err(error) if is_stopped(&error) => return Err(error),
                // Alone, each shows its own failure, and those that have none are done.
                Err(_) if group.len() > 1 => group.iter().try_for_each(|&index| self.alone(scorer, index))?,
                Err(error) => self.fail(group[0], &error),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    fn alone(&mut self, scorer: &mut Scorer, index: usize) -> Result<()> {
        match self.group(scorer, &[index]) {
            Err(error) if is_stopped(&error) => Err(error),
            Err(error) => {
                self.fail(index, &error);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn fail(&mut self, index: usize, error: &anyhow::Error) {
        let why = tell(error);
        let cell = &self.cells.all[index];
        let (model, task) = (&self.cells.model(cell).name, &self.cells.text(cell).task);
        progress::say(&format!("{model} on {task} of {}: failed: {why}", self.cells.experiment(cell).name));
        self.cells.all[index].state = State::Failed(why);
    }

    /// Indices of cells that go through the pipeline together: one task's texts by several models share prompts.
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
                let names = |cell| (&self.cells.text(cell).task, &self.cells.model(cell).name);
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
        let text = |&index: &usize| {
            let cell = &cells.all[index];
            Some(Text {
                session: self.sessions[cell.experiment].as_ref()?,
                output: self.outputs.get(cells.experiment(cell).output.as_path())?,
                dataset: cells.dataset(cell)?,
                model: &cells.model(cell).name,
                again: &session::NONE,
            })
        };
        let texts: Option<Vec<Text>> = group.iter().map(text).collect();
        let texts = texts.context("a cell was not prepared")?;
        let name = &format!("{} on {}", texts[0].model, texts[0].dataset.task);
        match scorer.score(name, &texts)? {
            None => progress::say(&format!("{name}: already scored")),
            Some(outcome) => {
                progress::say(&format!("{name}: {}", outcome.describe()));
                self.unscored += outcome.counts.unscored();
            }
        }
        for &index in group {
            self.cells.all[index].state = State::Done;
        }
        Ok(())
    }
}

fn is_stopped(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(Error::Stopped))
}

/// Writes the study's files where they were asked for; a cell whose file cannot be written has failed.
fn export(cells: &mut Cells, outputs: &BTreeMap<&Path, Output>) {
    for (path, output) in outputs {
        let is_asked = |cell: &Cell| {
            let experiment = &cells.experiments[cell.experiment];
            cell.state == State::Done
                && experiment.output == *path
                && experiment.options.out() == OutFormat::TokenLosses
        };
        let asked: Vec<usize> = (0..cells.all.len()).filter(|&index| is_asked(&cells.all[index])).collect();
        if asked.is_empty() {
            continue;
        }
        let found = store::cells_and_damaged(path).map_err(|error| error.to_string());
        for index in asked {
            let cell = &cells.all[index];
            let written = match &found {
                Ok((found, damaged)) => {
                    let found = found.iter().find(|found| cells.is_it(cell, &found.cell));
                    let damaged = damaged.iter().find(|damaged| cells.is_it(cell, &damaged.cell));
                    match (found, damaged) {
                        (Some(found), _) => output.export(found).map_err(|e| tell(&e)),
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
