//! From TOML to experiments.
//!
//! Owns the file's keys and what they mean together. Not here: line numbers and unknown keys (`source`).

use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use toml::de::DeTable;

use super::check::{Folders, fill, folder, output};
use super::experiment::{Experiment, Experiments, Model, TaskFile, WriterFrom};
use super::options::{OF_A_MODEL, OF_ROWS, Options};
use super::patterns::EXPERIMENT;
use super::source::{Source, Table};
use crate::dataset::{WINDOW, names_from_path};
use crate::error::{Error, Result};

const OUTPUT: &str = "ppl_data/{experiment}";
const DATASET: &str = "finetuned_model_response/{experiment}_{task}.jsonl";

/// More threads than any machine has are a slip.
const MOST_THREADS: usize = 1024;

/// Reads and checks a file of experiments.
///
/// # Errors
/// A file that cannot be read; [`Error::File`] with the line for what is not TOML, for a key or value that is not
/// known, and for names that are empty, too long, given twice, or would share a folder.
pub fn read(path: &Path) -> Result<Experiments> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    let source = Source { path, text: &text };
    let table = DeTable::parse(&text).map_err(|e| source.toml(&e, &(0..0)))?;
    source.experiments(table)
}

/// The keys of each level that are no options.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Top {
    output: Option<Spanned<String>>,
    dataset: Option<Spanned<String>>,
    threads: Option<Spanned<usize>>,
    exact: Option<bool>,
    all_pairs: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExperimentHead {
    name: Spanned<String>,
    tasks: Spanned<Vec<Spanned<String>>>,
    generation_model: Option<Spanned<String>>,
    text: Option<Spanned<String>>,
    window: Option<Spanned<u32>>,
    exact: Option<bool>,
    all_pairs: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelHead {
    name: Spanned<String>,
    source: Spanned<String>,
}

/// The model that wrote the responses: the one called like the experiment, else the one that the names of all files begin
/// with.
fn writer(experiment: &str, models: &[Model], files: &[TaskFile]) -> Option<(String, WriterFrom)> {
    let names: Vec<String> = models.iter().map(|model| model.name.clone()).collect();
    if names.iter().any(|name| name == experiment) {
        return Some((experiment.to_owned(), WriterFrom::Experiment));
    }
    let of_file = |file: &TaskFile| Some(names_from_path(&file.dataset, &names)?.0).filter(|name| names.contains(name));
    let mut of_files = files.iter().map(of_file);
    let first = of_files.next()??;
    of_files.all(|name| name.as_ref() == Some(&first)).then_some((first, WriterFrom::FileName))
}

/// The first of an experiment's models, which suffice for what it does.
///
/// # Errors
/// No models, a `reference` that is none of them, or a single one in an `exact` experiment.
fn first_model<'m>(name: &str, models: &'m [Model], options: &Options, exact: bool) -> Result<&'m Model, String> {
    let Some(first) = models.first() else { return Err(format!("`{name}` has no [[experiment.model]]")) };
    if let Some(reference) = options.reference.as_ref().filter(|p| !models.iter().any(|model| model.name == **p)) {
        return Err(format!("reference: `{reference}` is no model of the experiment `{name}`"));
    }
    if exact && models.len() < 2 {
        return Err("exact: it compares at least two models of an experiment".to_owned());
    }
    Ok(first)
}

/// What experiments inherit from the top of the file, and what they must not share.
struct Common {
    output: Spanned<String>,
    dataset: Spanned<String>,
    options: Options,
    exact: bool,
    all_pairs: bool,
    names: Folders,
    response_sets: Folders,
}

