//! Finds what an output directory contains.
//!
//! Owns finding cells and their files. Not here: reading tables (`table`).

use std::path::{Path, PathBuf};

use super::files::{ResultFile, list};
use super::hidden::HiddenFiles;
use super::layout::{Cell, MANIFEST, ResponseSetKey, TEXT};
use super::manifest::Manifest;
use super::manifest::facts::IMPORT;
use super::names;
use super::table_files::TableFiles;
use crate::error::{Error, Result};
use crate::schema::{folder, key};
use crate::table::EXTENSION;

/// A cell as found on disk.
#[derive(Clone, Debug)]
pub struct FoundCell {
    /// Which cell it is.
    pub cell: Cell,
    /// Its manifest.
    pub manifest: Manifest,
    /// Parts that are done, ascending; the files below are theirs, in the same order.
    pub parts: Vec<u32>,
    /// Tokens files, in the order of the parts.
    pub tokens: Vec<ResultFile>,
    /// Samples files, in the order of the parts.
    pub samples: Vec<ResultFile>,
    /// For each part its hidden states, stored or temporary, if they exist. Stored ones may have been deleted to make
    /// room: tables do not need them.
    pub hidden: Vec<Option<ResultFile>>,
    /// Parts of the manifest that are not done.
    pub missing: Vec<u32>,
}

/// Every cell under `root`, in the order of their names.
///
/// # Errors
/// No such directory, no runs in it, a folder or manifest that tokshift did not make, a part without its samples.
/// Files and folders whose names begin with a dot belong to file managers and notebooks, and a folder without a
/// manifest was left by a crash of a run that published nothing. Neither is a cell, and neither is an error.
pub fn cells(root: &Path) -> Result<Vec<FoundCell>> {
    let (found, damaged) = cells_and_damaged(root)?;
    match damaged.into_iter().next() {
        Some(damaged) => Err(damaged.error),
        None => Ok(found),
    }
}

/// A cell whose manifest cannot be used, or of which files are missing.
#[derive(Debug)]
pub struct DamagedCell {
    /// Which cell it is.
    pub cell: Cell,
    /// Why its manifest cannot be read.
    pub error: Error,
}

/// As [`cells`], for callers that can do without damaged ones.
///
/// # Errors
/// Those of [`cells`] that are not of one cell.
pub fn cells_and_damaged(root: &Path) -> Result<(Vec<FoundCell>, Vec<DamagedCell>)> {
    let (begun, mut damaged) = cells_to_continue(root)?;
    let (mut found, mut lacking) = (Vec::new(), Vec::new());
    for begun in begun {
        match begun.lost_samples(root)? {
            Some(error) => lacking.push(DamagedCell { cell: begun.cell, error }),
            None => found.push(begun),
        }
    }
    damaged.append(&mut lacking);
    damaged.sort_by(|a, b| a.cell.cmp(&b.cell));
    Ok((found, damaged))
}

/// As [`cells_and_damaged`], for who scores what is missing: a part without its samples is one that is not done.
///
/// # Errors
/// Those of [`cells`] that are not of one cell.
pub fn cells_to_continue(root: &Path) -> Result<(Vec<FoundCell>, Vec<DamagedCell>)> {
    let runs = runs(root)?;
    let (mut found, mut damaged) = (Vec::new(), without_manifest(root)?);
    for (generation_model, path) in partitions(&runs, key::GENERATION_MODEL)? {
        for (task, path) in partitions(&path, key::TASK)? {
            let set = ResponseSetKey::new(&generation_model, task);
            for (model, path) in models(&path)? {
                let cell = set.cell(model);
                let manifest = path.join(MANIFEST);
                if manifest.exists() {
                    match FoundCell::read(root, cell.clone(), &manifest) {
                        Ok(read) => found.push(read),
                        Err(error) => damaged.push(DamagedCell { cell, error }),
                    }
                }
            }
        }
    }
    found.sort_by(|a, b| a.cell.cmp(&b.cell));
    damaged.sort_by(|a, b| a.cell.cmp(&b.cell));
    Ok((found, damaged))
}

/// As [`cells_to_continue`]; no cell if nothing was scored into the directory yet.
///
/// # Errors
/// Those of [`cells_to_continue`].
pub fn cells_of_earlier_runs(root: &Path) -> Result<(Vec<FoundCell>, Vec<DamagedCell>)> {
    if root.join(folder::RUNS).exists() { cells_to_continue(root) } else { Ok((Vec::new(), Vec::new())) }
}

/// The cells that have tokens and no manifest, whatever of the folders of manifests is left: what their tables were
/// made with is unknown, and a comparison of the others must list it.
fn without_manifest(root: &Path) -> Result<Vec<DamagedCell>> {
    let folders = |directory: &Path, key: &str| -> Result<Vec<Partition>> {
        let (found, _) = if directory.is_dir() { partitions_and_others(directory, key)? } else { Default::default() };
        Ok(found)
    };
    let mut without = Vec::new();
    for (generation_model, path) in folders(&root.join(folder::TOKENS), key::GENERATION_MODEL)? {
        for (task, path) in folders(&path, key::TASK)? {
            let set = ResponseSetKey::new(&generation_model, task);
            for (model, tokens) in folders(&path, key::MODEL)? {
                let cell = set.cell(model);
                let manifest = root.join(folder::RUNS).join(cell.folder()?).join(MANIFEST);
                if !manifest.exists() && holds_files(&tokens) {
                    let what = "is missing, so the options of its tables are unknown: delete them, and score again";
                    without.push(DamagedCell { cell, error: Error::file(&manifest, what) });
                }
            }
        }
    }
    Ok(without)
}

