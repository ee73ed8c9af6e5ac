//! One model over its datasets: which part goes through which stage.
//!
//! Owns what the stages do to a part: read, tokenise, score, write. Refuses threads (`flow` has them), and to choose:
//! models, tokenizers and output cells are handed in.

pub mod flow;
mod progress;

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

pub use progress::{Progress, Snapshot};

use crate::dataset::{Plan, ReadRow};
use crate::engine::{self, Engine, Job, JobSample, TokenScores};
use crate::error::{Error, Result};
use crate::hidden::{self, Layout};
use crate::sample::{Sample, Status};
use crate::stop::Stop;
use crate::store::{CellStore, HiddenPart};
use crate::table::{self, ScoredSample};
use crate::tokenize::{Audit, SampleOptions, TextTokenizer, TooLong};

/// Threads that tokenise: a tokenizer does some 600,000 tokens a second on one, a model far fewer.
const TOKENIZE_THREADS: usize = 2;

/// A dataset and where its results go.
pub struct Input<'a> {
    plan: &'a Plan,
    cell: &'a CellStore,
    /// Parts that are done, and done again.
    again: BTreeSet<u32>,
    audit: Mutex<Audit>,
}

impl<'a> Input<'a> {
    /// Parts of `plan` that `cell` lacks; with `retry_failed` those too that hold a failed sample.
    ///
    /// # Errors
    /// A samples table that cannot be read.
    pub fn new(plan: &'a Plan, cell: &'a CellStore, retry_failed: bool) -> Result<Self> {
        let mut again = BTreeSet::new();
        for part in cell.done().into_iter().filter(|_| retry_failed) {
            let (path, format) = cell.samples(part);
            if table::holds(&path, format, Status::Failed)? {
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

    fn add(&self, audit: Audit) {
        self.audit.lock().unwrap_or_else(PoisonError::into_inner).merge(audit);
    }

    fn lacks(&self, part: u32) -> bool {
        (part as usize) < self.plan.parts.len() && (!self.cell.is_done(part) || self.again.contains(&part))
    }
}

/// One engine over one or several datasets. Part i of all of them is one job, so that prompts they share are computed
/// once; each dataset's part is committed apart.
pub struct Run<'a> {
    pub inputs: &'a [Input<'a>],
    pub tokenizer: &'a TextTokenizer,
    pub sample_options: &'a SampleOptions,
    /// A row that cannot be read ends the run (`--on-error fail`).
    pub fail_on_bad_row: bool,
    pub engine: &'a dyn Engine,
    pub progress: &'a Progress,
    /// Raised from outside, ends the run.
    pub stop: &'a AtomicBool,
}

/// Part `part` of every dataset that still lacks it; `T` is what is known of each dataset's part by now.
struct Part<T> {
    part: u32,
    datasets: Vec<(usize, T)>,
}

/// A dataset's part, ready to be written.
struct Scored {
    samples: Vec<ScoredSample>,
    hidden: Option<HiddenPart>,
}

impl Run<'_> {
    /// Scores every part that is not done.
    ///
    /// # Errors
    /// The first failure of a stage; parts written before it are kept.
    pub fn score(&self) -> Result<()> {
        let parts = self.inputs.iter().map(|input| input.plan.parts.len() as u32).max().unwrap_or(0);
        let missing: Vec<u32> = (0..parts).filter(|&part| self.lacking(part).next().is_some()).collect();
        for &part in &missing {
            self.lacking(part).for_each(|index| self.progress.expect(self.bytes(index, part)));
        }
        let stop = Stop::new(self.stop);
        let stages = flow::Stages {
            read: |part| self.read(part),
            tokenize: |part| self.tokenize(part),
            score: |part| self.score_part(part, &stop),
            write: |part| self.write(part),
        };
        let threads = flow::Threads { tokenize: TOKENIZE_THREADS, score: self.engine.caps().jobs_in_flight };
        flow::run(missing.into_iter(), &stages, threads, &stop)
    }

