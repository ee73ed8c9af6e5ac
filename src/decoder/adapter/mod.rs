//! A LoRA adapter as PEFT saves it: what it adds to which of a model's linear maps.
//!
//! Owns the files of an adapter directory and how an adapter is attached to a model. It is never merged: the base is in
//! memory once, for itself and for all adapters. Pickle files and tensors that would stay unused are errors.

mod config;
mod part;
mod pattern;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde::Serialize;
use serde_json::Value;

use self::config::LoraConfig;
use self::part::{Kind, Name, Part};
use crate::decoder::checkpoint::Shard;
use crate::decoder::linear::{Linear, LowRank, round_to};
use crate::decoder::names::{EMBEDDING, HEAD};
use crate::decoder::weight::Weight;
use crate::decoder::{Body, DecoderSpec, Head};
use crate::error::{Error, Result};
use crate::python_json;

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

/// An open adapter directory. Holds a config and a header, no weights.
#[derive(Debug)]
pub struct Adapter {
    directory: PathBuf,
    config: LoraConfig,
    shard: Shard,
}

/// The model that a directory says it adds to, as `ID` or `ID@REVISION`, if the directory contains an adapter and no model;
/// the name is empty if its config does not say.
///
/// # Errors
/// A config that cannot be read.
pub fn base_of(directory: &Path) -> Result<Option<String>> {
    let path = directory.join(CONFIG);
    if directory.join("config.json").exists() || !path.is_file() {
        return Ok(None);
    }
    let config = python_json::object(&path)?;
    let text = |name: &str| config.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let base = text("base_model_name_or_path").unwrap_or_default();
    Ok(Some(match text("revision").filter(|_| !Path::new(base).exists()) {
        Some(revision) => format!("{base}@{revision}"),
        None => base.to_owned(),
    }))
}

/// What an adapter adds to, for people.
#[derive(Debug, Serialize)]
pub struct Targets {
    /// Linear maps and embeddings that it adds to.
    pub maps: usize,
    /// The last parts of their names, as `q_proj`.
    pub modules: BTreeSet<String>,
    /// The ranks of what it adds.
    pub ranks: BTreeSet<usize>,
}

impl Adapter {
    /// What it adds to in a model of this spec.
    ///
    /// # Errors
    /// As [`Adapter::join`].
    pub fn targets(&self, spec: &DecoderSpec) -> Result<Targets> {
        let parts = self.parts(spec)?;
        let last = |part: &Part| part.module.rsplit('.').next().unwrap_or_default().to_owned();
        Ok(Targets {
            maps: parts.len(),
            modules: parts.values().map(last).collect(),
            ranks: parts.values().map(|part| part.rank).collect(),
        })
    }

    /// Opens the directory.
    ///
    /// # Errors
    /// No config or no safetensors, a header that contradicts its file, another kind of adapter than plain LoRA.
    pub fn open(directory: &Path) -> Result<Self> {
        let path = directory.join(CONFIG);
        let config = LoraConfig::parse(&python_json::object(&path)?).map_err(|what| Error::file(&path, what))?;
        let weights = directory.join(WEIGHTS);
        if !weights.exists() {
            return Err(Error::file(directory, format!("no `{WEIGHTS}`: tokshift reads safetensors")));
        }
        Ok(Self { directory: directory.to_owned(), config, shard: Shard::open(weights)? })
    }

    /// The files that decide what it adds.
    pub fn files(&self) -> [PathBuf; 2] {
        [self.directory.join(CONFIG), self.shard.path.clone()]
    }

    /// Whether it adds to the head of a model of this spec.
    ///
    /// # Errors
    /// As [`Adapter::join`].
    pub fn is_on_head(&self, spec: &DecoderSpec) -> Result<bool> {
        Ok(self.parts(spec)?.contains_key(HEAD))
    }

    /// Copies of `body` and `head` with what the adapter adds, on `device`; all other weights are shared.
    ///
    /// # Errors
    /// A tensor that is no part of plain LoRA, or of a module that the model or the config does not have, or of another
    /// shape; one that lacks its other half, is cut short, or not finite; another embedding or head than the base's.
    pub fn join(&self, spec: &DecoderSpec, body: &Body, head: &Head, device: &Device) -> Result<(Body, Head)> {
        let mut parts = self.parts(spec)?;
        let (mut body, mut head) = (body.clone(), head.clone());
        self.reject_other_base(spec, &body, &head)?;
        if let Some(part) = parts.get_mut(EMBEDDING).filter(|part| part.kind == Kind::Embedding) {
            part.is_used = true;
            let [a, b] = part.names();
            let (vocab, hidden) = body.embedding().dims()?;
            let (a, b) = (self.tensor(&a, [part.rank, vocab])?, self.tensor(&b, [hidden, part.rank])?);
            body.embedding_mut().add(&a, &b, part.scale)?;
        }
        for linear in body.linears_mut().chain(head.linears_mut()) {
            if let Some(part) = parts.get_mut(&*linear.origin().module).filter(|part| part.kind == Kind::Linear) {
                part.is_used = true;
                self.add(part, linear, device)?;
            }
        }
        match parts.values().find(|part| !part.is_used) {
            Some(part) => Err(self.shard.reject(&part.names()[0], "is of a module that the model does not have")),
            None => Ok((body, head)),
        }
    }

