//! A model at work: what is missing of some texts goes through the pipeline with it.
//!
//! Owns loading the model when it is first needed, one run of the pipeline, and its log. Refuses to choose texts, and to give
//! up: the caller decides what a failure ends.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::models::{Model, Resident};
use super::progress::{self, Display};
use super::session::Text;
use super::signals;
use crate::engine::Engine;
use crate::journal::Entry;
use crate::pipeline::{Input, Progress, Run, Snapshot};
use crate::sample::Status;
use crate::store::CellStore;
use crate::tokenize::Audit;

/// What a run of the pipeline did.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub counts: Snapshot,
    pub elapsed: Duration,
    /// What was noticed of each text.
    pub audits: Vec<Audit>,
}

/// A model that is loaded when something is found missing, and then stays.
pub struct Scorer<'a> {
    model: &'a Model,
    display: &'a Display,
    resident: &'a Resident,
    engine: Option<Box<dyn Engine>>,
    /// Parts that hold a failed sample are scored again.
    retry_failed: bool,
    /// Why it cannot be loaded; it is not tried again.
    broken: Option<String>,
}

impl<'a> Scorer<'a> {
    pub fn new(model: &'a Model, display: &'a Display, resident: &'a Resident, retry_failed: bool) -> Self {
        Self { model, display, resident, engine: None, retry_failed, broken: None }
    }

    /// Scores what is missing of `texts`, whose sessions go together; `None` if nothing was.
    ///
    /// # Errors
    /// The first failure; parts written before it are kept, and what they cost is in the log.
    pub fn score(&mut self, name: &str, texts: &[Text]) -> Result<Option<Outcome>> {
        let cells = texts.iter().map(|text| text.open(self.model)).collect::<Result<Vec<_>>>()?;
        let inputs = texts.iter().zip(&cells);
        let inputs =
            inputs.map(|(text, cell)| Input::new(&text.dataset.plan, cell, text.again.clone(), self.retry_failed));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        texts.iter().zip(&cells).for_each(|(text, cell)| tell_of_hidden(text, cell));
        let all_done = || inputs.iter().all(Input::is_done);
        if !all_done() {
            cells.iter().try_for_each(CellStore::lock)?;
        }
        // Asked again, because another process may have done it by then.
        let Some(first) = texts.first().filter(|_| !all_done()) else { return Ok(None) };
        let missing: Vec<Vec<u32>> = inputs.iter().map(|input| input.missing().collect()).collect();
        tracing::debug!(name, missing = ?missing.iter().map(Vec::len).collect::<Vec<_>>(), "parts");
        let (session, display, progress) = (first.session, self.display, Progress::default());
        let own = if texts.iter().any(|text| text.dataset.plan.has_chats) {
            session.own_tokenizer(self.model)?
        } else {
            None
        };
        let engine = self.engine()?;
        let run = |stop| Run {
            inputs: &inputs,
            tokenizer: own.as_ref().unwrap_or(&session.tokenizer),
            sample_options: &session.sample_options,
            fail_on_bad_row: session.options.fails_on_bad_row(),
            engine,
            progress: &progress,
            stop,
        };
        if cells.iter().any(CellStore::takes_hidden) {
            let bytes = signals::heed(|stop| run(stop).hidden_bytes())?;
            progress::say(&format!("{name}: keeps {} of hidden rows", progress::size(bytes)));
        }
        let started = Instant::now();
        let result =
            display.watch(name, &progress, || signals::heed(|stop| run(stop).score())).map_err(anyhow::Error::from);
        let audits = inputs.iter().map(Input::audit).collect();
        let outcome = Outcome { counts: progress.snapshot(), elapsed: started.elapsed(), audits };
        let failed = result.as_ref().err().map(super::tell);
        log(texts, &cells, &missing, &outcome, failed.as_deref());
        result.map(|()| Some(outcome)).with_context(|| format!("scoring with `{name}`"))
    }

