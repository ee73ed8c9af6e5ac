//! The fuzzer's corpora as ordinary tests: small inputs, and every finding that there was.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../fuzz/src/lib.rs"]
mod targets;

#[test]
fn no_input_breaks_a_reader() {
    for (name, target) in targets::TARGETS {
        let folder = Path::new("fuzz/corpus").join(name);
        let mut paths: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        assert!(!paths.is_empty(), "{name}");
        for path in paths {
            let bytes = fs::read(&path).unwrap();
            assert!(std::panic::catch_unwind(|| target(&bytes)).is_ok(), "{}", path.display());
        }
    }
}
