//! Models and adapters by name: a local directory or GGUF file, or a repository on the Hugging Face hub.
//!
//! Owns the hub's environment (`HF_HOME`, `HF_HUB_CACHE`, `HF_TOKEN`, `HF_TOKEN_PATH`, `HF_ENDPOINT`,
//! `HF_HUB_OFFLINE`) and which files of a repository are fetched. Refuses to read them, and to fetch pickle.

use std::path::{Path, PathBuf};

use hf_hub::api::sync::{ApiBuilder, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};

use crate::error::{Error, Result};
use crate::gguf::{self, is_gguf};

/// What a directory holds.
#[derive(Clone, Copy)]
pub enum Kind {
    Model,
    Adapter,
}

impl Kind {
    fn config(self) -> &'static str {
        match self {
            Self::Model => "config.json",
            Self::Adapter => "adapter_config.json",
        }
    }

    /// Whether tokshift reads a file of this name: top-level JSON, template and safetensors.
    fn reads(self, name: &str) -> bool {
        let small = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", INDEX];
        let template = ["chat_template.jinja", "special_tokens_map.json"];
        match self {
            Self::Model if small.contains(&name) || template.contains(&name) => true,
            Self::Model => name.starts_with("model") && name.ends_with(".safetensors") && !name.contains('/'),
            Self::Adapter => [self.config(), ADAPTER_WEIGHTS].contains(&name),
        }
    }

    /// Whether config and all weights are in a directory.
    fn is_whole(self, directory: &Path) -> bool {
        let has = |name: &str| directory.join(name).exists();
        let weights = match (self, std::fs::read(directory.join(INDEX))) {
            (Self::Model, Ok(index)) => shard_names(&index).is_some_and(|names| names.iter().all(|name| has(name))),
            (Self::Model, Err(_)) => has("model.safetensors"),
            (Self::Adapter, _) => has(ADAPTER_WEIGHTS),
        };
        weights && has(self.config())
    }
}

const INDEX: &str = "model.safetensors.index.json";
const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";

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

/// Where the files of `source` are: a GGUF file, a local directory (its one GGUF file if it has no config), or a hub id
/// `org/name` or `org/name@revision`, whose config, tokenizer and safetensors are fetched into the hub's cache unless
/// they are there. Of `org/name/FILE.gguf` (`@revision`) that one file is.
///
/// # Errors
/// Neither a path nor a hub id; a repository that cannot be reached, or offline one that is not cached.
pub fn resolve(source: &str, kind: Kind) -> Result<PathBuf> {
    match locate(source, kind)? {
        Place::Here(path) => Ok(path),
        Place::Hub(cache, _) if is_offline() => {
            let place = cache.path().display();
            Err(Error::model(source, format!("HF_HUB_OFFLINE is set and it is not whole in the cache `{place}`")))
        }
        Place::Hub(cache, remote) => fetch(cache, remote, kind).map_err(|what| Error::model(source, what)),
    }
}

/// As [`resolve`], but fetches nothing: `None` for a hub id that would be fetched.
///
/// # Errors
/// Neither a directory nor a hub id.
pub fn find(source: &str, kind: Kind) -> Result<Option<PathBuf>> {
    match locate(source, kind)? {
        Place::Here(path) => Ok(Some(path)),
        Place::Hub(..) => Ok(None),
    }
}

/// Where a model's files are.
enum Place {
    Here(PathBuf),
    /// Not whole in this cache.
    Hub(Cache, Remote),
}

/// What a hub has.
struct Remote {
    repo: Repo,
    /// The one file that is meant, a GGUF.
    file: Option<String>,
}

fn locate(source: &str, kind: Kind) -> Result<Place> {
    let path = Path::new(source);
    if path.is_dir() {
        return Ok(Place::Here(only_gguf(path)?.unwrap_or_else(|| path.to_owned())));
    }
    if is_gguf(path) {
        return Ok(Place::Here(path.to_owned()));
    }
    let Some(remote) = parse_id(source).filter(|remote| remote.file.is_none() || matches!(kind, Kind::Model)) else {
        let what = if path.exists() { "is not a directory" } else { "no such directory" };
        let hint = match kind {
            Kind::Model => {
                "expected a model directory, a .gguf file, or a hub id such as `Qwen/Qwen3-0.6B@main` or `org/name/file.gguf`"
            }
            Kind::Adapter => "expected the directory of an adapter, or a hub id such as `org/name@main`",
        };
        return Err(Error::model(source, format!("{what}; {hint}")));
    };
    let cache = cache();
    Ok(cached(&cache, &remote, kind).map_or_else(|| Place::Hub(cache, remote), Place::Here))
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
        n => Err(Error::file(directory, format!("holds {n} GGUF files: name one of them"))),
    }
}

