//! Models: what each is, and how it is run.
//!
//! Owns everything of a model that can be known before it is in memory, and loading it. Refuses datasets, and names as people
//! type them: [`super::named`] reads those.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use anyhow::{Result, bail};
use candle_core::{DType, Device, DeviceLocation};

use super::args::EngineArg;
use super::inputs;
use super::named::NamedModel;
use crate::decoder::{Adapter, Checkpoint, Form};
use crate::digest::{self, Fingerprint};
use crate::engine::local::{Local, LocalOptions};
use crate::engine::mock::Mock;
use crate::engine::{Engine, RANK_STRICT};
use crate::experiments::{DtypeChoice, Options};
use crate::store::EngineFacts;
use crate::{gguf, hidden};

/// What the names of an adapter's files begin with in a manifest.
pub const ADAPTER_FOLDER: &str = "adapter/";
/// Context of the stand-in engine, which has no model to ask.
const MOCK_CONTEXT: usize = 1 << 20;

/// A model whose files were looked at, so that what is wrong shows before anything is scored.
pub struct Model {
    pub named: NamedModel,
    /// `None` for the stand-in engine.
    checkpoint: Option<Checkpoint>,
    adapter: Option<Adapter>,
    /// Every file of both, as it was when its header was read.
    files: Vec<(PathBuf, Fingerprint)>,
    device: Device,
    dtype: DType,
    top_k: usize,
    batch_tokens: usize,
    keep_hidden: bool,
    /// Hidden rows are made for a comparison that follows at once, and no manifest speaks of them.
    lends: bool,
    facts: OnceCell<EngineFacts>,
}

impl Model {
    pub fn open(named: NamedModel, options: &Options, engine: EngineArg) -> Result<Self> {
        let device = inputs::device(options.device())?;
        let checkpoint = match engine {
            EngineArg::Local => Some(Checkpoint::open(&named.path)?),
            EngineArg::Mock => None,
        };
        let adapter = match (&checkpoint, &named.adapter) {
            (Some(_), Some(_)) if gguf::is_gguf(&named.path) => {
                bail!(
                    "`{}`: adapters name weights as Hugging Face does: give their base as safetensors",
                    named.path.display()
                )
            }
            (Some(_), Some(directory)) => Some(Adapter::open(directory)?),
            (Some(_), None) if named.path.join("adapter_config.json").exists() => {
                let path = named.path.display();
                bail!(
                    "`{path}` holds an adapter (adapter_config.json) beside the model's weights, and transformers loads both:                      give `{path}+{path}` for the model with it, or move it away"
                )
            }
            _ => None,
        };
        let dtype = match options.dtype() {
            DtypeChoice::Auto => checkpoint.as_ref().map_or(DType::F32, Checkpoint::stored_dtype),
            DtypeChoice::F32 => DType::F32,
            DtypeChoice::Bf16 => DType::BF16,
        };
        if let (DtypeChoice::Auto, Some(checkpoint)) = (options.dtype(), &checkpoint) {
            let why = checkpoint.why_stored_dtype();
            tracing::info!(model = named.name, dtype = dtype.as_str(), "{why}");
        }
        let (top_k, batch_tokens, keep_hidden) = (options.top_k(), options.batch_tokens(), options.keeps_hidden());
        if keep_hidden && checkpoint.is_none() {
            bail!("--keep-hidden: the stand-in engine has no hidden rows");
        }
        let paths = checkpoint.iter().flat_map(Checkpoint::files).chain(adapter.iter().flat_map(Adapter::files));
        let files = paths.map(|path| Fingerprint::of(&path).map(|was| (path, was))).collect::<Result<_, _>>()?;
        let facts = OnceCell::new();
        Ok(Self {
            named,
            checkpoint,
            adapter,
            files,
            device,
            dtype,
            top_k,
            batch_tokens,
            keep_hidden,
            lends: false,
            facts,
        })
    }

    /// The same model, which hands out hidden rows too.
    ///
    /// # Errors
    /// One that has none, or whose adapter is on the head, of which they know nothing.
    pub fn lending(self) -> Result<Self> {
        let name = &self.named.name;
        let Some(checkpoint) = &self.checkpoint else { bail!("--exact: the stand-in engine has no hidden rows") };
        if self.adapter.as_ref().map_or(Ok(false), |adapter| adapter.is_on_head(checkpoint.spec()))? {
            bail!("the adapter of `{name}` is on the head: --exact cannot compute what it adds there");
        }
        Ok(Self { lends: true, ..self })
    }

    pub fn lends(&self) -> bool {
        self.lends
    }

    /// Of the hidden rows that it can hand out.
    pub fn hidden_shape(&self) -> Option<hidden::Shape> {
        self.checkpoint.as_ref().map(|checkpoint| checkpoint.spec().hidden_shape(self.dtype))
    }

    pub fn max_tokens(&self) -> usize {
        self.checkpoint.as_ref().map_or(MOCK_CONTEXT, |checkpoint| checkpoint.spec().max_tokens)
    }

    /// Ids that it has logits of; the stand-in's have no end.
    pub fn vocab(&self) -> Option<usize> {
        self.checkpoint.as_ref().map(|checkpoint| checkpoint.spec().vocab)
    }

