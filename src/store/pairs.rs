//! Pairs of models: their folders, their manifests and their parts.
//!
//! Owns for pairs what [`super::CellStore`] owns for cells. A part is one file, so publishing it is one rename.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use arrow::array::RecordBatch;

use super::files::{ResultFile, list_if_there};
use super::layout::{Cell, MANIFEST, PairCell, ResponseSetKey, file_name, is_absent};
use super::lock::Lock;
use super::manifest::pair::PairManifest;
use super::read::{self, part_of};
use super::temporary::Temporary;
use crate::error::{Error, Result};
use crate::schema::{folder, key};
use crate::table::{self, EXTENSION, Origin, Table};

/// How often a process tries to lock a pair that another publishes into: for about a minute.
const LOOKS: u32 = 1200;

impl PairCell {
    /// The file of a part, published or not.
    ///
    /// # Errors
    /// A name that makes no folder.
    pub fn part(&self, root: &Path, part: u32) -> Result<ResultFile> {
        Ok(part_in(&self.parts(root)?, part))
    }

    /// What an earlier run decided, if there was one.
    ///
    /// # Errors
    /// As [`PairManifest::read`].
    pub fn manifest(&self, root: &Path) -> Result<Option<PairManifest>> {
        let path = self.manifest_path(root)?;
        path.exists().then(|| PairManifest::read(&path)).transpose()
    }

    fn manifest_path(&self, root: &Path) -> Result<PathBuf> {
        Ok(root.join(folder::RUNS).join(self.folder()?).join(MANIFEST))
    }

    /// The folder of the parts.
    pub(super) fn parts(&self, root: &Path) -> Result<PathBuf> {
        Ok(root.join(folder::PAIRS).join(self.folder()?))
    }
}

/// Where one pair's parts go.
#[derive(Debug)]
pub struct PairStore {
    root: PathBuf,
    cell: PairCell,
    folder: PathBuf,
    manifest: PairManifest,
    /// The parts that this process is comparing.
    taken: Mutex<BTreeMap<u32, Lock>>,
}

impl PairStore {
    pub(super) fn open(root: &Path, manifest: &PairManifest) -> Result<Self> {
        let cell = manifest.cell();
        let (root, folder) = (root.to_owned(), cell.folder()?);
        let store = Self { root, cell, folder, manifest: manifest.clone(), taken: Mutex::default() };
        if store.has_parts()? {
            store.must_agree()?;
        }
        Ok(store)
    }

    /// Whether any part is published.
    fn has_parts(&self) -> Result<bool> {
        Ok(list_if_there(&self.parts())?.iter().any(|found| part_of(&found.path).is_some()))
    }

    /// What made the parts that are published decided as this run does.
    fn must_agree(&self) -> Result<()> {
        let (path, parts) = (self.manifest_path(), self.parts());
        if !path.exists() {
            let what = "is missing, so the options of its parts are unknown: delete them too";
            return Err(Error::file(parts, format!("its manifest `{}` {what}", path.display())));
        }
        self.manifest.must_equal(&PairManifest::read(&path)?, &path, &parts)
    }

    fn parts(&self) -> PathBuf {
        self.root.join(folder::PAIRS).join(&self.folder)
    }

    fn manifest_path(&self) -> PathBuf {
        self.root.join(folder::RUNS).join(&self.folder).join(MANIFEST)
    }

    fn file(&self, part: u32) -> ResultFile {
        part_in(&self.parts(), part)
    }

    /// Whether the part is published.
    pub fn is_done(&self, part: u32) -> bool {
        self.file(part).exists()
    }

