//! From options to cells: what `score` decides once and `run` many times.
//!
//! Owns how rows become ids for a set of models, and the manifests that follow. Refuses to choose what is scored with
//! what, and to score.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use super::inputs::{self, Dataset};
use super::models::Model;
use super::progress;
use super::vocabularies::{self, Refused, Vocabularies};
use crate::experiments::{Options, OutFormat};
use crate::journal::Journal;
use crate::store::{Cell, CellStore, DatasetFacts, EngineFacts, FoundCell, Manifest, OWN, Store, TokenFacts};
use crate::table::Format;
use crate::template::{self, ChatTemplate};
use crate::tokenize::{SampleOptions, TextTokenizer};
use crate::{schema, study};

/// An output directory that is written to.
pub struct Output {
    pub root: PathBuf,
    pub store: Store,
    pub journal: Journal,
}

impl Output {
    pub fn open(root: &Path) -> Result<Self> {
        Ok(Self { root: root.to_owned(), store: Store::open(root)?, journal: Journal::new(root) })
    }

    /// Writes the study's file of a cell.
    pub fn export(&self, found: &FoundCell) -> Result<()> {
        progress::say(&format!("wrote {}", study::export(&self.store, found)?.display()));
        Ok(())
    }
}

/// How rows become ids and tables, the same for all models that are compared.
pub struct Session {
    pub options: Options,
    pub tokenizer: TextTokenizer,
    pub sample_options: SampleOptions,
    /// What is known of the models' own tokenizers.
    vocabularies: Vocabularies,
    /// Where the tokenizer is.
    path: PathBuf,
}

impl Session {
    /// Of `models`, with the tokenizer at a path.
    ///
    /// # Errors
    /// A model of another vocabulary, beside what is wrong with the options.
    pub fn new(options: &Options, models: &[&Model], tokenizer: &Path) -> Result<Self> {
        let (session, refused) = Self::of_those_that_fit(options, models, tokenizer)?;
        refused.into_iter().next().map_or(Ok(session), |(_, why)| Err(why))
    }

    /// The same without the models of another vocabulary, which it names.
    ///
    /// # Errors
    /// No model fits, beside what is wrong with the options.
    pub fn of_those_that_fit<'a>(
        options: &Options,
        models: &[&'a Model],
        path: &Path,
    ) -> Result<(Self, Vec<Refused<'a>>)> {
        let template = if options.has_own_templates() { None } else { inputs::chat_template_of(options, path)? };
        let tokenizer = read_tokenizer(options, path)?.with_template(template);
        tokenizer.notes().for_each(|note| progress::say_once(&format!("warning: `{}`: {note}", path.display())));
        let (vocabularies, refused) = vocabularies::compare(models, path, &tokenizer);
        let fits = |model: &&&Model| !refused.iter().any(|(unfit, _)| std::ptr::eq(*unfit, **model));
        let models: &[&Model] = &models.iter().filter(fits).copied().collect::<Vec<_>>();
        if let (true, Some((_, why))) = (models.is_empty(), refused.first()) {
            bail!("{why}");
        }
        let tokenizer = tokenizer.with_renamed(vocabularies.values().flat_map(|own| own.other_texts.clone()));
        let max_tokens = models.iter().map(|model| model.max_tokens()).min().context("no model is given")?;
        let sample_options = SampleOptions {
            boundary: options.boundary(),
            end: inputs::end_token(options.end(), models, path)?,
            max_tokens,
            too_long: options.too_long(),
        };
        tracing::debug!(tokenizer = %path.display(), ?sample_options, "ids");
        let (options, path) = (options.clone(), path.to_owned());
        Ok((Self { options, tokenizer, sample_options, vocabularies, path }, refused))
    }

    /// The chat template that a model reads by itself.
    fn own_template(&self, model: &Model) -> Result<Option<ChatTemplate>> {
        if !self.options.has_own_templates() {
            return Ok(None);
        }
        let Some(template) = ChatTemplate::of_model(&model.named.path)? else {
            bail!("{}", no_own_template(&model.named.name));
        };
        let kwargs = self.options.chat_template_kwargs.clone().unwrap_or_default();
        Ok(Some(template.with_date(self.options.chat_date.unwrap_or(template::DATE)).with_kwargs(kwargs)))
    }