    /// The model in memory, on the base that is `resident` if it is the same.
    pub fn load(&self, resident: &Resident) -> Result<Box<dyn Engine>> {
        let name = self.named.name.clone();
        let Some(checkpoint) = &self.checkpoint else {
            return Ok(Box::new(Mock::new(&name, self.top_k)));
        };
        let options = LocalOptions {
            name,
            dtype: self.dtype,
            device: self.device.clone(),
            batch_tokens: self.batch_tokens,
            top_k: self.top_k,
            keep_hidden: self.keep_hidden || self.lends,
        };
        let key = (self.named.path.clone(), self.dtype, self.device.location());
        let base = resident.base(key, || Local::load(checkpoint, options.clone()))?;
        let engine = base.sharing(self.adapter.as_ref(), options)?;
        self.check_unchanged()?;
        Ok(Box::new(engine))
    }

    /// Configs and headers are read when a model is opened, all of its files to name it, weights when it is loaded; all
    /// must be of the same files, or numbers would stand under another model's name.
    fn check_unchanged(&self) -> Result<()> {
        for (path, was) in &self.files {
            if Fingerprint::of(path)? != *was {
                bail!("`{}` changed while the run was going on: run again", path.display());
            }
        }
        Ok(())
    }

    /// What of it decides the numbers. Reads every byte of it, once.
    pub fn facts(&self) -> Result<&EngineFacts> {
        if let Some(facts) = self.facts.get() {
            return Ok(facts);
        }
        let facts = self.read_facts()?;
        Ok(self.facts.get_or_init(|| facts))
    }

    fn read_facts(&self) -> Result<EngineFacts> {
        let rank_rule = RANK_STRICT.to_owned();
        let Some(checkpoint) = &self.checkpoint else {
            let (name, dtype, device) = ("mock".to_owned(), "f32".to_owned(), "cpu".to_owned());
            let (files, arithmetic, top_k, vocab, keep_hidden) = (BTreeMap::new(), None, self.top_k, None, None);
            let (vocabulary, other_texts) = (None, Vec::new());
            return Ok(EngineFacts {
                name,
                files,
                dtype,
                device,
                arithmetic,
                top_k,
                vocab,
                vocabulary,
                other_texts,
                chat_template: None,
                tokenizer: None,
                rank_rule,
                keep_hidden,
            });
        };
        let hashed = |folder: &str, path: PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            Ok((format!("{folder}{name}"), digest::file(&path)?))
        };
        let base = checkpoint.files().into_iter().map(|path| hashed("", path));
        let adapter = self.adapter.iter().flat_map(Adapter::files).map(|path| hashed(ADAPTER_FOLDER, path));
        let files = base.chain(adapter).collect::<Result<_>>()?;
        self.check_unchanged()?;
        Ok(EngineFacts {
            name: "local".to_owned(),
            files,
            dtype: self.dtype.as_str().to_owned(),
            device: if self.device.is_cpu() { "cpu" } else { "cuda" }.to_owned(),
            arithmetic: Form::of(&self.device)?.arithmetic(self.dtype).map(str::to_owned),
            top_k: self.top_k.min(checkpoint.spec().vocab),
            vocab: Some(checkpoint.spec().vocab),
            vocabulary: None,
            other_texts: Vec::new(),
            chat_template: None,
            tokenizer: None,
            rank_rule,
            keep_hidden: self.hidden_shape().filter(|_| self.keep_hidden),
        })
    }
}

/// What decides a base's weights in memory: directory, dtype, device.
type BaseKey = (PathBuf, DType, DeviceLocation);

/// The base that was loaded last: models that follow one another share it.
#[derive(Default)]
pub struct Resident {
    base: RefCell<Option<(BaseKey, Rc<Local>)>>,
}

impl Resident {
    /// The base of `key`; another one makes room before it is loaded.
    fn base(&self, key: BaseKey, load: impl FnOnce() -> crate::Result<Local>) -> crate::Result<Rc<Local>> {
        let mut base = self.base.borrow_mut();
        if let Some((_, base)) = base.as_ref().filter(|(there, _)| *there == key) {
            tracing::info!(base = %key.0.display(), "shares weights");
            return Ok(Rc::clone(base));
        }
        *base = None;
        let loaded = Rc::new(load()?);
        *base = Some((key, Rc::clone(&loaded)));
        Ok(loaded)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Numbers never stand under the hashes of another model.
    #[test]
    fn a_model_that_changes_after_it_was_opened_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["config.json", "model.safetensors"] {
            fs::copy(Path::new("tests/fixtures/models/qwen3-tied").join(file), folder.path().join(file)).unwrap();
        }
        let open = || {
            let named = NamedModel { name: "m".to_owned(), path: folder.path().to_owned(), adapter: None };
            Model::open(named, &Options::default(), EngineArg::Local).unwrap()
        };
        let replaced = |file: &str| {
            let path = folder.path().join(file);
            fs::copy(&path, path.with_extension("new")).unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        };
        for file in ["config.json", "model.safetensors"] {
            let (before_hashing, before_loading) = (open(), open());
            before_loading.facts().unwrap();
            replaced(file);
            let told = [before_hashing.facts().err(), before_loading.load(&Resident::default()).err()];
            assert!(
                told.iter().all(|e| e.as_ref().unwrap().to_string().contains("changed while the run was going on"))
            );
            open().load(&Resident::default()).unwrap();
        }
    }
}
