//! What the hub's cache contains of a repository. Other programs fill the cache too, each with the files that it
//! reads.
//!
//! Owns which files tokshift reads, and which of them a snapshot lacks. That the hub has no such file is recorded as
//! huggingface_hub records it: an empty file of its name under `.no_exist`. Not here: requests to the hub (`fetch`).

use std::fs;
use std::path::{Path, PathBuf};

use hf_hub::{Cache, Repo};

use super::remote::{Kind, Remote};

pub const SINGLE: &str = "model.safetensors";
pub const INDEX: &str = "model.safetensors.index.json";
const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";
/// Files that a model may have in addition to config and weights.
const OPTIONAL: [&str; 7] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "additional_chat_templates/tool_use.jinja",
];

impl Kind {
    /// File name of its config.
    pub fn config(self) -> &'static str {
        match self {
            Self::Model => "config.json",
            Self::Adapter => "adapter_config.json",
        }
    }

    /// Optional files in addition to config and weights.
    pub fn optional(self) -> &'static [&'static str] {
        match self {
            Self::Model => &OPTIONAL,
            Self::Adapter => &[],
        }
    }

    /// The one file that the weights are in, if they are not in several.
    pub fn weights(self) -> &'static str {
        match self {
            Self::Model => SINGLE,
            Self::Adapter => ADAPTER_WEIGHTS,
        }
    }
}

/// What a cache has of a repository.
#[derive(Debug, Default)]
pub struct Cached {
    /// The file, or a snapshot that has config and weights.
    pub usable: Option<PathBuf>,
    /// What it lacks, if the repository has it.
    pub missing: Vec<String>,
}

impl Cached {
    pub fn of(cache: &Cache, Remote { repo, file }: &Remote, kind: Kind) -> Self {
        let cached = cache.repo(repo.clone());
        let by_commit = cached.pointer_path(repo.revision());
        if let Some(file) = file {
            let at_commit = by_commit.join(file);
            let usable = if at_commit.is_file() { Some(at_commit) } else { cached.get(file) };
            let missing = if usable.is_some() { Vec::new() } else { vec![file.clone()] };
            return Self { usable, missing };
        }
        let directory =
            if by_commit.is_dir() { Some(by_commit) } else { snapshot(cache, repo).filter(|found| found.is_dir()) };
        let Some(directory) = directory else { return Self::default() };
        let needed: Vec<String> =
            needed(&directory, kind).into_iter().filter(|name| !directory.join(name).exists()).collect();
        let is_unknown = |name: &&str| !directory.join(name).exists() && !no_exist(&directory, name).exists();
        let optional = kind.optional().iter().filter(|name| is_unknown(name)).map(|name| (*name).to_owned());
        let usable = needed.is_empty().then(|| directory.clone());
        Self { usable, missing: needed.iter().cloned().chain(optional).collect() }
    }

    /// Why it cannot be used without the hub.
    pub fn described(&self, cache: &Cache, Remote { repo, file }: &Remote) -> String {
        let place = cache.path().join(repo.folder_name());
        let lacks = match (file, self.missing.is_empty()) {
            (None, true) => "it is not in the cache".to_owned(),
            _ => format!("the cache lacks {}", self.missing.join(", ")),
        };
        format!("HF_HUB_OFFLINE is set and {lacks} (`{}`)", place.display())
    }
}

/// The snapshot that the revision's name leads to.
fn snapshot(cache: &Cache, repo: &Repo) -> Option<PathBuf> {
    let reference = cache.path().join(repo.folder_name()).join("refs").join(repo.revision());
    let commit = fs::read_to_string(reference).ok()?;
    let commit = commit.trim();
    let is_name = !commit.is_empty() && commit.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_name.then(|| cache.repo(repo.clone()).pointer_path(commit))
}

/// Config and weights: one file if there is one or nothing says that there are several, else those of the index.
fn needed(directory: &Path, kind: Kind) -> Vec<String> {
    let mut names = vec![kind.config().to_owned()];
    let index = fs::read(directory.join(INDEX)).ok().filter(|_| matches!(kind, Kind::Model));
    match index.and_then(|index| shards(&index)).filter(|_| !directory.join(kind.weights()).exists()) {
        Some(shards) => names.extend(shards),
        None => names.push(kind.weights().to_owned()),
    }
    names
}

/// File names in a safetensors index, each once.
pub fn shards(index: &[u8]) -> Option<Vec<String>> {
    let index: serde_json::Value = serde_json::from_slice(index).ok()?;
    let names = index.get("weight_map")?.as_object()?.values().map(|name| name.as_str().map(str::to_owned));
    let mut names: Vec<String> = names.collect::<Option<_>>()?;
    names.sort_unstable();
    names.dedup();
    Some(names)
}

/// Where it stands that the hub has no file `name` for the snapshot.
fn no_exist(directory: &Path, name: &str) -> PathBuf {
    let commit = directory.file_name().unwrap_or_default();
    directory.join("../../.no_exist").join(commit).join(name)
}

/// Records that the hub has no file `name` for the snapshot. If the cache cannot be written, the hub is contacted
/// again.
pub fn keep_absence(directory: &Path, name: &str) {
    let place = no_exist(directory, name);
    if let Some(folder) = place.parent() {
        let _ = fs::create_dir_all(folder).and_then(|()| fs::write(&place, []));
    }
}
