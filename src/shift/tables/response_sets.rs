//! The response sets that were scored, and which of them are requested.
//!
//! Owns the filters by task and generation model. Not here: which models of a response set are compared.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::natural;
use crate::shift::options::Options;
use crate::store::{DamagedCell, FoundCell, ReferenceFacts, ResponseSetKey};

/// What manifests call the dtype.
const IN_F32: &str = "f32";

/// A response set, and the models that scored it.
#[derive(Clone, Debug)]
pub struct ResponseSet<'a> {
    pub key: &'a ResponseSetKey,
    /// Its samples are windows of a text, as far as a manifest that can be read says so.
    pub of_windows: bool,
    /// What decides its P, as far as a manifest that can be read says so.
    pub reference: Option<&'a ReferenceFacts>,
    /// In the order of their names; of some nothing may be readable.
    pub models: Vec<&'a str>,
    /// Those of them that were computed in f32.
    pub in_f32: Vec<&'a str>,
    /// Whether any of them can be read.
    pub is_readable: bool,
}

/// All response sets that were scored, by generation model and task.
///
/// # Errors
/// [`Error::Usage`] if `options` name a task of which nothing was scored.
pub fn response_sets<'a>(
    found: &'a [FoundCell],
    damaged: &'a [DamagedCell],
    options: &Options,
) -> Result<Vec<ResponseSet<'a>>> {
    let readable = found.iter().map(|found| (&found.cell, Some(&found.manifest)));
    let cells = readable.chain(damaged.iter().map(|damaged| (&damaged.cell, None)));
    must_have_tasks(&cells.clone().map(|(cell, _)| cell.set.task.as_str()).collect(), options)?;
    must_have_writers(&cells.clone().map(|(cell, _)| cell.set.generation_model.as_str()).collect(), options)?;
    let mut sets: BTreeMap<&ResponseSetKey, ResponseSet> = BTreeMap::new();
    for (cell, manifest) in cells {
        let new = || {
            let (of_windows, reference, models, in_f32, is_readable) = (false, None, Vec::new(), Vec::new(), false);
            ResponseSet { key: &cell.set, of_windows, reference, models, in_f32, is_readable }
        };
        let set = sets.entry(&cell.set).or_insert_with(new);
        set.models.push(&cell.model);
        let Some(manifest) = manifest else { continue };
        set.of_windows |= manifest.dataset.window.is_some();
        set.reference = set.reference.or(Some(&manifest.reference));
        set.is_readable = true;
        let is_in_f32 = manifest.engine.dtype == IN_F32;
        set.in_f32.extend(is_in_f32.then_some(cell.model.as_str()));
    }
    let mut sets: Vec<ResponseSet> = sets.into_values().collect();
    for set in &mut sets {
        set.models.sort_unstable_by(|a, b| natural::compare(a, b));
    }
    Ok(sets)
}

/// Without this check, a requested generation model with a misspelt name would look like one that nothing was scored of.
fn must_have_writers(writers: &BTreeSet<&str>, options: &Options) -> Result<()> {
    match options.generation_models.iter().find(|name| !writers.contains(name.as_str())) {
        None => Ok(()),
        Some(absent) => {
            let there: Vec<_> = writers.iter().map(|name| format!("`{name}`")).collect();
            let there = there.join(", ");
            Err(Error::Usage(format!("no responses by `{absent}` were scored, only by {there}")))
        }
    }
}

/// Without this check, a requested task with a misspelt name would go unnoticed.
fn must_have_tasks(tasks: &BTreeSet<&str>, options: &Options) -> Result<()> {
    match options.tasks.iter().find(|task| !tasks.contains(task.as_str())) {
        None => Ok(()),
        Some(absent) => {
            let there: Vec<_> = tasks.iter().map(|task| format!("`{task}`")).collect();
            Err(Error::Usage(format!("task `{absent}` has not been scored; scored tasks: {}", there.join(", "))))
        }
    }
}

/// Whether a response set is requested.
pub fn is_requested(ResponseSetKey { generation_model, task }: &ResponseSetKey, options: &Options) -> bool {
    let fits = |filter: &[String], name: &str| filter.is_empty() || filter.iter().any(|wanted| wanted == name);
    let is_writer = options.between.as_ref().is_none_or(|between| between.is_writer(generation_model));
    is_writer && fits(&options.tasks, task) && fits(&options.generation_models, generation_model)
}
