//! Repositories of the hub by their ids.
//!
//! Owns what an id may be. Not here: whether there is such a repository (`fetch`).

use std::path::Path;

use hf_hub::{Repo, RepoType};

use crate::gguf;

/// The content of a directory.
#[derive(Clone, Copy)]
pub enum Kind {
    /// A model.
    Model,
    /// An adapter.
    Adapter,
}

/// What a hub has.
pub(super) struct Remote {
    pub repo: Repo,
    /// The one file that is meant, a GGUF.
    pub file: Option<String>,
}

/// `org/name` or `org/name/FILE.gguf`, either with `@revision`; the hub allows letters, digits, `-`, `_` and `.` in each part.
pub(super) fn parse_id(source: &str) -> Option<Remote> {
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
