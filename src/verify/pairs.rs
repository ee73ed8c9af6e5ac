//! The pairs tables: that they are those that were written, of the runs that are there, and possible.

use std::path::{Path, PathBuf};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, UInt32Type};

use super::report::{Findings, Kind};
use super::source::{self, Broken};
use crate::schema::pair;
use crate::store::{self, Manifest, SurveyedCell, SurveyedPair};
use crate::table::{Format, Origin, Table};

/// Never negative, whatever the two models are.
const DIVERGENCES: [&str; 4] = [pair::KL, pair::KL_REVERSE, pair::JS, pair::TV];

/// Tells what is wrong with a pair, and gives what to delete.
pub(super) fn check(found: &SurveyedPair, cells: &[SurveyedCell], findings: &mut Findings) -> Vec<PathBuf> {
    if let Err(what) = manifest(found, cells) {
        findings.of_file(Kind::Manifest, &found.path, what);
        return found.parts.iter().chain([&found.path]).cloned().collect();
    }
    let digest = found.manifest.as_ref().ok().and_then(|manifest| manifest.digest().ok()).unwrap_or_default();
    // Parts are named by their numbers; a file that is named otherwise is of none.
    let number = |path: &Path| store::part_of(path).unwrap_or(u32::MAX);
    let is_broken = |path: &&PathBuf| match rows(path, &found.cell.origin(&digest, number(path))) {
        Ok(()) => false,
        Err((kind, what)) => {
            findings.of_file(kind, path, what);
            true
        }
    };
    found.parts.iter().filter(is_broken).cloned().collect()
}

/// It is of its folder, and of the two runs that are there.
fn manifest(found: &SurveyedPair, cells: &[SurveyedCell]) -> Result<(), String> {
    let manifest = found.manifest.as_ref().map_err(ToString::to_string)?;
    let cell = &found.cell;
    let names = [&manifest.generation_model, &manifest.task, &manifest.p, &manifest.q];
    if names != [&cell.generation_model, &cell.task, &cell.p, &cell.q] {
        return Err(format!("is of {names:?}, which is not what its folders are called"));
    }
    for (model, digest) in [(&cell.p, &manifest.of_p), (&cell.q, &manifest.of_q)] {
        let is_it = |other: &&SurveyedCell| {
            (&other.cell.generation_model, &other.cell.task) == (&cell.generation_model, &cell.task)
                && other.cell.model == *model
        };
        let of_cell = cells.iter().find(is_it).and_then(|cell| cell.manifest.as_ref().ok());
        let same = |(run, _): &(Manifest, Format)| run.digest().is_ok_and(|found| found == *digest);
        if !of_cell.is_some_and(same) {
            return Err(format!("is of another run of `{model}` than the one that is here"));
        }
    }
    Ok(())
}

/// Every page decodes, rows ascend, divergences are not negative.
fn rows(path: &Path, origin: &Origin) -> Result<(), Broken> {
    let source = source::open(path, Format::Parquet, Table::Pairs, &[], Some(origin))?;
    let mut last = None;
    for batch in source.batches {
        let batch = batch.map_err(|e| (Kind::Unreadable, e))?;
        order(&batch, &mut last)?;
        for name in DIVERGENCES {
            let column = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Float64Type>());
            let values = column.map(|column| column.values().as_ref()).unwrap_or_default();
            if let Some(value) = values.iter().find(|value| !value.is_finite() || **value < 0.0) {
                return Err((Kind::Value, format!("{name} is {value}")));
            }
        }
    }
    Ok(())
}

fn order(batch: &RecordBatch, last: &mut Option<(u32, u32)>) -> Result<(), Broken> {
    let ids = |name: &str| batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<UInt32Type>());
    let (Some(samples), Some(positions)) = (ids(pair::SAMPLE_ID), ids(pair::POSITION)) else { return Ok(()) };
    for row in 0..samples.len() {
        let key = (samples.value(row), positions.value(row));
        if last.is_some_and(|last| last >= key) {
            return Err((Kind::Rows, format!("sample {} at position {} comes out of order", key.0, key.1)));
        }
        *last = Some(key);
    }
    Ok(())
}
