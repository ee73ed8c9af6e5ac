//! Checks the pairs tables: that they are those that were written, that they belong to the runs and tokens that exist,
//! and that their values are possible.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, UInt32Type};

use super::report::{Findings, Kind};
use super::scored::{self, Ids};
use super::source::{self, Broken, guarded};
use crate::schema::{Divergence, pair};
use crate::store::{self, Cell, ListedCell, ListedPair, Manifest, PairCell};
use crate::table::{self, Format, Origin, Table};

/// Tells what is wrong with a pair, and gives what to delete.
pub(super) fn check(found: &ListedPair, cells: &[ListedCell], findings: &mut Findings) -> Vec<PathBuf> {
    if let Err(what) = manifest(found, cells) {
        findings.of_file(Kind::Manifest, &found.path, what);
        return found.parts.iter().chain([&found.path]).cloned().collect();
    }
    let digest = found.manifest.as_ref().ok().and_then(|manifest| manifest.digest().ok()).unwrap_or_default();
    let tokens = |model: &String, part: u32| {
        let cell = cells.iter().find(|cell| is_of(cell, &found.cell, model))?;
        cell.parts.get(part as usize).map(|files| files.tokens.as_path())
    };
    let is_broken = |path: &&PathBuf| {
        // Parts are named by their numbers; a file that is named otherwise is of none.
        let part = store::part_of(path).unwrap_or(u32::MAX);
        let of = [&found.cell.p, &found.cell.q].map(|model| tokens(model, part));
        guarded(path, findings, |_| rows(path, &found.cell.origin(&digest, part), of)).is_none()
    };
    found.parts.iter().filter(is_broken).cloned().collect()
}

/// It is of its folder, and of the two runs that are there.
fn manifest(found: &ListedPair, cells: &[ListedCell]) -> Result<(), String> {
    let manifest = found.manifest.as_ref().map_err(ToString::to_string)?;
    let cell = &found.cell;
    let names = [&manifest.generation_model, &manifest.task, &manifest.p, &manifest.q];
    if names != [&cell.generation_model, &cell.task, &cell.p, &cell.q] {
        return Err(format!("is of {names:?}, but its folders have other names"));
    }
    for (model, digest) in [(&cell.p, &manifest.of_p), (&cell.q, &manifest.of_q)] {
        let of_cell = cells.iter().find(|other| is_of(other, cell, model)).and_then(|cell| cell.manifest.as_ref().ok());
        let same = |(run, _): &(Manifest, Format)| run.digest().is_ok_and(|found| found == *digest);
        if !of_cell.is_some_and(same) {
            return Err(format!("is of another run of `{model}` than the one that is here"));
        }
    }
    Ok(())
}

/// Whether a cell is the model's on the text of a pair.
fn is_of(found: &ListedCell, pair: &PairCell, model: &str) -> bool {
    let Cell { generation_model, task, model: found } = &found.cell;
    (generation_model, task, found.as_str()) == (&pair.generation_model, &pair.task, model)
}

/// It was made of the tokens tables `of` P and Q; every page decodes, rows ascend, divergences are not negative.
fn rows(path: &Path, origin: &Origin, of: [Option<&Path>; 2]) -> Result<(), Broken> {
    let source = source::open(path, Format::Parquet, Table::Pairs, &[], Some(origin))?;
    let named = source.origin.map_or([None, None], |origin| origin.tokens);
    for (tokens, named) in of.iter().zip(&named) {
        // A missing or broken table is reported by itself.
        let Some((tokens, Ok((_, hash)))) = tokens.map(|tokens| (tokens, table::footer(tokens))) else { continue };
        if let Some(what) = table::parted_from(named.as_deref(), tokens, hash.as_deref()) {
            return Err((Kind::Mixed, what));
        }
    }
    let (mut last, mut found) = (None, BTreeMap::new());
    for batch in source.batches {
        let batch = batch.map_err(|e| (Kind::Unreadable, e))?;
        order(&batch, &mut last, &mut found)?;
        for name in Divergence::ALL.map(Divergence::column) {
            let column = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Float64Type>());
            let values = column.map(|column| column.values().as_ref()).unwrap_or_default();
            if let Some(value) = values.iter().find(|value| !value.is_finite() || **value < 0.0) {
                return Err((Kind::Value, format!("{name} is {value}")));
            }
        }
    }
    match of.map(|tokens| scored::read(tokens?)) {
        [Some(p), Some(q)] => complete(&found, &p, &q).map_err(|what| (Kind::Rows, what)),
        _ => Ok(()),
    }
}

/// Whatever both models gave a log-probability has a row, and no other token.
fn complete(found: &Ids, p: &Ids, q: &Ids) -> Result<(), String> {
    let both = || p.iter().filter(|(key, _)| q.contains_key(key));
    if let Some(((sample, position), _)) = both().find(|(key, _)| !found.contains_key(key)) {
        return Err(format!("lacks sample {sample} at position {position}, which both models scored"));
    }
    let is_other =
        |(key, id): &(&(u32, u32), &Option<u32>)| id.is_some() && (p.get(key) != Some(id) || q.get(key) != Some(id));
    match found.iter().find(is_other) {
        Some(((sample, position), _)) => {
            Err(format!("has a token of sample {sample} at position {position} that the models did not both score"))
        }
        None => Ok(()),
    }
}

/// Rows ascend; notes which they are.
fn order(batch: &RecordBatch, last: &mut Option<(u32, u32)>, found: &mut Ids) -> Result<(), Broken> {
    let ids = |name: &str| batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<UInt32Type>());
    let (Some(samples), Some(positions), Some(tokens)) =
        (ids(pair::SAMPLE_ID), ids(pair::POSITION), ids(pair::TOKEN_ID))
    else {
        return Ok(());
    };
    for row in 0..samples.len() {
        let key = (samples.value(row), positions.value(row));
        if last.is_some_and(|last| last >= key) {
            return Err((Kind::Rows, format!("sample {} at position {} comes out of order", key.0, key.1)));
        }
        *last = Some(key);
        found.insert(key, tokens.is_valid(row).then(|| tokens.value(row)));
    }
    Ok(())
}
