//! The manifests by themselves and beside each other.
//!
//! Owns what a manifest must say of its folder, its parts and its dataset. Refuses tables.

use std::path::PathBuf;

use super::report::{Findings, Kind};
use crate::store::{Manifest, SurveyedCell};

/// Tells what is wrong with manifests, and gives what to delete: parts first, so that none is left without a manifest.
pub(super) fn check(cells: &[SurveyedCell], findings: &mut Findings) -> Vec<PathBuf> {
    let mut redo = Vec::new();
    for (index, cell) in cells.iter().enumerate() {
        if let Err(what) = of_cell(cell).and_then(|manifest| beside(cell, manifest, &cells[..index])) {
            findings.of_file(Kind::Manifest, &cell.path, what);
            for part in cell.parts.iter().filter(|part| part.is_done()) {
                redo.extend(part.all().filter(|file| file.exists()).cloned());
            }
            redo.push(cell.path.clone());
        }
    }
    redo
}

/// The manifest by itself.
fn of_cell(cell: &SurveyedCell) -> Result<&Manifest, String> {
    let manifest = cell.manifest.as_ref().map(|(manifest, _)| manifest).map_err(ToString::to_string)?;
    let names = [&manifest.generation_model, &manifest.task, &manifest.model];
    if names != [&cell.cell.generation_model, &cell.cell.task, &cell.cell.model] {
        return Err(format!("is of {names:?}, which is not what its folders are called"));
    }
    let (mut rows, mut samples) = (0, 0);
    for (index, part) in manifest.parts.iter().enumerate() {
        if (u64::from(part.first_row), u64::from(part.first_sample)) != (rows, samples) {
            return Err(format!("its part {index} does not begin where the one before it ends"));
        }
        rows += u64::from(part.rows);
        samples += u64::from(part.samples);
    }
    let dataset = &manifest.dataset;
    if (rows, samples) != (dataset.rows.into(), dataset.samples.into()) {
        return Err(format!("its parts hold {rows} rows, the dataset has {}", dataset.rows));
    }
    Ok(manifest)
}

/// The manifest beside that of the first model of the same text.
fn beside(cell: &SurveyedCell, manifest: &Manifest, before: &[SurveyedCell]) -> Result<(), String> {
    let of_text = |other: &&SurveyedCell| {
        (&other.cell.generation_model, &other.cell.task) == (&cell.cell.generation_model, &cell.cell.task)
    };
    let first = before.iter().filter(of_text).find_map(|other| Some((&other.manifest.as_ref().ok()?.0, &other.path)));
    first.map_or(Ok(()), |(first, path)| manifest.must_share_rows(first, path).map_err(|e| e.to_string()))
}
