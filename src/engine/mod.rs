//! The interface between the pipeline and a model, wherever the model runs.
//!
//! Owns the [`Engine`] trait and the data that crosses it. Not here: which engine is used. The pipeline sees `&dyn
//! Engine`, and `cli` alone chooses one.

pub mod local;
pub mod local_source;
pub mod logits_file;
mod memory;
pub mod mock;
pub mod source;

use crate::error::Result;
use crate::hidden;
use crate::sample::Sample;
pub use crate::scores::TokenScores;
use crate::stop::Stop;

/// What an engine can do and wants; fixed for its lifetime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Longest sample in tokens, special tokens included; a longer one is not scored.
    pub max_tokens: usize,
    /// Number of ids that the model can score; a sample with an id at or above it fails.
    pub vocab: usize,
    /// What it fills `hidden` with; `None` if it keeps no hidden states.
    pub hidden: Option<hidden::Shape>,
    /// Jobs that the engine wants at once. A local model wants one: it uses every core for it.
    pub jobs_in_flight: usize,
}

/// The rank rule of the tables: 1 + number of entries above the target's.
pub const RANK_STRICT: &str = "1 + count(>)";

/// The same rows of one or several datasets, packed together so that equal prompts are computed once.
#[derive(Debug)]
pub struct Job<'a> {
    /// Their part of the first dataset, which failures name.
    pub part: u32,
    /// Samples to score, in order; every one has a scored token and no more than `Caps::max_tokens` ids.
    pub samples: Vec<JobSample>,
    /// Asked between the steps of a job that takes long.
    pub stop: &'a Stop<'a>,
}

/// A sample within a job.
#[derive(Debug)]
pub struct JobSample {
    /// Which of the run's datasets it belongs to.
    pub dataset: usize,
    /// The sample.
    pub sample: Sample,
}

/// One sample's answer, in any order within the job.
#[derive(Debug)]
pub struct Scored {
    /// Index in [`Job::samples`].
    pub index: usize,
    /// The numbers, or why this one sample has none.
    pub scores: std::result::Result<TokenScores, String>,
}

/// A model that scores samples.
pub trait Engine: Sync {
    /// What this engine can do.
    fn caps(&self) -> &Caps;

    /// Scores every sample of `job` and hands each to `sink` as it is done, in any order, each exactly once. Gives how many
    /// tokens were computed: fewer than the samples have, where prefixes are shared.
    ///
    /// # Errors
    /// A cause outside a row (a server, say) fails the part; [`crate::Error::Stopped`] soon after the job was stopped. What `sink` returns
    /// is returned unchanged: the consumer has stopped.
    fn score(&self, job: &Job, sink: &mut dyn FnMut(Scored) -> Result<()>) -> Result<usize>;
}
