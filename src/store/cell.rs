//! Writing one cell: its locks, its manifest, its parts.
//!
//! Owns the rule that what was decided for a cell stays decided, that one process at a time writes a part of it, and
//! that a process which replaces parts has the cell for itself. Not here: finding cells (`read`), and what all models of
//! a response set share ([`super::response_set`]).

pub(super) mod part;
mod publish;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::files::{ResultFile, list};
use super::hidden::{HiddenFiles, HiddenPart};
use super::layout::{Cell, MANIFEST, file_name};
use super::lock::{Holder, Lock, Shared, held_by};
use super::manifest::Manifest;
use super::response_set::{Claim, ResponseSetStore};
use super::table_files::TableFiles;
use super::temporary::Temporary;
use crate::error::{Error, Result};
use crate::hidden::Layout;
use crate::schema::folder;
use crate::table::Origin;

/// Where one cell's parts go.
#[derive(Debug)]
pub struct CellStore {
    root: PathBuf,
    cell: Cell,
    folder: PathBuf,
    tables: TableFiles,
    text: ResponseSetStore,
    /// Until it is locked, because another process may publish the response set's manifest meanwhile.
    proposed: Decided,
    /// What stands, once it is locked.
    decided: OnceLock<Decided>,
    /// Whether the manifest is known to stand under its name.
    claimed: AtomicBool,
    /// [`CellStore::with_temporary_hidden`].
    keeps_temporary: bool,
    /// Held from [`CellStore::lock`] on.
    held: Mutex<Option<Held>>,
    /// The parts that this process is scoring.
    taken: Mutex<BTreeMap<u32, Lock>>,
}

/// What decides the cell's numbers.
#[derive(Debug)]
struct Decided {
    manifest: Manifest,
    /// Of the manifest.
    digest: String,
}

/// The cell stays, and so does what its response set is.
#[derive(Debug)]
struct Held {
    cell: CellLock,
    _text: Claim,
}

/// What a process may do to a cell.
#[derive(Debug)]
enum CellLock {
    /// Add parts, as other processes may meanwhile.
    Shared(#[expect(dead_code, reason = "held until it is dropped")] Shared),
    /// Replace parts.
    Alone(#[expect(dead_code, reason = "held until it is dropped")] Lock),
}

impl Decided {
    fn new(manifest: Manifest) -> Result<Self> {
        Ok(Self { digest: manifest.digest()?, manifest })
    }
}

impl CellStore {
    /// As [`Store::cell`](super::Store::cell).
    pub(super) fn open(root: &Path, cell: &Cell, manifest: &Manifest) -> Result<Self> {
        let text = ResponseSetStore::new(root, &cell.set.folder()?);
        let fixed = manifest.clone().over(text.fixed(manifest.text())?);
        let store = Self {
            root: root.to_owned(),
            cell: cell.clone(),
            folder: cell.folder()?,
            tables: TableFiles::new(root, cell)?,
            text,
            proposed: Decided::new(fixed)?,
            decided: OnceLock::new(),
            claimed: AtomicBool::new(false),
            keeps_temporary: false,
            held: Mutex::default(),
            taken: Mutex::default(),
        };
        store.check(&store.proposed.manifest, false)?;
        Ok(store)
    }

    fn decided(&self) -> &Decided {
        self.decided.get().unwrap_or(&self.proposed)
    }

    fn manifest(&self) -> &Manifest {
        &self.decided().manifest
    }

    /// An earlier run of the cell must have decided the same.
    fn check(&self, manifest: &Manifest, is_written: bool) -> Result<()> {
        let file = self.manifest_file();
        // Checked in this order: a manifest comes before its parts, so another process cannot slip in between.
        let parts = self.holds_parts();
        if file.exists() {
            let earlier = Manifest::read(file.path())?;
            let is_whole = !is_written && self.done().len() == manifest.parts.len();
            let compare = if is_whole { Manifest::must_be_of } else { Manifest::must_equal };
            return compare(manifest, &earlier, file.path());
        }
        if parts {
            return Err(Error::file(file, "is missing, so the options of its parts are unknown: delete them too"));
        }
        Ok(())
    }

    fn holds_parts(&self) -> bool {
        let folders = [folder::SAMPLES, folder::TOKENS].map(|table| self.root.join(table).join(&self.folder));
        folders.iter().any(|folder| list(folder).is_ok_and(|found| !found.is_empty()))
    }

    /// Whether rows or kept fields were added to the response set since its first model was scored, or are to be by this run.
    pub fn is_added_to(&self) -> bool {
        self.manifest().begun_as.is_some()
    }

    /// Keeps other processes from replacing parts of the cell until this is dropped, and publishes the response set's
    /// manifest. They may add parts. [`CellStore::begin`] does it too. Callers for which a part takes long lock first: from
    /// then on no other process decides otherwise.
    ///
    /// # Errors
    /// [`Error::Busy`] if another process replaces parts; [`Error::Mismatch`] if one has published a different manifest.
    pub fn lock(&self) -> Result<()> {
        self.lock_as(|root, folder, what| Ok(CellLock::Shared(Shared::take(root, folder, what)?)))
    }

    /// As [`CellStore::lock`], and keeps other processes from adding parts too: from then on this one may replace parts that
    /// are done.
    ///
    /// # Errors
    /// As [`CellStore::lock`], and [`Error::Busy`] if another process adds parts.
    pub fn lock_alone(&self) -> Result<()> {
        self.lock_as(|root, folder, what| Ok(CellLock::Alone(Lock::take(root, folder, what)?)))
    }

    fn lock_as(&self, take: impl FnOnce(&Path, &Path, &str) -> Result<CellLock>) -> Result<()> {
        // Nothing panics while it is locked.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            let cell = take(&self.root, &self.folder, &self.cell.to_string())?;
            let (claim, text) = self.text.claim(&self.proposed.manifest.text())?;
            let manifest = self.proposed.manifest.clone().over(text);
            self.check(&manifest, true)?;
            let decided = Decided::new(manifest)?;
            self.decided.get_or_init(|| decided);
            *held = Some(Held { cell, _text: claim });
        }
        Ok(())
    }

    /// Whether [`CellStore::lock_alone`] locked it.
    fn is_alone(&self) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().is_some_and(|held| matches!(held.cell, CellLock::Alone(_)))
    }

