//! Models by name: what is typed for one, and where its files are.
//!
//! Owns `NAME=SOURCE`. Not here: the files' content.

use std::path::{Path, PathBuf};

use crate::decoder::base_of;
use crate::error::{Error, Result};
use crate::llama_logits::is_logits_file;
use crate::{gguf, hub};

/// A model as typed, its files found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedModel {
    /// Its name.
    pub name: String,
    /// A directory, a GGUF file, or a logits file of llama.cpp.
    pub path: PathBuf,
    /// The directory of what is added to it.
    pub adapter: Option<PathBuf>,
}

impl NamedModel {
    /// Finds the files of `source`, `BASE`, `BASE+ADAPTER` or an adapter whose base is on this machine under the name that
    /// its config has; what is not here is fetched.
    ///
    /// # Errors
    /// As [`hub::resolve`].
    pub fn find(name: String, source: &str) -> Result<Self> {
        let (base, adapter) = hub::parts(source);
        if adapter.is_none()
            && let Some(named) = Self::alone(&name, source)?
        {
            return Ok(named);
        }
        let adapter = adapter.map(|adapter| hub::resolve(adapter, hub::Kind::Adapter)).transpose()?;
        Ok(Self { name, path: hub::resolve(base, hub::Kind::Model)?, adapter })
    }

    /// The base on this machine that an adapter's own config names, with the adapter; `None` if `directory` is no adapter.
    fn alone(name: &str, directory: &str) -> Result<Option<Self>> {
        let Some(base) = base_of(Path::new(directory))? else { return Ok(None) };
        let is_named = !base.is_empty();
        match hub::find(&base, hub::Kind::Model).ok().flatten().filter(|_| is_named) {
            Some(path) => Ok(Some(Self { name: name.to_owned(), path, adapter: Some(directory.into()) })),
            None if is_named => Err(Error::usage(format!(
                "`{directory}` is an adapter of `{base}`, which is not on this machine under that name: use \
                 {name}=BASE+{directory} with the base's directory or hub id"
            ))),
            None => Err(Error::usage(format!(
                "`{directory}` is an adapter, and its config does not name its base: use {name}=BASE+{directory}"
            ))),
        }
    }

    /// Its tokenizer.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is none.
    pub fn tokenizer(&self) -> Result<PathBuf> {
        let path = tokenizer_of(&self.path);
        if !path.is_file() {
            let (name, hint) = (&self.name, hub::hint());
            if is_logits_file(&self.path) {
                return Err(Error::usage(format!(
                    "`{name}` is a logits file, which has no tokenizer: use --tokenizer with the model that wrote it"
                )));
            }
            return Err(Error::usage(format!("model `{name}` has no tokenizer.json: use --tokenizer{hint}")));
        }
        Ok(path)
    }
}

/// Whether a source is an adapter, on a base that it names or by itself.
pub fn is_adapted(source: &str) -> bool {
    hub::parts(source).1.is_some() || Path::new(source).join("adapter_config.json").is_file()
}

/// The path of a model's tokenizer, if it has one. A GGUF file contains its own; a logits file has none.
pub fn tokenizer_of(model: &Path) -> PathBuf {
    if model.is_file() && !is_logits_file(model) { model.to_owned() } else { model.join("tokenizer.json") }
}

/// Resolves `NAME=SOURCE` or `SOURCE`, whose name is then the last part of its path.
///
/// # Errors
/// [`Error::Usage`] for an empty name or source, and for a name that two models have; those of [`NamedModel::find`].
pub fn resolve(arguments: &[String]) -> Result<Vec<NamedModel>> {
    let mut models: Vec<NamedModel> = Vec::new();
    for argument in arguments {
        let (name, source) = split(argument);
        if name.is_empty() || source.is_empty() {
            return Err(Error::usage(format!("`{argument}` in --models is not NAME=SOURCE")));
        }
        if models.iter().any(|model| model.name == name) {
            return Err(Error::usage(format!(
                "two models are called `{name}` in --models: name one of them NAME=SOURCE"
            )));
        }
        models.push(NamedModel::find(name, source)?);
    }
    Ok(models)
}

/// Name and source of a model as it was typed.
pub fn split(argument: &str) -> (String, &str) {
    // A path may have a `=` in it, as in `runs/lr=1e-5`.
    if let Some((name, source)) = argument.split_once('=').filter(|_| !Path::new(argument).exists()) {
        return (name.to_owned(), source);
    }
    let (base, adapter) = hub::parts(argument);
    let path = adapter.unwrap_or(base);
    let path = Path::new(path.split_once('@').map_or(path, |(id, _)| id));
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
        assert_eq!(split("Qwen/Qwen3-0.6B@main+org/tuned@v2").0, "tuned");
        assert_eq!(split("models/base.Q4_1.gguf"), ("base.Q4_1".to_owned(), "models/base.Q4_1.gguf"));
        assert_eq!(split("rl=Qwen/Qwen3-0.6B@main"), ("rl".to_owned(), "Qwen/Qwen3-0.6B@main"));
    }
}
