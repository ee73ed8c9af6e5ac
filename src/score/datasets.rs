//! Datasets by name.
//!
//! Owns which generation model and task a file of rows belongs to, and how its rows are read. Not here: their tokens.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::named;
use crate::dataset::{self, FieldNames, Plan, PlanOptions, RowOptions};
use crate::error::{Error, Result};
use crate::experiments::Options;
use crate::store::ResponseSetKey;

/// A dataset with its names.
#[derive(Debug)]
pub struct Dataset {
    /// The response set that its rows are.
    pub set: ResponseSetKey,
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
}

/// Scans the datasets and decides their names.
///
/// # Errors
/// [`Error::Usage`] for a file whose names are not known, and for two of the same names; those of [`scan`].
pub fn open(paths: &[PathBuf], names: &Names, options: &Options) -> Result<Vec<Dataset>> {
    let mut seen = BTreeSet::new();
    let dataset = |path: &PathBuf| {
        let set = names.of(path)?;
        if !seen.insert(set.clone()) {
            let ResponseSetKey { generation_model, task } = set;
            return Err(Error::usage(format!(
                "two datasets are called {generation_model}_{task}: score them one at a time with --generation-model"
            )));
        }
        Ok(Dataset { set, plan: scan(path, options)? })
    };
    paths.iter().map(dataset).collect()
}

/// Scans a dataset as the options say.
///
/// # Errors
/// Those of the scan, and invalid field names.
pub fn scan(path: &Path, options: &Options) -> Result<Plan> {
    let fields = FieldNames::parse(options.fields.as_deref().unwrap_or_default());
    let fields = fields.map_err(|what| Error::usage(format!("--fields {what}")))?;
    let rows = RowOptions { fields, cluster: options.cluster.clone(), keep: options.keep_fields() };
    dataset::scan(path, PlanOptions { rows, limit: options.limit })
}

impl Names<'_> {
    /// The response set of a file.
    fn of(&self, path: &Path) -> Result<ResponseSetKey> {
        let models: Vec<String> = match self.generation_model {
            Some(name) => vec![name.to_owned()],
            None => self.models.iter().map(|model| named::split(model).0).collect(),
        };
        let found = dataset::names_from_path(path, &models);
        let from_file = found.as_ref().map(|(generation_model, task)| (generation_model.as_str(), task.as_str()));
        let (generation_model, task) = from_file.unzip();
        match (self.generation_model.or(generation_model), self.task.or(task)) {
            (Some(generation_model), Some(task)) => Ok(ResponseSetKey::new(generation_model, task)),
            _ => Err(Error::usage(format!(
                "`{}` is not named GENERATION-MODEL_TASK.jsonl: use --generation-model and --task",
                path.display()
            ))),
        }
    }
}
