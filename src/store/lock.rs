//! Locks: one writer per part, and several readers of a cell's temporary hidden states.
//!
//! Owns the operating system's locks on files under `.tmp`. The kernel releases a lock when its process ends, however
//! it ends, so a lock is never stale and reused process ids cannot confuse it. The file's content is only for
//! messages. Nothing here waits for a writer.
//!
//! Network file systems pass such locks on (NFS, Lustre with `flock`), or apply them to one machine only, or have
//! none. Then two processes may score one part. That wastes work and does no harm, because parts are published
//! exclusively ([`PartWriter::commit`](super::PartWriter::commit)).

use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use super::owner::Owner;
use crate::error::{Error, Result};
use crate::schema::folder;

/// What the name of a lock's file begins with.
const PREFIX: &str = "lock-";
/// Cleanup by another process may hold a lock briefly. One found held this many times in a row is in use.
const LOOKS: u32 = 5;
/// An exclusive lock on what others share is only cleanup, which may take some seconds on a network.
const LOOKS_OF_SHARED: u32 = 1000;
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    /// Open as long as the lock is held.
    _file: File,
}

impl Lock {
    /// Locks what `key` names under `root`; the file's name does not show the key.
    ///
    /// # Errors
    /// [`Error::Busy`] if another process, which writes `what`, holds it; [`Error::Io`] if the file cannot be created.
    pub fn take(root: &Path, key: &Path, what: &str) -> Result<Self> {
        let (path, mut file) = locked(root, key, what, LOOKS, File::try_lock)?;
        // Best effort, as on a full disk: nothing but a message depends on it.
        let _ = file.set_len(0).and_then(|()| write!(file, "{}", Owner::this_process()));
        Ok(Self { path, _file: file })
    }
}

/// A lock that several processes share, each until it is dropped; it excludes a [`Lock`] on the same key.
#[derive(Debug)]
pub(super) struct Shared {
    path: PathBuf,
    /// Open as long as the lock is held.
    file: File,
}

impl Shared {
    /// As [`Lock::take`].
    pub fn take(root: &Path, key: &Path, what: &str) -> Result<Self> {
        let (path, mut file) = locked(root, key, what, LOOKS_OF_SHARED, File::try_lock_shared)?;
        // The last of several that share it is named.
        let _ = file.set_len(0).and_then(|()| write!(file, "{}", Owner::this_process()));
        Ok(Self { path, file })
    }
}

/// Who holds a lock, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process, for a message.
    pub process: String,
    /// When it took the lock.
    pub since: Option<SystemTime>,
}

/// The process that holds the [`Lock`] on `key`, if any does.
pub(super) fn held_by(root: &Path, key: &Path) -> Option<Holder> {
    let mut file = File::options().read(true).write(true).open(path_of(root, key)).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {
            let since = file.metadata().and_then(|data| data.modified()).ok();
            Some(Holder { process: holder(&mut file), since })
        }
        _ => None,
    }
}

fn path_of(root: &Path, key: &Path) -> PathBuf {
    let hash = blake3::hash(key.as_os_str().as_encoded_bytes()).to_hex();
    root.join(folder::TEMPORARY).join(format!("{PREFIX}{}", &hash[..16]))
}

/// The file of the lock on `key`, locked by `lock` at one of `most_looks`, and where it is.
fn locked(
    root: &Path,
    key: &Path,
    what: &str,
    most_looks: u32,
    lock: fn(&File) -> std::result::Result<(), TryLockError>,
) -> Result<(PathBuf, File)> {
    let path = path_of(root, key);
    let mut looks = 0;
    loop {
        let open = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(Error::io("create", &path))?;
        match lock(&file) {
            Ok(()) if !leads_to(&path, &file) => continue,
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if looks < most_looks => {
                looks += 1;
                thread::sleep(BETWEEN_LOOKS);
                continue;
            }
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Busy { what: what.to_owned(), root: root.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(e)) => {
                tracing::warn!("cannot lock `{}` ({e}): let no other process score {what}", path.display());
            }
        }
        return Ok((path, file));
    }
}

