//! The local engine: a decoder on this machine.
//!
//! Owns the way from a job to scores: forests, body, head, reducer. Refuses to choose a model or a device, and batches
//! (`memory` has them).

use std::sync::atomic::AtomicUsize;

use candle_core::{DType, Device, Tensor};

use crate::decoder::{Body, Checkpoint, Head};
use crate::engine::memory::{self, Hand};
use crate::engine::{Caps, Engine, Job, RANK_STRICT, Scored, TokenScores};
use crate::error::{Error, Result};
use crate::forest::{self, Forest, Target};
use crate::reduce::Reducer;
use crate::sample::Sample;
use crate::stop::Stop;

/// Targets whose logits exist at once: with a vocabulary block of 4,096 ids, 16 MiB of them.
pub const TARGET_ROWS: usize = 1024;

/// How to run a model.
#[derive(Clone, Debug)]
pub struct LocalOptions {
    /// The name under which errors speak of the model.
    pub name: String,
    /// f32 or bf16; what weights are kept in and products round to.
    pub dtype: DType,
    pub device: Device,
    /// Computed tokens of one forest: decides memory, never numbers.
    pub batch_tokens: usize,
    /// Length of the top-k lists.
    pub top_k: usize,
}

/// A model in memory.
pub struct Local {
    options: LocalOptions,
    /// That of the options, or less where memory ran out.
    batch_tokens: AtomicUsize,
    body: Body,
    head: Head,
    caps: Caps,
    /// Longer texts go in forests of their own.
    short_tokens: Option<usize>,
}

impl Local {
    /// Loads body and head.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`].
    pub fn load(checkpoint: &Checkpoint, options: LocalOptions) -> Result<Self> {
        let body = Body::load(checkpoint, options.dtype, &options.device)?;
        let head = Head::load(checkpoint, Some(body.embedding()), options.dtype, &options.device)?;
        let unread = checkpoint.unread();
        if !unread.is_empty() {
            tracing::warn!(model = options.name, tensors = ?unread, "the checkpoint holds tensors that the model does not use");
        }
        let spec = checkpoint.spec();
        let caps = Caps {
            logit: true,
            rank: true,
            entropy: true,
            rank_rule: RANK_STRICT,
            max_tokens: spec.max_tokens,
            vocab: spec.vocab,
            max_top_k: spec.vocab,
            jobs_in_flight: 1,
        };
        let (batch_tokens, short_tokens) = (AtomicUsize::new(options.batch_tokens), spec.short_tokens());
        Ok(Self { options, batch_tokens, body, head, caps, short_tokens })
    }

    /// Scores one forest; `sink` learns each sample by its index in the slice that was packed.
    fn score_forest(&self, forest: &Forest, stop: &Stop, sink: &mut Hand) -> Result<()> {
        let hidden = self.body.forward(forest, stop)?;
        let mut done = forest.samples.iter();
        let mut current = done.next();
        let mut scores = TokenScores::default();
        let mut failure = None;
        for (chunk, targets) in forest.targets.chunks(TARGET_ROWS).enumerate() {
            let first = chunk * TARGET_ROWS;
            let (reduced, bad) = self.reduce(&hidden, targets, stop)?;
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
                let scores = std::mem::take(&mut scores);
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

    /// The scores of `targets`, and those of them whose logits are not finite (their scores mean nothing).
    fn reduce(&self, hidden: &Tensor, targets: &[Target], stop: &Stop) -> Result<(TokenScores, Vec<usize>)> {
        let rows: Vec<u32> = targets.iter().map(|t| t.row as u32).collect();
        let ids: Vec<u32> = targets.iter().map(|t| t.token).collect();
        let hidden = hidden.index_select(&Tensor::new(rows, hidden.device())?, 0)?;
        let target_logits = self.head.target_logits(&hidden, &ids)?;
        let k = self.options.top_k.min(self.head.vocab());
        let mut reducer = Reducer::new(&ids, &target_logits, k);
        self.head.for_each_block(&hidden, stop, |first, block, width| reducer.push(first, block, width))?;
        Ok(reducer.finish())
    }
}

impl Engine for Local {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn score(&self, job: &Job, sink: &mut dyn FnMut(Scored) -> Result<()>) -> Result<()> {
        let samples: Vec<&Sample> = job.samples.iter().map(|s| &s.sample).collect();
        let score = |forest: &Forest, sink: &mut Hand| self.score_forest(forest, job.stop, sink);
        let pack = |samples: &[&Sample], limit| forest::pack_apart(samples, limit, self.short_tokens);
        memory::score_in_batches(&samples, &self.batch_tokens, pack, score, sink).map_err(|e| match e {
            Error::Tensor(e) => Error::Part { model: self.options.name.clone(), part: job.part, what: e.to_string() },
            other => other,
        })
    }
}
