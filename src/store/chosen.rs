//! A file at a path that the user chose, outside of every output directory.
//!
//! Owns the rule that it is the old file until the new one is complete. Not here: results of runs, which have a
//! layout.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::temporary::{Temporary, remove_leftovers_beside};
use crate::error::{Error, Result};

/// Replaces `path` by `content` in one step, with the old file's permissions. A link stays, and its target is
/// replaced. Anything that is not a regular file (a pipe), or that has no name of its own (`/dev/stdout`, a mounted
/// file), is written to directly.
///
/// # Errors
/// [`Error::Io`] naming `path`: no such folder, a full disk. What stood there before is as it was.
pub fn write_file(path: &Path, content: &[u8]) -> Result<()> {
    let in_place = || fs::write(path, content).map_err(Error::io("write", path));
    if ["/dev", "/proc"].iter().any(|system| path.starts_with(system)) {
        return in_place();
    }
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return in_place();
    }
    let target = target(path);
    remove_leftovers_beside(&target);
    replace(&target, content).or_else(|error| match error {
        Error::Io { source, .. } if matches!(source.kind(), ErrorKind::ResourceBusy | ErrorKind::PermissionDenied) => {
            in_place()
        }
        // Of a name that the user never heard of.
        Error::Io { source, .. } => Err(Error::io("write", path)(source)),
        other => Err(other),
    })
}

/// What a link names, whether it is there or not.
fn target(path: &Path) -> PathBuf {
    let named = || Some(path.parent()?.join(fs::read_link(path).ok()?));
    fs::canonicalize(path).ok().or_else(named).unwrap_or_else(|| path.to_owned())
}

fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let mut file = Temporary::beside(path)?;
    if let Ok(found) = fs::metadata(path) {
        fs::set_permissions(file.path(), found.permissions()).map_err(Error::io("write", path))?;
    }
    file.write(|out| out.write_all(content).map_err(Error::io("write", path)))?;
    file.publish(path)
}
