//! The comparisons of a run: one an output directory, kept in it.
//!
//! Owns which texts can be compared and the files under `comparison/`. Refuses to compute: `shift` does.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use crate::cli::session::Output;
use crate::cli::tell;
use crate::error::Error;
use crate::shift::{self, Comparison};
use crate::store::{self, FoundCell};

/// The folder beside the tables; everything in it follows from them.
const FOLDER: &str = "comparison";

/// What came of one output directory.
#[derive(Debug, Serialize)]
pub struct Compared {
    pub output: String,
    #[serde(flatten)]
    pub comparison: Comparison,
    /// Why some of it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// Compares what stands in each directory, and writes it there.
pub fn compare(outputs: &BTreeMap<&Path, Output>) -> Vec<Compared> {
    outputs.values().map(of_output).collect()
}

fn of_output(output: &Output) -> Compared {
    let mut comparison = Comparison { pairs: Vec::new(), differences: Vec::new(), overall: Vec::new() };
    let mut failures = Vec::new();
    match comparable(&output.root) {
        Err(error) => failures.push(tell(&error)),
        Ok(texts) => {
            for (generation_model, tasks) in texts {
                match of_generation_model(&output.root, generation_model, tasks) {
                    Err(error) => failures.push(error.to_string()),
                    Ok(found) => {
                        comparison.pairs.extend(found.pairs);
                        comparison.differences.extend(found.differences);
                        comparison.overall.extend(found.overall);
                    }
                }
            }
        }
    }
    if !comparison.pairs.is_empty()
        && let Err(error) = write(output, &comparison)
    {
        failures.push(tell(&error));
    }
    let failed = (!failures.is_empty()).then(|| failures.join("; "));
    Compared { output: output.root.display().to_string(), comparison, failed }
}

/// By generation model, the tasks on which it and another model have a part in common.
fn comparable(root: &Path) -> Result<BTreeMap<String, Vec<String>>> {
    let found = match store::cells(root) {
        Ok(found) => found,
        // Every cell failed before its first part, which is told of each.
        Err(Error::File { .. }) if !root.join(crate::schema::folder::RUNS).exists() => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for p in found.iter().filter(|p| p.cell.model == p.cell.generation_model && is_parquet(p)) {
        let shares = |q: &&FoundCell| {
            (&q.cell.generation_model, &q.cell.task) == (&p.cell.generation_model, &p.cell.task)
                && q.cell.model != p.cell.model
        };
        let mut others = found.iter().filter(shares).peekable();
        if others.peek().is_some() && others.all(|q| is_parquet(q) && q.parts.iter().any(|part| p.parts.contains(part)))
        {
            texts.entry(p.cell.generation_model.clone()).or_default().push(p.cell.task.clone());
        }
    }
    Ok(texts)
}

fn is_parquet(found: &FoundCell) -> bool {
    found.manifest.out == crate::table::Format::Parquet.extension()
}

fn of_generation_model(root: &Path, generation_model: String, tasks: Vec<String>) -> crate::Result<Comparison> {
    let options = shift::Options {
        tasks,
        generation_models: vec![generation_model],
        quantiles: Some(shift::EXACT),
        slices: true,
        ..shift::Options::default()
    };
    shift::compare(root, &options)
}

/// `kl.json` as `kl --json` prints it, the study's figures, and every figure as a row of a table.
fn write(output: &Output, comparison: &Comparison) -> Result<()> {
    let json = |name: &str, value: &serde_json::Value| -> Result<_> {
        let text = serde_json::to_string_pretty(value)? + "\n";
        Ok(output
            .store
            .publish(FOLDER, name, |out| out.write_all(text.as_bytes()).map_err(Error::io("write", name)))?)
    };
    let path = json("kl.json", &serde_json::to_value(comparison)?)?;
    // A text of which no token counts has no such figure; the measures' own file says why.
    if let Ok(study) = shift::study_json(comparison) {
        json("kl_divergence_results.json", &study)?;
    }
    Ok(shift::write_statistics(&path.with_file_name("statistics.parquet"), comparison)?)
}
