//! The comparisons of a run: one per output directory, stored in it.
//!
//! Owns which response sets can be compared, and the files under `comparison/`. Not here: computing them (`shift`).

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use serde::{Serialize, Serializer};

use crate::cli::exit::describe;
use crate::cli::progress;
use crate::error::Error;
use crate::score::session::Output;
use crate::shift::{self, Comparison, Document, FileFormat, NotCompared};
use crate::store::{self, FoundCell};

/// The folder next to the tables; everything in it is derived from them.
const FOLDER: &str = "comparison";

/// Its files: what `kl --json` prints, the study's KL values, and every statistic as a row.
const FILES: [&str; 3] = ["kl.json", "kl_divergence_results.json", "statistics.parquet"];

/// What came of one output directory.
#[derive(Debug, Serialize)]
pub struct Compared {
    pub output: String,
    #[serde(flatten, serialize_with = "as_document")]
    pub comparison: Comparison,
    /// Why some of it is missing.
    pub failed: Option<String>,
}

fn as_document<S: Serializer>(comparison: &Comparison, serializer: S) -> Result<S::Ok, S::Error> {
    document(comparison).serialize(serializer)
}

/// Compares the results in each directory, and writes the comparison there.
pub fn compare(outputs: &BTreeMap<&Path, Output>, with_study: bool) -> Vec<Compared> {
    outputs.values().map(|output| of_output(output, with_study)).collect()
}

fn of_output(output: &Output, with_study: bool) -> Compared {
    let mut comparison = Comparison::default();
    let mut failures = Vec::new();
    match comparable(&output.root) {
        Err(error) => failures.push(describe(&error)),
        Ok(texts) => {
            for (generation_model, tasks) in texts {
                match of_generation_model(&output.root, generation_model, tasks) {
                    Err(error) => failures.push(error.to_string()),
                    Ok(found) => {
                        // What a model never scored, no experiment requested of it.
                        let missed = found.not_compared.iter().filter(|pair| !pair.not_scored);
                        failures.extend(missed.map(NotCompared::described));
                        found.models.into_iter().for_each(|model| comparison.add_model(model));
                        comparison.not_compared.extend(found.not_compared);
                        comparison.pairs.extend(found.pairs);
                        comparison.differences.extend(found.differences);
                        comparison.overall.extend(found.overall);
                    }
                }
            }
        }
    }
    // An earlier comparison is deleted first, so that the files next to each other belong to one run.
    let removed = FILES.iter().try_for_each(|name| Ok(output.store.delete_derived(FOLDER, name)?));
    if let Err(error) = removed.and_then(|()| write(output, &comparison, with_study)) {
        failures.push(describe(&error));
    }
    let failed = (!failures.is_empty()).then(|| failures.join("; "));
    Compared { output: output.root.display().to_string(), comparison, failed }
}

/// By generation model, the tasks that two models scored.
fn comparable(root: &Path) -> Result<BTreeMap<String, Vec<String>>> {
    let found = match store::cells_and_damaged(root) {
        Ok((found, _)) => found,
        // Every cell failed before its first part; each failure is reported.
        Err(Error::File { .. }) if !root.join(crate::schema::folder::RUNS).exists() => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let mut texts = BTreeMap::<String, Vec<String>>::new();
    for p in &found {
        let of_writer: &mut Vec<String> = texts.entry(p.cell.set.generation_model.clone()).or_default();
        let is_other = |q: &FoundCell| q.cell.set == p.cell.set && q.cell.model != p.cell.model;
        if !of_writer.contains(&p.cell.set.task) && found.iter().any(is_other) {
            of_writer.push(p.cell.set.task.clone());
        }
    }
    texts.retain(|_, tasks| !tasks.is_empty());
    Ok(texts)
}

fn of_generation_model(root: &Path, generation_model: String, tasks: Vec<String>) -> crate::Result<Comparison> {
    let options = shift::Options { tasks, generation_models: vec![generation_model], ..everything() };
    shift::compare(root, &options)
}

/// Every pair with its writer as P, and every statistic.
fn everything() -> shift::Options {
    shift::Options { quantiles: Some(shift::EXACT), slices: true, ..shift::Options::default() }
}

/// The comparison as `kl --quantiles --slices --json` prints it.
fn document(comparison: &Comparison) -> Document {
    Document::new(comparison.clone(), &everything())
}

/// `kl.json` as `kl --json` prints it, every statistic as a row of a table, and, where that is requested, the study's
/// KL values. Without pairs nothing is written.
fn write(output: &Output, comparison: &Comparison, with_study: bool) -> Result<()> {
    if comparison.pairs.is_empty() {
        return Ok(());
    }
    let publish = |name: &str, bytes: &[u8]| {
        output.store.publish(FOLDER, name, |out| out.write_all(bytes).map_err(Error::io("write", name)))
    };
    publish(FILES[0], document(comparison).to_json()?.as_bytes())?;
    if with_study {
        let study = shift::study_figures(comparison);
        let root = output.root.display();
        study.left_out.iter().for_each(|pair| progress::say(&format!("{root}: {pair}")));
        // Without any value there is no file, and each pair was listed.
        if let Ok(json) = study.to_json() {
            publish(FILES[1], json.as_bytes())?;
        }
    }
    publish(FILES[2], &shift::statistics_file(comparison, FileFormat::Parquet)?)?;
    Ok(())
}
