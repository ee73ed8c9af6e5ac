//! Checks the manifests by themselves and against each other.
//!
//! Owns what a manifest must say about its folder, its parts and its dataset. Not here: tables.

use std::path::PathBuf;

use super::report::{Findings, Kind};
use crate::store::{ListedCell, ListedResponseSet};

/// Tells what is wrong with manifests, and gives what to delete: parts first, so that none is left without a manifest, and a
/// text's manifest after all that refer to it.
pub(super) fn check(
    response_sets: &[ListedResponseSet],
    cells: &[ListedCell],
    findings: &mut Findings,
) -> Vec<PathBuf> {
    let mut redo = Vec::new();
    let mut delete = |cell: &ListedCell| {
        for part in cell.parts.iter().filter(|part| part.is_done()) {
            redo.extend(part.all().filter(|file| file.exists()).map(|file| file.path().to_owned()));
        }
        redo.push(cell.path.clone());
    };
    for cell in cells {
        if let Err(what) = of_cell(cell) {
            findings.of_file(Kind::Manifest, &cell.path, what);
            delete(cell);
        }
    }
    let broken = response_sets.iter().filter_map(|text| Some((text, of_text(text).err()?)));
    let broken: Vec<_> = broken.collect();
    for (text, what) in &broken {
        findings.of_file(Kind::Manifest, &text.path, what.clone());
        cells.iter().filter(|found| found.cell.set == text.set).for_each(&mut delete);
    }
    redo.extend(broken.into_iter().map(|(text, _)| text.path.clone()));
    redo
}

/// What a model's own manifest says.
fn of_cell(cell: &ListedCell) -> Result<(), String> {
    let manifest = cell.manifest.as_ref().map_err(ToString::to_string)?;
    if manifest.cell() != cell.cell {
        let names = [&manifest.generation_model, &manifest.task, &manifest.model];
        return Err(format!("is of {names:?}, but its folders have other names"));
    }
    Ok(())
}

/// What all models of a response set share.
fn of_text(text: &ListedResponseSet) -> Result<(), String> {
    let manifest = text.manifest.as_ref().map_err(ToString::to_string)?;
    if manifest.set() != text.set {
        let names = [&manifest.generation_model, &manifest.task];
        return Err(format!("is of {names:?}, but its folders have other names"));
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
        return Err(format!("its parts have {rows} rows, the dataset has {}", dataset.rows));
    }
    Ok(())
}
