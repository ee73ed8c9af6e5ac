//! Imports run one way: a module uses only those that stand above it in `lib.rs`.

use std::fs;
use std::path::{Path, PathBuf};

/// Top-level modules in the order of `lib.rs`, which is the order of the data.
fn modules() -> Vec<String> {
    let lib = fs::read_to_string("src/lib.rs").unwrap();
    let declared = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    declared.map(str::to_owned).collect()
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Modules that a line of code names after `crate::`; comments aside.
fn named(line: &str) -> Vec<&str> {
    let code = line.split("//").next().unwrap_or_default();
    let mut names = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let name = code[at + "crate::".len()..].split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next();
        names.extend(name.filter(|n| n.starts_with(char::is_lowercase)));
    }
    names
}

/// The lines of `src` that import against the order, as `file:line: module`.
fn violations(forbidden: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let mut files = Vec::new();
    sources(Path::new("src"), &mut files);
    let mut found = Vec::new();
    for file in files {
        let inside = file.strip_prefix("src").unwrap().components().next().unwrap();
        let module = inside.as_os_str().to_str().unwrap().trim_end_matches(".rs");
        for (number, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
            for name in named(line) {
                if forbidden(module, name) {
                    found.push(format!("{}:{}: {module} uses {name}", file.display(), number + 1));
                }
            }
        }
    }
    found
}

#[test]
fn modules_import_only_from_above() {
    let order = modules();
    let place = |name: &str| order.iter().position(|m| m == name);
    let found = violations(|module, name| match (place(module), place(name)) {
        (Some(here), Some(there)) => there > here,
        _ => false,
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn comparing_needs_no_engine() {
    let engines = ["tokenize", "reduce", "forest", "decoder", "engine", "pipeline"];
    let found = violations(|module, name| module == "shift" && engines.contains(&name));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_engine_seam_does_not_name_its_children() {
    let seam = fs::read_to_string("src/engine/mod.rs").unwrap();
    let uses: Vec<_> = seam.lines().filter(|l| l.contains("local::") || l.contains("mock::")).collect();
    assert!(uses.is_empty(), "{uses:?}");
}

#[test]
fn families_are_named_in_the_config_alone() {
    let mut files = Vec::new();
    sources(Path::new("src/decoder"), &mut files);
    for file in files.iter().filter(|f| !f.starts_with("src/decoder/config")) {
        for (number, line) in fs::read_to_string(file).unwrap().lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let family = ["\"qwen", "\"llama", "\"gemma", "\"phi", "\"mixtral", "\"glm"]
                .iter()
                .find(|name| code.contains(**name));
            assert!(family.is_none(), "{}:{}: {line}", file.display(), number + 1);
        }
    }
}
