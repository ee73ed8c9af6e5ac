//! One model over its datasets: which rows go through which stage.
//!
//! Owns what the stages do to a slice of rows: read, tokenise, score, write. Not here: threads (`flow`), and the
//! choice of models, tokenizers and output cells (`cli`).

mod assembly;
pub mod flow;
mod input;
mod progress;
mod shard;
mod slices;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};

pub use input::{Input, WhichParts};
pub use progress::{Progress, Snapshot};
pub use shard::Shard;

use crate::dataset::ReadRow;
use crate::engine::{self, Engine, Job, JobSample, TokenScores};
use crate::error::{Error, Result};
use crate::hidden::{self, Layout};
use crate::sample::{Sample, Status};
use crate::stop::Stop;
use crate::store::{HiddenPart, Holder};
use crate::table::{self, ScoredSample};
use crate::tokenize::{Audit, SampleOptions, TextTokenizer, TooLong};
use assembly::{Assembly, Scored};
use slices::{Piece, Slice};

/// Threads that tokenise: a tokenizer processes some 600,000 tokens per second on one, a model far fewer.
const TOKENIZE_THREADS: usize = 2;

/// One engine over one or several datasets. The same rows of all of them are one job, so that prompts they share are
/// computed once; each dataset's parts are committed apart.
pub struct Run<'a> {
    /// The datasets.
    pub inputs: &'a [Input<'a>],
    /// Makes the token ids.
    pub tokenizer: &'a TextTokenizer,
    /// How rows become ids; how many at most, each cell's manifest says.
    pub sample_options: &'a SampleOptions,
    /// A row that cannot be read ends the run (`--on-error fail`).
    pub fail_on_unreadable_row: bool,
    /// Scores the samples.
    pub engine: &'a dyn Engine,
    /// Counts what is done.
    pub progress: &'a Progress,
    /// Raised from outside, ends the run.
    pub stop: &'a Stop<'a>,
}

/// What is known by now of each piece of a slice.
type Pieces<T> = Vec<(Piece, T)>;

/// How far the reading of one dataset is. Slices come in order, and those of a part follow one another.
#[derive(Default)]
struct Reading {
    /// The part that is being read, and whether it is still to be scored.
    part: Option<(u32, bool)>,
    /// Its rows that are not handed out yet.
    rows: VecDeque<ReadRow>,
}

/// Parts of datasets of which some rows have come to be scored, and whether this process scores them.
type Taken = Mutex<BTreeMap<(usize, u32), bool>>;

/// The reading of every dataset.
type Reader = Vec<Mutex<Reading>>;

/// What other processes score at the end of a run, if anything.
#[derive(Clone, Debug, Default)]
pub struct Elsewhere {
    /// Number of parts.
    pub parts: usize,
    /// The process that scores one of them, if it is known.
    pub holder: Option<Holder>,
}

