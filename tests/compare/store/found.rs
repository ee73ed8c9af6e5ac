//! What is found in a directory that was left unfinished, changed, or cannot be written.

use std::fs;

use super::{CELL, cell, manifest, open, publish, read, three};
use tempfile::TempDir;
use tokshift::store::{self, Store};
use tokshift::table::{samples_batch, tokens_batch};

#[test]
fn a_part_that_was_not_written_is_not_done() {
    let root = TempDir::new().unwrap();
    let cell = open(root.path(), "m");
    let error = cell.begin(0).unwrap().commit().unwrap_err().to_string();
    assert!(error.contains("nothing was written for it"), "{error}");
    assert!(!cell.is_done(0));
    // Written twice is written once.
    let mut writer = cell.begin(0).unwrap();
    for samples in [three(3), three(0)] {
        writer.write(&samples_batch(&samples, &[]).unwrap(), &tokens_batch(&samples).unwrap()).unwrap();
    }
    writer.commit().unwrap();
    assert_eq!(read(store::cells(root.path()).unwrap()[0].tokens[0].path()), tokens_batch(&three(0)).unwrap());
}

/// Crash after making the folder, before the manifest: such a run decided nothing and hides no other.
#[test]
fn folders_without_a_manifest_and_files_of_file_managers_are_no_cells() {
    let root = TempDir::new().unwrap();
    publish(&open(root.path(), "m"), 0, &three(0)).unwrap();
    let models = root.path().join("runs/generation_model=rl/task=demo");
    fs::create_dir_all(models.join("model=crashed")).unwrap();
    fs::create_dir_all(root.path().join("runs/generation_model=empty/task=empty")).unwrap();
    for folder in [root.path().join("runs"), models.clone()] {
        fs::write(folder.join(".DS_Store"), "").unwrap();
    }
    let found = store::cells(root.path()).unwrap();
    assert_eq!(found.iter().map(|found| found.cell.model.as_str()).collect::<Vec<_>>(), ["m"]);
    open(root.path(), "crashed");
    // What is neither is named.
    fs::create_dir(models.join("backup of m")).unwrap();
    let error = store::cells(root.path()).unwrap_err().to_string();
    assert!(error.contains("backup of m`: expected a folder `model=…` here"), "{error}");
}

#[test]
fn parts_without_their_manifest_are_not_taken_for_this_run_s() {
    let root = TempDir::new().unwrap();
    publish(&open(root.path(), "m"), 0, &three(0)).unwrap();
    let manifest_file = root.path().join("runs").join(CELL).join("manifest.json");
    let text_file = root.path().join("runs/generation_model=rl/task=demo/text.json");
    let text = fs::read(&text_file).unwrap();
    fs::remove_file(&text_file).unwrap();
    let error = store::cells(root.path()).unwrap_err().to_string();
    let described =
        "text.json` is missing, so which rows were scored is unknown: delete this and its parts, and score again";
    assert!(error.starts_with(&format!("`{}`: ", manifest_file.display())) && error.ends_with(described), "{error}");
    fs::write(&text_file, text).unwrap();
    fs::remove_file(&manifest_file).unwrap();
    let (cell, store) = (cell("m"), Store::open(root.path()).unwrap());
    let error = store.cell(&cell, &manifest(&cell)).unwrap_err().to_string();
    assert!(error.contains("manifest.json`: is missing, so the options of its parts are unknown"), "{error}");
    fs::remove_dir_all(root.path().join("tokens")).unwrap();
    fs::remove_dir_all(root.path().join("samples")).unwrap();
    publish(&open(root.path(), "m"), 0, &three(0)).unwrap();
}

#[test]
fn a_format_that_is_not_known_is_no_path() {
    let root = TempDir::new().unwrap();
    publish(&open(root.path(), "m"), 0, &three(0)).unwrap();
    let path = root.path().join("runs").join(CELL).join("manifest.json");
    let text = fs::read_to_string(&path).unwrap().replace("\"parquet\"", "\"/../../secret\"");
    fs::write(&path, text).unwrap();
    let error = store::cells(root.path()).unwrap_err().to_string();
    assert!(error.contains("tables of a format that is not known: `/../../secret`"), "{error}");
}

/// Nothing of it depends on permissions, which root does not have.
#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let root = TempDir::new().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    for place in [file.clone(), file.join("below"), "/proc/tokshift".into()] {
        let error = Store::open(&place).unwrap_err().to_string();
        let start = format!("cannot write in the output directory `{}`: ", place.display());
        assert!(error.starts_with(&start), "{error}");
    }
    assert!(store::cells(&root.path().join("none")).unwrap_err().to_string().ends_with("no such directory"));
    assert!(store::cells(root.path()).unwrap_err().to_string().contains("contains no runs"));
}
