//! A file at a path of the user's choice, outside of every output directory.
//!
//! Owns that it is the old one until the new one is whole. Refuses results of runs: those have a layout.

use std::fs;
use std::io::Write;
use std::path::Path;

use super::temporary::{Temporary, remove_leftovers_beside};
use crate::error::{Error, Result};

/// Writes `content` to `path` over what may stand there, in one step; a link stays, and what it names is replaced. What is
/// no file (a pipe, `/dev/stdout`) is written to as it is.
///
/// # Errors
/// [`Error::Io`] naming `path`: no such folder, a full disk. What stood there before is as it was.
pub fn write_file(path: &Path, content: &[u8]) -> Result<()> {
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return fs::write(path, content).map_err(Error::io("write", path));
    }
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    remove_leftovers_beside(&target);
    replace(&target, content).map_err(|error| match error {
        // Of a name that the user never heard of.
        Error::Io { source, .. } => Error::io("write", path)(source),
        other => other,
    })
}

fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let mut file = Temporary::beside(path)?;
    file.write(|out| out.write_all(content).map_err(Error::io("write", path)))?;
    file.publish(path)
}
