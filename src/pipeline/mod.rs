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
use crate::engine::{Engine, Job, JobSample, Scored, TokenScores};
use crate::error::{Error, Result};
use crate::sample::{Sample, Status};
use crate::stop::Stop;
use crate::store::CellStore;
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
    datasets: Vec<(usize, Vec<T>)>,
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

    fn read(&self, part: u32) -> Result<Part<ReadRow>> {
        let datasets = self.lacking(part).map(|index| Ok((index, self.inputs[index].plan.read_part(part)?)));
        Ok(Part { part, datasets: datasets.collect::<Result<_>>()? })
    }

    fn tokenize(&self, Part { part, datasets }: Part<ReadRow>) -> Result<Part<Sample>> {
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

    fn score_part(&self, Part { part, datasets }: Part<Sample>, stop: &Stop) -> Result<Part<ScoredSample>> {
        let mut outcomes: Vec<(usize, Vec<ScoredSample>)> = Vec::new();
        let mut job = Job { part, samples: Vec::new(), stop };
        for (dataset, samples) in datasets {
            let mut unscored = Vec::new();
            for mut sample in samples {
                self.refuse_unscorable(&mut sample);
                if sample.status.is_scored() {
                    job.samples.push(JobSample { dataset, sample });
                } else {
                    unscored.push(ScoredSample { sample, scores: None });
                }
            }
            outcomes.push((dataset, unscored));
        }
        let scores = self.run_job(&job)?;
        for (JobSample { dataset, mut sample }, scores) in job.samples.into_iter().zip(scores) {
            let scores = scores.map_err(|reason| sample.fail(Status::Failed, reason)).ok();
            if let Some((_, outcome)) = outcomes.iter_mut().find(|(index, _)| *index == dataset) {
                outcome.push(ScoredSample { sample, scores });
            }
        }
        for (_, outcome) in &mut outcomes {
            outcome.sort_by_key(|scored| scored.sample.sample_id);
        }
        Ok(Part { part, datasets: outcomes })
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

    /// The engine's answers in the job's order.
    fn run_job(&self, job: &Job) -> Result<Vec<std::result::Result<TokenScores, String>>> {
        let mut answers: Vec<Option<_>> = job.samples.iter().map(|_| None).collect();
        self.engine.score(job, &mut |Scored { index, scores }| {
            job.stop.check()?;
            let sample = &job.samples[index].sample;
            self.progress.scored(sample.ids.len(), sample.scored_tokens().count());
            answers[index] = Some(scores);
            Ok(())
        })?;
        let missing = || Err("the engine gave no answer".to_owned());
        Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(missing)).collect())
    }

    fn write(&self, Part { part, datasets }: Part<ScoredSample>) -> Result<()> {
        for (index, scored) in datasets {
            let input @ Input { plan, cell, .. } = &self.inputs[index];
            let mut writer = cell.begin(part)?;
            writer.write(&table::samples_batch(&scored, &plan.kept)?, &table::tokens_batch(&scored)?)?;
            writer.commit()?;
            let mut audit = Audit::default();
            for scored in &scored {
                audit.skip(&scored.sample);
            }
            input.add(audit);
            self.progress.written(self.bytes(index, part), scored.iter().map(|s| s.sample.status));
        }
        Ok(())
    }
}