    /// Locks a part, so that no other process compares it until it is [released](PairStore::release). `false` if another
    /// process has locked it.
    ///
    /// # Errors
    /// The lock's file cannot be created.
    pub fn take(&self, part: u32) -> Result<bool> {
        let key = self.folder.join(file_name(part, "part"));
        match Lock::take(&self.root, &key, &self.cell.to_string()) {
            Ok(lock) => {
                // Nothing panics while it is locked.
                self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(part, lock);
                Ok(true)
            }
            Err(Error::Busy { .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Lets other processes compare a part that this one has [taken](PairStore::take).
    pub fn release(&self, part: u32) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&part);
    }

    /// Locks the pair while something is published, which takes other processes a moment.
    fn lock(&self) -> Result<Lock> {
        let what = self.cell.to_string();
        let mut looks = 0;
        loop {
            match Lock::take(&self.root, &self.folder, &what) {
                Err(Error::Busy { .. }) if looks < LOOKS => looks += 1,
                // There is no other directory that it could be written into.
                Err(Error::Busy { holder, .. }) => {
                    return Err(Error::Usage(format!("{holder} compares {what}: wait until it ends")));
                }
                locked => return locked,
            }
        }
    }

    /// Publishes a part, after the manifest if it is the first. A manifest without parts decides nothing, and is
    /// replaced. `tokens` are the hashes of P's and Q's tokens tables.
    ///
    /// # Errors
    /// A full disk; another run that decided otherwise; a tokens table that was written again meanwhile.
    pub fn publish(&self, part: u32, batch: &RecordBatch, tokens: [Option<String>; 2]) -> Result<()> {
        let _alone = self.lock()?;
        if !self.has_parts()? {
            let file = ResultFile::at(self.manifest_path());
            file.delete()?;
            let mut written = Temporary::create(&self.root, MANIFEST)?;
            let failed = Error::io("write", &file);
            written.write(|out| out.write_all(self.manifest.to_json()?.as_bytes()).map_err(failed))?;
            file.put_new(&written)?;
        }
        self.must_agree()?;
        let mut written = Temporary::create(&self.root, &format!("{}-{part:08}", folder::PAIRS))?;
        let origin = Origin { tokens, ..self.cell.origin(&self.manifest.digest()?, part) };
        written.write(|out| table::write(out, Table::Pairs, batch, Some(&origin)))?;
        self.must_be_of(part, &origin.tokens)?;
        let file = self.file(part);
        file.put(written)?;
        // Rescoring a part deletes its tokens, then its pairs. If this part was published in between, its tokens are
        // gone by now.
        self.must_be_of(part, &origin.tokens).or_else(|error| file.delete().and(Err(error)))
    }

    /// The tokens tables of the part must be the ones with these hashes.
    fn must_be_of(&self, part: u32, hashes: &[Option<String>; 2]) -> Result<()> {
        for (cell, hash) in self.cell.cells().iter().zip(hashes) {
            let file = part_in(&self.root.join(folder::TOKENS).join(cell.folder()?), part);
            let now = match file.footer() {
                Err(Error::Io { source, .. }) if is_absent(&source) => None,
                footer => footer?.1,
            };
            if now != *hash {
                return Err(Error::file(file, "was scored again while it was compared: run the same command again"));
            }
        }
        Ok(())
    }
}

/// The file of a part of a pair, or of its tokens, in `folder`.
fn part_in(folder: &Path, part: u32) -> ResultFile {
    ResultFile::at(folder.join(file_name(part, EXTENSION)))
}

/// A pair as found on disk.
#[derive(Debug)]
pub struct FoundPair {
    /// Which pair it is.
    pub cell: PairCell,
    /// Or why it cannot be used, which is in no other pair's way.
    pub manifest: Result<PairManifest>,
    /// The folder of the parts.
    pub folder: PathBuf,
}

impl FoundPair {
    /// The file of a part, published or not.
    pub fn part(&self, part: u32) -> ResultFile {
        part_in(&self.folder, part)
    }
}

/// Every pair under `root`, in the order of their names; none if there are no runs.
///
/// # Errors
/// A folder that cannot be listed.
pub fn found_pairs(root: &Path) -> Result<Vec<FoundPair>> {
    let found = pair_manifests(root)?.into_iter().map(|(cell, path)| {
        let (manifest, folder) = (PairManifest::read(&path), cell.parts(root)?);
        Ok(FoundPair { cell, manifest, folder })
    });
    found.collect()
}

/// The pairs that have a manifest, and where it is.
pub(super) fn pair_manifests(root: &Path) -> Result<Vec<(PairCell, PathBuf)>> {
    let mut found = Vec::new();
    for (generation_model, path) in partitions(&root.join(folder::RUNS), key::GENERATION_MODEL)? {
        for (task, path) in partitions(&path, key::TASK)? {
            let set = ResponseSetKey::new(&generation_model, task);
            for (p, path) in partitions(&path, key::P)? {
                for (q, path) in partitions(&path, key::Q)? {
                    found.push((set.pair(&p, q), path.join(MANIFEST)));
                }
            }
        }
    }
    found.retain(|(_, path)| path.exists());
    found.sort();
    Ok(found)
}

/// The folders, below those of tables and of manifests, of every pair with the model of a cell.
pub(super) fn pair_folders(root: &Path, cell: &Cell) -> Result<Vec<PathBuf>> {
    let text = cell.set.folder()?;
    let mut found = BTreeSet::new();
    for table in [folder::PAIRS, folder::RUNS] {
        for (p, path) in partitions(&root.join(table).join(&text), key::P)? {
            for (q, path) in partitions(&path, key::Q)? {
                if [&p, &q].contains(&&cell.model) {
                    found.extend(path.strip_prefix(root.join(table)).ok().map(Path::to_owned));
                }
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// The folders `key=value`, whatever else is there.
fn partitions(directory: &Path, key: &str) -> Result<Vec<read::Partition>> {
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let (found, _) = read::partitions_and_others(directory, key)?;
    Ok(found.into_iter().filter(|(_, path)| path.is_dir()).collect())
}

/// Removes the part of every pair with the model that is about to have another: it was of the old one.
pub(super) fn delete_part(root: &Path, of: &Cell, part: u32) -> Result<()> {
    let text = root.join(folder::PAIRS).join(of.set.folder()?);
    for (p, path) in partitions(&text, key::P)? {
        for (q, path) in partitions(&path, key::Q)? {
            if [&p, &q].contains(&&of.model) {
                part_in(&path, part).delete()?;
            }
        }
    }
    Ok(())
}
