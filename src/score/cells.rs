//! Every cell of a file of experiments: experiment × task × model, and what became of it.
//!
//! Owns the first look at datasets and at the results of earlier runs. Not here: models (`models`).

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use candle_core::{DType, Device};

use super::datasets::{self, Dataset, earlier_parts, reference};
use super::response_sets::ResponseSet;
use super::session::Session;
use super::windows::PlainText;
use crate::dataset::Part;
use crate::decoder::Backend;
use crate::error::Error;
use crate::experiments::{Experiment, Model, TaskFile, WriterFrom};
use crate::store::{self, DamagedCell, DatasetFacts, FoundCell, ResponseSetKey};

/// Cells in the file's order, and their datasets.
pub struct Cells<'a> {
    /// The experiments.
    pub experiments: &'a [Experiment],
    /// By experiment and task; `None` if it cannot be used.
    datasets: Vec<Vec<Option<Dataset>>>,
    /// What is found in each output directory, or why it cannot be read.
    found: BTreeMap<&'a Path, Result<Found, String>>,
    /// All cells.
    pub all: Vec<Cell>,
}

/// The cells of an output directory, and those that cannot be read.
type Found = (Vec<FoundCell>, Vec<DamagedCell>);

/// A place in the file, and how it stands.
#[derive(Debug)]
pub struct Cell {
    /// Index of its experiment.
    pub experiment: usize,
    /// Index of its task in the experiment.
    pub task: usize,
    /// Index of its model in the experiment.
    pub model: usize,
    /// What became of it.
    pub state: State,
}

/// How a cell stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Not scored yet.
    ToDo,
    /// Scored by this run, or before it.
    Done,
    /// There is no dataset.
    Skipped(String),
    /// It failed, with the reason.
    Failed(String),
}

impl<'a> Cells<'a> {
    /// Reads every dataset once, and lists every output directory.
    pub fn scan(experiments: &'a [Experiment]) -> Self {
        let (mut datasets, mut all, mut found) = (Vec::new(), Vec::new(), BTreeMap::new());
        for (index, experiment) in experiments.iter().enumerate() {
            let output = experiment.output.as_path();
            let found: &Result<Found, String> = found
                .entry(output)
                .or_insert_with(|| store::cells_of_earlier_runs(output).map_err(|error| error.to_string()));
            let found = found.as_ref().map_or(&[][..], |(found, _)| found);
            let mut of_experiment = Vec::new();
            for (task, file) in experiment.task_files.iter().enumerate() {
                let (dataset, state) = scan(experiment, file, found);
                of_experiment.push(dataset);
                let cell = |model| Cell { experiment: index, task, model, state: state.clone() };
                all.extend((0..experiment.models.len()).map(cell));
            }
            datasets.push(of_experiment);
        }
        Self { experiments, datasets, found, all }
    }

