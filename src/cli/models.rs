//! `--models`: names and where they come from.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::hub;

/// A model as typed, its files found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedModel {
    pub name: String,
    pub directory: PathBuf,
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
        models.push(NamedModel { name, directory: hub::resolve(source)? });
    }
    Ok(models)
}

fn split(argument: &str) -> (String, &str) {
    // A directory may have a `=` in its path, as in `runs/lr=1e-5`.
    if let Some((name, source)) = argument.split_once('=').filter(|_| !Path::new(argument).is_dir()) {
        return (name.to_owned(), source);
    }
    let path = argument.split_once('@').map_or(argument, |(id, _)| id);
    let name = Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned());
    (name.unwrap_or_default(), argument)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn names_default_to_the_last_part() {
        assert_eq!(split("a=b/c"), ("a".to_owned(), "b/c"));
        assert_eq!(split("models/base/"), ("base".to_owned(), "models/base/"));
        assert_eq!(split("Qwen/Qwen3-0.6B@main"), ("Qwen3-0.6B".to_owned(), "Qwen/Qwen3-0.6B@main"));
        assert_eq!(split("rl=Qwen/Qwen3-0.6B@main"), ("rl".to_owned(), "Qwen/Qwen3-0.6B@main"));
    }
}