    /// What is added, by the decoder's names of modules.
    fn parts(&self, spec: &DecoderSpec) -> Result<BTreeMap<String, Part>> {
        let mut parts = BTreeMap::new();
        for name in self.shard.metadata.offset_keys() {
            let reject = |what: &str| self.shard.reject(&name, what);
            let Some(Name { module, kind }) = part::parse(&name) else { return Err(reject(part::OTHERS)) };
            let Some(within) = spec.names.within(module) else {
                return Err(reject("is of a module that the model does not have"));
            };
            match kind {
                Kind::Base if [EMBEDDING, HEAD].contains(&within) => continue,
                Kind::Base => return Err(reject(part::OTHERS)),
                Kind::Linear | Kind::Embedding => {}
            }
            let (rank, scale) = self.config.of(module).map_err(|what| reject(&what))?;
            let part = Part { module: module.to_owned(), kind, rank, scale, is_used: false };
            let before = parts.insert(within.to_owned(), part);
            if before.is_some_and(|before| before.module != module || before.kind != kind) {
                return Err(reject("is of a module that another tensor calls by another name"));
            }
        }
        if parts.is_empty() {
            return Err(Error::file(&self.shard.path, "holds no tensors of LoRA: an adapter that adds nothing"));
        }
        Ok(parts)
    }

    /// PEFT saves embedding and head of the base along where they are targets or the vocabulary grew, and loading the adapter
    /// puts them in the place of the base's: they must be the base's own.
    fn reject_other_base(&self, spec: &DecoderSpec, body: &Body, head: &Head) -> Result<()> {
        for name in self.shard.metadata.offset_keys() {
            let Some(Name { module, kind: Kind::Base }) = part::parse(&name) else { continue };
            let is_head = spec.names.within(module) == Some(HEAD);
            let weight = if is_head { head.weight() } else { body.embedding() };
            if !self.is_copy(&name, weight)? {
                let what = "is not the base's own, in whose place PEFT puts it: merge the adapter (`merge_and_unload`), save \
                            the model and score that";
                return Err(self.shard.reject(&name, what));
            }
        }
        Ok(())
    }

    /// Whether tensor `name` is `weight`, in the type that the weight is held in.
    fn is_copy(&self, name: &str, weight: &Weight) -> Result<bool> {
        let (outputs, depth) = weight.dims()?;
        let Some(info) = self.shard.metadata.info(name).filter(|info| info.shape == [outputs, depth]) else {
            return Ok(false);
        };
        let saved = self.shard.read(name, info)?;
        let mut row = vec![0.0; depth];
        for output in 0..outputs {
            weight.row(output, &mut row)?;
            let saved = round_to(&saved.get(output)?.to_dtype(DType::F32)?, weight.dtype())?;
            if saved.to_vec1::<f32>()? != row {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn add(&self, part: &Part, linear: &mut Linear, device: &Device) -> Result<()> {
        let origin = linear.origin().clone();
        let (outputs, inputs) = linear.shape()?;
        let [a, b] = part.names();
        let a = self.tensor(&a, [part.rank, inputs])?.to_device(device)?;
        let b = self.tensor(&b, [origin.outputs, part.rank])?.to_device(device)?;
        Ok(linear.add(LowRank::new(&a, &b, part.scale)?.narrow(origin.first, outputs)?)?)
    }

    /// One half of a part, f32 on the CPU.
    fn tensor(&self, name: &str, shape: [usize; 2]) -> Result<Tensor> {
        let Some(info) = self.shard.metadata.info(name) else {
            return Err(self.shard.reject(name, "is missing, its other half is there"));
        };
        if info.shape != shape {
            let what = format!("has shape {:?}, model and config ask for {shape:?}", info.shape);
            return Err(self.shard.reject(name, &what));
        }
        Ok(self.shard.read(name, info)?.to_dtype(DType::F32)?)
    }
}
