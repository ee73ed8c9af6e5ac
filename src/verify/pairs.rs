//! Checks the pairs tables: that they are those that were written, that they belong to the runs and tokens that exist,
//! and that their values are possible.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::report::{Findings, Kind};
use super::scored::{self, Ids};
use super::source::{self, Broken, Source, guarded};
use crate::schema::Divergence;
use crate::store::{self, Cell, ListedCell, ListedPair, Manifest, ResultFile};
use crate::table::{self, Origin, PairColumns};

/// Tells what is wrong with a pair, and gives what to delete.
pub(super) fn check(found: &ListedPair, cells: &[ListedCell], findings: &mut Findings) -> Vec<PathBuf> {
    if let Err(what) = manifest(found, cells) {
        findings.of_file(Kind::Manifest, &found.path, what);
        return found.parts.iter().map(ResultFile::path).chain([&*found.path]).map(Path::to_owned).collect();
    }
    let digest = found.manifest.as_ref().ok().and_then(|manifest| manifest.digest().ok()).unwrap_or_default();
    let tokens = |cell: &Cell, part: u32| {
        let found = cells.iter().find(|found| found.cell == *cell)?;
        found.parts.get(part as usize).map(|files| &files.tokens)
    };
    let of = found.cell.cells();
    let is_broken = |file: &&ResultFile| {
        // Parts are named by their numbers; a file that is named otherwise is of none.
        let part = store::part_of(file.path()).unwrap_or(u32::MAX);
        let of = of.each_ref().map(|cell| tokens(cell, part));
        guarded(file.path(), findings, |_| rows(file, &found.cell.origin(&digest, part), of)).is_none()
    };
    found.parts.iter().filter(is_broken).map(|file| file.path().to_owned()).collect()
}

/// It is of its folder, and of the two runs that are there.
fn manifest(found: &ListedPair, cells: &[ListedCell]) -> Result<(), String> {
    let manifest = found.manifest.as_ref().map_err(ToString::to_string)?;
    if manifest.cell() != found.cell {
        let names = [&manifest.generation_model, &manifest.task, &manifest.p, &manifest.q];
        return Err(format!("is of {names:?}, but its folders have other names"));
    }
    for (cell, digest) in found.cell.cells().iter().zip([&manifest.of_p, &manifest.of_q]) {
        let of_cell = cells.iter().find(|other| other.cell == *cell).and_then(|found| found.manifest.as_ref().ok());
        let same = |run: &Manifest| run.digest().is_ok_and(|found| found == *digest);
        if !of_cell.is_some_and(same) {
            return Err(format!("is of another run of `{}` than the one that is here", cell.model));
        }
    }
    Ok(())
}

/// It was made of the tokens tables `of` P and Q; every page decodes, rows ascend, divergences are not negative.
fn rows(file: &ResultFile, origin: &Origin, of: [Option<&ResultFile>; 2]) -> Result<(), Broken> {
    let source: Source<PairColumns> = source::open(file, &[], Some(origin))?;
    let named = source.origin.map_or([None, None], |origin| origin.tokens);
    for (tokens, named) in of.iter().zip(&named) {
        // A missing or broken table is reported by itself.
        let Some((tokens, Ok((_, hash)))) = tokens.map(|tokens| (tokens, tokens.footer())) else { continue };
        if let Some(what) = table::parted_from(named.as_deref(), tokens.path(), hash.as_deref()) {
            return Err((Kind::Mixed, what));
        }
    }
    let (mut last, mut found) = (None, BTreeMap::new());
    for batch in source.batches {
        let batch = batch?;
        order(&batch, &mut last, &mut found)?;
        for (divergence, column) in Divergence::ALL.iter().zip(&batch.divergences) {
            let values = column.array().map(|column| column.values().as_ref()).unwrap_or_default();
            if let Some(value) = values.iter().find(|value| !value.is_finite() || **value < 0.0) {
                return Err((Kind::Value, format!("{} is {value}", divergence.column())));
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
fn order(batch: &PairColumns, last: &mut Option<(u32, u32)>, found: &mut Ids) -> Result<(), Broken> {
    for row in 0..batch.rows {
        let Some(key) = batch.sample_id.get(row).zip(batch.position.get(row)) else { continue };
        if last.is_some_and(|last| last >= key) {
            return Err((Kind::Rows, format!("sample {} at position {} comes out of order", key.0, key.1)));
        }
        *last = Some(key);
        found.insert(key, batch.token_id.get(row));
    }
    Ok(())
}
