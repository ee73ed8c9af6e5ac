//! What the cells of a file of experiments need before anything is scored: models, sessions, output directories.
//!
//! Owns opening them, and which cells fail because one of them cannot be used. Not here: the weights and the order of
//! work (`many`).

use std::collections::BTreeMap;
use std::path::Path;

use super::cells::{Cell, Cells, State};
use super::inputs;
use super::models::Model;
use super::named::{self, NamedModel};
use super::opened::{Models, Opened};
use super::session::{Output, Session};
use super::watch::{Event, Watch};
use crate::error::Error;
use crate::experiments::Experiment;

/// By experiment and model, the place among the opened ones; `None` where nothing is to be scored.
pub type Places = Vec<Vec<Option<usize>>>;

/// Opens the models that have something to do in experiments that are `is_wanted`; cells of those that cannot be used
/// have failed unless they are finished: models are moved away when they were scored.
pub fn open_models(
    cells: &mut Cells,
    models: &mut Models,
    watch: &dyn Watch,
    is_wanted: &dyn Fn(usize) -> bool,
) -> Places {
    let mut places: Places = cells.experiments.iter().map(|e| vec![None; e.models.len()]).collect();
    for index in 0..cells.all.len() {
        let cell = &cells.all[index];
        let slot = &mut places[cell.experiment][cell.model];
        if cell.state == State::ToDo && slot.is_none() && is_wanted(cell.experiment) {
            let has_adapters = cells.experiment(cell).models.iter().any(|model| named::is_adapted(&model.source));
            *slot = Some(models.open(cells.model(cell), has_adapters, cells.experiment(cell).exact));
        }
    }
    for index in 0..cells.all.len() {
        let cell = &cells.all[index];
        let opened = places[cell.experiment][cell.model].map(|place| &models.opened[place].model);
        if let Some(Err(why)) = opened {
            fix_without_model(cells, index, why, watch);
        }
    }
    places
}

/// A cell to do whose model cannot be used has failed, unless it is finished.
fn fix_without_model(cells: &mut Cells, index: usize, why: &str, watch: &dyn Watch) {
    let cell = &cells.all[index];
    if cell.state != State::ToDo {
        return;
    }
    let complete = cells.is_complete(cell);
    if complete {
        let (model, task) = (&cells.model(cell).name, &cells.task_file(cell).task);
        watch.event(&Event::KeptWithoutModel { model, task, why });
    }
    cells.all[index].state = if complete { State::Done } else { State::Failed(why.to_owned()) };
}

/// A session an experiment; without one, its cells have failed.
pub fn open_sessions(cells: &mut Cells, models: &Models, places: &Places, watch: &dyn Watch) -> Vec<Option<Session>> {
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
            None => match named_of_writer(experiment, &opened) {
                Some(Ok(first)) => first.tokenizer(),
                Some(Err(why)) => {
                    Err(Error::usage(format!("its tokenizer is needed because `tokenizer` is not set: {why}")))
                }
                None => Err(Error::usage("it has no model")),
            },
        };
        match tokenizer().and_then(|path| Session::of_those_that_fit(&experiment.options, &usable, &path, watch)) {
            Ok((session, rejected)) => {
                for (model, why) in rejected {
                    let is_it = |opened: &Opened| opened.model.as_ref().is_ok_and(|one| std::ptr::eq(one, model));
                    let place = models.opened.iter().position(is_it);
                    for cell in 0..cells.all.len() {
                        let of = &cells.all[cell];
                        if of.experiment == index && places[index][of.model] == place {
                            fix_without_model(cells, cell, &why.to_string(), watch);
                        }
                    }
                }
                cells.open_windows(index, &session);
                sessions.push(Some(session));
            }
            Err(error) => {
                cells.fix(&State::Failed(error.to_string()), |cell| cell.experiment == index);
                sessions.push(None);
            }
        }
    }
    sessions
}

/// The model that wrote the texts of an experiment, if it is opened, or else the first: its tokenizer makes the ids.
fn named_of_writer<'a>(
    experiment: &Experiment,
    opened: &[&'a Opened],
) -> Option<&'a std::result::Result<NamedModel, String>> {
    let source = experiment.models.iter().find(|model| model.name == experiment.generation_model);
    let wrote = |opened: &&&Opened| source.is_some_and(|model| opened.is_from(&model.source));
    opened.iter().find(wrote).or(opened.first()).map(|opened| &opened.named)
}

/// The directories of the cells that are done or to do; cells of those that cannot be written have failed.
pub fn open_outputs<'a>(cells: &mut Cells<'a>) -> BTreeMap<&'a Path, Output> {
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
                cells.fix(&State::Failed(error.to_string()), is_there);
            }
        }
    }
    outputs
}
