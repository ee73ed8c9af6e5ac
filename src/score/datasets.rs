//! Datasets by name.
//!
//! Owns which generation model and task a file of rows belongs to, where that was taken from, and how its rows are read.
//! Not here: their tokens.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::named;
use crate::dataset::{self, FieldNames, Part, Plan, PlanOptions, RowOptions};
use crate::error::{Error, Result};
use crate::experiments::{Options, WriterFrom};
use crate::store::{FoundCell, ReferenceFacts, ResponseSetKey};

/// A file of rows, and the model that wrote its responses if that stood before it, as in `step_20=FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetFile {
    /// The file of rows.
    pub path: PathBuf,
    /// The model that wrote its responses, if it was named before the file.
    pub generation_model: Option<String>,
}

impl From<PathBuf> for DatasetFile {
    fn from(path: PathBuf) -> Self {
        Self { path, generation_model: None }
    }
}

/// A dataset with its names.
#[derive(Debug)]
pub struct Dataset {
    /// The response set that its rows are.
    pub set: ResponseSetKey,
    /// Where the name of the model that wrote them was taken from.
    pub writer_from: WriterFrom,
    /// What decides P if this is the first run on these responses.
    pub reference: ReferenceFacts,
    /// The rows.
    pub plan: Plan,
}

/// What files are called by.
pub struct Names<'a> {
    /// The model that wrote all of them, if their names do not say so.
    pub generation_model: Option<&'a str>,
    /// The task of all of them, if their names do not say so.
    pub task: Option<&'a str>,
    /// The models that score, as they were typed: a file's name may begin with one of theirs.
    pub models: &'a [String],
    /// What earlier runs left in the output directory.
    pub earlier: &'a [FoundCell],
    /// The requested P.
    pub requested: Option<&'a str>,
}

/// What decides P of responses by `writer` if the first run on them scores them with `models`: only where the writer is none
/// of these does their order matter.
pub fn reference(requested: Option<&str>, models: &[String], writer: &str) -> ReferenceFacts {
    let first = models.first().filter(|_| !models.iter().any(|model| model == writer));
    ReferenceFacts { requested: requested.map(str::to_owned), first_model: first.cloned() }
}

/// Scans the datasets and decides their names.
///
/// # Errors
/// [`Error::Usage`] for a file whose names are not known, and for two of the same names; those of [`scan`].
pub fn open(files: &[DatasetFile], names: &Names, options: &Options) -> Result<Vec<Dataset>> {
    let mut seen = BTreeSet::new();
    let mut named = Vec::new();
    for file in files {
        let found = names.of(file)?;
        if !seen.insert(found.set.clone()) {
            return Err(Error::usage(format!(
                "two datasets are of the task {}: give each the name of the model that wrote it, as in --dataset \
                 NAME={},NAME=FILE",
                found.set,
                file.path.display()
            )));
        }
        named.push(found);
    }
    let dataset = |(file, Found { set, writer_from }): (&DatasetFile, Found)| {
        let reference = reference(names.requested, &names.scoring(), &set.generation_model);
        let plan = scan(&file.path, options, earlier_parts(names.earlier, &set))?;
        Ok(Dataset { set, writer_from, reference, plan })
    };
    files.iter().zip(named).map(dataset).collect()
}

/// The parts of the response set that earlier runs have, and the fields that they kept; none, if it is scored for the first
/// time.
pub fn earlier_parts(earlier: &[FoundCell], set: &ResponseSetKey) -> (Vec<Part>, Vec<String>) {
    let found = earlier.iter().find(|found| found.cell.set == *set);
    found.map(|found| (found.manifest.parts.clone(), found.manifest.dataset.keep_fields.clone())).unwrap_or_default()
}

/// Scans a dataset as the options say; the boundaries of the parts that `earlier` runs have stay, and so do the fields that
/// they kept.
///
/// # Errors
/// Those of the scan, and invalid field names.
pub fn scan(path: &Path, options: &Options, earlier: (Vec<Part>, Vec<String>)) -> Result<Plan> {
    let (earlier, mut keep) = earlier;
    let added: Vec<String> = options.keep_fields().into_iter().filter(|name| !keep.contains(name)).collect();
    keep.extend(added);
    let fields = FieldNames::parse(options.fields.as_deref().unwrap_or_default());
    let fields = fields.map_err(|what| Error::usage(format!("--fields {what}")))?;
    let rows = RowOptions { fields, cluster: options.cluster.clone(), keep };
    dataset::scan(path, PlanOptions { rows, limit: options.limit, earlier })
}

/// The names of a file.
struct Found {
    set: ResponseSetKey,
    writer_from: WriterFrom,
}

impl Names<'_> {
    /// The names of the models that score.
    pub fn scoring(&self) -> Vec<String> {
        self.models.iter().map(|model| named::split(model).0).collect()
    }

    /// Generation model and task of a file. A name that was given decides; else a model that the file is called like, or
    /// that its name begins with; else what stands before the first `_`.
    fn of(&self, file: &DatasetFile) -> Result<Found> {
        let path = &file.path;
        let stem = dataset::stem(path).unwrap_or_default();
        let known =
            self.earlier.iter().flat_map(|found| [&found.cell.set.generation_model, &found.cell.model]).cloned();
        let models: Vec<String> = self.scoring().into_iter().chain(known).collect();
        let task = |from_file: Option<&str>| self.task.or(from_file).map(str::to_owned);
        let found = |generation_model: &str, writer_from, task: Option<String>| {
            task.map(|task| Found { set: ResponseSetKey::new(generation_model, task), writer_from })
        };
        if let Some(name) = &file.generation_model {
            let after = stem.strip_prefix(name.as_str()).and_then(|rest| rest.strip_prefix('_'));
            let whole = Some(stem).filter(|stem| *stem != name && !stem.is_empty());
            let from_file = after.filter(|task| !task.is_empty()).or(whole);
            return found(name, WriterFrom::BeforeFile, task(from_file)).ok_or_else(|| no_task(path, name));
        }
        if let Some(name) = self.generation_model {
            let from_file = dataset::names_from_path(path, &[name.to_owned()]).map(|(_, task)| task);
            return found(name, WriterFrom::Option, task(from_file.as_deref())).ok_or_else(|| unnamed(path));
        }
        if models.iter().any(|model| model == stem) {
            return found(stem, WriterFrom::FileName, task(None)).ok_or_else(|| no_task(path, stem));
        }
        let (name, from_file) = dataset::names_from_path(path, &models).ok_or_else(|| unnamed(path))?;
        let writer_from = if models.contains(&name) { WriterFrom::FileName } else { WriterFrom::Underscore };
        found(&name, writer_from, task(Some(&from_file))).ok_or_else(|| unnamed(path))
    }
}

fn no_task(path: &Path, model: &str) -> Error {
    Error::usage(format!("`{}` is named like the model `{model}` and names no task: use --task", path.display()))
}

fn unnamed(path: &Path) -> Error {
    let is_plain = path.extension().is_some_and(|ending| ["raw", "txt"].iter().any(|plain| ending == *plain));
    let text = if is_plain { "; if it is plain text and not rows, use --text" } else { "" };
    Error::usage(format!(
        "`{}` is not named GENERATION-MODEL_TASK.jsonl: use --generation-model and --task{text}",
        path.display()
    ))
}
