//! What was understood of the request, before anything is computed: the response sets, and P of each.
//!
//! Owns that summary. Not here: its words (`cli`), and the rule for P (`shift`).

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::datasets::Dataset;
use crate::experiments::{Options, WriterFrom};
use crate::shift::{Because, default_p};
use crate::store::{FoundCell, ResponseSetKey};

/// A response set that is about to be scored.
#[derive(Clone, Debug)]
pub struct ResponseSet {
    /// Its names.
    pub set: ResponseSetKey,
    /// Where that name was taken from.
    pub writer_from: WriterFrom,
    /// The file of rows.
    pub path: PathBuf,
    /// Its rows, of which each gives one or several samples.
    pub rows: u32,
    /// Rows that earlier runs know, if this run adds to them.
    pub rows_before: Option<u32>,
    /// Samples of these rows.
    pub samples: u32,
    /// Tokens of a window, if the rows are windows of a text.
    pub window: Option<u32>,
    /// Whether responses are text and no end token is to follow them.
    pub lacks_end: bool,
    /// P, and why it is; `None` if no model that scores them may be.
    pub p: Option<(String, Because)>,
    /// Whether an earlier run fixed P.
    pub is_fixed: bool,
    /// All models that have scored the responses after this run, P among them.
    pub models: Vec<String>,
}

impl ResponseSet {
    /// What is to be scored of `dataset` by `models` as the `options` say, given what was `found` in its output directory.
    pub fn of(dataset: &Dataset, models: &[&str], options: &Options, found: &[FoundCell]) -> Self {
        let Dataset { set, writer_from, plan, .. } = dataset;
        let earlier: Vec<&FoundCell> = found.iter().filter(|found| found.cell.set == *set).collect();
        let before = earlier.iter().map(|found| found.cell.model.as_str());
        let mut seen = BTreeSet::new();
        let scored: Vec<&str> = models.iter().copied().chain(before).filter(|model| seen.insert(*model)).collect();
        let fixed = earlier.first().map(|found| &found.manifest.reference).filter(|fixed| !fixed.is_unknown());
        let p = default_p(fixed.unwrap_or(&dataset.reference), Some(&set.generation_model), &scored);
        Self {
            set: set.clone(),
            writer_from: *writer_from,
            path: plan.path.clone(),
            rows: plan.rows,
            rows_before: earlier.first().map(|found| found.manifest.dataset.rows).filter(|rows| *rows < plan.rows),
            samples: plan.samples,
            window: plan.window(),
            lacks_end: plan.has_texts && options.end() == "none",
            p: p.map(|(name, because)| (name.to_owned(), because)),
            is_fixed: fixed.is_some(),
            models: scored.into_iter().map(str::to_owned).collect(),
        }
    }

    /// Whether the model that wrote the responses is among those that score them. Windows of a text have no writer.
    pub fn lacks_writer(&self) -> bool {
        self.window.is_none() && !self.models.contains(&self.set.generation_model)
    }
}