    /// The cell's experiment.
    pub fn experiment(&self, cell: &Cell) -> &'a Experiment {
        &self.experiments[cell.experiment]
    }

    /// The file of the cell's task.
    pub fn task_file(&self, cell: &Cell) -> &'a TaskFile {
        &self.experiment(cell).task_files[cell.task]
    }

    /// The cell's model.
    pub fn model(&self, cell: &Cell) -> &'a Model {
        &self.experiment(cell).models[cell.model]
    }

    /// The rows of the cell's response set; `None` if they cannot be used.
    pub fn dataset(&self, cell: &Cell) -> Option<&Dataset> {
        self.datasets[cell.experiment][cell.task].as_ref()
    }

    /// Cuts the plain texts of an experiment into windows by its session's tokenizer; the cells of one that cannot be used have
    /// failed.
    pub fn open_windows(&mut self, experiment: usize, session: &Session) {
        let of = &self.experiments[experiment];
        let models: Vec<String> = of.models.iter().map(|model| model.name.clone()).collect();
        for (index, TaskFile { task, dataset, window }) in of.task_files.iter().enumerate() {
            let Some(window) = *window else { continue };
            let found = self.found.get(of.output.as_path()).and_then(|found| found.as_ref().ok());
            let earlier = found.map_or(&[][..], |(found, _)| found);
            let writer = (of.writer_from != WriterFrom::Text).then_some(of.generation_model.as_str());
            let requested = (of.options.reference.as_deref(), models.as_slice());
            let text = PlainText { path: dataset.clone(), window };
            match text.open(writer, Some(task), requested, earlier, session) {
                Ok(opened) => self.datasets[experiment][index] = Some(opened),
                Err(why) => {
                    let why = State::Failed(why.to_string());
                    self.fix(&why, |cell| (cell.experiment, cell.task) == (experiment, index));
                }
            }
        }
    }

    /// Every response set that can be scored, and P of each.
    pub fn response_sets(&self) -> Vec<ResponseSet> {
        (0..self.experiments.len()).flat_map(|experiment| self.response_sets_of(experiment)).collect()
    }

    /// The same of one experiment, by its place in the file.
    pub fn response_sets_of(&self, experiment: usize) -> Vec<ResponseSet> {
        let (experiment, datasets) = (&self.experiments[experiment], &self.datasets[experiment]);
        let models: Vec<&str> = experiment.models.iter().map(|model| &*model.name).collect();
        let found = self.found.get(experiment.output.as_path()).and_then(|found| found.as_ref().ok());
        let found = found.map_or(&[][..], |(found, _)| found);
        datasets.iter().flatten().map(|dataset| ResponseSet::of(dataset, &models, &experiment.options, found)).collect()
    }

    /// What earlier runs left of a cell.
    pub fn found(&self, cell: &Cell) -> Option<&FoundCell> {
        let (found, _) = self.found.get(self.experiment(cell).output.as_path())?.as_ref().ok()?;
        let of = self.cell(cell);
        found.iter().find(|found| found.cell == of)
    }

    /// Why nothing can be added to what earlier runs left of a cell.
    pub fn damage(&self, cell: &Cell) -> Option<String> {
        let (_, damaged) = self.found.get(self.experiment(cell).output.as_path())?.as_ref().ok()?;
        let of = self.cell(cell);
        Some(damaged.iter().find(|damaged| damaged.cell == of)?.error.to_string())
    }

    /// The cell's names on disk.
    pub fn cell(&self, cell: &Cell) -> store::Cell {
        store::Cell::new(&self.experiment(cell).generation_model, &self.task_file(cell).task, &self.model(cell).name)
    }

    /// Output directories whose earlier results cannot be read, and why: what is done there is not known.
    pub fn unreadable(&self) -> impl Iterator<Item = (&'a Path, &str)> {
        self.found.iter().filter_map(|(path, found)| Some((*path, found.as_ref().err()?.as_str())))
    }

    /// Bytes of the parts that a cell lacks.
    pub fn bytes_missing(&self, cell: &Cell) -> u64 {
        self.missing(cell).map(|part| part.bytes).sum()
    }

    fn missing(&self, cell: &Cell) -> impl Iterator<Item = &Part> {
        let done = self.found(cell).map_or(&[][..], |found| &found.parts);
        let parts = self.dataset(cell).map_or(&[][..], |dataset| &dataset.plan.parts);
        (0..).zip(parts).filter(|(part, _)| !done.contains(part)).map(|(_, part)| part)
    }

    /// Why the store would reject the cell, as far as its dataset and its options decide that.
    pub fn rejected(&self, cell: &Cell) -> Option<String> {
        let (found, dataset) = (self.found(cell)?, self.dataset(cell)?);
        let before = &found.manifest;
        let (options, engine) = (&self.model(cell).options, &before.engine);
        let dtype = options.dtype().decided();
        let top_k = engine.vocab.map_or(options.top_k(), |vocab| options.top_k().min(vocab));
        // `auto` is what the tokenizer's model says.
        let end = match options.end() {
            "none" => Some(None),
            id => id.parse().ok().map(Some),
        };
        let dtype_before = if engine.dtype == "bf16" { DType::BF16 } else { DType::F32 };
        let arithmetic = Backend::of(&Device::Cpu).ok().and_then(|backend| backend.arithmetic(dtype_before));
        let is_continued = self.bytes_missing(cell) > 0 && engine.arithmetic.is_some();
        let differs = [
            (is_continued && engine.arithmetic.as_deref() != arithmetic, "another summation order (TOKSHIFT_CPU)"),
            (engine.top_k != top_k, "another top-k"),
            (dtype.is_some_and(|dtype| engine.dtype != dtype), "another dtype"),
            (engine.keep_hidden.is_some() != options.keeps_hidden(), "another --keep-hidden"),
            (before.tokens.boundary != options.boundary().as_str(), "another boundary"),
            (before.tokens.too_long != options.too_long().as_str(), "another --too-long"),
            (end.is_some_and(|end| before.tokens.end != end), "another end token"),
        ];
        let differs = differs.into_iter().find_map(|(differs, what)| differs.then(|| what.to_owned()));
        let (facts, plan) = (DatasetFacts::of(&dataset.plan), &dataset.plan);
        let begins_with = plan.hashes.begins_with(&before.hashes, &before.dataset.blake3);
        let rows = (!facts.extends(&before.dataset, begins_with)).then(|| facts.difference(&before.dataset)).flatten();
        let differs = rows.or(differs)?;
        Some(format!("its parts were made with {differs}: delete them, or use another output"))
    }

    /// Whether every part of the cell was scored earlier with the options of the file, as far as that is known without
    /// the model.
    pub fn is_complete(&self, cell: &Cell) -> bool {
        self.dataset(cell).is_some()
            && self.found(cell).is_some()
            && self.bytes_missing(cell) == 0
            && self.rejected(cell).is_none()
    }

    /// Gives every cell that is to do and `fits` a state.
    pub fn fix(&mut self, state: &State, fits: impl Fn(&Cell) -> bool) {
        for cell in self.all.iter_mut().filter(|cell| cell.state == State::ToDo && fits(cell)) {
            cell.state = state.clone();
        }
    }
}

fn scan(experiment: &Experiment, file: &TaskFile, earlier: &[FoundCell]) -> (Option<Dataset>, State) {
    if file.window.is_some() && file.dataset.exists() {
        // Windows are of tokens: the tokenizer comes first.
        return (None, State::ToDo);
    }
    let set = ResponseSetKey::new(&experiment.generation_model, &file.task);
    match datasets::scan(&file.dataset, &experiment.options, earlier_parts(earlier, &set)) {
        Ok(plan) => {
            tracing::info!(dataset = %file.dataset.display(), rows = plan.rows, parts = plan.parts.len(), "scanned");
            let Experiment { generation_model, writer_from, options, models, .. } = experiment;
            let models: Vec<String> = models.iter().map(|model| model.name.clone()).collect();
            let dataset = Dataset {
                set,
                writer_from: *writer_from,
                reference: reference(options.reference.as_deref(), &models, generation_model),
                plan,
            };
            (Some(dataset), State::ToDo)
        }
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
            (None, State::Skipped(format!("there is no dataset `{}`", file.dataset.display())))
        }
        Err(error) => (None, State::Failed(error.to_string())),
    }
}
