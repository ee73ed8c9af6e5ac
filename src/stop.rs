//! Stopping work early: the user requested it, or another part of the same run failed.
//!
//! Owns the two reasons and the one check that long-running code makes between its steps. Not here: who requests it
//! (`cli::signals`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// The end of one run.
#[derive(Debug)]
pub struct Stop<'a> {
    /// Raised from outside, for every run of the process.
    requested: &'a AtomicBool,
    failed: AtomicBool,
}

/// How often a stop is looked for while nothing else is to do.
const BETWEEN_CHECKS: Duration = Duration::from_millis(20);

static NEVER: AtomicBool = AtomicBool::new(false);

impl Stop<'static> {
    /// For work that is never interrupted.
    pub fn never() -> Self {
        Self::new(&NEVER)
    }
}

impl<'a> Stop<'a> {
    /// A run that ends when `requested` is set.
    pub fn new(requested: &'a AtomicBool) -> Self {
        Self { requested, failed: AtomicBool::new(false) }
    }

    /// A part of this run that ends on request, but not if another part fails.
    #[must_use]
    pub fn part(&self) -> Self {
        Self::new(self.requested)
    }

    /// Ends this run alone: one of its threads failed.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Whether stopping was requested.
    pub fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }

    /// Sleeps for this long.
    ///
    /// # Errors
    /// [`Error::Stopped`], at once, if the run is to end meanwhile.
    pub fn wait(&self, long: Duration) -> Result<()> {
        let until = Instant::now() + long;
        while Instant::now() < until {
            self.check()?;
            thread::sleep(BETWEEN_CHECKS);
        }
        Ok(())
    }

    /// # Errors
    /// [`Error::Stopped`] if the run is to end.
    pub fn check(&self) -> Result<()> {
        if self.is_requested() || self.failed.load(Ordering::Relaxed) { Err(Error::Stopped) } else { Ok(()) }
    }
}
