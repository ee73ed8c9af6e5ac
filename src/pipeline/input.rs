//! A dataset on its way into a cell.
//!
//! Owns which parts are left for this process, which of them it has, and what was noticed about the rows so far. Not
//! here: reading them (`dataset`).

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::shard::Shard;
use crate::dataset::Plan;
use crate::error::{Error, Result};
use crate::sample::Status;
use crate::store::{CellStore, Holder};
use crate::table;
use crate::tokenize::Audit;

/// Which parts of a cell a run scores, of those that it has.
#[derive(Clone, Copy, Debug, Default)]
pub struct WhichParts {
    /// Parts that contain a failed sample are scored again.
    pub retry_failed: bool,
    /// Only the parts of this shard, if there is one.
    pub shard: Option<Shard>,
}

impl WhichParts {
    /// # Errors
    /// [`Error::Usage`] if only a shard's parts are scored: an exact comparison follows, for which all must be there.
    pub fn must_be_all(&self) -> Result<()> {
        let Some(shard) = self.shard else { return Ok(()) };
        let instead = "keep the hidden states (--keep-hidden) and run `tokshift kl --exact` when all shards are done";
        Err(Error::usage(format!("--shard {shard}: other shards' parts cannot be compared exactly yet: {instead}")))
    }
}

/// A dataset and where its results go.
pub struct Input<'a> {
    pub(super) plan: &'a Plan,
    pub(super) cell: &'a CellStore,
    /// Parts that are done, and done again.
    again: BTreeSet<u32>,
    shard: Option<Shard>,
    /// Parts that this process has written.
    written: Mutex<BTreeSet<u32>>,
    audit: Mutex<Audit>,
}

impl<'a> Input<'a> {
    /// Parts of `plan` that `cell` lacks, and those of `again`, as far as `parts` has them.
    ///
    /// # Errors
    /// A samples table that cannot be read.
    pub fn new(plan: &'a Plan, cell: &'a CellStore, mut again: BTreeSet<u32>, parts: WhichParts) -> Result<Self> {
        let WhichParts { retry_failed, shard } = parts;
        for part in cell.done().into_iter().filter(|_| retry_failed) {
            let statuses = table::statuses(cell.samples(part).open()?)?;
            if statuses.iter().any(|status| status == Status::Failed.as_str()) {
                again.insert(part);
            }
        }
        again.retain(|&part| shard.is_none_or(|shard| shard.has(part)));
        Ok(Self { plan, cell, again, shard, written: Mutex::default(), audit: Mutex::default() })
    }

    /// Whether nothing is left to score.
    pub fn is_done(&self) -> bool {
        self.missing().next().is_none()
    }

    /// Whether parts that are done are scored again.
    pub fn replaces(&self) -> bool {
        !self.again.is_empty()
    }

    /// The parts that are left to score.
    pub fn missing(&self) -> impl Iterator<Item = u32> {
        (0..self.plan.parts.len() as u32).filter(|&part| self.lacks(part))
    }

    /// The parts that this process has written.
    pub fn written(&self) -> BTreeSet<u32> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was noticed of the samples so far.
    pub fn audit(&self) -> Audit {
        self.audit.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn add(&self, audit: Audit) {
        self.audit.lock().unwrap_or_else(PoisonError::into_inner).merge(audit);
    }

    /// Locks a part for this process. `false` if another one scores it or has scored it meanwhile.
    pub(super) fn take(&self, part: u32) -> Result<bool> {
        if !self.lacks(part) || !self.cell.take(part)? {
            return Ok(false);
        }
        // Another process may have finished it just before it was locked here.
        if !self.lacks(part) {
            self.cell.release(part);
            return Ok(false);
        }
        Ok(true)
    }

    /// The process that scores a part, if one does.
    pub(super) fn holder(&self, part: u32) -> Option<Holder> {
        self.cell.holder(part)
    }

    /// Notes that this process has written a part.
    pub(super) fn wrote(&self, part: u32) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(part);
    }

    /// Whether this process is to score a part, if no other one does.
    pub(super) fn lacks(&self, part: u32) -> bool {
        let is_ours = self.shard.is_none_or(|shard| shard.has(part));
        is_ours && (!self.cell.is_done(part) || self.again.contains(&part) && !self.written().contains(&part))
    }
}