    /// The model in memory.
    fn engine(&mut self) -> Result<&dyn Engine> {
        if let Some(why) = &self.broken {
            bail!("{why}");
        }
        if self.engine.is_none() {
            let (name, started) = (&self.model.named.name, Instant::now());
            let engine = self.model.load(self.resident).inspect_err(|error| self.broken = Some(super::tell(error)))?;
            tracing::info!(model = name, seconds = started.elapsed().as_secs_f64(), "loaded");
            self.engine = Some(engine);
        }
        self.engine.as_deref().context("the model is gone")
    }
}

/// Says that kept hidden rows are gone, which no table needs.
fn tell_of_hidden(text: &Text, cell: &CellStore) {
    let lost = cell.without_hidden().difference(text.again).count();
    if lost > 0 {
        let (model, task, tokens) = (text.model, &text.dataset.task, cell.tokens());
        progress::say(&format!(
            "{model} on {task}: {lost} parts kept hidden rows that are no longer there; once these parts are deleted from `{}`, \
             the same command makes both again",
            tokens.display()
        ));
    }
}

/// Shares a run's seconds and tokens out among its cells, by the bytes of the parts that it finished.
fn log(texts: &[Text], cells: &[CellStore], missing: &[Vec<u32>], outcome: &Outcome, failed: Option<&str>) {
    let finished = |(cell, missing): (&CellStore, &Vec<u32>)| -> Vec<u32> {
        missing.iter().copied().filter(|&part| cell.is_done(part)).collect()
    };
    let finished: Vec<_> = cells.iter().zip(missing).map(finished).collect();
    let bytes = |(text, parts): (&Text, &Vec<u32>)| -> u64 {
        parts.iter().map(|&part| text.dataset.plan.parts[part as usize].bytes).sum()
    };
    let bytes: Vec<u64> = texts.iter().zip(&finished).map(bytes).collect();
    let all = bytes.iter().sum::<u64>().max(1) as f64;
    for (text, audit) in texts.iter().zip(&outcome.audits) {
        for noticed in audit.lines() {
            tracing::info!(task = text.dataset.task, model = text.model, noticed, "rows");
        }
    }
    for ((text, parts), bytes) in texts.iter().zip(&finished).zip(bytes) {
        if parts.is_empty() && failed.is_none() {
            continue;
        }
        let (cell, share) = (text.cell(), bytes as f64 / all);
        let entry = Entry {
            generation_model: cell.generation_model,
            task: cell.task,
            model: cell.model,
            parts: parts.len() as u64,
            cells: finished.iter().filter(|parts| !parts.is_empty()).count() as u64,
            seconds: share * outcome.elapsed.as_secs_f64(),
            tokens: (share * outcome.counts.tokens as f64).round() as u64,
            bytes,
            failed: failed.map(str::to_owned),
        };
        let Entry { generation_model, task, model, parts, seconds, tokens, .. } = &entry;
        tracing::info!(generation_model, task, model, parts, seconds, tokens, failed, "scored");
        text.output.journal.add(&entry);
    }
}

impl Outcome {
    /// A line about it.
    pub fn describe(&self) -> String {
        let Self { counts, elapsed, .. } = self;
        let by_status = Status::ALL.iter().map(|&status| (counts.samples_with(status), status.as_str()));
        let saved = match counts.tokens.saturating_sub(counts.computed) {
            0 => String::new(),
            saved => format!(", {} computed ({saved} shared)", counts.computed),
        };
        let by_status: Vec<String> = by_status.filter(|(n, _)| *n > 0).map(|(n, name)| format!("{n} {name}")).collect();
        format!(
            "{} samples; {} tokens, {} of them scored{saved}, in {:.1} s ({} tok/s)",
            by_status.join(", "),
            counts.tokens,
            counts.response_tokens,
            elapsed.as_secs_f64(),
            progress::rate(counts.tokens, *elapsed)
        )
    }
}
