//! Lists everything in an output directory, whether a manifest explains it or not.
//!
//! Owns telling results from unknown files; unlike [`super::cells`] it does not stop at an error. Not here: opening
//! tables (`table`).

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::files::{ResultFile, list};
use super::hidden::HiddenFiles;
use super::layout::{Cell, MANIFEST, PairCell, ResponseSetKey, TEXT};
use super::manifest::Manifest;
use super::manifest::pair::PairManifest;
use super::manifest::response_set::ResponseSetManifest;
use super::names;
use super::pairs::pair_manifests;
use super::read::{self, Partition, partitions_and_others};
use super::table_files::TableFiles;
use super::temporary::leftovers;
use crate::error::Result;
use crate::schema::{folder, key};

/// The content of an output directory.
#[derive(Debug)]
pub struct Inventory {
    /// In the order of their names.
    pub response_sets: Vec<ListedResponseSet>,
    /// All cells.
    pub cells: Vec<ListedCell>,
    /// All pairs.
    pub pairs: Vec<ListedPair>,
    /// Files under the results' folders that no manifest explains, sorted. Names that begin with a dot are file
    /// managers' and notebooks', and not looked at.
    pub strays: Vec<PathBuf>,
    /// Files under `.tmp` of processes that are gone, sorted.
    pub leftovers: Vec<PathBuf>,
}

/// Whether tokshift gives results such names. A file with another name under the results' folders is the user's own.
pub fn is_result_name(file: &Path) -> bool {
    const EXTENSIONS: [&str; 4] = ["parquet", "jsonl", "safetensors", "loan.safetensors"];
    let is_number = |text: &str| text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(name) = file.file_name().and_then(OsStr::to_str) else { return false };
    let part = name.strip_prefix("part-").and_then(|rest| rest.split_once('.'));
    let is_part = part.is_some_and(|(number, extension)| is_number(number) && EXTENSIONS.contains(&extension));
    is_part || [MANIFEST, TEXT].contains(&name)
}

/// A response set whose manifest exists.
#[derive(Debug)]
pub struct ListedResponseSet {
    /// Its names.
    pub set: ResponseSetKey,
    /// Where the manifest is.
    pub path: PathBuf,
    /// Or why it cannot be used.
    pub manifest: Result<ResponseSetManifest>,
}

/// A cell whose manifest exists.
#[derive(Debug)]
pub struct ListedCell {
    /// Which cell it is.
    pub cell: Cell,
    /// Where the manifest is.
    pub path: PathBuf,
    /// The manifest, or why it cannot be used: then its tables are strays.
    pub manifest: Result<Manifest>,
    /// Every part of the manifest.
    pub parts: Vec<PartFiles>,
}

/// A pair whose manifest exists.
#[derive(Debug)]
pub struct ListedPair {
    /// Which pair it is.
    pub cell: PairCell,
    /// Where the manifest is.
    pub path: PathBuf,
    /// Or why it cannot be used.
    pub manifest: Result<PairManifest>,
    /// The published files of parts that P's manifest has.
    pub parts: Vec<ResultFile>,
}

/// The files of a part, which may be missing.
#[derive(Clone, Debug)]
pub struct PartFiles {
    /// The tokens file.
    pub tokens: ResultFile,
    /// The samples file.
    pub samples: ResultFile,
    /// Only if it is there: what was kept may have been deleted to make room.
    pub hidden: Option<ResultFile>,
}

impl PartFiles {
    /// All of them, tokens first: a part without them is not done, whatever happens to the others.
    pub fn all(&self) -> impl Iterator<Item = &ResultFile> {
        [&self.tokens, &self.samples].into_iter().chain(&self.hidden)
    }

    /// Whether the tokens, and so everything of the part, should be there.
    pub fn is_done(&self) -> bool {
        self.tokens.exists()
    }
}

/// Looks at every name under `root`.
///
/// # Errors
/// No such directory, no runs in it, a folder that cannot be listed.
pub fn inventory(root: &Path) -> Result<Inventory> {
    let runs = read::runs(root)?;
    let mut strays = Vec::new();
    let mut cells = Vec::new();
    for (cell, path) in cell_folders(&runs, &mut strays)? {
        let manifest = path.join(MANIFEST);
        files(&path, &mut |file| strays.extend((file != manifest).then_some(file)))?;
        if manifest.exists() {
            cells.push(ListedCell::read(root, cell, manifest)?);
        }
    }
    cells.sort_by(|a, b| a.cell.cmp(&b.cell));
    let response_sets = response_sets(&mut strays);
    let pairs = pair_manifests(root)?.into_iter().map(|(cell, path)| ListedPair::read(root, cell, path, &cells));
    let pairs = pairs.collect::<Result<Vec<_>>>()?;
    strays.retain(|file| pairs.iter().all(|pair| pair.path != *file));
    let of_cells = cells.iter().flat_map(|cell| &cell.parts).flat_map(PartFiles::all);
    let known: HashSet<&Path> =
        of_cells.chain(pairs.iter().flat_map(|pair| &pair.parts)).map(ResultFile::path).collect();
    for table in [folder::TOKENS, folder::SAMPLES, folder::HIDDEN, folder::PAIRS] {
        let table = root.join(table);
        if table.is_dir() {
            files(&table, &mut |file| strays.extend((!known.contains(&*file)).then_some(file)))?;
        }
    }
    let mut leftovers: Vec<PathBuf> = leftovers(&root.join(folder::TEMPORARY)).collect();
    strays.sort();
    leftovers.sort();
    Ok(Inventory { response_sets, cells, pairs, strays, leftovers })
}

