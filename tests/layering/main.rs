//! Imports run one way: a module uses only those that stand above it in `lib.rs`, and within every folder no two files and no
//! two folders import each other, directly or over others.

mod circles;
mod examples;
mod modules;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use circles::circles;
use modules::{Import, Modules};

/// Circles that are still there, by folder: whoever cuts one takes it off. Nothing is ever added.
const KNOWN: &[(&str, &str)] = &[
    ("decoder", "adapter attention block body cpu ffn head linear load mod rope"),
    ("decoder/checkpoint", "gguf mod roots safetensors"),
    ("kernel", "amx avx512 block fma isa mod narrow packed rows wide"),
];

/// Every source of the library, by its path below `src`.
fn sources() -> BTreeMap<String, String> {
    fn walk(folder: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix("src").unwrap().to_str().unwrap();
                found.insert(name.to_owned(), fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(Path::new("src"), &mut found);
    found
}

fn imports() -> BTreeSet<Import> {
    Modules::read(&sources()).imports()
}

/// The module of the crate that a file belongs to.
fn top(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
}

fn described(import: &Import) -> String {
    let Import { from, to, line, path } = import;
    format!("    src/{from}:{line}: `{path}` is in src/{to}")
}

/// Imports that may not be, as lines; a module is found by its parent and by the path.
fn forbidden(is: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let named = |path: &str| path.strip_prefix("crate::").map(|path| path.split("::").next().unwrap().to_owned());
    let all = imports();
    let found = all.iter().filter(|import| {
        let from = top(&import.from);
        is(from, top(&import.to)) || named(&import.path).is_some_and(|to| is(from, &to))
    });
    found.map(described).collect()
}

#[test]
fn modules_import_only_from_above() {
    let sources = sources();
    let declared = sources["lib.rs"].lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let order: Vec<&str> = declared.collect();
    let place = |name: &str| order.iter().position(|m| *m == name);
    let found = forbidden(|from, to| place(from).zip(place(to)).is_some_and(|(from, to)| to > from));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn comparing_needs_no_engine() {
    let engines = ["tokenize", "reduce", "forest", "decoder", "engine", "pipeline"];
    let found = forbidden(|from, to| from == "shift" && engines.contains(&to));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_files_and_no_folders_import_each_other() {
    let found = circles(&imports());
    let mut known: Vec<(&str, BTreeSet<&str>)> =
        KNOWN.iter().map(|(folder, parts)| (*folder, parts.split_whitespace().collect())).collect();
    let mut new = Vec::new();
    for circle in &found {
        let listed = known.iter_mut().find(|(folder, parts)| *folder == circle.folder && circle.holds_any_of(parts));
        let Some((_, parts)) = listed else {
            new.push(circle.described(&BTreeSet::new()));
            continue;
        };
        if circle.parts.iter().any(|part| !parts.contains(part.as_str())) {
            new.push(circle.described(parts));
        }
        parts.retain(|part| !circle.parts.contains(*part));
    }
    assert!(new.is_empty(), "these import one another, directly or over others:\n{}", new.join("\n"));
    known.retain(|(_, parts)| !parts.is_empty());
    assert!(known.is_empty(), "in no circle any more: take them off KNOWN: {known:?}");
}

/// Readers get results from the store, which alone knows where they are. Polars opens what its lazy scans read.
#[test]
fn results_are_opened_by_the_store_alone() {
    let readers = ["table", "hidden", "pipeline", "exact", "study", "export", "verify", "shift", "report"];
    let words = ["File::open", "fs::read", "fs::metadata", "fs::remove", "fs::rename", "read_dir(", "scan_parquet"];
    let scan = |file: &str, line: &str| file == "shift/tables/scan.rs" && line.contains("scan_parquet");
    let mut scans = 0;
    for (file, source) in sources() {
        let reads_results = readers.contains(&top(&file)) || ["cli/status.rs", "cli/run/compare.rs"].contains(&&*file);
        if !reads_results || file.ends_with("tests.rs") || file.contains("/tests/") {
            continue;
        }
        let of_product = source.split("#[cfg(test)]").next().unwrap();
        for (number, line) in of_product.lines().enumerate() {
            let is_scan = scan(&file, line);
            scans += usize::from(is_scan);
            let found = words.iter().find(|word| !is_scan && line.contains(**word));
            assert!(found.is_none(), "src/{file}:{}: {line}", number + 1);
        }
    }
    assert_eq!(scans, 1, "one file makes lazy scans of results");
}

/// What uses a terminal, parses flags or makes errors without a type belongs to the command line only.
#[test]
fn the_library_knows_no_terminal() {
    for (file, source) in sources().iter().filter(|(file, _)| !file.starts_with("cli/") && *file != "main.rs") {
        for (number, line) in source.lines().enumerate() {
            let found =
                ["clap", "anyhow", "indicatif", "println!", "eprint"].into_iter().find(|word| line.contains(word));
            assert!(found.is_none(), "src/{file}:{}: {line}", number + 1);
        }
    }
}

#[test]
fn the_engine_seam_does_not_name_its_children() {
    let interface = &sources()["engine/mod.rs"];
    let uses: Vec<_> = interface.lines().filter(|l| l.contains("local::") || l.contains("mock::")).collect();
    assert!(uses.is_empty(), "{uses:?}");
}

#[test]
fn families_are_named_in_the_config_alone() {
    for (file, source) in sources() {
        if !file.starts_with("decoder/") || file.starts_with("decoder/config") {
            continue;
        }
        let of_product = source.split("#[cfg(test)]").next().unwrap();
        for (number, line) in of_product.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let family = ["\"qwen", "\"llama", "\"gemma", "\"phi", "\"mixtral", "\"glm"]
                .iter()
                .find(|name| code.contains(**name));
            assert!(family.is_none(), "src/{file}:{}: {line}", number + 1);
        }
    }
}
