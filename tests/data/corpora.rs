//! The fuzzer's corpora as ordinary tests: small inputs, and every finding that there was.

use std::fs;
use std::path::{Path, PathBuf};

use candle_core::Device;
use tokshift::decoder::{Adapter, Backend, Body, Checkpoint, Head};

#[path = "../../fuzz/src/lib.rs"]
mod targets;

#[test]
fn no_input_breaks_a_reader() {
    for &(name, target) in targets::TARGETS {
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

/// The files next to a fuzzed file are valid: otherwise a reader would never come to it.
#[test]
fn the_tiny_model_loads() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy("fuzz/corpus/config/tiny", folder.path().join("config.json")).unwrap();
    fs::copy("fuzz/corpus/weights/tiny", folder.path().join("model.safetensors")).unwrap();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let body =
        Body::load(&checkpoint, checkpoint.stored_dtype(), &Device::Cpu, Backend::of(&Device::Cpu).unwrap()).unwrap();
    let head =
        Head::load(&checkpoint, None, checkpoint.stored_dtype(), &Device::Cpu, Backend::of(&Device::Cpu).unwrap())
            .unwrap();
    assert!(checkpoint.unread().is_empty());
    // The first byte says which of the two it is.
    for (corpus, name) in [("config", "adapter_config.json"), ("weights", "adapter_model.safetensors")] {
        let bytes = fs::read(Path::new("fuzz/corpus/adapter").join(corpus)).unwrap();
        fs::write(folder.path().join(name), &bytes[1..]).unwrap();
    }
    let adapter = Adapter::open(folder.path()).unwrap();
    adapter.join(checkpoint.spec(), &body, &head, &Device::Cpu).unwrap();
}