impl ListedResponseSet {
    /// Whether none of `cells` is of it.
    pub fn is_unscored(&self, cells: &[ListedCell]) -> bool {
        !cells.iter().any(|found| found.cell.set == self.set)
    }

    /// `None` if `path` is not where a response set's manifest stands.
    fn read(path: &Path) -> Option<Self> {
        let value = |level: usize, key: &str| {
            let name = path.ancestors().nth(level)?.file_name()?.to_str()?;
            names::decode(name.strip_prefix(key)?.strip_prefix('=')?)
        };
        let (task, generation_model) = (value(1, key::TASK)?, value(2, key::GENERATION_MODEL)?);
        let is_it = path.file_name()? == TEXT && path.ancestors().nth(3)?.file_name()? == folder::RUNS;
        let set = ResponseSetKey { generation_model, task };
        is_it.then(|| Self { set, path: path.to_owned(), manifest: ResponseSetManifest::read(path) })
    }
}

impl ListedCell {
    fn read(root: &Path, cell: Cell, path: PathBuf) -> Result<Self> {
        let manifest = read::manifest(&path);
        let mut parts = Vec::new();
        if let Ok(manifest) = &manifest {
            let tables = TableFiles::new(root, &cell)?;
            let hidden = HiddenFiles::new(root, &cell.folder()?, manifest);
            let files = |part| {
                let (tokens, samples) = (tables.tokens(part), tables.samples(part));
                PartFiles { tokens, samples, hidden: hidden.existing(part) }
            };
            parts.extend((0..manifest.parts.len() as u32).map(files));
        }
        Ok(Self { cell, path, manifest, parts })
    }
}

impl ListedPair {
    fn read(root: &Path, cell: PairCell, path: PathBuf, cells: &[ListedCell]) -> Result<Self> {
        let [of_p, _] = cell.cells();
        let parts = cells.iter().find(|found| found.cell == of_p).map_or(0, |p| p.parts.len() as u32);
        let parts = (0..parts).map(|part| cell.part(root, part)).collect::<Result<Vec<_>>>()?;
        let parts = parts.into_iter().filter(ResultFile::exists).collect();
        Ok(Self { manifest: PairManifest::read(&path), cell, path, parts })
    }
}

/// The manifests of response sets among what is no folder of a cell.
fn response_sets(strays: &mut Vec<PathBuf>) -> Vec<ListedResponseSet> {
    let mut found: Vec<ListedResponseSet> = strays.iter().filter_map(|path| ListedResponseSet::read(path)).collect();
    strays.retain(|path| found.iter().all(|set| set.path != *path));
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The cells' folders under `runs`; what is no folder of a cell is a stray.
fn cell_folders(runs: &Path, strays: &mut Vec<PathBuf>) -> Result<Vec<(Cell, PathBuf)>> {
    let mut found = Vec::new();
    let mut level = |directory: &Path, key: &str| -> Result<Vec<Partition>> {
        let (folders, others) = partitions_and_others(directory, key)?;
        for other in others {
            if other.is_dir() { files(&other, &mut |file| strays.push(file))? } else { strays.push(other) }
        }
        let (folders, others): (Vec<_>, Vec<_>) = folders.into_iter().partition(|(_, path)| path.is_dir());
        strays.extend(others.into_iter().map(|(_, path)| path));
        Ok(folders)
    };
    for (generation_model, path) in level(runs, key::GENERATION_MODEL)? {
        for (task, path) in level(&path, key::TASK)? {
            let set = ResponseSetKey::new(&generation_model, task);
            found.extend(level(&path, key::MODEL)?.into_iter().map(|(model, path)| (set.cell(model), path)));
        }
    }
    Ok(found)
}

/// Calls `see` with every file under `directory`. A link is not followed: it could lead anywhere, and round in circles.
fn files(directory: &Path, see: &mut dyn FnMut(PathBuf)) -> Result<()> {
    for listed in list(directory)? {
        if listed.is_folder { files(&listed.path, see)? } else { see(listed.path) }
    }
    Ok(())
}