/// `org/name` or `org/name/FILE.gguf`, either with `@revision`; the hub allows letters, digits, `-`, `_` and `.` in each part.
fn parse_id(source: &str) -> Option<Remote> {
    let (path, revision) = source.split_once('@').unwrap_or((source, "main"));
    let (org, rest) = path.split_once('/')?;
    let (name, file) = rest.split_once('/').map_or((rest, None), |(name, file)| (name, Some(file)));
    let allowed = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    let plain = !revision.is_empty() && !revision.starts_with('/') && !revision.split('/').any(|part| part == "..");
    let is_gguf = |file: &str| {
        let extension = Path::new(file).extension();
        file.split('/').all(allowed) && extension.is_some_and(|e| e.eq_ignore_ascii_case(gguf::EXTENSION))
    };
    (allowed(org) && allowed(name) && plain && file.is_none_or(is_gguf)).then(|| Remote {
        repo: Repo::with_revision(format!("{org}/{name}"), RepoType::Model, revision.to_owned()),
        file: file.map(str::to_owned),
    })
}

fn cache() -> Cache {
    std::env::var_os("HF_HUB_CACHE").map_or_else(Cache::from_env, |path| Cache::new(path.into()))
}

fn is_offline() -> bool {
    let value = std::env::var("HF_HUB_OFFLINE").unwrap_or_default();
    ["1", "ON", "YES", "TRUE"].contains(&value.to_ascii_uppercase().as_str())
}

/// The environment's token, else what `hf auth login` stored.
fn token(cache: &Cache) -> Option<String> {
    let from_file = || match std::env::var_os("HF_TOKEN_PATH") {
        Some(path) => std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned()),
        None => cache.token(),
    };
    std::env::var("HF_TOKEN").ok().or_else(from_file).filter(|token| !token.is_empty())
}

/// The file, or the snapshot directory if all that is needed is in it, in the cache.
fn cached(cache: &Cache, Remote { repo, file }: &Remote, kind: Kind) -> Option<PathBuf> {
    if let Some(file) = file {
        let by_commit = cache.repo(repo.clone()).pointer_path(repo.revision()).join(file);
        return if by_commit.is_file() { Some(by_commit) } else { cache.repo(repo.clone()).get(file) };
    }
    let by_commit = cache.repo(repo.clone()).pointer_path(repo.revision());
    let directory =
        if by_commit.is_dir() { by_commit } else { cache.repo(repo.clone()).get(kind.config())?.parent()?.to_owned() };
    kind.is_whole(&directory).then_some(directory)
}

/// File names in a safetensors index.
fn shard_names(index: &[u8]) -> Option<Vec<String>> {
    let index: serde_json::Value = serde_json::from_slice(index).ok()?;
    let names = index.get("weight_map")?.as_object()?.values().map(|name| name.as_str().map(str::to_owned));
    names.collect()
}

/// Fetches the one file, or what tokshift reads of the repository; then it is the snapshot directory.
fn fetch(cache: Cache, Remote { repo, file }: Remote, kind: Kind) -> Result<PathBuf, String> {
    let token = token(&cache);
    let mut builder = ApiBuilder::from_cache(cache).with_token(token).with_progress(false);
    if let Ok(endpoint) = std::env::var("HF_ENDPOINT") {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned());
    }
    let api = builder.build().map_err(|e| format!("cannot reach the hub: {e}"))?.repo(repo);
    if let Some(file) = file {
        return download(&api, &file);
    }
    let files = api.info().map_err(|e| format!("the hub does not list it (private? misspelt? no network?): {e}"))?;
    let names: Vec<String> = files.siblings.into_iter().map(|s| s.rfilename).filter(|name| kind.reads(name)).collect();
    if !names.iter().any(|name| name == kind.config()) {
        return Err(format!("the repository has no `{}`", kind.config()));
    }
    for name in &names {
        download(&api, name)?;
    }
    let config = download(&api, kind.config())?;
    config.parent().map(Path::to_owned).ok_or_else(|| "the cache has no snapshot directory".to_owned())
}

fn download(api: &ApiRepo, name: &str) -> Result<PathBuf, String> {
    tracing::info!(file = name, "fetching");
    api.get(name).map_err(|e| format!("cannot fetch `{name}`: {e}"))
}
