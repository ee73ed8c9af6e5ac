//! A model at work: what is missing of some datasets goes through the pipeline with it.
//!
//! Owns loading the model when it is first needed, one run of the pipeline, and its log. Not here: which datasets, and
//! what a failure ends; the caller decides both.

use std::collections::BTreeSet;
use std::mem;
use std::time::{Duration, Instant};

use super::assignment::Assignment;
use super::fields;
use super::models::Model;
use super::named::NamedModel;
use super::session::Session;
use super::watch::{Event, Noticed, Outcome, Watch, watched};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::pipeline::{Input, Progress, Run, WhichParts};
use crate::run_log::{Entry, MadeFrom};
use crate::stop::Stop;
use crate::store::{Cell, CellStore, ResponseSetKey};

/// How often parts that other processes score are looked at again.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// A model that is loaded when something is found missing, and then stays.
pub struct Scorer<'a> {
    model: &'a Model,
    watch: &'a dyn Watch,
    stop: &'a Stop<'a>,
    engine: Option<Box<dyn Engine>>,
    parts: WhichParts,
    /// Why it cannot be loaded; it is not tried again.
    broken: Option<String>,
}

impl<'a> Scorer<'a> {
    /// Nothing is loaded yet.
    pub fn new(model: &'a Model, watch: &'a dyn Watch, stop: &'a Stop<'a>, parts: WhichParts) -> Self {
        Self { model, watch, stop, engine: None, parts, broken: None }
    }

    /// Scores what is missing of `assignments`, whose sessions go together; `None` if nothing was. `name` is what the run is
    /// called in events and errors.
    ///
    /// # Errors
    /// The first failure; parts written before it are kept, and what they cost is in the log.
    pub fn score(&mut self, name: &str, assignments: &[Assignment]) -> Result<Option<Outcome>> {
        let cells = assignments.iter().map(|assignment| assignment.open(self.model)).collect::<Result<Vec<_>>>()?;
        self.add_fields(assignments, &cells)?;
        let inputs = assignments.iter().zip(&cells);
        let inputs = inputs
            .map(|(assignment, cell)| Input::new(&assignment.dataset.plan, cell, assignment.again.clone(), self.parts));
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        assignments.iter().zip(&cells).for_each(|(assignment, cell)| self.report_hidden(assignment, cell));
        let all_done = || inputs.iter().all(Input::is_done);
        if !all_done() {
            // Parts that are done are only replaced while no other process adds any.
            let lock = if inputs.iter().any(Input::replaces) { CellStore::lock_alone } else { CellStore::lock };
            cells.iter().try_for_each(lock)?;
        }
        // Checked again, because another process may have done it by then.
        match assignments.first().filter(|_| !all_done()) {
            None => {
                self.watch.event(&Event::AlreadyScored { run: name });
                Ok(None)
            }
            Some(first) => self.run(name, first.session, assignments, &inputs).map(Some),
        }
    }

    /// Scores the parts that `inputs` miss, which are in the order of the assignments.
    fn run(&mut self, name: &str, session: &Session, assignments: &[Assignment], inputs: &[Input]) -> Result<Outcome> {
        let missing: Vec<Vec<u32>> = inputs.iter().map(|input| input.missing().collect()).collect();
        tracing::debug!(name, missing = ?missing.iter().map(Vec::len).collect::<Vec<_>>(), "parts");
        let (seen, progress) = ((self.watch, self.stop), Progress::default());
        let own = if assignments.iter().any(|assignment| assignment.dataset.plan.has_chats) {
            session.own_tokenizer(self.model)?
        } else {
            None
        };
        self.log_sources(session, assignments)?;
        for Assignment { session, output, .. } in assignments {
            output.store.keep_vocabulary(session.tokenizer.identity(), || session.tokenizer.texts())?;
        }
        let run = Run {
            inputs,
            tokenizer: own.as_ref().unwrap_or(&session.tokenizer),
            sample_options: &session.sample_options,
            fail_on_unreadable_row: session.options.fails_on_unreadable_row(),
            engine: self.engine()?,
            progress: &progress,
            stop: seen.1,
        };
        let (started, mut waited) = (Instant::now(), Duration::ZERO);
        let result = watched(seen, (name, Some(&progress)), || finish(name, &run, seen.0, &mut waited));
        let noticed =
            |(of, input): (&Assignment, &Input)| Noticed { set: of.dataset.set.clone(), audit: input.audit() };
        let noticed = assignments.iter().zip(inputs).map(noticed).collect();
        let outcome =
            Outcome { counts: progress.snapshot(), elapsed: started.elapsed().saturating_sub(waited), noticed };
        let failed = result.as_ref().err().map(Error::to_string);
        if result.as_ref().is_err_and(Error::is_stopped) {
            let counts = &outcome.counts;
            let (parts, of) = (counts.parts as usize, missing.iter().map(Vec::len).sum());
            let (tokens, lost) = (counts.tokens_written, counts.tokens.saturating_sub(counts.tokens_written));
            seen.0.event(&Event::Interrupted { run: name, parts, of, tokens, lost });
        }
        log(assignments, inputs, &outcome, failed.as_deref());
        result.map_err(|e| e.during(format!("scoring with `{name}`")))?;
        seen.0.event(&Event::Scored { run: name, outcome: &outcome });
        Ok(outcome)
    }