    /// The tokenizer with the model's own chat template, where that is not the same for all models. What the template writes
    /// before a response is read by the model's own tokenizer, if it has one: it may call special tokens otherwise. Responses
    /// are read by the one of all models, so that their ids are the same.
    ///
    /// # Errors
    /// The model has no template, or its tokenizer cannot be read.
    pub fn own_tokenizer(&self, model: &Model) -> Result<Option<TextTokenizer>> {
        let Some(template) = self.own_template(model)? else { return Ok(None) };
        let tokenizer = read_tokenizer(&self.options, &self.path)?;
        let own = self.own_prompts(model).map(|own| TextTokenizer::from_file(&own)).transpose()?;
        Ok(Some(tokenizer.with_template(Some(template)).with_prompts_by(own)))
    }

    /// The tokenizer that reads what a model's own template writes, where that is not the one of all models.
    fn own_prompts(&self, model: &Model) -> Option<PathBuf> {
        let own = inputs::tokenizer_of(&model.named.path);
        (self.options.has_own_templates() && own.is_file() && own != self.path).then_some(own)
    }

    /// Identity of the tokenizer that reads a model's prompts, where each model has its own template.
    fn identity_of_own(&self, model: &Model) -> Result<Option<String>> {
        if !self.options.has_own_templates() {
            return Ok(None);
        }
        Ok(Some(match self.own_prompts(model) {
            Some(own) => TextTokenizer::from_file(&own)?.identity().to_owned(),
            None => self.tokenizer.identity().to_owned(),
        }))
    }

    /// Longest sample that every model takes, unless earlier runs over the text settled another.
    pub fn max_tokens(&self) -> usize {
        self.sample_options.max_tokens
    }

    /// Whether texts of both can go through the pipeline together.
    pub fn goes_with(&self, other: &Self) -> bool {
        let template = |session: &Self| session.tokenizer.template().map(ChatTemplate::identity);
        self.tokenizer.identity() == other.tokenizer.identity()
            && self.tokenizer.prefix() == other.tokenizer.prefix()
            && template(self) == template(other)
            && self.options.chat_template_kwargs == other.options.chat_template_kwargs
            && self.options.has_own_templates() == other.options.has_own_templates()
            && self.options.chat_date == other.options.chat_date
            && self.sample_options == other.sample_options
            && self.options.fails_on_bad_row() == other.options.fails_on_bad_row()
    }
}

/// That a model has none, though each is to read its own.
pub fn no_own_template(model: &str) -> String {
    format!("`{model}` has no chat template: --template own needs one of every model")
}

fn read_tokenizer(options: &Options, path: &Path) -> Result<TextTokenizer> {
    let tokenizer = TextTokenizer::from_file(path)?.with_bos(options.bos());
    tokenizer.map_err(|e| anyhow!("--bos always: `{}`: {e}", path.display()))
}

/// What tables are written as.
pub fn format(options: &Options) -> Format {
    match options.out() {
        OutFormat::Parquet | OutFormat::TokenLosses => Format::Parquet,
        OutFormat::Jsonl => Format::Jsonl,
    }
}

/// A dataset for a model.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    pub session: &'a Session,
    pub output: &'a Output,
    pub dataset: &'a Dataset,
    /// What the model is called beside this dataset.
    pub model: &'a str,
    /// Parts that are scored though they are done.
    pub again: &'a BTreeSet<u32>,
}

/// No part is scored again.
pub static NONE: BTreeSet<u32> = BTreeSet::new();

impl Text<'_> {
    pub fn cell(&self) -> Cell {
        let Dataset { generation_model, task, .. } = self.dataset;
        Cell { generation_model: generation_model.clone(), task: task.clone(), model: self.model.to_owned() }
    }

    /// The store of the cell, if nothing there was decided otherwise. What earlier runs settled as the longest sample stays so.
    pub fn open(&self, model: &Model) -> Result<CellStore> {
        let cell = self.cell();
        let store = self.output.store.cell(&cell, &self.manifest(&cell, model)?, format(&self.session.options))?;
        Ok(if model.lends() { store.lending() } else { store })
    }

    /// What scores the cell. A model that lends hidden rows goes on keeping those of a cell that was begun so, and a cell of
    /// which nobody said how products were summed is continued without a word of it.
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
        if model.lends() && earlier.engine.keep_hidden.is_some() {
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
        if plan.has_chats && template.is_none() {
            bail!("`{}` has rows of messages: give --chat-template", plan.path.display());
        }
        Ok(Manifest {
            format_version: schema::FORMAT_VERSION,
            generation_model: cell.generation_model.clone(),
            task: cell.task.clone(),
            model: cell.model.clone(),
            out: format(&self.session.options).extension().to_owned(),
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
            parts: plan.parts.clone(),
        })
    }
}