impl Source<'_> {
    fn experiments(&self, mut table: Table) -> Result<Experiments> {
        let tables = self.tables(&mut table, "experiment")?;
        let (top, options) =
            self.split::<Top>(table, &["output", "dataset", "threads", "exact", "all_pairs"], Some("experiment"))?;
        let threads = top.threads.map(|n| match *n.get_ref() {
            known @ 1..=MOST_THREADS => Ok(known),
            _ => Err(self.at(&n.span(), format!("threads: expected a number from 1 to {MOST_THREADS}"))),
        });
        let or_default = |given: Option<_>, default: &str| given.unwrap_or(Spanned::new(0..0, default.to_owned()));
        let mut common = Common {
            output: or_default(top.output, OUTPUT),
            dataset: or_default(top.dataset, DATASET),
            options,
            exact: top.exact.unwrap_or_default(),
            all_pairs: top.all_pairs.unwrap_or_default(),
            names: Folders::new("experiments"),
            response_sets: Folders::new("response sets by one model in one output directory"),
        };
        let by_name = tables.into_iter().map(|table| self.by_name(table, common.dataset.get_ref()));
        let tables = by_name.collect::<Result<Vec<_>>>()?.concat();
        let experiments = tables.into_iter().map(|table| self.experiment(table, &mut common));
        let experiments = experiments.collect::<Result<Vec<_>>>()?;
        if experiments.is_empty() {
            return Err(Error::file(self.path, "contains no [[experiment]]"));
        }
        Ok(Experiments { threads: threads.transpose()?, experiments })
    }

    fn experiment(&self, mut table: Table, common: &mut Common) -> Result<Experiment> {
        let span = table.span();
        let tables = self.tables(&mut table, "model")?;
        if let Some((key, _)) = table.get_ref().get_key_value("threads") {
            return Err(self.at(&key.span(), "threads are of the whole run: set them above the first [[experiment]]"));
        }
        let own = ["name", "tasks", "generation_model", "text", "window", "exact", "all_pairs"];
        let (head, options) = self.split::<ExperimentHead>(table, &own, Some("model"))?;
        let name = head.name.get_ref();
        self.described(&head.name.span(), common.names.add(Path::new(""), name))?;
        let options = Options { reference: options.reference.map(|p| p.replace(EXPERIMENT, name)), ..options };
        let options = self.with_common(options, &head, common, &span)?;
        let window = self.window(&head)?;
        let mut names = Folders::new("models of an experiment");
        let tables = tables.into_iter().map(|table| self.by_source(table, name)).collect::<Result<Vec<_>>>()?.concat();
        let models = tables.into_iter().map(|table| self.model(table, name, &options, &mut names));
        let models = models.collect::<Result<Vec<_>>>()?;
        let exact = head.exact.unwrap_or(common.exact);
        let all_pairs = head.all_pairs.unwrap_or(common.all_pairs);
        let first = first_model(name, &models, &options, exact).map_err(|what| self.at(&span, what))?;
        if head.tasks.get_ref().is_empty() {
            return Err(self.at(&head.tasks.span(), format!("`{name}` has no tasks")));
        }
        let on_disk = self.described(&head.name.span(), folder(name))?;
        let filled = fill(common.output.get_ref(), &[("experiment", &on_disk)]).and_then(|path| output(&path));
        let output = self.described(&common.output.span(), filled)?;
        let task_files = self.task_files(&head, window, &common.dataset)?;
        let (generation_model, writer_from) = match &head.generation_model {
            Some(writer) => (writer.get_ref().replace(EXPERIMENT, name), WriterFrom::Option),
            None if window.is_some() => ("text".to_owned(), WriterFrom::Text),
            None => writer(name, &models, &task_files).unwrap_or((first.name.clone(), WriterFrom::FirstModel)),
        };
        self.must_have_folders(&head, &output, &generation_model, &mut common.response_sets)?;
        let name = name.clone();
        Ok(Experiment { name, output, options, generation_model, writer_from, exact, all_pairs, models, task_files })
    }

    /// Every task has a folder of its own among the responses of the generation model.
    fn must_have_folders(
        &self,
        head: &ExperimentHead,
        output: &Path,
        generation_model: &str,
        taken: &mut Folders,
    ) -> Result<()> {
        let within = output.join(self.described(&head.name.span(), folder(generation_model))?);
        for task in head.tasks.get_ref() {
            self.described(&task.span(), taken.add(&within, task.get_ref()))?;
        }
        Ok(())
    }

    /// The options of an experiment with those of the file in the place of what it leaves open.
    fn with_common(
        &self,
        own: Options,
        head: &ExperimentHead,
        common: &Common,
        span: &Range<usize>,
    ) -> Result<Options> {
        let Some(text) = &head.text else { return Ok(own.or(&common.options)) };
        match OF_ROWS.iter().find(|name| own.sets(name)) {
            Some(name) => {
                let what = format!("{name}: it is of rows, and `{}` is plain text", text.get_ref());
                Err(self.at(span, what))
            }
            None => Ok(own.or(&common.options.clone().without_rows())),
        }
    }

    /// The files of an experiment, one per task.
    fn task_files(
        &self,
        head: &ExperimentHead,
        window: Option<u32>,
        dataset: &Spanned<String>,
    ) -> Result<Vec<TaskFile>> {
        let (name, tasks) = (head.name.get_ref(), head.tasks.get_ref());
        let (what, files) = head.text.as_ref().map_or(("dataset", dataset), |text| ("text", text));
        if tasks.len() > 1 && !files.get_ref().contains("{task}") {
            let what = format!("{what}: without {{task}} every task of `{name}` would be the same file");
            return Err(self.at(&files.span(), what));
        }
        let text = |task: &Spanned<String>| {
            let values = [("experiment", name.as_str()), ("task", task.get_ref().as_str())];
            let dataset = self.described(&files.span(), fill(files.get_ref(), &values))?;
            Ok(TaskFile { task: task.get_ref().clone(), dataset: dataset.into(), window })
        };
        tasks.iter().map(text).collect()
    }

    /// Tokens of a window of an experiment's plain texts; `None` for rows.
    fn window(&self, head: &ExperimentHead) -> Result<Option<u32>> {
        match (&head.text, &head.window) {
            (None, None) => Ok(None),
            (None, Some(window)) => Err(self.at(&window.span(), "window: it is of plain text: set text too")),
            (Some(_), None) => Ok(Some(WINDOW)),
            (Some(_), Some(window)) if *window.get_ref() < 4 => {
                Err(self.at(&window.span(), "window: expected at least 4 tokens"))
            }
            (Some(_), Some(window)) => Ok(Some(*window.get_ref())),
        }
    }

    fn model(&self, table: Table, experiment: &str, options: &Options, names: &mut Folders) -> Result<Model> {
        for key in table.get_ref().keys() {
            if !["name", "source"].contains(&key.get_ref().as_ref()) && !OF_A_MODEL.contains(&key.get_ref().as_ref()) {
                let own = OF_A_MODEL.join(", ");
                let what = format!(
                    "`{}`: all models of an experiment score the same rows, ids and lists, so a model has only name, \
                     source, {own} to itself; set other options for the experiment",
                    key.get_ref()
                );
                return Err(self.at(&key.span(), what));
            }
        }
        let (head, own) = self.split::<ModelHead>(table, &["name", "source"], None)?;
        let [name, source] = [&head.name, &head.source].map(|text| text.get_ref().replace(EXPERIMENT, experiment));
        self.described(&head.name.span(), names.add(Path::new(""), &name))?;
        if head.source.get_ref().is_empty() {
            return Err(self.at(&head.source.span(), "expected a model directory or a hub id, found an empty text"));
        }
        Ok(Model { name, source, options: own.or(options) })
    }
}