    /// Gives the tables of earlier runs the kept fields that this one asks for.
    fn add_fields(&self, assignments: &[Assignment], cells: &[CellStore]) -> Result<()> {
        for (assignment, cell) in assignments.iter().zip(cells) {
            if cell.is_added_to() && !assignment.dataset.plan.kept.is_empty() {
                // The response set's manifest goes first, under a lock that ends here.
                assignment.open(self.model)?.lock()?;
                fields::complete(assignment.output, assignment.dataset)?;
            }
        }
        Ok(())
    }

    /// Writes down where the files are that the manifests name by their hashes.
    fn log_sources(&self, session: &Session, assignments: &[Assignment]) -> Result<()> {
        let NamedModel { path, adapter, .. } = &self.model.named;
        let files: Vec<String> = self.model.facts()?.files.keys().cloned().collect();
        for assignment in assignments {
            let (cell, dataset) = (assignment.cell(), &assignment.dataset.plan.path);
            let model = (path.as_path(), adapter.as_deref());
            let made = MadeFrom::of(&cell, model, &files, session.tokenizer_path(), dataset);
            assignment.output.run_log.made_from(&made);
        }
        Ok(())
    }

    /// Reports deleted hidden states, which no table needs.
    fn report_hidden(&self, assignment: &Assignment, cell: &CellStore) {
        let parts = cell.without_hidden().difference(assignment.again).count();
        if parts > 0 {
            let (model, task, tokens) = (assignment.model, &assignment.dataset.set.task, &*cell.tokens());
            self.watch.event(&Event::HiddenLost { model, task, parts, tokens });
        }
    }

    /// The model in memory.
    fn engine(&mut self) -> Result<&dyn Engine> {
        if let Some(why) = &self.broken {
            return Err(Error::Again(why.clone()));
        }
        if self.engine.is_none() {
            let (name, started) = (&self.model.named.name, Instant::now());
            let engine = self.model.load().inspect_err(|error| self.broken = Some(error.to_string()))?;
            tracing::info!(model = name, seconds = started.elapsed().as_secs_f64(), "loaded");
            self.engine = Some(engine);
        }
        self.engine.as_deref().ok_or_else(|| Error::model(&self.model.named.name, "it is gone"))
    }
}

/// Scores everything, and waits for parts that other processes score: a process that is killed leaves them to this one.
/// `waited` grows by the time that this took.
fn finish(name: &str, run: &Run, watch: &dyn Watch, waited: &mut Duration) -> Result<()> {
    let mut is_waiting = false;
    loop {
        let left = run.score()?;
        if left.parts == 0 {
            return Ok(());
        }
        if !mem::replace(&mut is_waiting, true) {
            watch.event(&Event::Waiting { run: name, left: &left });
        }
        let started = Instant::now();
        let ended = run.stop.wait(BETWEEN_LOOKS);
        *waited += started.elapsed();
        ended?;
    }
}

/// Shares a run's seconds and tokens out among its cells, by the bytes of the parts that it finished.
fn log(assignments: &[Assignment], inputs: &[Input], outcome: &Outcome, failed: Option<&str>) {
    let finished: Vec<BTreeSet<u32>> = inputs.iter().map(Input::written).collect();
    let bytes = |(assignment, parts): (&Assignment, &BTreeSet<u32>)| -> u64 {
        parts.iter().map(|&part| assignment.dataset.plan.parts[part as usize].bytes).sum()
    };
    let bytes: Vec<u64> = assignments.iter().zip(&finished).map(bytes).collect();
    let all = bytes.iter().sum::<u64>().max(1) as f64;
    for (assignment, noticed) in assignments.iter().zip(&outcome.noticed) {
        for noticed in noticed.audit.lines() {
            tracing::info!(task = assignment.dataset.set.task, model = assignment.model, noticed, "rows");
        }
    }
    for ((assignment, parts), bytes) in assignments.iter().zip(&finished).zip(bytes) {
        if parts.is_empty() && failed.is_none() {
            continue;
        }
        let share = bytes as f64 / all;
        let entry = Entry {
            cell: assignment.cell(),
            parts: parts.len() as u64,
            cells: finished.iter().filter(|parts| !parts.is_empty()).count() as u64,
            seconds: share * outcome.elapsed.as_secs_f64(),
            tokens: (share * outcome.counts.tokens as f64).round() as u64,
            computed: Some((share * outcome.counts.computed as f64).round() as u64),
            bytes,
            failed: failed.map(str::to_owned),
        };
        let Entry {
            cell: Cell { set: ResponseSetKey { generation_model, task }, model }, parts, seconds, tokens, ..
        } = &entry;
        tracing::info!(generation_model, task, model, parts, seconds, tokens, failed, "scored");
        assignment.output.run_log.add(&entry);
    }
}
