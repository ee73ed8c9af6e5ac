//! The local engine: a decoder on this machine.
//!
//! Owns the steps from a job to scores: forests, body, head, reducer. Not here: choosing a model or a device (`cli`),
//! and batches (`memory`).

use std::ops::Range;
use std::sync::atomic::AtomicUsize;

use candle_core::{DType, Device, Tensor};
use half::bf16;
use rayon::prelude::*;

use crate::decoder::{Adapter, Backend, Body, Checkpoint, DecoderSpec, Head};
use crate::engine::memory::{self, Hand};
use crate::engine::{Caps, Engine, Job, Scored, TokenScores};
use crate::error::{Error, Result};
use crate::forest::{self, Forest, Target};
use crate::reduce::Reducer;
use crate::sample::Sample;
use crate::stop::Stop;

/// Targets whose logits exist at once: with a vocabulary block of 4,096 ids, 16 MiB of them.
pub const TARGET_ROWS: usize = 1024;

/// Names of unused tensors that a warning lists.
const LISTED: usize = 8;

/// How to run a model.
#[derive(Clone, Debug)]
pub struct LocalOptions {
    /// The model's name in errors.
    pub name: String,
    /// f32 or bf16; what weights are kept in and products round to.
    pub dtype: DType,
    /// Where the model runs.
    pub device: Device,
    /// Computed tokens of one forest: decides memory, never numbers.
    pub batch_tokens: usize,
    /// Length of the top-k lists.
    pub top_k: usize,
    /// Hand out what the head reads, too.
    pub keep_hidden: bool,
}

/// A model in memory.
pub struct Local {
    options: LocalOptions,
    /// That of the options, or less where memory ran out.
    batch_tokens: AtomicUsize,
    spec: DecoderSpec,
    body: Body,
    head: Head,
    caps: Caps,
}

impl Local {
    /// Loads body and head.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`].
    pub fn load(checkpoint: &Checkpoint, options: LocalOptions) -> Result<Self> {
        let backend = Backend::of(&options.device)?;
        let body = Body::load(checkpoint, options.dtype, &options.device, backend)?;
        let head = Head::load(checkpoint, Some(body.embedding()), options.dtype, &options.device, backend)?;
        for note in checkpoint.notes() {
            tracing::warn!(model = options.name, "{note}");
        }
        let unread = checkpoint.unread();
        if !unread.is_empty() {
            let (count, first) = (unread.len(), &unread[..unread.len().min(LISTED)]);
            tracing::warn!(
                model = options.name,
                count,
                ?first,
                "the checkpoint contains tensors that the model does not use"
            );
        }
        if checkpoint.spec().fp8_block.is_some() {
            tracing::info!(model = options.name, "weights in FP8 are widened; activations are not quantised");
        }
        Ok(Self::new(checkpoint.spec().clone(), body, head, options))
    }

    /// Another engine on the same weights, which stay in memory once, with what `adapter` adds to them.
    ///
    /// # Errors
    /// As [`Adapter::join`].
    ///
    /// # Panics
    /// If `options` has another dtype or device than the weights.
    pub fn sharing(&self, adapter: Option<&Adapter>, options: LocalOptions) -> Result<Self> {
        assert_eq!(options.dtype, self.options.dtype, "weights are shared as they are");
        assert!(options.device.same_device(&self.options.device), "weights are shared where they are");
        let (body, head) = match adapter {
            Some(adapter) => adapter.join(&self.spec, &self.body, &self.head, &options.device)?,
            None => (self.body.clone(), self.head.clone()),
        };
        Ok(Self::new(self.spec.clone(), body, head, options))
    }

    fn new(spec: DecoderSpec, body: Body, head: Head, options: LocalOptions) -> Self {
        let caps = Caps {
            max_tokens: spec.max_tokens,
            vocab: spec.vocab,
            hidden: options.keep_hidden.then(|| spec.hidden_shape(options.dtype)),
            jobs_in_flight: 1,
        };
        let batch_tokens = AtomicUsize::new(options.batch_tokens);
        Self { options, batch_tokens, spec, body, head, caps }
    }

