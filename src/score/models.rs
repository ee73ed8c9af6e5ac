//! Models that can be loaded.
//!
//! Owns everything of a model that can be known before it is in memory, as options say it is run. Not here: datasets, and
//! the content of a model's files (its [`EngineSource`] knows it).

use std::cell::OnceCell;
use std::rc::Rc;

use candle_core::{DType, Device};

use super::named::NamedModel;
use crate::engine::local_source::{LocalRequest, LocalSource, Resident};
use crate::engine::logits_file::LogitsSource;
use crate::engine::mock::MockSource;
use crate::engine::source::{EngineSource, Facts};
use crate::engine::{Engine, RANK_STRICT};
use crate::error::{Error, Result};
use crate::experiments::{DtypeChoice, Options};
use crate::hidden;
use crate::llama_logits::is_logits_file;
use crate::store::EngineFacts;

/// What scores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// The decoder on this machine.
    #[default]
    Local,
    /// A stand-in with made-up numbers, for trying out what surrounds a model: it needs no weights.
    Mock,
}

/// A model whose files were looked at, so that what is wrong shows before anything is scored.
pub struct Model {
    /// Name and source.
    pub named: NamedModel,
    source: Box<dyn EngineSource>,
    keep_hidden: bool,
    /// Hidden states are temporary: written for the comparison that follows, and in no manifest.
    keeps_temporary: bool,
    facts: OnceCell<EngineFacts>,
}

impl Model {
    /// Reads the headers of a model's files. Models of one `resident` share the weights of a base that they have in
    /// common, where one follows the other.
    ///
    /// # Errors
    /// Files that are no model, or that do not fit the options.
    pub fn open(named: NamedModel, options: &Options, engine: EngineChoice, resident: &Rc<Resident>) -> Result<Self> {
        let device = device(options.device())?;
        let source: Box<dyn EngineSource> = match engine {
            EngineChoice::Mock => Box::new(MockSource::new(&named.name, options.top_k())),
            EngineChoice::Local if is_logits_file(&named.path) => {
                Box::new(LogitsSource::open(&named.path, options.top_k())?)
            }
            EngineChoice::Local => {
                let NamedModel { name, path, adapter } = named.clone();
                let dtype = match options.dtype() {
                    DtypeChoice::Auto => None,
                    DtypeChoice::F32 => Some(DType::F32),
                    DtypeChoice::Bf16 => Some(DType::BF16),
                };
                let (batch_tokens, top_k) = (options.batch_tokens(), options.top_k());
                let request = LocalRequest { name, path, adapter, dtype, device, batch_tokens, top_k };
                Box::new(LocalSource::open(request, Rc::clone(resident))?)
            }
        };
        let keep_hidden = options.keeps_hidden();
        if keep_hidden {
            source.hidden_shape().map_err(|why| Error::usage(format!("--keep-hidden: {why}")))?;
        }
        Ok(Self { named, source, keep_hidden, keeps_temporary: false, facts: OnceCell::new() })
    }

    /// The same model, which hands out hidden states too.
    ///
    /// # Errors
    /// [`Error::Usage`] for one that has none, or whose adapter is on the head, of which they know nothing.
    pub fn with_temporary_hidden(self) -> Result<Self> {
        let name = &self.named.name;
        self.source.hidden_shape().map_err(|why| Error::usage(format!("--exact: {why}")))?;
        if self.source.adapts_head()? {
            return Err(Error::usage(format!(
                "the adapter of `{name}` is on the head: --exact cannot compute what it adds there"
            )));
        }
        Ok(Self { keeps_temporary: true, ..self })
    }

    /// Whether it hands out hidden states that its manifest does not speak of.
    pub fn keeps_temporary(&self) -> bool {
        self.keeps_temporary
    }

    /// Of the hidden states that it can hand out.
    pub fn hidden_shape(&self) -> Option<hidden::Shape> {
        self.source.hidden_shape().ok()
    }

    /// Whether its numbers are read from a logits file of llama.cpp, which has ids and no tokenizer.
    pub fn is_logits_file(&self) -> bool {
        is_logits_file(&self.named.path)
    }

    /// Longest sample in tokens that it takes.
    pub fn max_tokens(&self) -> usize {
        self.source.max_tokens()
    }

    /// Ids that it has logits of; `None` where they have no end.
    pub fn vocab(&self) -> Option<usize> {
        self.source.vocab()
    }

    /// The model in memory.
    ///
    /// # Errors
    /// As [`EngineSource::load`].
    pub fn load(&self) -> Result<Box<dyn Engine>> {
        self.source.load(self.keep_hidden || self.keeps_temporary)
    }

    /// What of it decides the numbers. Reads every byte of it, once.
    ///
    /// # Errors
    /// As [`EngineSource::facts`].
    pub fn facts(&self) -> Result<&EngineFacts> {
        if let Some(facts) = self.facts.get() {
            return Ok(facts);
        }
        let Facts { engine, files, dtype, device, arithmetic, top_k } = self.source.facts()?;
        let facts = EngineFacts {
            name: engine.to_owned(),
            files,
            dtype: dtype.to_owned(),
            device: device.to_owned(),
            arithmetic,
            top_k,
            vocab: self.vocab(),
            vocabulary: None,
            other_texts: Vec::new(),
            chat_template: None,
            tokenizer: None,
            source: None,
            rank_rule: RANK_STRICT.to_owned(),
            keep_hidden: self.hidden_shape().filter(|_| self.keep_hidden),
        };
        Ok(self.facts.get_or_init(|| facts))
    }
}

/// What `--device` names.
fn device(text: &str) -> Result<Device> {
    let cuda = |index: &str| {
        let index = index.parse().map_err(|e| Error::usage(format!("--device {text}: expected cuda:N: {e}")))?;
        if !cfg!(feature = "cuda") {
            let what = "this program is built for CPUs: build it with `cargo build --release --features cuda`, which needs \
                        NVIDIA's CUDA toolkit (nvcc)";
            return Err(Error::usage(format!("--device {text}: {what}")));
        }
        Device::new_cuda(index).map_err(|e| Error::usage(format!("--device {text}: {e}")))
    };
    match text.split_once(':') {
        None if text == "cpu" => Ok(Device::Cpu),
        None if text == "cuda" => cuda("0"),
        Some(("cuda", index)) => cuda(index),
        _ => Err(Error::usage(format!("--device {text}: expected cpu, cuda or cuda:N"))),
    }
}
