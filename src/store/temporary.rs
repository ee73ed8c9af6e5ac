//! Files that are not results yet, and how they become results.
//!
//! Owns `.tmp`, durability and the removal of what the dead left there. Refuses to know what a file is for.
//!
//! A name begins with its *owner*, the process that made it.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::error::ArrowError;
use parquet::errors::ParquetError;

use super::is_absent;
use super::owner::Owner;
use crate::error::{Error, Result};
use crate::schema::folder;

/// Age at which a file of another machine counts as left behind; a part is written in seconds.
const ABANDONED: Duration = Duration::from_hours(24);

/// A file under `.tmp`, removed unless it is published.
#[derive(Debug)]
pub(super) struct Temporary {
    path: PathBuf,
    /// Whole and synced.
    written: bool,
    published: bool,
}

impl Temporary {
    /// An empty file of this process. `name` is ours, never a person's.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be created.
    pub fn create(root: &Path, name: &str) -> Result<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let owner = Owner::this_process();
        loop {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let path = root.join(folder::TEMPORARY).join(format!("{owner}-{number}-{name}"));
            match File::create_new(&path) {
                Ok(_) => return Ok(Self { path, written: false, published: false }),
                // Of an earlier process with this id: ids come back.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Error::io("create", &path)(e)),
            }
        }
    }

    /// Writes the whole content and syncs it to disk.
    pub fn write(&mut self, content: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
        self.written = false;
        let failed = || Error::io("write", &self.path);
        let mut file = BufWriter::new(File::create(&self.path).map_err(failed())?);
        content(&mut file).map_err(|error| at(&self.path, error))?;
        let file = file.into_inner().map_err(|e| failed()(e.into_error()))?;
        file.sync_all().map_err(failed())?;
        self.written = true;
        Ok(())
    }

    /// The empty file, to be written at any place in any order; [`Temporary::finish`] ends that.
    pub fn open(&mut self) -> Result<File> {
        self.written = false;
        File::options().read(true).write(true).open(&self.path).map_err(Error::io("write", &self.path))
    }

    /// Syncs what was written to the file that [`Temporary::open`] gave: it is whole.
    pub fn finish(&mut self, file: &File) -> Result<()> {
        file.sync_all().map_err(Error::io("write", &self.path))?;
        self.written = true;
        Ok(())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether what was written is, byte by byte, what is published at `path`.
    pub fn is_as(&self, path: &Path) -> Result<bool> {
        if !path.exists() {
            return Ok(false);
        }
        let read = |path: &Path| fs::read(path).map_err(Error::io("read", path));
        Ok(read(&self.path)? == read(path)?)
    }

    /// Renames to `path`, over what may stand there.
    pub fn publish(mut self, path: &Path) -> Result<()> {
        let parent = self.prepare(path)?;
        fs::rename(&self.path, path).map_err(Error::io("publish", path))?;
        self.published = true;
        sync_directory(&parent)
    }

    /// Publishes unless `path` exists already, atomically; whether it was published.
    pub fn publish_new(self, path: &Path) -> Result<bool> {
        let parent = self.prepare(path)?;
        match fs::hard_link(&self.path, path) {
            Ok(()) => sync_directory(&parent).map(|()| true),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(Error::io("publish", path)(e)),
        }
    }

    /// What a final name is given to must be whole: an empty tokens file would mean a part that is done.
    fn prepare(&self, path: &Path) -> Result<PathBuf> {
        if !self.written {
            return Err(Error::file(path, "not published: nothing was written for it (this is a bug in tokshift)"));
        }
        let parent = path.parent().unwrap_or(Path::new("."));
        create_directories(parent)?;
        Ok(parent.to_owned())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.published {
            // Best effort: a leftover is removed by a later run.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// What the writers of tables hide: that the file system said no, and where.
fn at(path: &Path, error: Error) -> Error {
    match error {
        Error::Parquet(ParquetError::External(cause)) => match cause.downcast() {
            Ok(source) => Error::io("write", path)(*source),
            Err(cause) => Error::Parquet(ParquetError::External(cause)),
        },
        Error::Arrow(ArrowError::IoError(_, source)) => Error::io("write", path)(source),
        other => other,
    }
}

/// Removes a published file, for good before anything is published after it. One that is not there is none.
pub(super) fn withdraw(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_directory(path.parent().unwrap_or(Path::new("."))),
        Err(e) if is_absent(&e) => Ok(()),
        Err(e) => Err(Error::io("replace", path)(e)),
    }
}

/// Creates `directory`, each new level synced into its parent.
pub(super) fn create_directories(directory: &Path) -> Result<()> {
    let missing: Vec<_> = directory.ancestors().take_while(|level| !level.exists()).collect();
    fs::create_dir_all(directory).map_err(Error::io("create", directory))?;
    missing.iter().rev().filter_map(|level| level.parent()).try_for_each(sync_directory)
}

/// Makes renames in `directory` survive a power cut.
fn sync_directory(directory: &Path) -> Result<()> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    File::open(directory).and_then(|d| d.sync_all()).map_err(Error::io("sync", directory))
}

/// Removes what dead processes left. Another live process may share the directory, and what we cannot have made is
/// somebody's: both are kept.
pub(super) fn remove_leftovers(temporary: &Path) {
    for path in leftovers(temporary) {
        let _ = fs::remove_file(path);
    }
}

/// What dead processes left.
pub(super) fn leftovers(temporary: &Path) -> impl Iterator<Item = PathBuf> {
    let left = |entry: &fs::DirEntry| {
        let owner = entry.file_name().to_str().and_then(owner_of);
        let age = || entry.metadata().and_then(|data| data.modified()).ok()?.elapsed().ok();
        owner.is_some_and(|owner| match owner.is_running() {
            Some(running) => !running,
            None => age().is_some_and(|age| age > ABANDONED),
        })
    };
    fs::read_dir(temporary).into_iter().flatten().flatten().filter(left).map(|entry| entry.path())
}

/// The owner in the name of a temporary file; `None` if we did not name it.
fn owner_of(name: &str) -> Option<Owner> {
    let (process, _) = name.match_indices('-').nth(1)?;
    let number = name[process + 1..].split('-').next()?;
    number.parse::<u64>().ok().and_then(|_| Owner::parse(&name[..process]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::SystemTime;

    use std::sync::Arc;

    use arrow::array::{RecordBatch, UInt32Array};
    use arrow::datatypes::{DataType, Field, Schema};
    use tempfile::TempDir;

    use super::*;
    use crate::table::{self, Format, Table};

    fn root() -> TempDir {
        let root = TempDir::new().unwrap();
        create_directories(&root.path().join(folder::TEMPORARY)).unwrap();
        root
    }

    fn left(root: &TempDir) -> BTreeSet<String> {
        let entries = fs::read_dir(root.path().join(folder::TEMPORARY)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// A process that has been waited for is gone.
    fn dead() -> u32 {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id()
    }

    fn remove(root: &TempDir) -> BTreeSet<String> {
        remove_leftovers(&root.path().join(folder::TEMPORARY));
        left(root)
    }

    #[test]
    fn leftovers_of_the_dead_are_removed_and_work_in_progress_is_kept() {
        let root = root();
        let here = Owner::this_process();
        let mine = Temporary::create(root.path(), "tokens-00000000").unwrap();
        let gone = Owner { process: dead(), ..here.clone() };
        let alive = Owner { process: 1, ..here };
        for owner in [gone, alive.clone()] {
            fs::write(root.path().join(folder::TEMPORARY).join(format!("{owner}-0-tokens-00000001")), "").unwrap();
        }
        let mine = mine.path.file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(remove(&root), BTreeSet::from([mine, format!("{alive}-0-tokens-00000001")]));
    }

    /// Its process ids say nothing here: process 1 of one container is not process 1 of another.
    #[test]
    fn files_of_other_machines_are_kept_for_a_day() {
        let root = root();
        let path = |name: &str| root.path().join(folder::TEMPORARY).join(name);
        let names = [format!("0badcafe-{}-0-tokens-00000000", dead()), format!("0badcafe-{}-1-x", std::process::id())];
        for name in &names {
            fs::write(path(name), "").unwrap();
        }
        assert_eq!(remove(&root), BTreeSet::from(names.clone()));
        let file = File::options().write(true).open(path(&names[1])).unwrap();
        file.set_modified(SystemTime::now() - ABANDONED - Duration::from_mins(1)).unwrap();
        assert_eq!(remove(&root), BTreeSet::from([names[0].clone()]));
    }

    #[test]
    fn what_we_did_not_name_is_kept() {
        let root = root();
        let names = ["junk", "notes.txt", "1-0-x", "123-456-tokens", "0badcafe-x-0-y", "0badcafe-1-y", "é-1-2-3"];
        for name in names {
            let path = root.path().join(folder::TEMPORARY).join(name);
            fs::write(&path, "").unwrap();
            let old = SystemTime::now() - 2 * ABANDONED;
            File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        }
        assert_eq!(remove(&root), names.map(str::to_owned).into());
    }

    /// A process id that comes back, as 1 does in a container, must not write into the file of its forebear.
    #[test]
    fn a_name_in_use_is_not_taken_again() {
        let root = root();
        let first = Temporary::create(root.path(), "x").unwrap();
        let number: u64 = first.path.file_name().unwrap().to_str().unwrap().split('-').nth(2).unwrap().parse().unwrap();
        // Other tests count too: leave the next thousand names in the way.
        let owner = Owner::this_process();
        let taken = number + 1..number + 1001;
        for number in taken.clone() {
            fs::write(root.path().join(folder::TEMPORARY).join(format!("{owner}-{number}-x")), "theirs").unwrap();
        }
        let mut next = Temporary::create(root.path(), "x").unwrap();
        next.write(|_| Ok(())).unwrap();
        for number in taken {
            let path = root.path().join(folder::TEMPORARY).join(format!("{owner}-{number}-x"));
            assert_eq!(fs::read(path).unwrap(), b"theirs");
        }
    }

    /// `/dev/full` is a disk without room.
    #[test]
    fn a_full_disk_is_told_with_the_file() {
        let column = Arc::new(UInt32Array::from(vec![7; 1 << 16]));
        let schema = Schema::new(vec![Field::new(crate::schema::sample::SAMPLE_ID, DataType::UInt32, false)]);
        let batch = RecordBatch::try_new(Arc::new(schema), vec![column]).unwrap();
        for format in [Format::Parquet, Format::Jsonl] {
            let mut full = Temporary { path: "/dev/full".into(), written: false, published: true };
            let error =
                full.write(|file| table::write(file, format, Table::Samples, &batch, None)).unwrap_err().to_string();
            assert_eq!(error, "cannot write `/dev/full`: No space left on device (os error 28)");
        }
    }

    #[test]
    fn what_was_not_written_whole_is_not_published() {
        let root = root();
        let path = root.path().join("a/b");
        let empty = Temporary::create(root.path(), "x").unwrap();
        assert!(empty.publish(&path).unwrap_err().to_string().contains("nothing was written"));
        let mut torn = Temporary::create(root.path(), "x").unwrap();
        torn.write(|_| Ok(())).unwrap();
        torn.write(|_| Err(Error::Stopped)).unwrap_err();
        assert!(torn.publish_new(&path).is_err());
        assert!(!path.exists() && left(&root).is_empty());
    }
}