    /// Scores one forest; `sink` learns each sample by its index in the slice that was packed.
    fn score_forest(&self, forest: &Forest, stop: &Stop, sink: &mut Hand) -> Result<()> {
        let hidden = self.body.forward(forest, stop)?;
        let mut done = forest.samples.iter();
        let mut current = done.next();
        let mut done_samples = 0;
        let mut scores = TokenScores::default();
        let mut failure = None;
        for (chunk, targets) in forest.targets.chunks(TARGET_ROWS).enumerate() {
            let first = chunk * TARGET_ROWS;
            let rows: Vec<u32> = targets.iter().map(|target| forest.place(target.row) as u32).collect();
            let rows = hidden.index_select(&Tensor::new(rows, hidden.device())?, 0)?;
            let (reduced, bad) = self.reduce(&rows, targets, stop)?;
            // Hand out every sample whose last target lies in this chunk; keep what reaches beyond it.
            while let Some((index, range)) = current {
                let from = range.start.max(first) - first;
                let to = range.end.min(first + targets.len()) - first;
                scores.extend(&reduced, from..to);
                failure =
                    failure.or(bad.iter().find(|row| (from..to).contains(row)).map(|row| first + row - range.start));
                if range.end > first + targets.len() {
                    break;
                }
                let mut scores = std::mem::take(&mut scores);
                scores.hidden = self.kept(&hidden, forest, done_samples, range)?;
                done_samples += 1;
                sink(
                    *index,
                    match failure.take() {
                        None => Ok(scores),
                        Some(token) => Err(format!("the logits at scored token {token} are not finite")),
                    },
                )?;
                current = done.next();
            }
        }
        Ok(())
    }

    /// The stored hidden states of a sample: nothing unless they are requested.
    fn kept(&self, hidden: &Tensor, forest: &Forest, place: usize, targets: &Range<usize>) -> Result<Vec<u8>> {
        if self.caps.hidden.is_none() {
            return Ok(Vec::new());
        }
        let rows = forest.targets[targets.clone()].iter().map(|target| target.row).chain(forest.ends[place]);
        let rows: Vec<u32> = rows.map(|row| forest.place(row) as u32).collect();
        let rows = hidden.index_select(&Tensor::new(rows, hidden.device())?, 0)?.flatten_all()?;
        Ok(match self.options.dtype {
            DType::BF16 => bytemuck::cast_slice(&rows.to_dtype(DType::BF16)?.to_vec1::<bf16>()?).to_vec(),
            _ => bytemuck::cast_slice(&rows.to_vec1::<f32>()?).to_vec(),
        })
    }

    /// The scores of `targets` at the rows `[targets, hidden]`, and those of them whose logits are not finite (their
    /// scores mean nothing).
    fn reduce(&self, hidden: &Tensor, targets: &[Target], stop: &Stop) -> Result<(TokenScores, Vec<usize>)> {
        let count = self.head.rows_at_once(targets.len(), rayon::current_num_threads());
        let parts: Result<Vec<_>> = (targets.par_chunks(count).enumerate())
            .map(|(part, targets)| self.reduce_part(&hidden.narrow(0, part * count, targets.len())?, targets, stop))
            .collect();
        let mut all = (TokenScores::default(), Vec::new());
        for (part, (scores, bad)) in parts?.into_iter().enumerate() {
            all.0.extend(&scores, 0..scores.len());
            all.1.extend(bad.into_iter().map(|row| part * count + row));
        }
        Ok(all)
    }

    /// As [`Local::reduce`], on the calling thread.
    fn reduce_part(&self, hidden: &Tensor, targets: &[Target], stop: &Stop) -> Result<(TokenScores, Vec<usize>)> {
        let ids: Vec<u32> = targets.iter().map(|t| t.token).collect();
        let target_logits = self.head.target_logits(hidden, &ids)?;
        let k = self.options.top_k.min(self.head.vocab());
        let mut reducer = Reducer::new(&ids, &target_logits, k);
        self.head.for_each_block(hidden, stop, |block| reducer.push(block.first, |row| block.row(row)))?;
        Ok(reducer.finish())
    }
}

impl Engine for Local {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn score(&self, job: &Job, sink: &mut dyn FnMut(Scored) -> Result<()>) -> Result<usize> {
        let samples: Vec<&Sample> = job.samples.iter().map(|s| &s.sample).collect();
        let score = |forest: &Forest, sink: &mut Hand| self.score_forest(forest, job.stop, sink);
        // Texts on either side of a switch of frequencies go in forests of their own.
        let pack = |samples: &[&Sample], limit| forest::pack_apart(samples, limit, self.spec.short_tokens());
        memory::score_in_batches(&samples, &self.batch_tokens, pack, score, sink).map_err(|e| match e {
            Error::Tensor(e) => Error::Part { model: self.options.name.clone(), part: job.part, what: e.to_string() },
            other => other,
        })
    }
}