/// Whether a folder of tokens has any file but those of file managers: then a part is done.
fn holds_files(tokens: &Path) -> bool {
    list(tokens).is_ok_and(|found| !found.is_empty())
}

/// The number of a part by its file's name.
pub fn part_of(path: &Path) -> Option<u32> {
    path.file_stem()?.to_str()?.strip_prefix("part-")?.parse().ok()
}

/// The folder of the manifests.
pub(super) fn runs(root: &Path) -> Result<PathBuf> {
    let runs = root.join(folder::RUNS);
    if runs.is_dir() {
        return Ok(runs);
    }
    let what = match root {
        root if !root.is_dir() => "no such directory",
        root if root.join(folder::TEMPORARY).is_dir() => "no part of any run is finished here yet",
        _ => "contains no runs: use the --output-dir of `tokshift score`",
    };
    Err(Error::file(root, what))
}

/// The manifest at `path`, whose tables must be Parquet.
pub(super) fn manifest(path: &Path) -> Result<Manifest> {
    let manifest = Manifest::read(path)?;
    if manifest.engine.name == IMPORT && manifest.engine.source.is_none() {
        let what = "was imported by an earlier version, whose tables number tokens from 1: import the file again into another \
                    directory";
        return Err(Error::file(path, what));
    }
    match &*manifest.out {
        EXTENSION => Ok(manifest),
        "jsonl" => {
            let what = "its tables are JSON lines, as an earlier version wrote them: score again into another directory, and \
                        `tokshift export` writes JSON lines of the tables";
            Err(Error::file(path, what))
        }
        other => Err(Error::file(path, format!("tables of a format that is not known: `{other}`"))),
    }
}

/// The decoded value of a folder `key=value`, and its path.
pub(super) type Partition = (String, PathBuf);

/// The folders `key=value` in `directory`.
fn partitions(directory: &Path, key: &str) -> Result<Vec<Partition>> {
    let (found, others) = partitions_and_others(directory, key)?;
    match others.first() {
        Some(path) => Err(Error::file(path, format!("expected a folder `{key}=…` here"))),
        None => Ok(found),
    }
}

/// The folders `model=value` of a response set, next to its manifest and the folders of its pairs.
fn models(text: &Path) -> Result<Vec<Partition>> {
    let (found, others) = partitions_and_others(text, key::MODEL)?;
    let (pairs, _) = partitions_and_others(text, key::P)?;
    let is_known = |other: &&PathBuf| other.ends_with(TEXT) || pairs.iter().any(|(_, pair)| pair == *other);
    match others.iter().find(|other| !is_known(other)) {
        Some(path) => Err(Error::file(path, format!("expected a folder `{}=…` here", key::MODEL))),
        None => Ok(found),
    }
}

/// The folders `key=value` in `directory`, and what else is there.
pub(super) fn partitions_and_others(directory: &Path, key: &str) -> Result<(Vec<Partition>, Vec<PathBuf>)> {
    let (mut found, mut others) = (Vec::new(), Vec::new());
    for listed in list(directory)? {
        let value = listed.name().strip_prefix(key).and_then(|rest| rest.strip_prefix('=')).and_then(names::decode);
        match value {
            Some(value) => found.push((value, listed.path)),
            None => others.push(listed.path),
        }
    }
    Ok((found, others))
}

impl FoundCell {
    fn read(root: &Path, cell: Cell, path: &Path) -> Result<Self> {
        let manifest = manifest(path)?;
        let tables = TableFiles::new(root, &cell)?;
        let all = 0..manifest.parts.len() as u32;
        let (parts, missing): (Vec<u32>, Vec<u32>) = all.partition(|&part| tables.is_done(part));
        let tokens = parts.iter().map(|&part| tables.tokens(part)).collect();
        let samples = parts.iter().map(|&part| tables.samples(part)).collect();
        let files = HiddenFiles::new(root, &cell.folder()?, &manifest);
        let hidden = parts.iter().map(|&part| files.existing(part)).collect();
        Ok(Self { cell, manifest, parts, tokens, samples, hidden, missing })
    }

    /// That the samples of a part are gone, whose tokens are there.
    fn lost_samples(&self, root: &Path) -> Result<Option<Error>> {
        let tables = TableFiles::new(root, &self.cell)?;
        let mut lost = self.missing.iter().filter(|&&part| tables.tokens(part).exists());
        let what = "is missing, though its tokens are there: was it deleted? Scoring the cell again writes it";
        Ok(lost.next().map(|&part| Error::file(tables.samples(part), what)))
    }
}
