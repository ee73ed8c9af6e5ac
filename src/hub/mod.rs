//! Models and adapters by name: a local directory or GGUF file, or a repository on the Hugging Face hub.
//!
//! Owns what a name may be, and when the hub is contacted. Not here: which files a repository has (`cached`, `fetch`),
//! and reading them.

mod cached;
mod fetch;
mod remote;

use std::path::{Path, PathBuf};

use hf_hub::Cache;

pub use self::remote::Kind;

use self::cached::Cached;
use self::remote::{Remote, parse_id};
use crate::error::{Error, Result};
use crate::gguf::is_gguf;
use crate::llama_logits::is_logits_file;

/// A model and the adapter on it, of `BASE+ADAPTER`, both as [`resolve`] takes them. A directory of that whole name is
/// one model.
pub fn parts(source: &str) -> (&str, Option<&str>) {
    let is_name = |part: &str| Path::new(part).is_dir() || is_gguf(Path::new(part)) || parse_id(part).is_some();
    let pairs = || source.match_indices('+').map(|(at, _)| (&source[..at], &source[at + 1..]));
    let both = pairs().find(|(base, adapter)| is_name(base) && is_name(adapter));
    match both.or_else(|| pairs().find(|(base, _)| is_name(base))) {
        Some((base, adapter)) if !Path::new(source).is_dir() => (base, Some(adapter)),
        _ => (source, None),
    }
}

/// Where the files of `source` are: a GGUF file, a logits file of llama.cpp, a local directory (its one GGUF file if it has no config), or a hub id
/// `org/name` or `org/name@revision`, whose config, tokenizer and safetensors are fetched into the hub's cache unless
/// they are there. Of `org/name/FILE.gguf` (`@revision`) that one file is.
///
/// # Errors
/// Neither a path nor a hub id; a repository that cannot be reached, or offline one that is not cached.
pub fn resolve(source: &str, kind: Kind) -> Result<PathBuf> {
    match locate(source, kind)? {
        Place::Here(path) => Ok(path),
        Place::Hub(cache, remote, cached) if is_offline() => match cached.usable {
            Some(path) => Ok(path),
            None => Err(Error::model(source, no_directory(&cached.described(&cache, &remote)))),
        },
        Place::Hub(cache, remote, cached) => match fetch::fetch(&cache, &remote, kind) {
            Ok(path) => Ok(path),
            Err(what) => {
                let Some(path) = cached.usable else { return Err(Error::model(source, no_directory(&what))) };
                let lacks = cached.missing.join(", ");
                tracing::warn!("{source}: the cache lacks {lacks}, if the repository has them, and {what}");
                Ok(path)
            }
        },
    }
}

/// A misspelt path looks like an id of the hub.
fn no_directory(what: &str) -> String {
    format!("no such directory, and {what}")
}

/// As [`resolve`], but fetches nothing: `None` for a hub id that would be fetched.
///
/// # Errors
/// Neither a directory nor a hub id.
pub fn find(source: &str, kind: Kind) -> Result<Option<PathBuf>> {
    match locate(source, kind)? {
        Place::Here(path) => Ok(Some(path)),
        Place::Hub(.., cached) => Ok(cached.usable),
    }
}

/// Advice for a missing file that may be on the hub, if the hub was not contacted.
pub fn hint() -> &'static str {
    if is_offline() {
        " (HF_HUB_OFFLINE is set: without it, what the cache lacks of a hub's model is fetched)"
    } else {
        ""
    }
}

/// Where a model's files are.
enum Place {
    Here(PathBuf),
    /// Not, or not all that there may be, in this cache.
    Hub(Cache, Remote, Cached),
}

fn locate(source: &str, kind: Kind) -> Result<Place> {
    let path = Path::new(source);
    if path.is_dir() {
        return Ok(Place::Here(only_gguf(path)?.unwrap_or_else(|| path.to_owned())));
    }
    if is_gguf(path) || matches!(kind, Kind::Model) && is_logits_file(path) {
        return Ok(Place::Here(path.to_owned()));
    }
    let Some(remote) = parse_id(source).filter(|remote| remote.file.is_none() || matches!(kind, Kind::Model)) else {
        let what = if path.exists() { "is not a directory" } else { "no such directory" };
        let hint = match kind {
            Kind::Model => {
                "expected a model directory, a .gguf file, a logits file of llama.cpp (it begins with `_logits_`), or a hub id \
                 such as `Qwen/Qwen3-0.6B@main` or `org/name/file.gguf`"
            }
            Kind::Adapter => "expected the directory of an adapter, or a hub id such as `org/name@main`",
        };
        return Err(Error::model(source, format!("{what}; {hint}")));
    };
    let cache = cache();
    let cached = Cached::of(&cache, &remote, kind);
    Ok(match cached.usable {
        Some(path) if cached.missing.is_empty() => Place::Here(path),
        _ => Place::Hub(cache, remote, cached),
    })
}

/// The GGUF file of a directory without a config.
fn only_gguf(directory: &Path) -> Result<Option<PathBuf>> {
    if directory.join("config.json").exists() {
        return Ok(None);
    }
    let entries = std::fs::read_dir(directory).map_err(Error::io("list", directory))?.flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| is_gguf(path)).collect();
    match found.len() {
        0 | 1 => Ok(found.pop()),
        n => Err(Error::file(directory, format!("contains {n} GGUF files: name one of them"))),
    }
}

fn cache() -> Cache {
    std::env::var_os("HF_HUB_CACHE").map_or_else(Cache::from_env, |path| Cache::new(path.into()))
}

fn is_offline() -> bool {
    let value = std::env::var("HF_HUB_OFFLINE").unwrap_or_default();
    ["1", "ON", "YES", "TRUE"].contains(&value.to_ascii_uppercase().as_str())
}
