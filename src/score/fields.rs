//! Kept fields that were not requested when the responses were scored: read from the dataset, without scoring.
//!
//! Owns which tables lack them. Not here: writing these (`store`).

use std::collections::BTreeMap;

use super::datasets::Dataset;
use super::session::Output;
use crate::dataset::{Plan, ReadRow};
use crate::error::Result;
use crate::sample::Kept;
use crate::store::{self, FoundCell, ResultFile};
use crate::table;

/// Gives every samples table of the response set the kept fields of `dataset`, whichever model scored it.
///
/// # Errors
/// A dataset or table that cannot be read; another process that writes one of the cells.
pub fn complete(output: &Output, dataset: &Dataset) -> Result<()> {
    let Dataset { set, plan, .. } = dataset;
    let (found, _) = store::cells_to_continue(&output.root)?;
    for found in found.iter().filter(|found| found.cell.set == *set) {
        let lacking = lacking(found, plan)?;
        if !lacking.is_empty() {
            let values = |part: u32, places: &[(u32, u32)]| values(plan, part, places);
            output.store.add_fields(&found.cell, lacking.into_iter(), &plan.kept, values)?;
        }
    }
    Ok(())
}

/// The samples tables whose kept fields are not those of the plan.
fn lacking<'a>(found: &'a FoundCell, plan: &Plan) -> Result<Vec<(u32, &'a ResultFile)>> {
    let mut lacking = Vec::new();
    for (&part, file) in found.parts.iter().zip(&found.samples) {
        if !table::has_kept(&file.open()?, &plan.kept)? {
            lacking.push((part, file));
        }
    }
    Ok(lacking)
}

/// The kept fields of samples, by row and turn, of a part of the dataset.
fn values(plan: &Plan, part: u32, places: &[(u32, u32)]) -> Result<Vec<Vec<Kept>>> {
    let rows: BTreeMap<u32, ReadRow> = plan.read_part(part)?.into_iter().map(|row| (row.row, row)).collect();
    let of_sample = |(row, turn): &(u32, u32)| match rows.get(row).map(|read| &read.content) {
        Some(Ok(row)) => row.kept.iter().map(|value| value.of(*turn as usize).clone()).collect(),
        _ => Vec::new(),
    };
    Ok(places.iter().map(of_sample).collect())
}
