//! Circles between the parts of a folder.
//!
//! Owns what the parts are: a folder's files and the folders in it, each with all that it holds; `mod.rs`, or the file of the
//! folder's name next to it, is a part called `mod`. Where no folder has a circle, no two files anywhere stand in one: those of
//! a circle would be parts of the innermost folder that holds them all.

use std::collections::{BTreeMap, BTreeSet};

use crate::modules::Import;

/// Parts of a folder that import one another, directly or over others.
#[derive(Debug)]
pub struct Circle {
    pub folder: String,
    pub parts: BTreeSet<String>,
    steps: Vec<Step>,
}

impl Circle {
    pub fn holds_any_of(&self, parts: &BTreeSet<&str>) -> bool {
        parts.iter().any(|part| self.parts.contains(*part))
    }

    /// The circle in words, with an import for each step that touches a part other than `known` ones.
    pub fn described(&self, known: &BTreeSet<&str>) -> String {
        let parts: Vec<&str> = self.parts.iter().map(String::as_str).filter(|part| !known.contains(part)).collect();
        let among = if known.is_empty() { "" } else { " and those that are listed" };
        let new = |(from, to, _): &&Step| !known.contains(from.as_str()) || !known.contains(to.as_str());
        let step = |(_, _, i): &Step| format!("    src/{}:{}: `{}` is in src/{}", i.from, i.line, i.path, i.to);
        let steps: Vec<String> = self.steps.iter().filter(new).map(step).collect();
        format!("src/{}: {}{among}\n{}", self.folder, parts.join(" "), steps.join("\n"))
    }
}

/// A part, one that it imports from, and an import that shows it.
type Step = (String, String, Import);
type Edges = BTreeMap<(String, String), Import>;

/// All circles, by folder.
pub fn circles(imports: &BTreeSet<Import>) -> Vec<Circle> {
    let mut folders: BTreeMap<String, Edges> = BTreeMap::new();
    for import in imports {
        let (from, to) = (module(&import.from), module(&import.to));
        let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
        let part = |path: &[&str]| path.get(shared).map_or("mod".to_owned(), |part| (*part).to_owned());
        let edges = folders.entry(from[..shared].join("/")).or_default();
        edges.entry((part(&from), part(&to))).or_insert_with(|| import.clone());
    }
    folders.iter().flat_map(|(folder, edges)| of_folder(folder, edges)).collect()
}

/// The path of a file's module: `store/cell.rs` is `store`, `cell`, and so is `store/cell/mod.rs`.
fn module(file: &str) -> Vec<&str> {
    let path = file.trim_end_matches(".rs");
    path.split('/').filter(|part| !["mod", "lib"].contains(part)).collect()
}

fn of_folder(folder: &str, edges: &Edges) -> Vec<Circle> {
    let parts: BTreeSet<&str> = edges.keys().map(|(from, _)| from.as_str()).collect();
    let reach: BTreeMap<&str, BTreeSet<&str>> = parts.iter().map(|part| (*part, reached(part, edges))).collect();
    let mut found: BTreeSet<BTreeSet<&str>> = BTreeSet::new();
    for part in &parts {
        let circle: BTreeSet<&str> =
            reach[part].iter().filter(|other| reach.get(*other).is_some_and(|r| r.contains(part))).copied().collect();
        if !circle.is_empty() {
            found.insert(circle);
        }
    }
    let circle = |parts: BTreeSet<&str>| {
        let inside = |(from, to): &(String, String)| parts.contains(from.as_str()) && parts.contains(to.as_str());
        let steps = edges.iter().filter(|(ends, _)| inside(ends));
        let steps = steps.map(|((from, to), import)| (from.clone(), to.clone(), import.clone())).collect();
        Circle { folder: folder.to_owned(), parts: parts.iter().map(|part| (*part).to_owned()).collect(), steps }
    };
    found.into_iter().map(circle).collect()
}

/// What a part imports, directly or over others.
fn reached<'a>(part: &str, edges: &'a Edges) -> BTreeSet<&'a str> {
    let (mut found, mut open) = (BTreeSet::new(), vec![part]);
    while let Some(from) = open.pop() {
        for (_, to) in edges.keys().filter(|(of, _)| of == from) {
            if found.insert(to.as_str()) {
                open.push(to);
            }
        }
    }
    found
}
