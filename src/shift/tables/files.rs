//! The files of two models that are compared.
//!
//! Owns what is known of them before any is opened. Not here: which files they are (`select`).

use std::collections::BTreeMap;

use super::pair_files::{PairFiles, exact_of};
use super::run_notes;
use crate::error::{Error, Result};
use crate::shift::result::pair::{Heads, Partial, title};
use crate::store::{FoundCell, FoundPair, IMPORT, Manifest, ResponseSetKey, ResultFile};
use crate::table::Origin;

/// What computed a model's numbers: hashes of config and weights, and the type of products.
pub type Weights = (BTreeMap<String, String>, String);

/// One model's files of one response set, in part order.
#[derive(Clone, Debug)]
pub struct ModelTable {
    /// Name of the model.
    pub model: String,
    /// Hashes of the weight files, and the dtype.
    pub weights: Weights,
    /// Tokens files, in the order of the parts.
    pub tokens: Vec<ResultFile>,
    /// Samples files, in the order of the parts.
    pub samples: Vec<ResultFile>,
    /// What the files must say of themselves, in the same order.
    pub origins: Vec<Origin>,
    /// Length of the lists of most likely tokens.
    pub top_k: usize,
    /// Fields of the dataset's rows in the samples tables.
    pub kept: Vec<String>,
    /// Another program recorded its numbers: rows that failed there are no nulls of the published study's files.
    pub recorded: bool,
}

/// Two models on one response set.
#[derive(Clone, Debug)]
pub struct PairTables {
    /// The response set.
    pub set: ResponseSetKey,
    /// Tables of P.
    pub p: ModelTable,
    /// Tables of Q.
    pub q: ModelTable,
    /// Which parts are missing, if any.
    pub partial: Option<Partial>,
    /// Samples are windows of a text, not responses.
    pub of_windows: bool,
    /// Why P cannot have sampled the responses, if their writer is known.
    pub foreign: Option<String>,
    /// Ids that each can score, if these are not equally many.
    pub heads: Option<Heads>,
    /// Contexts differ by intent.
    pub own_templates: bool,
    /// The exact measures of all the parts that are compared.
    pub exact: Option<PairFiles>,
    /// Texts of token ids, if the directory has them.
    pub vocabulary: Option<ResultFile>,
    /// Notes about the two runs that qualify the statistics.
    pub notes: Vec<String>,
}

impl PairTables {
    /// The two models and the response set.
    pub fn title(&self) -> String {
        title(&self.p.model, &self.q.model, &self.set.task, &self.set.generation_model)
    }

    /// Whether KL(P‖Q) has an upper bound: Q gives every id of P a probability.
    pub fn is_bounded(&self) -> bool {
        self.heads.is_none_or(|heads| heads.no_upper_bound().is_none())
    }

    /// The error that these two tables must not be compared.
    pub fn incomparable(&self, what: impl Into<String>) -> Error {
        let (p, q, task) = (self.p.model.clone(), self.q.model.clone(), self.set.task.clone());
        Error::Incomparable { p, q, task, what: what.into() }
    }
}

/// The files of the parts that both sides have.
pub fn of_pair(p: &FoundCell, q: &FoundCell, exact: &[FoundPair], foreign: Option<String>) -> Result<PairTables> {
    let is_complete = p.missing.is_empty() && q.missing.is_empty();
    let partial = (!is_complete).then(|| Partial {
        compared: p.parts.iter().filter(|part| q.parts.contains(part)).count() as u64,
        parts: p.manifest.parts.len() as u64,
        missing_p: p.missing.clone(),
        missing_q: q.missing.clone(),
    });
    let (exact, exact_note) = exact_of(p, q, exact)?;
    Ok(PairTables {
        set: p.cell.set.clone(),
        p: table(p, &q.missing)?,
        q: table(q, &p.missing)?,
        partial,
        of_windows: p.manifest.dataset.window.is_some(),
        foreign,
        heads: heads(p, q),
        own_templates: [p, q].iter().all(|found| found.manifest.tokens.has_own_templates()),
        exact,
        vocabulary: None,
        notes: run_notes::of(p, q).into_iter().chain(exact_note).collect(),
    })
}

/// Ids that each model can score, where both are known and not the same.
fn heads(p: &FoundCell, q: &FoundCell) -> Option<Heads> {
    let (p, q) = (p.manifest.engine.vocab?, q.manifest.engine.vocab?);
    (p != q).then_some(Heads { p, q })
}

fn table(found: &FoundCell, left_out: &[u32]) -> Result<ModelTable> {
    let keep = |files: &[ResultFile]| {
        let both = found.parts.iter().zip(files).filter(|(part, _)| !left_out.contains(part));
        both.map(|(_, file)| file.clone()).collect()
    };
    let digest = found.manifest.digest()?;
    let parts = found.parts.iter().filter(|part| !left_out.contains(part));
    let origins = parts.map(|&part| found.cell.origin(&digest, part)).collect();
    let Manifest { dataset, engine, .. } = &found.manifest;
    Ok(ModelTable {
        model: found.cell.model.clone(),
        weights: (engine.files.clone(), engine.dtype.clone()),
        tokens: keep(&found.tokens),
        samples: keep(&found.samples),
        origins,
        top_k: engine.top_k,
        kept: dataset.keep_fields.clone(),
        recorded: engine.name == IMPORT,
    })
}
