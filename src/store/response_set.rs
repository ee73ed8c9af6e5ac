//! The one manifest of a response set, while several processes start at once.
//!
//! Owns the rule that the first run fixes which rows, ids and parts a response set has, before anything of it is
//! scored. Later runs adopt its longest sample and must agree in everything else. A manifest that no model refers to
//! and that no running process has locked was left by a run that scored nothing: it decides nothing and is replaced.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::files::{ResultFile, list_if_there};
use super::layout::{MANIFEST, TEXT, is_absent};
use super::lock::{Lock, Shared};
use super::manifest::Manifest;
use super::manifest::response_set::ResponseSetManifest;
use super::temporary::Temporary;
use crate::error::{Error, Result};
use crate::schema::folder;

/// Path of the response set's manifest.
#[derive(Debug)]
pub(super) struct ResponseSetStore {
    root: PathBuf,
    /// `generation_model=G/task=T`.
    folder: PathBuf,
}

/// Keeps a response set's manifest as it is, until this is dropped.
#[derive(Debug)]
pub(super) struct Claim(#[expect(dead_code, reason = "held until it is dropped")] Shared);

impl ResponseSetStore {
    pub fn new(root: &Path, folder: &Path) -> Self {
        Self { root: root.to_owned(), folder: folder.to_owned() }
    }

    pub fn path(&self) -> PathBuf {
        self.models().join(TEXT)
    }

    /// Where the models' own manifests are.
    fn models(&self) -> PathBuf {
        self.root.join(folder::RUNS).join(&self.folder)
    }

    /// `mine` with the limit that earlier runs fixed, if any model was scored.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if they differ otherwise.
    pub fn fixed(&self, mine: ResponseSetManifest) -> Result<ResponseSetManifest> {
        match (self.read()?, self.model()?) {
            (Some(there), Some(_)) => mine.as_fixed(&there, &self.path()),
            (None, Some(model)) => must_be_whole(&model).map(|()| mine),
            (_, None) => Ok(mine),
        }
    }

    /// Publishes `mine`, or adopts what another process published first. Returns the manifest on disk.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if another run's manifest differs.
    pub fn claim(&self, mine: &ResponseSetManifest) -> Result<(Claim, ResponseSetManifest)> {
        // A manifest that another process uses, though no model refers to it yet.
        let mut in_use = None;
        loop {
            let claim = Claim(Shared::take(&self.root, &self.key(), &self.what())?);
            if let (None, Some(model)) = (self.read()?, self.model()?) {
                must_be_whole(&model)?;
            }
            self.publish_new(mine)?;
            let Some(there) = self.read()? else { continue };
            if there.is_same(mine) {
                return Ok((claim, there));
            }
            if self.model()?.is_some() && mine.extends(&there) {
                drop(claim);
                self.extend(mine)?;
                continue;
            }
            if in_use.as_ref() == Some(&there) || self.model()?.is_some() {
                return Ok((claim, mine.clone().as_fixed(&there, &self.path())?));
            }
            drop(claim);
            match Lock::take(&self.root, &self.key(), &self.what()) {
                Ok(_alone) if self.model()?.is_none() => ResultFile::at(self.path()).delete()?,
                Ok(_) => {}
                Err(Error::Busy { .. }) => in_use = Some(there),
                Err(other) => return Err(other),
            }
        }
    }

    /// Locks the manifest against every run that scores these responses.
    ///
    /// # Errors
    /// [`Error::Busy`] if another process scores them or is about to.
    pub fn lock(&self) -> Result<Lock> {
        Lock::take(&self.root, &self.key(), &self.what())
    }

    /// Deletes the manifest if no model refers to it; whether it was there. The caller holds the [`lock`](Self::lock).
    pub fn remove_unscored(&self) -> Result<bool> {
        let is_unscored = self.model()?.is_none() && self.path().exists();
        if is_unscored {
            ResultFile::at(self.path()).delete()?;
        }
        Ok(is_unscored)
    }

    /// Publishes `mine` in the place of the manifest whose rows it adds to. What models have scored stays valid, since their
    /// manifests refer to the first one.
    ///
    /// # Errors
    /// [`Error::Busy`] if another process scores the responses.
    fn extend(&self, mine: &ResponseSetManifest) -> Result<()> {
        let _alone = Lock::take(&self.root, &self.key(), &self.what())?;
        let path = self.path();
        // Another process may have done it meanwhile.
        if self.read()?.is_some_and(|there| mine.extends(&there)) {
            let mut file = Temporary::create(&self.root, TEXT)?;
            file.write(|out| out.write_all(mine.to_json()?.as_bytes()).map_err(Error::io("write", &path)))?;
            ResultFile::at(path).put(file)?;
        }
        Ok(())
    }

    /// The manifest on disk must still be `mine`: file systems without locks do not prevent its replacement.
    pub fn must_be(&self, mine: &ResponseSetManifest) -> Result<()> {
        let path = self.path();
        match self.read()? {
            Some(there) => mine.must_equal(&there, &path),
            None => Err(Error::file(path, "was removed while the response set was scored: run again")),
        }
    }

    fn read(&self) -> Result<Option<ResponseSetManifest>> {
        match ResponseSetManifest::read(&self.path()) {
            Err(Error::Io { source, .. }) if is_absent(&source) => Ok(None),
            read => read.map(Some),
        }
    }

    fn publish_new(&self, mine: &ResponseSetManifest) -> Result<()> {
        let file = ResultFile::at(self.path());
        if file.exists() {
            return Ok(());
        }
        let mut written = Temporary::create(&self.root, TEXT)?;
        written.write(|out| out.write_all(mine.to_json()?.as_bytes()).map_err(Error::io("write", &file)))?;
        file.put_new(&written).map(drop)
    }

    /// The manifest of a model, if any was scored.
    fn model(&self) -> Result<Option<PathBuf>> {
        let found = list_if_there(&self.models())?;
        Ok(found.into_iter().map(|found| found.path.join(MANIFEST)).find(|path| path.exists()))
    }

    fn key(&self) -> PathBuf {
        PathBuf::from("texts").join(&self.folder)
    }

    fn what(&self) -> String {
        format!("`{}`", self.path().display())
    }
}

/// A model without the shared manifest has another format version, or is damaged: nothing is scored next to it.
fn must_be_whole(model: &Path) -> Result<()> {
    Manifest::read(model).map(drop)
}
