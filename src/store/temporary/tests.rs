//! Tests of temporary files: of living and dead processes, of other machines, on a full disk.

use std::collections::BTreeSet;
use std::time::SystemTime;

use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use tempfile::TempDir;

use super::*;
use crate::table::{self, Table};

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
    let mut full = Temporary { path: "/dev/full".into(), written: false, published: true };
    let error = full.write(|file| table::write(file, Table::Samples, &batch, None)).unwrap_err().to_string();
    assert_eq!(error, "cannot write `/dev/full`: No space left on device (os error 28)");
}

#[test]
fn what_was_not_written_whole_is_not_published() {
    let root = root();
    let path = root.path().join("a/b");
    let empty = Temporary::create(root.path(), "x").unwrap();
    assert!(empty.publish(&path).unwrap_err().to_string().contains("nothing was written"));
    let mut torn = Temporary::create(root.path(), "x").unwrap();
    torn.write(|_| Ok(())).unwrap();
    torn.write(|_| Err::<(), _>(Error::Stopped)).unwrap_err();
    assert!(torn.publish_new(&path).is_err());
    drop(torn);
    assert!(!path.exists() && left(&root).is_empty());
}