impl Run<'_> {
    /// Scores every part that is not done and that no other process scores. Returns what is left to others: they may fail,
    /// and then a second call scores it.
    ///
    /// # Errors
    /// The first failure of a stage; parts written before it are kept.
    pub fn score(&self) -> Result<Elsewhere> {
        let slices = self.slices();
        let pieces = slices.iter().flat_map(|slice| &slice.pieces);
        let parts: BTreeSet<(usize, u32)> = pieces.map(|piece| (piece.dataset, piece.part)).collect();
        for part in parts.into_iter().map(|(dataset, part)| self.part(dataset, part)) {
            self.progress.expect(part.samples, part.bytes);
        }
        let (stop, reader, assembly) = (self.stop.part(), self.reader(), Assembly::default());
        let taken = Taken::default();
        let stages = flow::Stages {
            read: |slice| self.read(&reader, slice),
            tokenize: |pieces| self.tokenize(pieces),
            score: |pieces| self.score_slice(self.note(self.take(&taken, pieces)?), &stop),
            write: |pieces| self.write(&assembly, pieces),
        };
        let threads = flow::Threads { tokenize: TOKENIZE_THREADS, score: self.engine.caps().jobs_in_flight };
        flow::run(slices.into_iter(), &stages, threads, &stop)?;
        Ok(self.elsewhere())
    }

    fn elsewhere(&self) -> Elsewhere {
        let left = |input: &Input| input.missing().collect::<Vec<_>>();
        let parts = self.inputs.iter().map(|input| left(input).len()).sum();
        let holder = |input: &Input| left(input).into_iter().find_map(|part| input.holder(part));
        Elsewhere { parts, holder: self.inputs.iter().find_map(holder) }
    }

    /// The jobs, in order. A part's file of hidden states is laid out before the first of them is known, so such parts
    /// are scored whole.
    fn slices(&self) -> Vec<Slice> {
        let left = |(index, input): (usize, &Input)| {
            input.missing().map(|part| (part, self.part(index, part))).collect::<Vec<_>>()
        };
        let left: Vec<_> = self.inputs.iter().enumerate().map(left).collect();
        if self.inputs.iter().any(|input| input.cell.takes_hidden()) {
            slices::by_parts(&left)
        } else {
            slices::by_rows(&left)
        }
    }

    fn part(&self, dataset: usize, part: u32) -> &crate::dataset::Part {
        &self.inputs[dataset].plan.parts[part as usize]
    }

    fn reader(&self) -> Reader {
        self.inputs.iter().map(|_| Mutex::default()).collect()
    }

    /// The rows of a slice, without those of parts that other processes have scored.
    fn read(&self, reader: &Reader, Slice { pieces }: Slice) -> Result<Pieces<Vec<ReadRow>>> {
        let mut read = Vec::new();
        for piece in pieces {
            let mut reading = reader[piece.dataset].lock().unwrap_or_else(PoisonError::into_inner);
            if reading.part.is_none_or(|(part, _)| part != piece.part) {
                *reading = self.begin_reading(&piece)?;
            }
            if reading.part.is_some_and(|(_, is_missing)| is_missing) {
                let rows = reading.rows.drain(..piece.rows.len()).collect();
                read.push((piece, rows));
            }
        }
        Ok(read)
    }

    /// Reads a part's rows, unless another process has scored it since this one began.
    fn begin_reading(&self, piece: &Piece) -> Result<Reading> {
        let (input, part) = (&self.inputs[piece.dataset], self.part(piece.dataset, piece.part));
        let is_missing = input.lacks(piece.part);
        let rows = if is_missing { input.plan.read_part(piece.part)?.into() } else { VecDeque::new() };
        if !is_missing {
            self.progress.leave(part.samples, part.bytes);
        }
        Ok(Reading { part: Some((piece.part, is_missing)), rows })
    }

    /// The pieces of parts that this process scores. A part is locked when its first rows come to be scored, not when they
    /// are read: several parts are read ahead, and other processes may score these meanwhile.
    fn take(&self, taken: &Taken, pieces: Pieces<(Vec<Sample>, Audit)>) -> Result<Pieces<(Vec<Sample>, Audit)>> {
        let mut ours = Vec::new();
        for (piece, samples) in pieces {
            let place = (piece.dataset, piece.part);
            let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
            let is_ours = match taken.entry(place) {
                Entry::Occupied(found) => *found.get(),
                Entry::Vacant(new) => *new.insert(
                    self.inputs[piece.dataset].take(piece.part)? || {
                        let part = self.part(piece.dataset, piece.part);
                        self.progress.leave(part.samples, part.bytes);
                        false
                    },
                ),
            };
            if is_ours {
                ours.push((piece, samples));
            }
        }
        Ok(ours)
    }

    /// The samples of each piece, and what was noticed of its rows.
    fn tokenize(&self, pieces: Pieces<Vec<ReadRow>>) -> Result<Pieces<(Vec<Sample>, Audit)>> {
        let samples = |(piece, rows): (Piece, Vec<ReadRow>)| {
            let mut audit = Audit::default();
            let samples = rows.into_iter().map(|row| self.samples(piece.dataset, row, &mut audit));
            let samples = samples.collect::<Result<Vec<_>>>()?.concat();
            Ok((piece, (samples, audit)))
        };
        pieces.into_iter().map(samples).collect()
    }

    fn note(&self, pieces: Pieces<(Vec<Sample>, Audit)>) -> Pieces<Vec<Sample>> {
        let note = |(piece, (samples, audit)): (Piece, (Vec<Sample>, Audit))| {
            self.inputs[piece.dataset].add(audit);
            (piece, samples)
        };
        pieces.into_iter().map(note).collect()
    }

    /// The samples of a row, if none of them ends the run.
    fn samples(&self, dataset: usize, row: ReadRow, audit: &mut Audit) -> Result<Vec<Sample>> {
        let plan = self.inputs[dataset].plan;
        let place = plan.place(row.line);
        let options = SampleOptions { max_tokens: self.inputs[dataset].cell.max_tokens(), ..*self.sample_options };
        let samples = self.tokenizer.audited(row, &options, audit);
        let Some(sample) = samples.iter().find(|sample| self.ends_run(sample.status)) else { return Ok(samples) };
        let reason = sample.reason.as_deref().unwrap_or_default();
        let what = reason.strip_prefix(&format!("{place}: ")).unwrap_or(reason);
        Err(Error::dataset(&plan.path, Some(place), what))
    }

    fn ends_run(&self, status: Status) -> bool {
        match status {
            Status::Failed => self.fail_on_unreadable_row,
            Status::TooLong => self.sample_options.too_long == TooLong::Fail,
            Status::Ok | Status::Truncated | Status::Empty => false,
        }
    }

    fn score_slice(&self, pieces: Pieces<Vec<Sample>>, stop: &Stop) -> Result<Pieces<Scored>> {
        if pieces.is_empty() {
            return Ok(Vec::new());
        }
        let mut outcomes: Pieces<Scored> = Vec::new();
        let part = pieces.first().map_or(0, |(piece, _)| piece.part);
        let mut job = Job { part, samples: Vec::new(), stop };
        let mut places = Vec::new();
        for (piece, samples) in pieces {
            let bytes = self.bytes(&piece);
            let first = job.samples.len();
            let mut unscored = Vec::new();
            for mut sample in samples {
                self.reject_unscorable(piece.dataset, &mut sample)?;
                if sample.status.is_scored() {
                    places.push((outcomes.len(), job.samples.len() - first));
                    job.samples.push(JobSample { dataset: piece.dataset, sample });
                } else {
                    unscored.push(ScoredSample { sample, scores: None });
                }
            }
            let tokens = job.samples[first..].iter().map(|job| job.sample.ids.len() as u64).sum();
            self.progress.read(bytes, tokens);
            self.progress.passed_over(unscored.len());
            let hidden = self.begin_hidden(&piece, &job.samples[first..])?;
            outcomes.push((piece, Scored { samples: unscored, hidden }));
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
        Ok(outcomes)
    }

    /// Bytes of the dataset that a piece is: its share of the part's, which are known up to the last piece.
    fn bytes(&self, piece: &Piece) -> u64 {
        let part = self.part(piece.dataset, piece.part);
        let until = |row: u32| part.bytes * u64::from(row - part.first_row) / u64::from(part.rows.max(1));
        until(piece.rows.end) - until(piece.rows.start)
    }

    /// The file for the hidden states of a dataset's part, if its cell keeps them.
    fn begin_hidden(&self, piece: &Piece, samples: &[JobSample]) -> Result<Option<HiddenPart>> {
        let cell = self.inputs[piece.dataset].cell;
        let shape = self.engine.caps().hidden.filter(|_| cell.takes_hidden());
        let origin = || cell.origin(piece.part).to_json();
        let layout = shape.map(|shape| {
            let rows: usize = samples.iter().map(|s| hidden::rows_of(&s.sample)).sum();
            self.progress.stored_hidden(rows * shape.bytes());
            Layout::new(shape, origin(), samples.iter().map(|s| &s.sample))
        });
        layout.map(|layout| cell.begin_hidden(piece.part, layout)).transpose()
    }

    /// What the tokenizer could not know: whether this model takes the sample's length and ids and has anything to score.
    ///
    /// # Errors
    /// One that it does not take, where such a one ends the run.
    fn reject_unscorable(&self, dataset: usize, sample: &mut Sample) -> Result<()> {
        if !sample.status.is_scored() {
            return Ok(());
        }
        let (vocab, context, length) = (self.engine.caps().vocab, self.engine.caps().max_tokens, sample.ids.len());
        if length > context {
            sample.fail(Status::TooLong, format!("{length} tokens, the model's context holds {context}"));
        } else if let Some(id) = sample.ids.iter().find(|&&id| id as usize >= vocab) {
            sample.fail(Status::Failed, format!("token id {id} is outside the model's vocabulary of {vocab}"));
        } else if sample.scored_tokens().next().is_none() {
            sample.fail(Status::Empty, "no response token has a token before it");
        }
        if !self.ends_run(sample.status) {
            return Ok(());
        }
        let (path, row) = (&self.inputs[dataset].plan.path, format!("row {} (from 0)", sample.row));
        Err(Error::dataset(path, Some(row), sample.reason.as_deref().unwrap_or_default()))
    }

    /// The engine's answers in the job's order; `keep` is given each sample's hidden states.
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

    fn write(&self, assembly: &Assembly, pieces: Pieces<Scored>) -> Result<()> {
        for (piece, scored) in pieces {
            let (input, part) = (&self.inputs[piece.dataset], self.part(piece.dataset, piece.part));
            let Some(Scored { samples, hidden }) = assembly.add(&piece, part.rows, scored) else { continue };
            let mut writer = input.cell.begin(piece.part)?;
            writer.write(&table::samples_batch(&samples, &input.plan.kept)?, &table::tokens_batch(&samples)?)?;
            if let Some(hidden) = hidden {
                writer.keep(hidden);
            }
            if writer.commit()? {
                input.wrote(piece.part);
            }
            let mut audit = Audit::default();
            for scored in &samples {
                audit.skip(&scored.sample);
            }
            input.add(audit);
            let scored = samples.iter().filter(|scored| scored.scores.is_some());
            let tokens = scored.map(|scored| scored.sample.ids.len() as u64).sum();
            self.progress.written(tokens, samples.iter().map(|s| s.sample.status));
        }
        Ok(())
    }
}
