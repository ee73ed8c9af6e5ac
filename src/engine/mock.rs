//! The mock engine: scores that follow from token ids alone, and the habits of an awkward engine.
//!
//! Owns an engine that needs no weights, for tests of the pipeline and for dry runs. Its answers come out of order and
//! several jobs may run at once. Its scores say nothing about any model.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::engine::source::{EngineSource, Facts};
use crate::engine::{Caps, Engine, Job, Scored, TokenScores};
use crate::error::Result;
use crate::hidden;
use crate::reduce::{CHUNK, Reducer};
use crate::sample::Sample;

/// The longest sample that it accepts, because no model sets a limit.
const CONTEXT: usize = 1 << 20;

/// Deterministic scores over a vocabulary of the 64 ids around each target.
pub struct Mock {
    caps: Caps,
    seed: u64,
    top_k: usize,
}

impl Mock {
    /// Numbers differ by `name`, as models do.
    pub fn new(name: &str, top_k: usize) -> Self {
        let caps = Caps { max_tokens: CONTEXT, vocab: u32::MAX as usize, hidden: None, jobs_in_flight: 8 };
        Self { caps, seed: hash(&name), top_k: top_k.min(CHUNK) }
    }

    fn score_sample(&self, sample: &Sample) -> TokenScores {
        let mut scores = TokenScores { k: self.top_k, ..TokenScores::default() };
        let mut context = self.seed;
        let mut scored = sample.scored_tokens().map(|t| t.index as usize).peekable();
        for (index, &id) in sample.ids.iter().enumerate() {
            if scored.next_if_eq(&index).is_some() {
                scores.extend(&self.score_token(context, id), 0..1);
            }
            context = hash(&(context, id));
        }
        scores
    }

    fn score_token(&self, context: u64, id: u32) -> TokenScores {
        let first = id - id % CHUNK as u32;
        // Eighths from -8 to 8: far enough apart for sharp distributions, coarse enough for ties.
        let logits: [f32; CHUNK] =
            std::array::from_fn(|i| (hash(&(context, first + i as u32)) % 129) as f32 / 8.0 - 8.0);
        let mut reducer = Reducer::new(&[id], &[logits[(id - first) as usize]], self.top_k);
        reducer.push(first, |_| &logits);
        reducer.finish().0
    }
}

impl Engine for Mock {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn score(&self, job: &Job, sink: &mut dyn FnMut(Scored) -> Result<()>) -> Result<usize> {
        let mut order: Vec<usize> = (0..job.samples.len()).collect();
        order.sort_by_key(|&index| hash(&(job.part, index)));
        for index in order {
            job.stop.check()?;
            sink(Scored { index, scores: Ok(self.score_sample(&job.samples[index].sample)) })?;
        }
        Ok(job.samples.iter().map(|s| s.sample.ids.len()).sum())
    }
}

/// A mock that is made when it is needed.
#[derive(Debug)]
pub struct MockSource {
    name: String,
    top_k: usize,
}

impl MockSource {
    /// Numbers differ by `name`; lists have `top_k` entries, or as many as the mock's vocabulary.
    pub fn new(name: &str, top_k: usize) -> Self {
        Self { name: name.to_owned(), top_k }
    }
}

impl EngineSource for MockSource {
    fn max_tokens(&self) -> usize {
        CONTEXT
    }

    fn vocab(&self) -> Option<usize> {
        None
    }

    fn hidden_shape(&self) -> Result<hidden::Shape, String> {
        Err("the mock engine has no hidden states".to_owned())
    }

    fn adapts_head(&self) -> Result<bool> {
        Ok(false)
    }

    fn facts(&self) -> Result<Facts> {
        let (files, arithmetic) = (BTreeMap::new(), None);
        Ok(Facts { engine: "mock", files, dtype: "f32", device: "cpu", arithmetic, top_k: self.top_k })
    }

    fn load(&self, _keep_hidden: bool) -> Result<Box<dyn Engine>> {
        Ok(Box::new(Mock::new(&self.name, self.top_k)))
    }
}

/// `DefaultHasher::new` has fixed keys: the same in every process.
fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