    /// Indices of the datasets that have this part and lack its result.
    fn lacking(&self, part: u32) -> impl Iterator<Item = usize> {
        self.inputs.iter().enumerate().filter(move |(_, input)| input.lacks(part)).map(|(index, _)| index)
    }

    fn bytes(&self, dataset: usize, part: u32) -> u64 {
        self.inputs[dataset].plan.parts[part as usize].bytes
    }

    fn read(&self, part: u32) -> Result<Part<Vec<ReadRow>>> {
        let datasets = self.lacking(part).map(|index| Ok((index, self.inputs[index].plan.read_part(part)?)));
        Ok(Part { part, datasets: datasets.collect::<Result<_>>()? })
    }

    fn tokenize(&self, Part { part, datasets }: Part<Vec<ReadRow>>) -> Result<Part<Vec<Sample>>> {
        let samples = |(index, rows): (usize, Vec<ReadRow>)| {
            let mut audit = Audit::default();
            let samples = rows.into_iter().map(|row| self.samples(index, row, &mut audit));
            let samples = samples.collect::<Result<Vec<_>>>()?.concat();
            self.inputs[index].add(audit);
            Ok((index, samples))
        };
        Ok(Part { part, datasets: datasets.into_iter().map(samples).collect::<Result<_>>()? })
    }

    /// The samples of a row, if none of them ends the run.
    fn samples(&self, dataset: usize, row: ReadRow, audit: &mut Audit) -> Result<Vec<Sample>> {
        let plan = self.inputs[dataset].plan;
        let place = plan.place(row.line);
        let samples = self.tokenizer.audited(row, self.sample_options, audit);
        let Some(sample) = samples.iter().find(|sample| self.ends_run(sample.status)) else { return Ok(samples) };
        let reason = sample.reason.as_deref().unwrap_or_default();
        let what = reason.strip_prefix(&format!("{place}: ")).unwrap_or(reason);
        Err(Error::dataset(&plan.path, Some(place), what))
    }

    fn ends_run(&self, status: Status) -> bool {
        match status {
            Status::Failed => self.fail_on_bad_row,
            Status::TooLong => self.sample_options.too_long == TooLong::Fail,
            Status::Ok | Status::Truncated | Status::Empty => false,
        }
    }

    fn score_part(&self, Part { part, datasets }: Part<Vec<Sample>>, stop: &Stop) -> Result<Part<Scored>> {
        let mut outcomes: Vec<(usize, Scored)> = Vec::new();
        let mut job = Job { part, samples: Vec::new(), stop };
        let mut places = Vec::new();
        for (dataset, samples) in datasets {
            let first = job.samples.len();
            let mut unscored = Vec::new();
            for mut sample in samples {
                self.refuse_unscorable(&mut sample);
                if sample.status.is_scored() {
                    places.push((outcomes.len(), job.samples.len() - first));
                    job.samples.push(JobSample { dataset, sample });
                } else {
                    unscored.push(ScoredSample { sample, scores: None });
                }
            }
            let hidden = self.begin_hidden(dataset, part, &job.samples[first..])?;
            outcomes.push((dataset, Scored { samples: unscored, hidden }));
        }
        let keep = |index: usize, rows: &[u8]| {
            let (outcome, place) = places[index];
            outcomes[outcome].1.hidden.as_ref().map_or(Ok(()), |hidden| hidden.put(place, rows))
        };
        let scores = self.run_job(&job, &keep)?;
        for ((JobSample { mut sample, .. }, scores), (outcome, _)) in job.samples.into_iter().zip(scores).zip(places) {
            let scores = scores.map_err(|reason| sample.fail(Status::Failed, reason)).ok();
            outcomes[outcome].1.samples.push(ScoredSample { sample, scores });
        }
        for (_, outcome) in &mut outcomes {
            outcome.samples.sort_by_key(|scored| scored.sample.sample_id);
        }
        Ok(Part { part, datasets: outcomes })
    }

