//! Models: names, where they come from, how each is run.
//!
//! Owns everything of a model that can be known before it is in memory, and loading it. Refuses datasets.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use candle_core::{DType, Device};

use super::args::EngineArg;
use super::inputs;
use crate::decoder::Checkpoint;
use crate::engine::local::{Local, LocalOptions};
use crate::engine::mock::Mock;
use crate::engine::{Engine, RANK_STRICT};
use crate::experiments::{DtypeChoice, Options};
use crate::store::EngineFacts;
use crate::{digest, gguf, hub};

/// Context of the stand-in engine, which has no model to ask.
const MOCK_CONTEXT: usize = 1 << 20;

/// A model as typed, its files found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedModel {
    pub name: String,
    /// A directory, or a GGUF file.
    pub path: PathBuf,
}

impl NamedModel {
    /// Its tokenizer.
    ///
    /// # Errors
    /// There is none.
    pub fn tokenizer(&self) -> Result<PathBuf> {
        let path = inputs::tokenizer_of(&self.path);
        if !path.is_file() {
            bail!("model `{}` has no tokenizer.json: give --tokenizer", self.name);
        }
        Ok(path)
    }
}

/// A model whose files were looked at, so that what is wrong shows before anything is scored.
pub struct Model {
    pub named: NamedModel,
    /// `None` for the stand-in engine.
    checkpoint: Option<Checkpoint>,
    device: Device,
    dtype: DType,
    top_k: usize,
    batch_tokens: usize,
    facts: OnceCell<EngineFacts>,
}

impl Model {
    pub fn open(named: NamedModel, options: &Options, engine: EngineArg) -> Result<Self> {
        let device = inputs::device(options.device())?;
        let checkpoint = match engine {
            EngineArg::Local => Some(Checkpoint::open(&named.path)?),
            EngineArg::Mock => None,
        };
        let dtype = match options.dtype() {
            DtypeChoice::Auto => checkpoint.as_ref().map_or(DType::F32, Checkpoint::stored_dtype),
            DtypeChoice::F32 => DType::F32,
            DtypeChoice::Bf16 => DType::BF16,
        };
        let (top_k, batch_tokens) = (options.top_k(), options.batch_tokens());
        Ok(Self { named, checkpoint, device, dtype, top_k, batch_tokens, facts: OnceCell::new() })
    }

    pub fn max_tokens(&self) -> usize {
        self.checkpoint.as_ref().map_or(MOCK_CONTEXT, |checkpoint| checkpoint.spec().max_tokens)
    }

    pub fn load(&self) -> Result<Box<dyn Engine>> {
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
        };
        Ok(Box::new(Local::load(checkpoint, options)?))
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
            return Ok(EngineFacts { name, files: BTreeMap::new(), dtype, device, top_k: self.top_k, rank_rule });
        };
        let hashed = |path: PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok((name, digest::file(&path)?))
        };
        Ok(EngineFacts {
            name: "local".to_owned(),
            files: checkpoint.files().into_iter().map(hashed).collect::<Result<_>>()?,
            dtype: self.dtype.as_str().to_owned(),
            device: if self.device.is_cpu() { "cpu" } else { "cuda" }.to_owned(),
            top_k: self.top_k.min(checkpoint.spec().vocab),
            rank_rule,
        })
    }
}

/// Resolves `NAME=SOURCE` or `SOURCE`, whose name is then the last part of its path.
pub fn resolve(arguments: &[String]) -> Result<Vec<NamedModel>> {
    let mut models: Vec<NamedModel> = Vec::new();
    for argument in arguments {
        let (name, source) = split(argument);
        if name.is_empty() || source.is_empty() {
            bail!("`{argument}` in --models is not NAME=SOURCE");
        }
        if models.iter().any(|model| model.name == name) {
            bail!("two models are called `{name}` in --models: name one of them NAME=SOURCE");
        }
        models.push(NamedModel { name, path: hub::resolve(source)? });
    }
    Ok(models)
}

fn split(argument: &str) -> (String, &str) {
    // A path may have a `=` in it, as in `runs/lr=1e-5`.
    if let Some((name, source)) = argument.split_once('=').filter(|_| !Path::new(argument).exists()) {
        return (name.to_owned(), source);
    }
    let path = argument.split_once('@').map_or(argument, |(id, _)| id);
    let path = Path::new(path);
    let name = if path.extension().is_some_and(|e| e == gguf::EXTENSION) { path.file_stem() } else { path.file_name() };
    (name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(), argument)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn names_default_to_the_last_part() {
        assert_eq!(split("a=b/c"), ("a".to_owned(), "b/c"));
        assert_eq!(split("models/base/"), ("base".to_owned(), "models/base/"));
        assert_eq!(split("Qwen/Qwen3-0.6B@main"), ("Qwen3-0.6B".to_owned(), "Qwen/Qwen3-0.6B@main"));
        assert_eq!(split("models/base.Q4_1.gguf"), ("base.Q4_1".to_owned(), "models/base.Q4_1.gguf"));
        assert_eq!(split("rl=Qwen/Qwen3-0.6B@main"), ("rl".to_owned(), "Qwen/Qwen3-0.6B@main"));
    }
}
