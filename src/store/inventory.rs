//! Lists everything in an output directory, whether a manifest explains it or not.
//!
//! Owns telling results from unknown files; unlike [`super::cells`] it does not stop at an error. Not here: opening
//! tables (`table`).

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::hidden::HiddenFiles;
use super::layout::{Cell, MANIFEST, TEXT, file_name};
use super::manifest::Manifest;
use super::manifest::pair::PairManifest;
use super::manifest::text::TextManifest;
use super::names;
use super::pairs::{PairCell, pair_manifests};
use super::read::{self, Partition, partitions_and_others};
use super::temporary::leftovers;
use crate::error::{Error, Result};
use crate::schema::{folder, key};
use crate::table::Format;

/// The content of an output directory.
#[derive(Debug)]
pub struct Inventory {
    /// In the order of their names.
    pub texts: Vec<ListedText>,
    pub cells: Vec<ListedCell>,
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

/// A text whose manifest exists.
#[derive(Debug)]
pub struct ListedText {
    pub generation_model: String,
    pub task: String,
    /// Where the manifest is.
    pub path: PathBuf,
    /// Or why it cannot be used.
    pub manifest: Result<TextManifest>,
}

/// A cell whose manifest exists.
#[derive(Debug)]
pub struct ListedCell {
    pub cell: Cell,
    /// Where the manifest is.
    pub path: PathBuf,
    /// The manifest and its tables' format, or why it cannot be used: then its tables are strays.
    pub manifest: Result<(Manifest, Format)>,
    /// Every part of the manifest.
    pub parts: Vec<PartFiles>,
}

/// A pair whose manifest exists.
#[derive(Debug)]
pub struct ListedPair {
    pub cell: PairCell,
    /// Where the manifest is.
    pub path: PathBuf,
    /// Or why it cannot be used.
    pub manifest: Result<PairManifest>,
    /// The published files of parts that P's manifest has.
    pub parts: Vec<PathBuf>,
}

/// The files of a part, which may be missing.
#[derive(Clone, Debug)]
pub struct PartFiles {
    pub tokens: PathBuf,
    pub samples: PathBuf,
    /// Only if it is there: what was kept may have been deleted to make room.
    pub hidden: Option<PathBuf>,
}

impl PartFiles {
    /// All of them, tokens first: a part without them is not done, whatever happens to the others.
    pub fn all(&self) -> impl Iterator<Item = &PathBuf> {
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
    let texts = texts(&mut strays);
    let pairs = pair_manifests(root)?.into_iter().map(|(cell, path)| ListedPair::read(root, cell, path, &cells));
    let pairs = pairs.collect::<Result<Vec<_>>>()?;
    strays.retain(|file| pairs.iter().all(|pair| pair.path != *file));
    let of_cells = cells.iter().flat_map(|cell| &cell.parts).flat_map(PartFiles::all);
    let known: HashSet<&Path> =
        of_cells.chain(pairs.iter().flat_map(|pair| &pair.parts)).map(PathBuf::as_path).collect();
    for table in [folder::TOKENS, folder::SAMPLES, folder::HIDDEN, folder::PAIRS] {
        let table = root.join(table);
        if table.is_dir() {
            files(&table, &mut |file| strays.extend((!known.contains(&*file)).then_some(file)))?;
        }
    }
    let mut leftovers: Vec<PathBuf> = leftovers(&root.join(folder::TEMPORARY)).collect();
    strays.sort();
    leftovers.sort();
    Ok(Inventory { texts, cells, pairs, strays, leftovers })
}

impl ListedText {
    /// Whether none of `cells` is of it.
    pub fn is_unscored(&self, cells: &[ListedCell]) -> bool {
        !cells.iter().any(|cell| self.is_of(&cell.cell))
    }

    /// Whether a cell is of this text.
    pub fn is_of(&self, cell: &Cell) -> bool {
        (&cell.generation_model, &cell.task) == (&self.generation_model, &self.task)
    }

    /// `None` if `path` is not where a text's manifest stands.
    fn read(path: &Path) -> Option<Self> {
        let value = |level: usize, key: &str| {
            let name = path.ancestors().nth(level)?.file_name()?.to_str()?;
            names::decode(name.strip_prefix(key)?.strip_prefix('=')?)
        };
        let (task, generation_model) = (value(1, key::TASK)?, value(2, key::GENERATION_MODEL)?);
        let is_it = path.file_name()? == TEXT && path.ancestors().nth(3)?.file_name()? == folder::RUNS;
        is_it.then(|| Self { generation_model, task, path: path.to_owned(), manifest: TextManifest::read(path) })
    }
}

impl ListedCell {
    fn read(root: &Path, cell: Cell, path: PathBuf) -> Result<Self> {
        let manifest = read::manifest(&path);
        let folder = cell.folder()?;
        let parts = manifest.as_ref().map_or_else(
            |_| Vec::new(),
            |(manifest, format)| {
                let file =
                    |table: &str, part, extension| root.join(table).join(&folder).join(file_name(part, extension));
                let extension = format.extension();
                let hidden = HiddenFiles::new(root, &folder, manifest);
                let files = |part| PartFiles {
                    tokens: file(folder::TOKENS, part, extension),
                    samples: file(folder::SAMPLES, part, extension),
                    hidden: hidden.existing(part),
                };
                (0..manifest.parts.len() as u32).map(files).collect()
            },
        );
        Ok(Self { cell, path, manifest, parts })
    }
}

impl ListedPair {
    fn read(root: &Path, cell: PairCell, path: PathBuf, cells: &[ListedCell]) -> Result<Self> {
        let folder = cell.parts(root)?;
        let is_p = |other: &&ListedCell| {
            let Cell { generation_model, task, model } = &other.cell;
            (generation_model, task, model) == (&cell.generation_model, &cell.task, &cell.p)
        };
        let parts = cells.iter().find(is_p).map_or(0, |p| p.parts.len() as u32);
        let parts = (0..parts).map(|part| folder.join(file_name(part, Format::Parquet.extension())));
        let parts = parts.filter(|file| file.exists()).collect();
        Ok(Self { manifest: PairManifest::read(&path), cell, path, parts })
    }
}

/// The manifests of texts among what is no folder of a cell.
fn texts(strays: &mut Vec<PathBuf>) -> Vec<ListedText> {
    let mut found: Vec<ListedText> = strays.iter().filter_map(|path| ListedText::read(path)).collect();
    strays.retain(|path| found.iter().all(|text| text.path != *path));
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
            for (model, path) in level(&path, key::MODEL)? {
                let cell = Cell { generation_model: generation_model.clone(), task: task.clone(), model };
                found.push((cell, path));
            }
        }
    }
    Ok(found)
}

/// Calls `see` with every file under `directory`. A link is not followed: it could lead anywhere, and round in circles.
fn files(directory: &Path, see: &mut dyn FnMut(PathBuf)) -> Result<()> {
    for entry in fs::read_dir(directory).map_err(Error::io("list", directory))? {
        let entry = entry.map_err(Error::io("list", directory))?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if entry.file_type().map_err(Error::io("list", entry.path()))?.is_dir() {
            files(&entry.path(), see)?;
        } else {
            see(entry.path());
        }
    }
    Ok(())
}
