//! A model before it is in memory: what is known of it by then, and loading it.
//!
//! Owns the [`EngineSource`] trait and its facts. Not here: which source a model has (`score` chooses one).

use std::collections::BTreeMap;

use super::Engine;
use crate::error::Result;
use crate::hidden;

/// What of an engine decides its numbers, in the words of manifests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Which engine it is: `local`, `llama-logits` or `mock`.
    pub engine: &'static str,
    /// BLAKE3, in hexadecimal, of every file of the model, by file name; names of an adapter's files begin with
    /// `adapter/`.
    pub files: BTreeMap<String, String>,
    /// Type of weights and products: `f32` or `bf16`; `u16` for a logits file, whose log-probabilities are so many steps.
    pub dtype: &'static str,
    /// `cpu` or `cuda`.
    pub device: &'static str,
    /// How products are summed, where the processor decides that.
    pub arithmetic: Option<String>,
    /// Length of the top-k lists: no longer than the vocabulary.
    pub top_k: usize,
}

/// A model that can be loaded.
pub trait EngineSource {
    /// Longest sample in tokens that the model takes.
    fn max_tokens(&self) -> usize;

    /// Number of ids that the model has logits of; `None` where they have no end.
    fn vocab(&self) -> Option<usize>;

    /// Width and type of the hidden states that the engine can hand out.
    ///
    /// # Errors
    /// Why it has none.
    fn hidden_shape(&self) -> Result<hidden::Shape, String>;

    /// Whether an adapter adds to the head's product: hidden states and the base's head do not give that back.
    ///
    /// # Errors
    /// An adapter that does not fit the model.
    fn adapts_head(&self) -> Result<bool>;

    /// What decides the numbers. Reads every byte of the model.
    ///
    /// # Errors
    /// A file that cannot be read, or that changed since the source was opened.
    fn facts(&self) -> Result<Facts>;

    /// Loads the model; the engine hands out hidden states where `keep_hidden` says so.
    ///
    /// # Errors
    /// Weights that do not fit the config or memory; a file that changed since the source was opened.
    fn load(&self, keep_hidden: bool) -> Result<Box<dyn Engine>>;
}
