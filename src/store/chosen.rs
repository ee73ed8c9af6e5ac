//! A file at a path that the user chose, outside of every output directory.
//!
//! Owns the rule that it is the old file until the new one is complete. Not here: results of runs, which have a
//! layout.

use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write};
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
    write_file_with(path, |out| out.write_all(content).map_err(Error::io("write", path)))
}

/// As [`write_file`], for content that is too large for memory: `write` is called once or, if the file cannot be
/// replaced, twice, and gives what this gives.
///
/// # Errors
/// Those of [`write_file`] and of `write`.
pub fn write_file_with<T>(path: &Path, write: impl Fn(&mut dyn Write) -> Result<T>) -> Result<T> {
    let in_place = || {
        let mut out = BufWriter::new(File::create(path).map_err(Error::io("write", path))?);
        let written = write(&mut out)?;
        out.flush().map_err(Error::io("write", path)).map(|()| written)
    };
    if ["/dev", "/proc"].iter().any(|system| path.starts_with(system)) {
        return in_place();
    }
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return in_place();
    }
    let target = target(path);
    remove_leftovers_beside(&target);
    replace(&target, &write).or_else(|error| match error {
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

fn replace<T>(path: &Path, write: impl Fn(&mut dyn Write) -> Result<T>) -> Result<T> {
    let mut file = Temporary::next_to(path)?;
    if let Ok(found) = fs::metadata(path) {
        fs::set_permissions(file.path(), found.permissions()).map_err(Error::io("write", path))?;
    }
    let written = file.write(|out| write(out))?;
    file.publish(path).map(|()| written)
}
