//! What one model is to do with one dataset: the cell that the numbers go to, and its manifest.
//!
//! Owns everything that decides a cell's numbers, as its manifest records it. Not here: scoring.

use std::collections::BTreeSet;

use super::datasets::Dataset;
use super::models::Model;
use super::session::{Output, Session};
use crate::error::Result;
use crate::schema;
use crate::store::{Cell, CellStore, DatasetFacts, EngineFacts, Manifest, OWN, TokenFacts};
use crate::table::EXTENSION;
use crate::template::ChatTemplate;
use crate::tokenize::SampleOptions;

/// A dataset that a model is to score, and where the tables go.
#[derive(Clone, Copy)]
pub struct Assignment<'a> {
    pub session: &'a Session,
    pub output: &'a Output,
    pub dataset: &'a Dataset,
    /// The model's name for this dataset.
    pub model: &'a str,
    /// Parts that are scored though they are done.
    pub again: &'a BTreeSet<u32>,
}

/// No part is scored again.
pub static NONE: BTreeSet<u32> = BTreeSet::new();

impl Assignment<'_> {
    /// Names of the cell that the model's numbers go to.
    pub fn cell(&self) -> Cell {
        self.dataset.set.cell(self.model)
    }

    /// The store of the cell, if earlier runs agree. The longest sample that earlier runs fixed stays.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for what was decided otherwise; rows of messages without a chat template.
    pub fn open(&self, model: &Model) -> Result<CellStore> {
        let cell = self.cell();
        let mine = self.manifest(&cell, model)?;
        let earlier = self.output.store.manifest_of(&cell)?.map(|earlier| earlier.engine.top_k);
        let store = match earlier.filter(|earlier| *earlier > mine.engine.top_k) {
            // Longer lists that are all there contain the shorter ones.
            Some(top_k) => {
                let engine = EngineFacts { top_k, ..mine.engine.clone() };
                let longer = self.output.store.cell(&cell, &Manifest { engine, ..mine.clone() });
                let longer = longer.ok().filter(|store| store.done().len() == mine.parts.len());
                longer.map_or_else(|| self.output.store.cell(&cell, &mine), Ok)?
            }
            None => self.output.store.cell(&cell, &mine)?,
        };
        Ok(if model.keeps_temporary() { store.with_temporary_hidden() } else { store })
    }

    /// The engine facts in the cell's manifest. A cell that was begun with stored hidden states continues to store them, even
    /// if this run needs only temporary ones. A cell whose manifest does not record the summation order is continued without
    /// it.
    fn engine(&self, cell: &Cell, model: &Model) -> Result<EngineFacts> {
        let mut facts = model.facts()?.clone();
        if let Some(vocabulary) = self.session.vocabularies.get(&model.named.path) {
            facts.vocabulary = Some(vocabulary.digest.clone());
            facts.other_texts.clone_from(&vocabulary.other_texts);
        }
        if self.dataset.plan.has_chats {
            facts.chat_template = self.session.own_template(model)?.map(|template| template.identity());
            facts.tokenizer = self.session.identity_of_own(model)?;
        }
        let Some(earlier) = self.output.store.manifest_of(cell)? else { return Ok(facts) };
        if model.keeps_temporary() && earlier.engine.keep_hidden.is_some() {
            facts.keep_hidden = model.hidden_shape();
        }
        if earlier.engine.arithmetic.is_none() {
            facts.arithmetic = None;
        }
        Ok(facts)
    }

    fn manifest(&self, cell: &Cell, model: &Model) -> Result<Manifest> {
        let SampleOptions { boundary, end, too_long, .. } = self.session.sample_options;
        let own = if self.dataset.plan.has_chats { self.session.own_template(model)? } else { None };
        let template = own.as_ref().or(self.session.tokenizer.template());
        let kwargs = template.and_then(ChatTemplate::kwargs);
        let is_own = self.session.options.has_own_templates();
        let template = if is_own { Some(OWN.to_owned()) } else { template.map(ChatTemplate::identity) };
        let (plan, options) = (&self.dataset.plan, &self.session.options);
        self.session.must_render(model, plan)?;
        Ok(Manifest {
            format_version: schema::FORMAT_VERSION,
            generation_model: cell.set.generation_model.clone(),
            task: cell.set.task.clone(),
            model: cell.model.clone(),
            out: EXTENSION.to_owned(),
            dataset: DatasetFacts::of(plan),
            tokens: TokenFacts {
                tokenizer: self.session.tokenizer.identity().to_owned(),
                vocabulary: Some(self.session.tokenizer.vocabulary()),
                bos: options.bos().decided().map(str::to_owned),
                boundary: boundary.as_str().to_owned(),
                end,
                max_tokens: self.session.max_tokens(),
                too_long: too_long.as_str().to_owned(),
                chat_template: template.filter(|_| plan.has_chats),
                chat_template_kwargs: kwargs.filter(|_| plan.has_chats),
            },
            engine: self.engine(cell, model)?,
            reference: self.dataset.reference.clone(),
            begun_as: None,
            hashes: plan.hashes.clone(),
            parts: plan.parts.clone(),
        })
    }
}
