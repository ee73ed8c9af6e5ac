//! What models that are compared have in common: how rows become ids, and where tables go.
//!
//! Owns the one tokenizer with its chat template, end token and longest sample. Not here: choosing what is scored with
//! what, and scoring.

use std::path::{Path, PathBuf};

use super::inputs;
use super::models::Model;
use super::named::tokenizer_of;
use super::vocabularies::{self, Rejected, Vocabularies};
use super::watch::{Event, Watch};
use crate::dataset::Plan;
use crate::error::{Error, Result};
use crate::experiments::Options;
use crate::run_log::RunLog;
use crate::store::{FoundCell, Store};
use crate::study;
use crate::template::{self, ChatTemplate};
use crate::tokenize::{SampleOptions, TextTokenizer};

/// An output directory that is written to.
pub struct Output {
    /// The output directory.
    pub root: PathBuf,
    /// Its store.
    pub store: Store,
    /// Its run log.
    pub run_log: RunLog,
}

impl Output {
    /// Creates the directory if need be.
    ///
    /// # Errors
    /// It cannot be written to.
    pub fn open(root: &Path) -> Result<Self> {
        Ok(Self { root: root.to_owned(), store: Store::open(root)?, run_log: RunLog::new(root) })
    }

    /// Writes the study's file of a cell.
    ///
    /// # Errors
    /// As [`study::export`].
    pub fn export(&self, found: &FoundCell, watch: &dyn Watch) -> Result<()> {
        watch.event(&Event::Exported(&study::export(&self.store, found)?));
        Ok(())
    }
}

/// How rows become ids and tables, the same for all models that are compared.
pub struct Session {
    /// Scoring options.
    pub options: Options,
    /// Makes the token ids for all models.
    pub tokenizer: TextTokenizer,
    /// How samples are made.
    pub sample_options: SampleOptions,
    /// What is known of the models' own tokenizers.
    pub(super) vocabularies: Vocabularies,
    /// Where the tokenizer is.
    path: PathBuf,
}

impl Session {
    /// Of `models`, at least one, with the tokenizer at a path.
    ///
    /// # Errors
    /// A model of another vocabulary; a tokenizer, chat template or end token that cannot be had.
    pub fn new(options: &Options, models: &[&Model], tokenizer: &Path, watch: &dyn Watch) -> Result<Self> {
        let (session, rejected) = Self::of_those_that_fit(options, models, tokenizer, watch)?;
        rejected.into_iter().next().map_or(Ok(session), |(_, why)| Err(why))
    }

    /// The same without the models of another vocabulary, which it names.
    ///
    /// # Errors
    /// No model fits; a tokenizer, chat template or end token that cannot be had.
    pub fn of_those_that_fit<'a>(
        options: &Options,
        models: &[&'a Model],
        path: &Path,
        watch: &dyn Watch,
    ) -> Result<(Self, Vec<Rejected<'a>>)> {
        let template = if options.has_own_templates() { None } else { inputs::chat_template_of(options, path, watch)? };
        let tokenizer = read_tokenizer(options, path)?.with_template(template);
        let warn = |of: &Path, note: &str| watch.event(&Event::Warning(&format!("`{}`: {note}", of.display())));
        tokenizer.notes().for_each(|note| warn(path, note));
        tokenizer.template().into_iter().flat_map(ChatTemplate::notes).for_each(|note| warn(path, &note));
        for model in models.iter().filter(|_| options.has_own_templates()) {
            // What cannot be read is an error where it is needed.
            let own = ChatTemplate::of_model(&model.named.path).ok().flatten();
            own.iter().flat_map(ChatTemplate::notes).for_each(|note| warn(&model.named.path, &note));
        }
        let (vocabularies, mut rejected) = vocabularies::compare(models, path, &tokenizer, watch);
        let fits = |model: &&&Model| !rejected.iter().any(|(unfit, _)| std::ptr::eq(*unfit, **model));
        let models: &[&Model] = &models.iter().filter(fits).copied().collect::<Vec<_>>();
        if models.is_empty() && !rejected.is_empty() {
            return Err(rejected.swap_remove(0).1);
        }
        let tokenizer = tokenizer.with_renamed(vocabularies.values().flat_map(|own| own.other_texts.clone()));
        let max_tokens = models.iter().map(|model| model.max_tokens()).min();
        let max_tokens = max_tokens.ok_or_else(|| Error::usage("no model is given"))?;
        let sample_options = SampleOptions {
            boundary: options.boundary(),
            end: inputs::end_token(options.end(), models, path)?,
            max_tokens,
            too_long: options.too_long(),
        };
        tracing::debug!(tokenizer = %path.display(), ?sample_options, "ids");
        let (options, path) = (options.clone(), path.to_owned());
        Ok((Self { options, tokenizer, sample_options, vocabularies, path }, rejected))
    }

    /// Where the tokenizer is that makes the ids.
    pub fn tokenizer_path(&self) -> &Path {
        &self.path
    }

    /// # Errors
    /// [`Error::Usage`] if the rows are messages and nothing renders them for the model.
    pub fn must_render(&self, model: &Model, plan: &Plan) -> Result<()> {
        let own = if plan.has_chats { self.own_template(model)? } else { None };
        if !plan.has_chats || self.options.has_own_templates() || own.is_some() || self.tokenizer.template().is_some() {
            return Ok(());
        }
        let path = plan.path.display();
        Err(Error::usage(format!("`{path}` has rows of messages: use --chat-template")))
    }

    /// The chat template that a model reads by itself.
    pub(super) fn own_template(&self, model: &Model) -> Result<Option<ChatTemplate>> {
        if !self.options.has_own_templates() {
            return Ok(None);
        }
        let Some(template) = ChatTemplate::of_model(&model.named.path)? else {
            return Err(Error::usage(no_own_template(&model.named.name)));
        };
        let kwargs = self.options.chat_template_kwargs.clone().unwrap_or_default();
        Ok(Some(template.with_date(self.options.chat_date.unwrap_or(template::DATE)).with_kwargs(kwargs)))
    }

    /// The tokenizer with the model's own chat template, where that is not the same for all models. What the template
    /// writes before a response is read by the model's own tokenizer, if it has one: it may call special tokens
    /// otherwise. Responses are read by the one of all models, so that their ids are the same.
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
        let own = tokenizer_of(&model.named.path);
        (self.options.has_own_templates() && own.is_file() && own != self.path).then_some(own)
    }

    /// Identity of the tokenizer that reads a model's prompts, where each model has its own template.
    pub(super) fn identity_of_own(&self, model: &Model) -> Result<Option<String>> {
        if !self.options.has_own_templates() {
            return Ok(None);
        }
        Ok(Some(match self.own_prompts(model) {
            Some(own) => TextTokenizer::from_file(&own)?.identity().to_owned(),
            None => self.tokenizer.identity().to_owned(),
        }))
    }

    /// Longest sample that fits into every model, unless earlier runs over the response set fixed another limit.
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
            && self.options.fails_on_unreadable_row() == other.options.fails_on_unreadable_row()
    }
}

/// That a model has none, though each is to read its own.
pub fn no_own_template(model: &str) -> String {
    format!("`{model}` has no chat template: --template own needs one of every model")
}

fn read_tokenizer(options: &Options, path: &Path) -> Result<TextTokenizer> {
    let tokenizer = TextTokenizer::from_file(path)?.with_bos(options.bos());
    tokenizer.map_err(|e| Error::usage(format!("--bos always: `{}`: {e}", path.display())))
}
