//! The events of scoring.
//!
//! Owns the events and the trait that takes them. Not here: wording, bars and signals (`cli`).

use std::path::Path;
use std::time::Duration;

use super::response_sets::ResponseSet;
use crate::error::{Error, Result};
use crate::exact::Done;
use crate::pipeline::{Elsewhere, Progress, Snapshot};
use crate::stop::Stop;
use crate::store::{Cell, ResponseSetKey};
use crate::tokenize::Audit;

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Something about the input that may surprise its owner. The same text is repeated if it is true of several models
    /// or datasets.
    Warning(&'a str),
    /// What was understood of the request; nothing is computed yet.
    ResponseSets(&'a [ResponseSet]),
    /// What a model of that name had scored before was removed, as requested.
    Replaced(&'a Cell),
    /// Several runs are about to score so many bytes of datasets.
    Planned {
        /// Bytes of the datasets.
        bytes: u64,
    },
    /// The run of this name was stopped: so many of its parts are written, with so many tokens, and as many other
    /// tokens as `lost` were computed for parts that are not.
    Interrupted {
        /// Name of the run.
        run: &'a str,
        /// Number of parts.
        parts: usize,
        /// Number of all its parts.
        of: usize,
        /// Response tokens.
        tokens: u64,
        /// Response tokens that were computed for unfinished parts.
        lost: u64,
    },
    /// Everything but the parts that other processes score is done in the run of this name; it waits for them, and scores
    /// those that they do not finish.
    Waiting {
        /// Name of the run.
        run: &'a str,
        /// The parts.
        left: &'a Elsewhere,
    },
    /// A cell was scored before, and its model cannot be opened now.
    KeptWithoutModel {
        /// Name of the model.
        model: &'a str,
        /// Name of the task.
        task: &'a str,
        /// Why.
        why: &'a str,
    },
    /// A cell of a file of experiments failed; the others go on.
    Failed {
        /// Name of the experiment.
        experiment: &'a str,
        /// Name of the task.
        task: &'a str,
        /// Name of the model.
        model: &'a str,
        /// Why.
        why: &'a str,
    },
    /// Parts whose hidden states were kept and are gone; their tables stand in the folder `tokens`.
    HiddenLost {
        /// Name of the model.
        model: &'a str,
        /// Name of the task.
        task: &'a str,
        /// Number of parts.
        parts: usize,
        /// Folder of the tokens files.
        tokens: &'a Path,
    },
    /// Nothing was left to score in the run of this name.
    AlreadyScored {
        /// Name of the run.
        run: &'a str,
    },
    /// The run of this name scored what was left.
    Scored {
        /// Name of the run.
        run: &'a str,
        /// What it did.
        outcome: &'a Outcome,
    },
    /// A file of the published study's format was written.
    Exported(&'a Path),
    /// Two models were compared exactly.
    Compared(Compared<'a>),
}

/// What one run of a model did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Samples, tokens and bytes of this run alone.
    pub counts: Snapshot,
    /// Wall-clock time that it took.
    pub elapsed: Duration,
    /// What was noticed of the rows, a dataset each.
    pub noticed: Vec<Noticed>,
}

/// What was noticed of a dataset's rows.
#[derive(Clone, Debug)]
pub struct Noticed {
    /// The response set that the rows are.
    pub set: ResponseSetKey,
    /// Counts of whatever may surprise a user.
    pub audit: Audit,
}

/// An exact comparison that is done.
#[derive(Debug)]
pub struct Compared<'a> {
    /// Cell of P.
    pub p: &'a Cell,
    /// Cell of Q.
    pub q: &'a Cell,
    /// What was compared.
    pub done: Done,
    /// Wall-clock time that it took.
    pub elapsed: Duration,
}

/// Whoever wants to know how scoring goes.
pub trait Watch {
    /// Takes an event. The default logs it.
    fn event(&self, event: &Event) {
        match event {
            Event::Warning(text) => tracing::warn!("{text}"),
            event => tracing::info!("{event:?}"),
        }
    }

    /// Calls `work`, once; `progress` reports meanwhile how far it is, if that is known. Work within ends soon after the
    /// [`Stop`] is raised, and leaves what is finished; outside of it the process may be killed at any time.
    fn watch(&self, name: &str, progress: Option<&Progress>, work: &mut dyn FnMut()) {
        let (_, _) = (name, progress);
        work();
    }
}

/// Logs, and shows nothing.
#[derive(Clone, Copy, Debug)]
pub struct Log;

impl Watch for Log {}

/// Does `work` under the eyes of `watch`.
///
/// # Errors
/// Those of `work`; [`Error::Stopped`] if it was to stop meanwhile, even when the work was done: nothing is to follow
/// it.
pub fn watched<T>(
    (watch, stop): (&dyn Watch, &Stop),
    (name, progress): (&str, Option<&Progress>),
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let (mut work, mut outcome) = (Some(work), None);
    watch.watch(name, progress, &mut || {
        if let Some(work) = work.take() {
            outcome = Some(work());
        }
    });
    let done = outcome.unwrap_or(Err(Error::Stopped))?;
    stop.check()?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// The line has no continuation for what was done after a stop was requested.
    #[test]
    fn work_that_was_to_stop_is_not_gone_on_from() {
        let requested = AtomicBool::new(false);
        let seen: (&dyn Watch, &Stop) = (&Log, &Stop::new(&requested));
        assert_eq!(watched(seen, ("work", None), || Ok(1)).unwrap(), 1);
        let asks = || {
            requested.store(true, Ordering::Relaxed);
            Ok(1)
        };
        assert!(watched(seen, ("work", None), asks).unwrap_err().is_stopped());
        let fails = || Err::<(), _>(Error::usage("no"));
        let failed = watched((&Log, &Stop::never()), ("work", None), fails).unwrap_err();
        assert_eq!(failed.during("trying").to_string(), "trying: no");
    }
}
