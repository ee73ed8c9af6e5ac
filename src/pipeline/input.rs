//! A dataset on its way into a cell.
//!
//! Owns which parts are left, and what was noticed about the rows so far. Not here: reading them (`dataset`).

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::dataset::Plan;
use crate::error::Result;
use crate::sample::Status;
use crate::store::CellStore;
use crate::table;
use crate::tokenize::Audit;

/// A dataset and where its results go.
pub struct Input<'a> {
    pub(super) plan: &'a Plan,
    pub(super) cell: &'a CellStore,
    /// Parts that are done, and done again.
    again: BTreeSet<u32>,
    audit: Mutex<Audit>,
}

impl<'a> Input<'a> {
    /// Parts of `plan` that `cell` lacks, and those of `again`; with `retry_failed` also those that contain a failed
    /// sample.
    ///
    /// # Errors
    /// A samples table that cannot be read.
    pub fn new(plan: &'a Plan, cell: &'a CellStore, mut again: BTreeSet<u32>, retry_failed: bool) -> Result<Self> {
        for part in cell.done().into_iter().filter(|_| retry_failed) {
            let statuses = table::statuses(cell.samples(part).open()?)?;
            if statuses.iter().any(|status| status == Status::Failed.as_str()) {
                again.insert(part);
            }
        }
        Ok(Self { plan, cell, again, audit: Mutex::default() })
    }

    /// Whether nothing is left to score.
    pub fn is_done(&self) -> bool {
        self.missing().next().is_none()
    }

    /// The parts that are left to score.
    pub fn missing(&self) -> impl Iterator<Item = u32> {
        (0..self.plan.parts.len() as u32).filter(|&part| self.lacks(part))
    }

    /// What was noticed of the samples so far.
    pub fn audit(&self) -> Audit {
        self.audit.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn add(&self, audit: Audit) {
        self.audit.lock().unwrap_or_else(PoisonError::into_inner).merge(audit);
    }

    fn lacks(&self, part: u32) -> bool {
        !self.cell.is_done(part) || self.again.contains(&part)
    }
}