impl Drop for Lock {
    /// It is deleted while it is held: a process that opened the file before, and locks it after, sees that the name
    /// leads elsewhere.
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Drop for Shared {
    /// The last process that holds it deletes the file, as [`Lock`] does.
    fn drop(&mut self) {
        if self.file.unlock().is_ok() && self.file.try_lock().is_ok() && leads_to(&self.path, &self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Deletes the files of locks that no process holds, which killed processes leave.
pub(super) fn remove_unheld(temporary: &Path) {
    let entries = fs::read_dir(temporary).into_iter().flatten().flatten();
    let locks = entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX)));
    for path in locks.map(|entry| entry.path()) {
        let Ok(file) = File::options().read(true).write(true).open(&path) else { continue };
        if file.try_lock().is_ok() && leads_to(&path, &file) {
            let _ = fs::remove_file(path);
        }
    }
}

/// Whether the file that was locked is the one that others would lock: its last holder may have removed it since it was
/// opened here.
fn leads_to(path: &Path, file: &File) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let (there, here) = (fs::metadata(path).map(identity), file.metadata().map(identity));
    there.is_ok_and(|there| here.is_ok_and(|here| here == there))
}

/// Who wrote its name into a lock's file, for a message.
fn holder(file: &mut File) -> String {
    let mut name = String::new();
    let _ = file.read_to_string(&mut name);
    Owner::parse(&name).map_or_else(|| "another process".to_owned(), |owner| owner.describe())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use tempfile::TempDir;

    use super::*;

    fn root() -> TempDir {
        let root = TempDir::new().unwrap();
        fs::create_dir(root.path().join(folder::TEMPORARY)).unwrap();
        root
    }

    fn take(root: &TempDir) -> Result<Lock> {
        Lock::take(root.path(), Path::new("a/b"), "`m` on `t` by `g`")
    }

    #[test]
    fn one_holds_it_and_is_named() {
        let root = root();
        let first = take(&root).unwrap();
        let described = format!(
            "process {} writes `m` on `t` by `g` into `{}`: wait until it ends, or use another --output-dir",
            std::process::id(),
            root.path().display()
        );
        assert_eq!(take(&root).unwrap_err().to_string(), described);
        Lock::take(root.path(), Path::new("a/c"), "").unwrap();
        drop(first);
        assert_eq!(fs::read_dir(root.path().join(folder::TEMPORARY)).unwrap().count(), 0);
        take(&root).unwrap();
    }

    /// The file of a process that was killed says nothing, even if its id is a living one's.
    #[test]
    fn what_the_dead_left_is_taken_over() {
        let root = root();
        let path = take(&root).unwrap().path.clone();
        for left in [format!("{}", Owner::this_process()), "0badcafe-1".to_owned(), "junk".repeat(99), String::new()] {
            fs::write(&path, left).unwrap();
            let lock = take(&root).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), Owner::this_process().to_string());
            drop(lock);
        }
    }

    #[test]
    fn only_unused_locks_are_tidied_away() {
        let root = root();
        let temporary = root.path().join(folder::TEMPORARY);
        let held = take(&root).unwrap();
        fs::write(temporary.join("lock-left"), "0badcafe-1").unwrap();
        fs::write(temporary.join("notes"), "mine").unwrap();
        remove_unheld(&temporary);
        assert!(held.path.exists() && temporary.join("notes").exists());
        assert_eq!(fs::read_dir(&temporary).unwrap().count(), 2);
    }

    #[test]
    fn holders_elsewhere_are_told_apart() {
        let root = root();
        let lock = take(&root).unwrap();
        for (owner, described) in [
            ("0badcafe-7", "process 7 on another machine or in another container writes"),
            ("", "another process writes"),
            ("0badcafe", "another process writes"),
        ] {
            fs::write(&lock.path, owner).unwrap();
            assert!(take(&root).unwrap_err().to_string().starts_with(described));
        }
    }

    /// Releasing removes the file under the noses of those that have just opened it.
    #[test]
    fn never_two_at_once() {
        let root = root();
        let (inside, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        remove_unheld(&root.path().join(folder::TEMPORARY));
                        if let Ok(lock) = take(&root) {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                            thread::yield_now();
                            assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
                            taken.fetch_add(1, Ordering::SeqCst);
                            drop(lock);
                        }
                    }
                });
            }
        });
        assert!(taken.into_inner() > 0);
    }
}
