//! The noise floor of models that are computed in bf16: the same weights once more in f32, on a few rows.
//!
//! Owns which runs and comparisons that takes, in an output directory of its own: models in f32 take twice the memory and
//! a multiple of the time, so only a few rows are scored. Not here: the statistics (`shift`).

use std::path::Path;

use super::exact::Exact;
use super::{Request, Watch, named, score};
use crate::error::Result;
use crate::experiments::{DtypeChoice, Options};
use crate::shift::{self, Comparison, F32Version};
use crate::stop::Stop;
use crate::store;

/// Rows that are scored: fewer samples make no reliable floor.
const ROWS: u32 = 32;

/// What the f32 version of a model is called: the model's name and this.
const SUFFIX: &str = "-f32";

/// Scores the first 32 rows of the request's responses under `directory`, with its models as it says and with those of them
/// that are then computed in bf16 once more in f32, and compares them; `None` if all are computed in f32.
///
/// # Errors
/// Those of [`score`], of exact comparisons, and of [`shift::compare`].
pub fn measure(request: &Request, directory: &Path, seen: (&dyn Watch, &Stop)) -> Result<Option<Comparison>> {
    let (watch, stop) = seen;
    let limit = request.options.limit.map_or(ROWS, |limit| limit.min(ROWS));
    let options = Options { limit: Some(limit), keep_hidden: Some(true), ..request.options.clone() };
    let few = Request { options, output_dir: directory.to_owned(), exact: false, ..request.clone() };
    score(&few, watch, stop)?;
    let cells = store::cells(directory)?;
    let is_in_f32 =
        |name: &str| cells.iter().all(|found| found.cell.model != name || found.manifest.engine.dtype == "f32");
    let (mut models, mut in_f32, mut versions) = (Vec::new(), Vec::new(), Vec::new());
    for model in &request.models {
        let (name, source) = named::split(model);
        models.push(format!("{name}={source}"));
        if !is_in_f32(&name) {
            let version = F32Version { in_f32: format!("{name}{SUFFIX}"), model: name };
            in_f32.push(format!("{}={source}", version.in_f32));
            versions.push(version);
        }
    }
    if versions.is_empty() {
        return Ok(None);
    }
    let options = Options { dtype: Some(DtypeChoice::F32), ..few.options.clone() };
    score(&Request { options, models: in_f32.clone(), ..few }, watch, stop)?;
    models.extend(in_f32);
    let options = shift::Options {
        reference: request.options.reference.clone(),
        noise_floor: versions,
        quantiles: Some(shift::EXACT),
        ..shift::Options::default()
    };
    let allow_removed = request.allow_removed;
    let exact = Exact { root: directory, models: &models, temperature: 1.0, allow_removed };
    exact.run(&shift::chosen(directory, &options)?, seen)?;
    let mut comparison = shift::compare(directory, &options)?;
    // The versions are there for the floors of the others.
    let is_version = |name: &String| options.noise_floor.iter().any(|version| version.in_f32 == *name);
    comparison.pairs.retain(|pair| !is_version(&pair.p) && !is_version(&pair.q));
    Ok(Some(comparison))
}
