//! The tokenizer that made the ids of responses when they were scored before.
//!
//! Owns finding it again for a model that is added: its hash is in the response set's manifest, where it was is in the log.
//! Not here: whether a model reads those ids as the same texts (`vocabularies`).

use std::path::{Path, PathBuf};

use super::watch::{Event, Watch};
use crate::error::{Error, Result};
use crate::run_log;
use crate::store::{FoundCell, ResponseSetKey};
use crate::tokenize::TextTokenizer;

/// The `usual` tokenizer, unless earlier runs under `root` made the ids of the responses `sets` by another one that
/// is still where it was.
///
/// # Errors
/// [`Error::Usage`] for one that is not there any more; those of `usual` for responses that are new.
pub fn of(
    root: &Path,
    sets: &[ResponseSetKey],
    earlier: &[FoundCell],
    usual: Result<PathBuf>,
    watch: &dyn Watch,
) -> Result<PathBuf> {
    let Some(found) = earlier.iter().find(|found| sets.contains(&found.cell.set)) else { return usual };
    let wanted = &found.manifest.tokens.tokenizer;
    let is_it = |path: &Path| TextTokenizer::from_file(path).is_ok_and(|read| read.identity() == wanted);
    if let Some(path) = usual.as_ref().ok().filter(|path| is_it(path)) {
        return Ok(path.clone());
    }
    let set = &found.cell.set;
    let made = run_log::made_from(root).into_iter().rev().find(|made| made.cell.set == *set);
    let Some(source) = made.map(|made| made.tokenizer) else { return usual };
    let path = source.path;
    if !is_it(&path) {
        return Err(Error::usage(format!(
            "the ids of {set} were made by the tokenizer `{}`, which is not there any more or has changed: \
             use --tokenizer with the one that made them",
            path.display()
        )));
    }
    let text = format!("the ids of {set} are made by `{}`, as before", path.display());
    watch.event(&Event::Warning(&text));
    Ok(path)
}
