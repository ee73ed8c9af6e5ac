//! Threads and channels: four stages in a row, whatever they do.
//!
//! Owns the wiring of the pipeline and its end: backpressure, the stop flag, joins, the first failure. Not here: what
//! flows. Stages are closures, and none of them knows its neighbours.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::error::{Error, Result, panic_message};
use crate::stop::Stop;
use crate::template::STACK;

/// Parts that wait to be tokenised. One is enough to keep the tokenizer busy: reading is a thousand times faster.
const ROWS_WAITING: usize = 1;
/// Tokenised parts that wait for the engine. One, ready when the engine is: more would only take memory.
const JOBS_WAITING: usize = 1;
/// Scored parts that wait to be written; each contains its lists, some tens of megabytes at k = 20.
const SCORED_WAITING: usize = 1;

/// The four stages. Each is called once per part, by one of its threads.
pub struct Stages<Read, Tokenize, Score, Write> {
    /// Reads rows.
    pub read: Read,
    /// Makes samples of rows.
    pub tokenize: Tokenize,
    /// Scores samples.
    pub score: Score,
    /// Writes scored samples.
    pub write: Write,
}

/// How many threads the middle stages have; reading and writing have one each.
#[derive(Clone, Copy, Debug)]
pub struct Threads {
    /// Threads that tokenise.
    pub tokenize: usize,
    /// Threads that score.
    pub score: usize,
}

/// Sends every part of the work through the stages and waits until the last is written.
///
/// Each stage ends when its channel does: a failed send means that the receiver has stopped. The first error or panic
/// raises `stop`, which every stage reads between parts (and long ones within a part), and is returned after all
/// threads are joined. A requested stop ends the run with [`Error::Stopped`]; parts scored by then are written.
///
/// # Errors
/// The first failure of a stage; [`Error::Panic`] for a panic.
pub fn run<P: Send, A: Send, B: Send, C: Send>(
    parts: impl Iterator<Item = P> + Send,
    stages: &Stages<
        impl Fn(P) -> Result<A> + Sync,
        impl Fn(A) -> Result<B> + Sync,
        impl Fn(B) -> Result<C> + Sync,
        impl Fn(C) -> Result<()> + Sync,
    >,
    threads: Threads,
    stop: &Stop,
) -> Result<()> {
    let first = FirstFailure { failure: Mutex::new(None), stop };
    let (to_tokenize, rows) = bounded(ROWS_WAITING);
    let (to_score, jobs) = bounded(JOBS_WAITING);
    let (to_write, scored) = bounded(SCORED_WAITING);
    thread::scope(|scope| {
        let first = &first;
        spawn(scope, "read", first, move || {
            for part in parts {
                if stop.check().is_err() || to_tokenize.send((stages.read)(part)?).is_err() {
                    break;
                }
            }
            Ok(())
        })?;
        for _ in 0..threads.tokenize {
            let (input, output) = (rows.clone(), to_score.clone());
            spawn(scope, "tokenize", first, move || pump(&input, &output, first, &stages.tokenize))?;
        }
        for _ in 0..threads.score {
            let (input, output) = (jobs.clone(), to_write.clone());
            spawn(scope, "score", first, move || pump(&input, &output, first, &stages.score))?;
        }
        // The originals would keep the channels open, or keep a sender waiting after its consumers left.
        drop((rows, to_score, jobs, to_write));
        spawn(scope, "write", first, move || scored.iter().try_for_each(&stages.write))
    })?;
    first.into_result()
}

/// Takes parts from `input` until it ends or the run stops.
fn pump<A, B>(
    input: &Receiver<A>,
    output: &Sender<B>,
    first: &FirstFailure,
    work: impl Fn(A) -> Result<B>,
) -> Result<()> {
    for item in input {
        if first.stop.check().is_err() || output.send(work(item)?).is_err() {
            break;
        }
    }
    Ok(())
}

fn spawn<'scope, 'env>(
    scope: &'scope thread::Scope<'scope, 'env>,
    stage: &'static str,
    first: &'scope FirstFailure,
    work: impl FnOnce() -> Result<()> + Send + 'scope,
) -> Result<()> {
    let run = move || match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => first.record(error),
        Err(panic) => first.record(Error::Panic { stage, message: panic_message(panic.as_ref()) }),
    };
    let spawned = thread::Builder::new().name(stage.to_owned()).stack_size(STACK).spawn_scoped(scope, run);
    spawned.map(drop).map_err(|source| {
        first.stop.fail();
        Error::Io { action: "start a thread for", path: stage.into(), source }
    })
}

/// The failure that ended the run: the first in time, since those after it are mostly its consequences.
struct FirstFailure<'a> {
    failure: Mutex<Option<Error>>,
    stop: &'a Stop<'a>,
}

impl FirstFailure<'_> {
    fn record(&self, error: Error) {
        // A poisoned lock still contains the option; nothing panics while it is locked.
        self.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(error);
        // After it: those that see the stop record that they were stopped, which is not the cause.
        self.stop.fail();
    }

    fn into_result(self) -> Result<()> {
        match self.failure.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
            Some(error) => Err(error),
            None if self.stop.is_requested() => Err(Error::Stopped),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
