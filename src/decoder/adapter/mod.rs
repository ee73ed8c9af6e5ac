//! A LoRA adapter as PEFT saves it: what it adds to which of a model's linear maps.
//!
//! Owns the files of an adapter directory and how they name weights. Refuses to merge (the base stays what it is, held
//! once for itself and every model tuned from it), pickle, and any tensor that would go unused.

mod config;
mod pattern;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};

use self::config::LoraConfig;
use crate::decoder::checkpoint::Shard;
use crate::decoder::linear::{Linear, LowRank};
use crate::decoder::names::HEAD;
use crate::decoder::{Body, DecoderSpec, Head};
use crate::error::{Error, Result};
use crate::python_json;

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
/// What PEFT puts before a module's own name.
const PREFIX: &str = "base_model.model.";
const A: &str = ".lora_A.weight";
const B: &str = ".lora_B.weight";

/// An open adapter directory. Holds a config and a header, no weights.
#[derive(Debug)]
pub struct Adapter {
    directory: PathBuf,
    config: LoraConfig,
    shard: Shard,
}

impl Adapter {
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
    /// shape; one that lacks its other half, is cut short, or not finite.
    pub fn join(&self, spec: &DecoderSpec, body: &Body, head: &Head, device: &Device) -> Result<(Body, Head)> {
        let mut parts = self.parts(spec)?;
        let (mut body, mut head) = (body.clone(), head.clone());
        for linear in body.linears_mut().chain(head.linears_mut()) {
            if let Some(part) = parts.get_mut(&*linear.origin().module) {
                part.is_used = true;
                self.add(part, linear, device)?;
            }
        }
        match parts.values().find(|part| !part.is_used) {
            Some(part) => Err(self.refuse(&part.module, A, "is of a module that the model does not have")),
            None => Ok((body, head)),
        }
    }

    /// What is there, by the decoder's names of modules.
    fn parts(&self, spec: &DecoderSpec) -> Result<BTreeMap<String, Part>> {
        let mut parts = BTreeMap::new();
        for name in self.shard.metadata.offset_keys() {
            let named = |suffix| name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(suffix));
            let Some(module) = named(A).or_else(|| named(B)) else {
                let what = format!("is not read: of an adapter, `{PREFIX}MODULE{A}` and `{B}` are");
                return Err(self.shard.refuse(&name, &what));
            };
            let Some(within) = spec.names.within(module) else {
                return Err(self.shard.refuse(&name, "is of a module that the model does not have"));
            };
            let (rank, scale) = self.config.of(module).map_err(|what| self.shard.refuse(&name, &what))?;
            let part = Part { module: module.to_owned(), rank, scale, is_used: false };
            let before = parts.insert(within.to_owned(), part);
            if before.is_some_and(|before| before.module != module) {
                return Err(self.shard.refuse(&name, "is of a module that another tensor calls by another name"));
            }
        }
        if parts.is_empty() {
            return Err(Error::file(&self.shard.path, "holds no tensors: an adapter that adds nothing"));
        }
        Ok(parts)
    }

    fn add(&self, part: &Part, linear: &mut Linear, device: &Device) -> Result<()> {
        let origin = linear.origin().clone();
        let (outputs, inputs) = linear.shape()?;
        let a = self.tensor(part, A, [part.rank, inputs])?.to_device(device)?;
        let b = self.tensor(part, B, [origin.outputs, part.rank])?.to_device(device)?;
        Ok(linear.add(LowRank::new(&a, &b, part.scale)?.narrow(origin.first, outputs)?)?)
    }

    /// One half of a part, f32 on the CPU.
    fn tensor(&self, part: &Part, suffix: &str, shape: [usize; 2]) -> Result<Tensor> {
        let name = format!("{PREFIX}{}{suffix}", part.module);
        let Some(info) = self.shard.metadata.info(&name) else {
            return Err(self.refuse(&part.module, suffix, "is missing, its other half is there"));
        };
        if info.shape != shape {
            let what = format!("has shape {:?}, model and config ask for {shape:?}", info.shape);
            return Err(self.shard.refuse(&name, &what));
        }
        Ok(self.shard.read(&name, info)?.to_dtype(DType::F32)?)
    }

    fn refuse(&self, module: &str, suffix: &str, what: &str) -> Error {
        self.shard.refuse(&format!("{PREFIX}{module}{suffix}"), what)
    }
}

/// What is added to one module.
struct Part {
    /// As the adapter calls it.
    module: String,
    rank: usize,
    scale: f64,
    is_used: bool,
}