    /// Locks a part, so that no other process scores it until it is committed or [released](CellStore::release). `false`
    /// if another process has locked it.
    ///
    /// # Errors
    /// As [`CellStore::lock`].
    pub fn take(&self, part: u32) -> Result<bool> {
        self.lock()?;
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.contains_key(&part) {
            return Ok(true);
        }
        match Lock::take(&self.root, &part_key(&self.folder, part), &self.cell.to_string()) {
            Ok(lock) => {
                taken.insert(part, lock);
                Ok(true)
            }
            Err(Error::Busy { .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Lets other processes score a part that this one has [taken](CellStore::take).
    pub fn release(&self, part: u32) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&part);
    }

    /// The process that scores a part, if one does.
    pub fn holder(&self, part: u32) -> Option<Holder> {
        held_by(&self.root, &part_key(&self.folder, part))
    }

    /// Publishes the manifest unless it is there. Where file systems have no locks, one of several processes wins, and
    /// the others must agree with it: that is checked before, lest a run that must fail leave a manifest, and after, since two
    /// may pass the first check at once.
    pub(super) fn claim(&self) -> Result<()> {
        if self.claimed.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.lock()?;
        let check = || self.text.must_be(&self.manifest().text()).and_then(|()| self.check(self.manifest(), true));
        check()?;
        let file = self.manifest_file();
        let mut written = Temporary::create(&self.root, MANIFEST)?;
        written.write(|out| out.write_all(self.manifest().to_json()?.as_bytes()).map_err(Error::io("write", &file)))?;
        let new = file.put_new(&written)?;
        if let Err(error) = check() {
            if new {
                // Best effort: it has no part, and would be in the way of the run that came first.
                let _ = file.delete();
            }
            return Err(error);
        }
        self.claimed.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn manifest_file(&self) -> ResultFile {
        ResultFile::at(self.root.join(folder::RUNS).join(&self.folder).join(MANIFEST))
    }

    /// Whether both tables of the part are there.
    pub fn is_done(&self, part: u32) -> bool {
        self.tables.is_done(part)
    }

    /// Parts that are done and kept hidden states that are no longer there. These may be deleted to make room, and are not made
    /// again unless that is requested.
    pub fn without_hidden(&self) -> BTreeSet<u32> {
        let (files, keeps) = (self.hidden_files(), self.manifest().engine.keep_hidden.is_some());
        self.done().into_iter().filter(|&part| keeps && files.existing(part).is_none()).collect()
    }

    /// The folder of the tokens tables.
    pub fn tokens(&self) -> PathBuf {
        self.root.join(folder::TOKENS).join(&self.folder)
    }

    /// The parts that are done.
    pub fn done(&self) -> BTreeSet<u32> {
        (0..self.proposed.manifest.parts.len() as u32).filter(|&part| self.is_done(part)).collect()
    }

    /// The done part's samples table.
    pub fn samples(&self, part: u32) -> ResultFile {
        self.tables.samples(part)
    }

    /// Longest sample, in tokens, which the first run on the response set fixed.
    pub fn max_tokens(&self) -> usize {
        self.manifest().tokens.max_tokens
    }

    /// The same store, in which parts that are scored from now on store hidden states even if the manifest does not say so.
    /// These are temporary: the caller uses and deletes them.
    #[must_use]
    pub fn with_temporary_hidden(self) -> Self {
        Self { keeps_temporary: true, ..self }
    }

    /// Whether parts that are scored have hidden states too.
    pub fn takes_hidden(&self) -> bool {
        self.keeps_temporary || self.manifest().engine.keep_hidden.is_some()
    }

    /// What the files of a part say about themselves.
    pub fn origin(&self, part: u32) -> Origin {
        self.cell.origin(&self.decided().digest, part)
    }

    fn hidden_files(&self) -> HiddenFiles {
        HiddenFiles::new(&self.root, &self.folder, self.manifest())
    }

    /// The file for the part's hidden states, laid out before any is known. If the disk has no room, writing them
    /// fails.
    ///
    /// # Errors
    /// As [`CellStore::begin`].
    pub fn begin_hidden(&self, part: u32, layout: Layout) -> Result<HiddenPart> {
        self.lock()?;
        HiddenPart::create(Temporary::create(&self.root, &format!("{}-{part:08}", folder::HIDDEN))?, layout)
    }
}

/// The key of a part's lock, which versions of tokshift that run at once must agree on.
fn part_key(folder: &Path, part: u32) -> PathBuf {
    folder.join(file_name(part, "part"))
}
