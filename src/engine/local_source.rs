//! The files of a local model, before its weights are in memory.
//!
//! Owns that headers, hashes and weights are of the same files, and the base that was loaded last. Not here: where files
//! are found, and what users type (`score`).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use candle_core::{DType, Device, DeviceLocation};

use super::Engine;
use super::local::{Local, LocalOptions};
use super::source::{EngineSource, Facts};
use crate::decoder::{Adapter, Backend, Checkpoint};
use crate::digest::{self, Fingerprint};
use crate::error::{Error, Result};
use crate::{gguf, hidden};

/// What the names of an adapter's files begin with in a manifest.
pub const ADAPTER_FOLDER: &str = "adapter/";

/// Which model is loaded, and how.
#[derive(Clone, Debug)]
pub struct LocalRequest {
    /// The model's name in errors.
    pub name: String,
    /// A directory, or a GGUF file.
    pub path: PathBuf,
    /// The directory of what is added to it.
    pub adapter: Option<PathBuf>,
    /// f32 or bf16; `None`: as the checkpoint is stored.
    pub dtype: Option<DType>,
    /// Where the model runs.
    pub device: Device,
    /// Computed tokens of one forest: decides memory, never numbers.
    pub batch_tokens: usize,
    /// Length of the top-k lists.
    pub top_k: usize,
}

/// A model directory or GGUF file whose headers were read.
pub struct LocalSource {
    path: PathBuf,
    checkpoint: Checkpoint,
    adapter: Option<Adapter>,
    /// Every file of both, as it was when its header was read.
    files: Vec<(PathBuf, Fingerprint)>,
    options: LocalOptions,
    resident: Rc<Resident>,
}

impl LocalSource {
    /// Reads configs and headers. Sources of the same `resident` share the weights of a base that they have in common,
    /// where they are loaded one after the other.
    ///
    /// # Errors
    /// What [`Checkpoint::open`] and [`Adapter::open`] reject; an adapter of a GGUF file, or one in the model's own
    /// directory that was not requested.
    pub fn open(request: LocalRequest, resident: Rc<Resident>) -> Result<Self> {
        let LocalRequest { name, path, adapter, dtype, device, batch_tokens, top_k } = request;
        let checkpoint = Checkpoint::open(&path)?;
        let adapter = open_adapter(&path, adapter.as_deref())?;
        let dtype = dtype.unwrap_or_else(|| {
            let dtype = checkpoint.stored_dtype();
            tracing::info!(model = name, dtype = dtype.as_str(), "{}", checkpoint.why_stored_dtype());
            dtype
        });
        let paths = checkpoint.files().into_iter().chain(adapter.iter().flat_map(Adapter::files));
        let files = paths.map(|path| Fingerprint::of(&path).map(|was| (path, was))).collect::<Result<_>>()?;
        let options = LocalOptions { name, dtype, device, batch_tokens, top_k, keep_hidden: false };
        Ok(Self { path, checkpoint, adapter, files, options, resident })
    }

    /// Configs and headers are read when a model is opened, all of its files to name it, weights when it is loaded; all
    /// must be of the same files, or numbers would stand under another model's name.
    fn check_unchanged(&self) -> Result<()> {
        for (path, was) in &self.files {
            if Fingerprint::of(path)? != *was {
                return Err(Error::usage(format!(
                    "`{}` changed while the run was going on: run again",
                    path.display()
                )));
            }
        }
        Ok(())
    }
}

/// The adapter at `directory`, on the base at `path`.
fn open_adapter(path: &Path, directory: Option<&Path>) -> Result<Option<Adapter>> {
    match directory {
        Some(_) if gguf::is_gguf(path) => Err(Error::usage(format!(
            "`{}`: adapters name weights as Hugging Face does: use a base in safetensors",
            path.display()
        ))),
        Some(directory) => Adapter::open(directory).map(Some),
        None if path.join("adapter_config.json").exists() => {
            let path = path.display();
            Err(Error::usage(format!(
                "`{path}` contains an adapter (adapter_config.json) next to the model's weights, and transformers loads both: \
                 use `{path}+{path}` for the model with it, or move it away"
            )))
        }
        None => Ok(None),
    }
}

impl EngineSource for LocalSource {
    fn max_tokens(&self) -> usize {
        self.checkpoint.spec().max_tokens
    }

    fn vocab(&self) -> Option<usize> {
        Some(self.checkpoint.spec().vocab)
    }

    fn hidden_shape(&self) -> Result<hidden::Shape, String> {
        Ok(self.checkpoint.spec().hidden_shape(self.options.dtype))
    }

    fn adapts_head(&self) -> Result<bool> {
        self.adapter.as_ref().map_or(Ok(false), |adapter| adapter.is_on_head(self.checkpoint.spec()))
    }

    fn facts(&self) -> Result<Facts> {
        let hashed = |folder: &str, path: PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            Ok((format!("{folder}{name}"), digest::file(&path)?))
        };
        let base = self.checkpoint.files().into_iter().map(|path| hashed("", path));
        let adapter = self.adapter.iter().flat_map(Adapter::files).map(|path| hashed(ADAPTER_FOLDER, path));
        let files = base.chain(adapter).collect::<Result<BTreeMap<_, _>>>()?;
        self.check_unchanged()?;
        let LocalOptions { dtype, device, top_k, .. } = &self.options;
        Ok(Facts {
            engine: "local",
            files,
            dtype: dtype.as_str(),
            device: if device.is_cpu() { "cpu" } else { "cuda" },
            arithmetic: Backend::of(device)?.arithmetic(*dtype).map(str::to_owned),
            top_k: (*top_k).min(self.checkpoint.spec().vocab),
        })
    }

    fn load(&self, keep_hidden: bool) -> Result<Box<dyn Engine>> {
        let options = LocalOptions { keep_hidden, ..self.options.clone() };
        let key = (self.path.clone(), options.dtype, options.device.location());
        let base = self.resident.base(key, || Local::load(&self.checkpoint, options.clone()))?;
        let engine = base.sharing(self.adapter.as_ref(), options)?;
        self.check_unchanged()?;
        Ok(Box::new(engine))
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
    fn base(&self, key: BaseKey, load: impl FnOnce() -> Result<Local>) -> Result<Rc<Local>> {
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

    use super::*;

    /// Numbers never stand under the hashes of another model.
    #[test]
    fn a_model_that_changes_after_it_was_opened_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["config.json", "model.safetensors"] {
            fs::copy(Path::new("tests/fixtures/models/qwen3-tied").join(file), folder.path().join(file)).unwrap();
        }
        let open = || {
            let (path, device) = (folder.path().to_owned(), Device::Cpu);
            let request = LocalRequest {
                name: "m".to_owned(),
                path,
                adapter: None,
                dtype: None,
                device,
                batch_tokens: 1,
                top_k: 1,
            };
            LocalSource::open(request, Rc::default()).unwrap()
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
            let described = [before_hashing.facts().err(), before_loading.load(false).err()];
            assert!(
                described.iter().all(|e| e
                    .as_ref()
                    .unwrap()
                    .to_string()
                    .contains("changed while the run was going on"))
            );
            open().load(false).unwrap();
        }
    }
}
