//! What a row of recorded numbers says, whatever its format.
//!
//! Owns the form that every format is read into. Not here: formats, and the tables (`build`).

use crate::sample::{Kept, Status};

/// A row: one or several samples of one prompt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordedRow {
    /// The row's own name.
    pub id: Option<String>,
    /// Rows with equal values are not independent; without one, equal contexts are.
    pub cluster: Option<String>,
    /// At least one.
    pub samples: Vec<RecordedSample>,
    /// One value a kept field, in the import's order.
    pub kept: Vec<Kept>,
    /// The text was given to the model of the numbers, which did not write it.
    pub is_given: bool,
}

/// A text and what each model recorded of its sampled tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedSample {
    /// The whole sequence; empty if the ids are not known.
    pub ids: Vec<u32>,
    /// Places in the sequence of the tokens that have numbers, ascending. Without ids, places in a sequence of which only
    /// these are known.
    pub places: Vec<u32>,
    /// Whether all that stands before the tokens is known to be in the sequence.
    pub has_context: bool,
    /// The text of each token at `places`; empty if one is not known.
    pub texts: Vec<String>,
    /// Whether generation ended by a limit of tokens; `None` if the row does not say.
    pub is_cut: Option<bool>,
    /// What each model recorded, in the import's order, or why it has no numbers.
    pub numbers: Vec<Result<Numbers, Unscored>>,
}

/// One model's numbers of a sample: one entry for each place that has something before it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers {
    /// ln p of the token, nats; `None` where it is not known, which no sampled token may be.
    pub logprob: Vec<Option<f64>>,
    /// 1 is the most likely; empty if not known.
    pub rank: Vec<u32>,
    /// Nats; empty if not known.
    pub entropy: Vec<f64>,
    /// The most likely tokens and their logarithms of probabilities, in any order; empty if not known.
    pub top: Vec<Vec<(u32, f64)>>,
    /// Lists that name texts instead of ids, and are left out.
    pub lost_lists: u64,
}

/// Why a model has no numbers of a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unscored {
    /// [`Status::Empty`] or [`Status::Failed`].
    pub status: Status,
    /// For the samples table.
    pub reason: String,
}

impl Unscored {
    /// The numbers cannot be used.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self { status: Status::Failed, reason: reason.into() }
    }
}

impl RecordedSample {
    /// Number of the places with numbers: the first of a whole sequence has nothing before it, and no model predicts it.
    pub fn scored(&self) -> usize {
        let skipped = self.has_context && self.places.first() == Some(&0);
        self.places.len() - usize::from(skipped)
    }

    /// Leaves out the tokens before place `context`: they belong to what was given.
    pub fn begin_at(&mut self, context: u32) {
        fn from<T>(list: &mut Vec<T>, first: usize) {
            list.drain(..first.min(list.len()));
        }
        let first = self.places.partition_point(|place| *place < context);
        let without_number = self.places.len() - self.scored();
        self.places.drain(..first);
        from(&mut self.texts, first);
        for numbers in self.numbers.iter_mut().flatten() {
            let first = first.saturating_sub(without_number);
            from(&mut numbers.logprob, first);
            from(&mut numbers.rank, first);
            from(&mut numbers.entropy, first);
            from(&mut numbers.top, first);
        }
    }
}
