//! The models of a file of experiments, each opened once however many experiments name it.
//!
//! Owns which cells share a model in memory: those that would load the same. Not here: loading (`models`).

use std::rc::Rc;

use super::models::{EngineChoice, Model};
use super::named::NamedModel;
use crate::engine::local_source::Resident;
use crate::experiments::{self, DtypeChoice};

/// What decides what is in memory.
#[derive(PartialEq, Eq)]
struct Key {
    /// Only the stand-in's numbers depend on it.
    name: Option<String>,
    source: String,
    dtype: DtypeChoice,
    device: String,
    top_k: usize,
    batch_tokens: usize,
    keep_hidden: bool,
    /// Whether it hands out hidden states for a comparison that follows.
    is_compared: bool,
}

/// A model that was looked for.
pub struct Opened {
    key: Key,
    /// Where its files are, or why they cannot be had.
    pub named: Result<NamedModel, String>,
    /// The model, or why it cannot be used.
    pub model: Result<Model, String>,
}

impl Opened {
    /// Whether it was opened from `source`.
    pub fn is_from(&self, source: &str) -> bool {
        self.key.source == source
    }
}

/// All that were looked for.
pub struct Models {
    engine: EngineChoice,
    resident: Rc<Resident>,
    pub opened: Vec<Opened>,
}

impl Models {
    pub fn new(engine: EngineChoice) -> Self {
        Self { engine, resident: Rc::default(), opened: Vec::new() }
    }

    /// The place of a model in [`Self::opened`]; it is fetched if need be. `has_adapters` says whether a model of its
    /// experiment is an adapter, `is_compared` whether its models are compared exactly afterwards.
    pub fn open(&mut self, model: &experiments::Model, has_adapters: bool, is_compared: bool) -> usize {
        let options = &model.options.clone().for_adapters(has_adapters);
        let key = Key {
            name: (self.engine == EngineChoice::Mock).then(|| model.name.clone()),
            source: model.source.clone(),
            dtype: options.dtype(),
            device: options.device().to_owned(),
            top_k: options.top_k(),
            batch_tokens: options.batch_tokens(),
            keep_hidden: options.keeps_hidden(),
            is_compared,
        };
        if let Some(place) = self.opened.iter().position(|opened| opened.key == key) {
            return place;
        }
        let named = NamedModel::find(model.name.clone(), &model.source).map_err(|e| e.to_string());
        let open = |named| {
            let model = Model::open(named, options, self.engine, &self.resident);
            let model = if is_compared { model.and_then(Model::with_temporary_hidden) } else { model };
            model.map_err(|e| e.to_string())
        };
        let opened = named.clone().and_then(open);
        self.opened.push(Opened { key, named, model: opened });
        self.opened.len() - 1
    }
}