    /// The file for the hidden rows of a dataset's part, if its cell keeps them.
    fn begin_hidden(&self, dataset: usize, part: u32, samples: &[JobSample]) -> Result<Option<HiddenPart>> {
        let cell = self.inputs[dataset].cell;
        let shape = self.engine.caps().hidden.filter(|_| cell.keeps_hidden());
        let layout = shape.map(|shape| Layout::new(shape, samples.iter().map(|s| &s.sample)));
        layout.map(|layout| cell.begin_hidden(part, layout)).transpose()
    }

    /// Bytes of hidden rows that the run will keep. Takes a pass of the tokenizer over all that is left, some thousand
    /// times faster than scoring it.
    ///
    /// # Errors
    /// Those of reading and of rows that may not be skipped.
    pub fn hidden_bytes(&self) -> Result<u64> {
        let Some(shape) = self.engine.caps().hidden else { return Ok(0) };
        let parts = self.inputs.iter().map(|input| input.plan.parts.len() as u32).max().unwrap_or(0);
        let stop = Stop::new(self.stop);
        let of_part = |part| -> Result<u64> {
            stop.check()?;
            let mut rows = 0;
            for (_, samples) in self.tokenize(self.read(part)?)?.datasets {
                rows += samples.iter().filter(|s| s.status.is_scored()).map(hidden::rows_of).sum::<usize>();
            }
            Ok((rows * shape.bytes()) as u64)
        };
        (0..parts).map(of_part).sum()
    }

    /// What the tokenizer could not know: whether this model has the sample's ids and anything to score.
    fn refuse_unscorable(&self, sample: &mut Sample) {
        if !sample.status.is_scored() {
            return;
        }
        let vocab = self.engine.caps().vocab;
        if let Some(id) = sample.ids.iter().find(|&&id| id as usize >= vocab) {
            sample.fail(Status::Failed, format!("token id {id} is outside the model's vocabulary of {vocab}"));
        } else if sample.scored_tokens().next().is_none() {
            sample.fail(Status::Empty, "no response token has a token before it");
        }
    }

    /// The engine's answers in the job's order; `keep` is given each sample's hidden rows.
    fn run_job(
        &self,
        job: &Job,
        keep: &dyn Fn(usize, &[u8]) -> Result<()>,
    ) -> Result<Vec<std::result::Result<TokenScores, String>>> {
        let mut answers: Vec<Option<_>> = job.samples.iter().map(|_| None).collect();
        let computed = self.engine.score(job, &mut |engine::Scored { index, mut scores }| {
            job.stop.check()?;
            if let Ok(scores) = &mut scores {
                // On disk at once, in memory no longer.
                keep(index, &std::mem::take(&mut scores.hidden))?;
            }
            let sample = &job.samples[index].sample;
            self.progress.scored(sample.ids.len(), sample.scored_tokens().count());
            answers[index] = Some(scores);
            Ok(())
        })?;
        self.progress.computed(computed);
        let missing = || Err("the engine gave no answer".to_owned());
        Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(missing)).collect())
    }

    fn write(&self, Part { part, datasets }: Part<Scored>) -> Result<()> {
        for (index, Scored { samples, hidden }) in datasets {
            let input @ Input { plan, cell, .. } = &self.inputs[index];
            let mut writer = cell.begin(part)?;
            writer.write(&table::samples_batch(&samples, &plan.kept)?, &table::tokens_batch(&samples)?)?;
            if let Some(hidden) = hidden {
                writer.keep(hidden);
            }
            writer.commit()?;
            let mut audit = Audit::default();
            for scored in &samples {
                audit.skip(&scored.sample);
            }
            input.add(audit);
            self.progress.written(self.bytes(index, part), samples.iter().map(|s| s.sample.status));
        }
        Ok(())
    }
}
